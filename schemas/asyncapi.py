"""The catalogue as AsyncAPI 3.0: a channel a topic, operations as Annul does them, envelopes in both modes."""

import json
from pathlib import Path
from typing import Any, Final

from schemas.envelope import JSON, MAX_VALUE_BYTES, SOURCE, STRUCTURED
from schemas.topics import CATALOGUE, PARKED, Topic

Json = dict[str, Any]

_DAY_MS: Final = 24 * 3600 * 1000
_KAFKA: Final = "0.5.0"
_DIRECTIONS: Final = {
    "in": ("Annul reads it, its owner writes it.", ("receive",)),
    "inside": ("Annul writes and reads it; others may take part under the same contract.", ("send", "receive")),
    "out": ("Annul writes it, for others to read.", ("send",)),
}
_TEXT: Final = {"type": "string"}
_EVENT_ID: Final = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9_.:-]{1,64}$(?!\n)",
    "description": "Of the message; one that Annul sends again keeps its id.",
}
_EVENT_TIME: Final = {"type": "string", "format": "date-time", "description": "RFC 3339 with an offset"}
_EVENT_SOURCE: Final = {"type": "string", "minLength": 1, "description": f"`{SOURCE}` where Annul sends"}
_TRACE: Final = {
    "type": "string",
    "description": "W3C trace context, passed on; one that can't be read is left out.",
    "examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
}
_BINARY: Final = {
    "description": "CloudEvents 1.0, Kafka protocol binding, binary mode: attributes in headers, data in the value.",
    "contentType": JSON,
    "headers": {
        "type": "object",
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": _EVENT_ID,
            "ce_source": _EVENT_SOURCE,
            "ce_type": _TEXT,
            "ce_time": _EVENT_TIME,
            "content-type": {"const": JSON, "description": "may be left out"},
            "traceparent": _TRACE,
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
    },
}
_STRUCTURED: Final = {
    "description": "CloudEvents 1.0, Kafka protocol binding, structured mode: attributes and data in the value.",
    "contentType": STRUCTURED,
    "headers": {
        "type": "object",
        "properties": {"content-type": {"type": "string", "pattern": r"^application/cloudevents\+json"}},
        "required": ["content-type"],
    },
}
_CLOUD_EVENT: Final = {
    "type": "object",
    "description": "A CloudEvent with its data in `data`, or as base64 of the same JSON in `data_base64`.",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _EVENT_ID,
        "source": _EVENT_SOURCE,
        "type": _TEXT,
        "time": _EVENT_TIME,
        "datacontenttype": {"const": JSON, "description": "may be left out"},
        "traceparent": _TRACE,
        "data": {"type": "object"},
        "data_base64": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["specversion", "id", "source", "type"],
    "anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
}
_PARKED: Final = "annul.parked"
_PARKED_HEADERS: Final = {
    "annul_parked_id": "topic, partition and offset of the original, joined by colons",
    "annul_reason": "a stable code",
    "annul_field": "the field at fault",
    "annul_detail": "a sentence; never the field's content",
    "annul_stage": "decode, decide or record",
    "annul_topic": "the original's topic",
    "annul_partition": "the original's partition",
    "annul_offset": "the original's offset",
    "annul_parked_at": "RFC 3339, UTC",
}


def asyncapi(examples: Path) -> Json:
    """The whole document; `examples` is the folder of the messages' examples."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:annul",
        "info": {
            "title": "Annul",
            "version": "1.0.0",
            "description": "What must follow when an order is cancelled: refunds, closing chats, seller statistics.\n\n"
            "Annul sends CloudEvents in binary mode and reads both modes. Operations are told from its side. "
            "The names of topics may carry a prefix (setting TOPIC_PREFIX). "
            f"A value of more than {MAX_VALUE_BYTES // 1024} KiB is parked. Money is an integer in the minor unit of "
            "an ISO 4217 currency with exponent 0, 2 or 3; times are RFC 3339 in UTC; readers ignore unknown fields. "
            "A message may come more than once, under one id.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "channels": {topic.name: _channel(topic) for topic in CATALOGUE},
        "operations": {
            f"{action}.{topic.name}": _operation(topic, action)
            for topic in CATALOGUE
            for action in _DIRECTIONS[topic.direction][1]
        },
        "components": {
            "messages": _messages(examples),
            "messageTraits": {"binary": _BINARY, "structured": _STRUCTURED},
            "schemas": {"cloudEvent": _CLOUD_EVENT},
        },
    }


def _channel(topic: Topic) -> Json:
    told, _ = _DIRECTIONS[topic.direction]
    return {
        "address": topic.name,
        "description": f"{told} Keyed by {topic.key}. {_kept(topic)} "
        "Partitions: 8 by default (setting TOPIC_PARTITIONS); they may grow, and a key then moves to another one.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(topic)},
        "bindings": {"kafka": {"topicConfiguration": _kafka_settings(topic), "bindingVersion": _KAFKA}},
        "x-direction": topic.direction,
        "x-key": topic.key,
    }


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "Compacted: the last message of each key is kept."
    return f"Kept for {topic.retention_ms // _DAY_MS} days."


def _kafka_settings(topic: Topic) -> Json:
    """The topic's settings in the types that the binding asks for."""
    given = topic.settings()
    settings: Json = {name: int(value) if value.isdigit() else value for name, value in given.items()}
    return settings | {"cleanup.policy": given["cleanup.policy"].split(",")}


def _names(topic: Topic) -> list[str]:
    """The messages of a topic: structured mode is only read, never sent."""
    if topic is PARKED:
        return [_PARKED]
    read = topic.direction != "out"
    return [name for type_ in topic.types for name in (type_, *([_structured(type_)] if read else []))]


def _structured(type_: str) -> str:
    return f"{type_}.structured"


def _operation(topic: Topic, action: str) -> Json:
    names = [name for name in _names(topic) if action == "receive" or not name.endswith(".structured")]
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in names],
    }


def _messages(examples: Path) -> Json:
    messages: Json = {}
    for topic in CATALOGUE:
        for type_ in topic.types:
            messages[type_] = _binary_message(type_, topic, examples / f"{type_}.json")
            if topic.direction != "out":
                messages[_structured(type_)] = _structured_message(type_, topic)
    messages[_PARKED] = {
        "title": "A message that could not be processed",
        "description": "Key, value and headers are the original bytes, so that any Kafka tool can put the record "
        "back; the headers below are added. It needs the same protection as its source.",
        "headers": {
            "type": "object",
            "properties": {name: {**_TEXT, "description": told} for name, told in _PARKED_HEADERS.items()},
            "required": list(_PARKED_HEADERS),
        },
        "payload": {"description": "The original value: any bytes, or none."},
    }
    return messages


def _binary_message(type_: str, topic: Topic, example: Path) -> Json:
    message = {
        "name": type_,
        "title": type_,
        "traits": [{"$ref": "#/components/messageTraits/binary"}],
        "headers": {"properties": {"ce_type": {"const": type_}}},
        "payload": _data(type_),
        "bindings": _key(topic),
    }
    if example.exists():
        message["examples"] = [{"name": type_, "payload": json.loads(example.read_text(encoding="utf-8"))}]
    return message


def _structured_message(type_: str, topic: Topic) -> Json:
    return {
        "name": type_,
        "title": f"{type_}, structured",
        "traits": [{"$ref": "#/components/messageTraits/structured"}],
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/cloudEvent"},
                {"type": "object", "properties": {"type": {"const": type_}, "data": _data(type_)}},
            ]
        },
        "bindings": _key(topic),
    }


def _data(type_: str) -> Json:
    return {"$ref": f"./json/{type_}.json"}


def _key(topic: Topic) -> Json:
    return {"kafka": {"key": {**_TEXT, "description": topic.key}, "bindingVersion": _KAFKA}}
