"""`python -m schemas.export` writes the contract as data, from the types: JSON Schema, AsyncAPI and the topics.

`--check` writes nothing and ends with 1 where the files differ. What is written:

json/<type>.json   JSON Schema of a message type, draft 2020-12
asyncapi.json      AsyncAPI 3.0: channels, operations, envelopes
topics.json        the catalogue of topics, with Kafka's settings
"""

import argparse
import ast
import inspect
import json
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.asyncapi import asyncapi
from schemas.base import Message
from schemas.currencies import EXPONENTS
from schemas.orders import Escrow, Tender
from schemas.topics import CATALOGUE, Topic

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parent
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

RULES: Final[dict[type[Message], str]] = {
    Tender: "`refunded_minor` is at most `captured_minor`.",
    Escrow: "No two `tenders` have one `tender_id`; what they captured together is at most 10^15.",
}
"""What a type's `__post_init__` checks and JSON Schema can't say."""

_INTEGERS: Final = " Integers are written without fraction and exponent: 4500, not 4500.0 or 45e2."
_UNKNOWN: Final = " Readers ignore unknown fields."

# What `Message.__post_init__` asks of a time and a currency, for validators that take `format` as a remark.
_PATTERNS: Final = {
    "date-time": r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}"
    r"(\.[0-9]{1,9})?(Z|[+-]00:00)$(?!\n)",
    "date": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$(?!\n)",
}
_CURRENCY: Final = {"description": "ISO 4217, with exponent 0, 2 or 3", "enum": sorted(EXPONENTS)}

_WORD: Final = r'(?:"[^"\\\s]*"|-?[0-9.]+|true|false|null)'
_WORDS: Final = re.compile(
    rf"^(?P<indent> *)(?P<name>.*)\[\n\s+(?P<words>{_WORD}(?:,\n\s+{_WORD})*)\n\s+\]", re.MULTILINE
)
_WIDTH: Final = 120


def message_types() -> dict[str, type[Message]]:
    """Every message type of the catalogue and its shape."""
    return {name: kind for topic in CATALOGUE for name, kind in topic.types.items()}


def schema_of(type_: str, kind: type[Message]) -> Json:
    """JSON Schema of a message type's data."""
    (_,), shapes = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    known = {shape.__name__: shape for shape in _all_shapes(Message)}
    for name, shape in shapes.items():
        _complete(shape, known[name])
    uses_currency = [_tighten(shape) for shape in shapes.values()]
    whole_numbers = _INTEGERS if '"integer"' in json.dumps(shapes) else ""
    root = shapes.pop(kind.__name__)
    definitions = {**shapes, **({"Currency": _CURRENCY} if any(uses_currency) else {})}
    return {
        "$schema": DIALECT,
        "$id": f"urn:annul:v1:{type_}",
        **root,
        "title": type_,
        "description": f"{root['description']} {_places(type_)}{whole_numbers}{_UNKNOWN}",
        **({"$defs": definitions} if definitions else {}),
    }


def topics_data() -> Json:
    """The catalogue of topics as data."""
    return {
        "$comment": "Written by `python -m schemas.export`. Partitions and replication come from the settings "
        "TOPIC_PARTITIONS and TOPIC_REPLICATION_FACTOR; `annul topics` applies all of it.",
        "topics": [_topic_data(topic) for topic in CATALOGUE],
    }


def contents() -> dict[Path, str]:
    """Every file and what belongs in it."""
    files = {FOLDER / "json" / f"{name}.json": schema_of(name, kind) for name, kind in message_types().items()}
    files[FOLDER / "topics.json"] = topics_data()
    files[FOLDER / "asyncapi.json"] = asyncapi(FOLDER / "examples")
    return {path: _render(data) for path, data in files.items()}


def differing() -> list[Path]:
    """The files that are missing, differ, or belong to no message type any more."""
    wanted = contents()
    stray = set((FOLDER / "json").glob("*.json")) - wanted.keys()
    stale = {path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    return sorted(stray | stale)


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(prog="python -m schemas.export", description="the contract as data")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 where the files differ")
    check = parser.parse_args().check
    changed = differing()
    for path in changed:
        sys.stdout.write(f"{'differs' if check else 'written'}: {path.relative_to(FOLDER)}\n")
    if check:
        return 1 if changed else 0
    wanted = contents()
    (FOLDER / "json").mkdir(exist_ok=True)
    for path in changed:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


def _topic_data(topic: Topic) -> Json:
    return {
        "name": topic.name,
        "direction": topic.direction,
        "key": topic.key,
        "types": list(topic.types),
        "settings": topic.settings(),
    }


def _places(type_: str) -> str:
    topics = [topic for topic in CATALOGUE if type_ in topic.types]
    names = ", ".join(f"`{topic.name}`" for topic in topics)
    return f"On {names}, keyed by `{topics[0].key}`."


def _all_shapes(base: type[Message]) -> list[type[Message]]:
    return [shape for child in base.__subclasses__() for shape in (child, *_all_shapes(child))]


def _complete(schema: Json, shape: type[Message]) -> None:
    """Add what stands beside the fields in the source, and the rules that fields can't say."""
    for name, note in _field_notes(shape).items():
        schema["properties"][name]["description"] = note
    if shape in RULES:
        schema["description"] = f"{schema['description']} {RULES[shape]}"


def _field_notes(shape: type[Message]) -> dict[str, str]:
    """Strings that stand below fields."""
    notes = {}
    for one in shape.__mro__:
        if not issubclass(one, Message):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in pairwise(definition.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    notes[name] = " ".join(text.split())
    return notes


def _tighten(schema: Json) -> bool:
    """Say in JSON Schema what the base of all messages checks; whether a currency is among it."""
    if "currency" in schema.get("properties", {}):
        schema["properties"]["currency"] = {"$ref": "#/$defs/Currency"}
    _add_patterns(schema)
    return "currency" in schema.get("properties", {})


def _add_patterns(schema: Any) -> None:
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            _add_patterns(part)
    if isinstance(schema, dict) and schema.get("format") in _PATTERNS:
        schema["pattern"] = _PATTERNS[schema["format"]]


def _render(data: Json) -> str:
    """JSON for people: lists of words on as few lines as they fit."""
    return _WORDS.sub(_on_one_line, json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def _on_one_line(found: re.Match[str]) -> str:
    indent, name = found["indent"], found["name"]
    words = " ".join(found["words"].split())
    whole = f"{indent}{name}[{words}]"
    if len(whole) < _WIDTH:
        return whole
    lines = textwrap.fill(words, _WIDTH, initial_indent=f"{indent}  ", subsequent_indent=f"{indent}  ")
    return f"{indent}{name}[\n{lines}\n{indent}]"


if __name__ == "__main__":
    raise SystemExit(main())
