"""The contract as data: written from the types, and as strict as the reader."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # ships no types

from schemas import export
from schemas.base import Fault, Message, encode
from schemas.envelope import Envelope, decode_data, decoders

EXAMPLES = sorted((export.FOLDER / "examples").glob("*.json"))
TYPES = export.message_types()
DECODERS = decoders(TYPES)
CANCELLED = "order.cancelled"
formats = FormatChecker(formats=())


def is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


def is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


formats.checks("date-time", raises=ValueError)(is_time)
formats.checks("date", raises=ValueError)(is_date)


def exported(type_: str) -> Any:
    return json.loads((export.FOLDER / "json" / f"{type_}.json").read_text())


VALIDATORS = {type_: Draft202012Validator(exported(type_), format_checker=formats) for type_ in TYPES}


def type_of(example: Path) -> str:
    """`order.cancelled.split.json` is an example of `order.cancelled`."""
    return ".".join(example.stem.split(".")[:2])


def example(name: str) -> Any:
    return json.loads((export.FOLDER / "examples" / f"{name}.json").read_text())


def read(type_: str, text: bytes) -> Any:
    return decode_data(DECODERS, Envelope("evt_1", "/orders", type_, None, None), text)


def schema_takes(type_: str, data: Any) -> bool:
    return bool(VALIDATORS[type_].is_valid(data))


def reader_takes(type_: str, data: Any) -> bool:
    try:
        read(type_, json.dumps(data).encode())
    except Fault:
        return False
    return True


def with_field(data: Any, path: str, value: Any) -> Any:
    changed = deepcopy(data)
    *parents, last = path.split(".")
    place = changed
    for step in parents:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return changed


def parts(value: Any) -> Iterator[Any]:
    """A JSON value and everything in it."""
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


def test_exported_files_are_up_to_date() -> None:
    assert export.differing() == [], "run `make schemas`"


def test_check_tells_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "FOLDER", tmp_path)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["export", *arguments])
        return export.main()

    assert run("--check") == 1
    assert list(tmp_path.iterdir()) == [], "--check writes nothing"
    assert run() == 0
    assert run("--check") == 0
    capsys.readouterr()
    topics, stray = tmp_path / "topics.json", tmp_path / "json" / "order.lost.json"
    topics.write_text("{}\n")
    stray.write_text("{}\n")
    assert run("--check") == 1
    assert capsys.readouterr().out == "differs: json/order.lost.json\ndiffers: topics.json\n"
    assert run() == 0
    assert not stray.exists(), "a schema of no type goes"
    assert run("--check") == 0


def test_every_message_type_has_a_schema_and_an_example() -> None:
    assert {path.stem for path in (export.FOLDER / "json").glob("*.json")} == TYPES.keys()
    assert {type_of(path) for path in EXAMPLES} == TYPES.keys()
    assert {path.stem for path in EXAMPLES} >= TYPES.keys(), "the plain name is an example of each type"


@pytest.mark.parametrize("type_", TYPES)
def test_schema_is_sound_and_says_what_it_is(type_: str) -> None:
    schema = exported(type_)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == export.DIALECT
    assert schema["$id"].endswith(f":{type_}")
    assert schema["title"] == type_
    described = [part for part in parts(schema) if isinstance(part, dict) and "properties" in part and "title" in part]
    assert all(len(part["description"]) > 20 for part in described)


def test_rules_that_a_schema_cannot_say_are_told() -> None:
    own = {kind for kind in export._all_shapes(Message) if {"check", "__post_init__"} & vars(kind).keys()}
    assert own == export.RULES.keys(), "a type has a rule of its own: tell it in schemas.export.RULES"
    for kind, rule in export.RULES.items():
        texts = [
            part["description"]
            for type_ in TYPES
            for part in parts(exported(type_))
            if isinstance(part, dict) and part.get("title") == kind.__name__
        ]
        assert texts
        assert all(rule in text for text in texts)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_taken_by_its_schema_and_read_and_written_as_it_is(path: Path) -> None:
    type_, text = type_of(path), path.read_bytes()
    assert [error.message for error in VALIDATORS[type_].iter_errors(json.loads(text))] == []
    read_and_written = json.loads(encode(read(type_, text)))
    if type_ in THEIRS:
        assert {name: read_and_written[name] for name in THEIRS[type_]} == {
            name: json.loads(text)[name] for name in THEIRS[type_]
        }
    else:
        assert read_and_written == json.loads(text)


def test_examples_show_what_is_special() -> None:
    split = example(f"{CANCELLED}.split")["escrow"]["tenders"]
    assert {tender["provider"] for tender in split} == {"card", "paypal", "wallet"}
    assert any(tender["refunded_minor"] == tender["captured_minor"] for tender in split)
    assert example(f"{CANCELLED}.no-tenders")["escrow"]["tenders"] == []
    currencies = {
        part["currency"]
        for path in EXAMPLES
        for part in parts(json.loads(path.read_text()))
        if isinstance(part, dict) and "currency" in part
    }
    assert currencies >= {"EUR", "JPY", "KWD"}, "exponents 2, 0 and 3"


THEIRS = {"provider.webhook": ("id", "type")}
"""What others define, and which of its fields are read here as they are."""


TENDER = "escrow.tenders.0"
BROKEN: list[tuple[str, list[Any]]] = [
    ("order_id", ["", "a" * 65, "ord/1", "ord 1", "ord_1\n", "órd_1", "ord_\u0660", 7, None]),
    ("reason", ["x" * 501, "\N{GRINNING FACE}" * 501, None, 5]),
    ("cancelled_by", ["nobody", "Client", "", None]),
    ("stage", ["completed", "", None]),
    ("client_locale", ["f", "français", "fr-", "fr-FR\n", "fr-FR-a-b", None]),
    (
        "cancelled_at",
        [
            "2026-11-23",
            "2026-11-23T09:15Z",
            "2026-11-23T09:15:00",
            "2026-11-23T09:15:00+01:00",
            "2026-11-23T24:00:00Z",
            "2026-11-23T09:15:60Z",
            "2026-02-30T09:15:00Z",
            "2026-11-23T09:15:00.Z",
            "2026-11-23T09:15:00Z\n",
            "1999-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            1763889300,
            None,
        ],
    ),
    ("escrow", [None, [], {}]),
    ("escrow.currency", ["EURO", "eur", "XXX", "EUR\n", "", None]),
    ("escrow.tenders", [None, {}, [None], [{}], [example(CANCELLED)["escrow"]["tenders"][0]] * 33]),
    (f"{TENDER}.provider", ["stripe", "Card", None]),
    (f"{TENDER}.captured_minor", [-1, 45.5, "4500", True, None, 10**15 + 1]),
    (f"{TENDER}.refunded_minor", [-1, 0.5, "0", False, None]),
]


@pytest.mark.parametrize(("path", "values"), BROKEN, ids=[path for path, _ in BROKEN])
def test_broken_field_is_refused_by_schema_and_reader_alike(path: str, values: list[Any]) -> None:
    for value in values:
        data = with_field(example(CANCELLED), path, value)
        assert (schema_takes(CANCELLED, data), reader_takes(CANCELLED, data)) == (False, False), value


SAME_FOR_BOTH: list[tuple[str, str, Any, bool]] = [
    (CANCELLED, "order_id", "a" * 64, True),
    (CANCELLED, "order_id", "A-z_0.9:", True),
    (CANCELLED, "reason", "\N{GRINNING FACE}" * 500, True),
    (CANCELLED, "client_locale", "zh_Hant-TW", True),
    (CANCELLED, "cancelled_at", "2026-11-23T09:15:00.123456+00:00", True),
    (CANCELLED, "cancelled_at", "2000-01-01T00:00:00Z", True),
    (CANCELLED, "cancelled_at", "2099-12-31T23:59:59.999999Z", True),
    (CANCELLED, "a_field_of_tomorrow", {"deep": [1, None]}, True),
    (CANCELLED, f"{TENDER}.captured_minor", 10**15, True),
    ("payout.requested", "amount_minor", 1, True),
    ("payout.requested", "amount_minor", 0, False),
    ("refund.issue", "idempotency_key", "k" * 108, True),
    ("refund.issue", "idempotency_key", "k" * 109, False),
    ("refund.issue", "attempt", 0, False),
    ("refund.issue", "not_after", None, True),
    ("refund.result", "outcome", "refunded", False),
    ("refund.result", "retry_after_s", -1, False),
    ("refund.result", "look_up_no", None, True),
    ("refund.succeeded", "visible_by", "2026-11-31", False),
    ("refund.succeeded", "visible_by", "2026-11-30T00:00:00Z", False),
    ("refund.succeeded", "visible_by", None, True),
    ("seller.outcome", "seq", 0, False),
    ("seller.statistics", "others_average", 1, True),
    ("seller.statistics", "others_average", "1", False),
    ("seller.statistics", "windows.30d", None, False),
]


@pytest.mark.parametrize(("type_", "path", "value", "taken"), SAME_FOR_BOTH)
def test_schema_and_reader_agree(type_: str, path: str, value: Any, taken: bool) -> None:
    data = with_field(example(type_), path, value)
    assert (schema_takes(type_, data), reader_takes(type_, data)) == (taken, taken)


@pytest.mark.parametrize("type_", TYPES)
def test_missing_and_mistaken_fields_of_every_type_are_refused_by_both(type_: str) -> None:
    whole = example(type_)
    for name in exported(type_)["required"]:
        data = {key: value for key, value in whole.items() if key != name}
        assert (schema_takes(type_, data), reader_takes(type_, data)) == (False, False), name
    for name in THEIRS.get(type_, whole):
        data = with_field(whole, name, {"unexpected": [None]})
        assert (schema_takes(type_, data), reader_takes(type_, data)) == (False, False), name
    others: list[Any] = [None, [], [whole], "text", 1, True]
    for other in others:
        assert (schema_takes(type_, other), reader_takes(type_, other)) == (False, False), other


@pytest.mark.parametrize(
    "break_rule",
    [
        lambda data: with_field(data, f"{TENDER}.refunded_minor", 4501),
        lambda data: with_field(data, "escrow.tenders", data["escrow"]["tenders"] * 2),
        lambda data: with_field(
            with_field(data, "escrow.tenders", example(f"{CANCELLED}.split")["escrow"]["tenders"]),
            f"{TENDER}.captured_minor",
            10**15,
        ),
    ],
    ids=["refunded-more-than-captured", "two-tenders-of-one-id", "too-much-together"],
)
def test_rules_between_fields_are_the_readers_alone(break_rule: Callable[[Any], Any]) -> None:
    data = break_rule(example(CANCELLED))
    assert (schema_takes(CANCELLED, data), reader_takes(CANCELLED, data)) == (True, False)


def test_a_fraction_of_zero_is_the_readers_alone_and_told() -> None:
    data = with_field(example(CANCELLED), f"{TENDER}.captured_minor", 4500.0)
    assert (schema_takes(CANCELLED, data), reader_takes(CANCELLED, data)) == (True, False)
    assert "4500.0" in exported(CANCELLED)["description"]
    assert "4500.0" not in exported("order.placed")["description"], "it has no number"
