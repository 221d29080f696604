"""The contract as AsyncAPI, and patterns that mean the same in other languages."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from schemas import export
from schemas.topics import BY_NAME, CATALOGUE, PARKED

TYPES = export.message_types()
CANCELLED = "order.cancelled"


def exported(type_: str) -> Any:
    return json.loads((export.FOLDER / "json" / f"{type_}.json").read_text())


def parts(value: Any) -> Iterator[Any]:
    """A JSON value and everything in it."""
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


# Classes of plain ASCII, bounded repeats, groups, alternatives and one negative look-ahead: each means the same in
# ECMA-262, with and without its `u` flag, as in Python. Not so \d, \w, \s, \A, \Z, (?P…), (?i) and look-behind.
SHARED_SYNTAX = re.compile(
    r"""(?: \(\?! | \((?!\?) | [|^$]
          | (?: \[[A-Za-z0-9_.:+-]+\] | \\[n.+] | [A-Za-z0-9/:-] | \) )  (?: [*+?] | \{[0-9]+(?:,[0-9]+)?\} )?
        )*""",
    re.ASCII | re.VERBOSE,
)


def all_patterns() -> set[str]:
    files = [*(export.FOLDER / "json").glob("*.json"), export.FOLDER / "asyncapi.json"]
    return {
        part["pattern"]
        for path in files
        for part in parts(json.loads(path.read_text()))
        if isinstance(part, dict) and isinstance(part.get("pattern"), str)
    }


def test_patterns_mean_the_same_in_ecma_262() -> None:
    patterns = all_patterns()
    assert len(patterns) > 5
    for pattern in patterns:
        assert SHARED_SYNTAX.fullmatch(pattern), pattern
        assert pattern.startswith("^"), "patterns are searched for, not matched whole"
        assert pattern.count("$") == pattern.count(r"$(?!\n)"), "Python's $ also stands before a final line feed"


@pytest.mark.parametrize(
    "other", [r"^\d+$(?!\n)", r"\Aa\Z", r"^(?P<a>b)", r"^(?i)a", r"^(?<=a)b", r"^a++", r"^[\w]", r"^é$", r"^(?>a)"]
)
def test_the_check_knows_what_differs(other: str) -> None:
    assert not SHARED_SYNTAX.fullmatch(other)


def document() -> Any:
    return json.loads((export.FOLDER / "asyncapi.json").read_text())


def test_asyncapi_tells_every_topic_of_the_catalogue() -> None:
    channels = document()["channels"]
    assert channels.keys() == BY_NAME.keys()
    for topic in CATALOGUE:
        channel = channels[topic.name]
        sent = {name for name in channel["messages"] if not name.endswith(".structured")}
        assert sent == (topic.types.keys() or {"annul.parked"})
        assert channel["x-key"] == topic.key
        assert channel["x-direction"] == topic.direction
        settings = channel["bindings"]["kafka"]["topicConfiguration"]
        assert settings["max.message.bytes"] == topic.max_message_bytes
        assert settings["cleanup.policy"] == ["compact" if topic.compacted else "delete"]
        assert settings.get("retention.ms") == (None if topic.compacted else topic.retention_ms)


def test_asyncapi_operations_follow_the_direction_and_structured_mode_is_only_read() -> None:
    operations = document()["operations"]
    actions = {"in": {"receive"}, "inside": {"send", "receive"}, "out": {"send"}}
    for topic in CATALOGUE:
        found = {operation["action"] for name, operation in operations.items() if name.endswith(f".{topic.name}")}
        assert found == actions[topic.direction]
    for operation in operations.values():
        structured = [one["$ref"] for one in operation["messages"] if one["$ref"].endswith(".structured")]
        assert bool(structured) == (operation["action"] == "receive")
        assert len(structured) in (0, len(operation["messages"]) / 2)


def test_asyncapi_references_lead_somewhere() -> None:
    whole = document()
    references = [part["$ref"] for part in parts(whole) if isinstance(part, dict) and "$ref" in part]
    assert len(references) > 100
    for reference in references:
        if reference.startswith("./"):
            assert (export.FOLDER / reference).is_file(), reference
            continue
        place = whole
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_asyncapi_tells_the_headers_of_both_modes_and_of_parked_copies() -> None:
    components = document()["components"]
    binary, structured = components["messageTraits"]["binary"], components["messageTraits"]["structured"]
    assert binary["headers"]["required"] == ["ce_specversion", "ce_id", "ce_source", "ce_type"]
    assert binary["headers"]["properties"].keys() >= {"ce_time", "content-type", "traceparent"}
    assert structured["contentType"] == "application/cloudevents+json"
    assert components["messages"][CANCELLED]["headers"]["properties"]["ce_type"] == {"const": CANCELLED}
    assert components["messages"]["annul.parked"]["headers"]["required"][:2] == ["annul_parked_id", "annul_reason"]
    assert PARKED.types == {}
