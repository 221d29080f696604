"""`annul consumers` and `annul providers`: pausing and resuming as a person calls for it."""

import json
from pathlib import Path
from typing import Any

import pytest
from kit.command import Annul, console_script

from workers.consumers import CONSUMERS
from workers.local.kafka import LocalKafka


@pytest.fixture
def annul(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Annul:
    return console_script(monkeypatch, tmp_path, database_url)


async def test_a_consumer_is_paused_and_resumed_with_a_reason_by_name(annul: Annul, observer: Any) -> None:
    assert await annul("consumers", "pause", "refunds", "--reason", "a bad release", "--by", "Ada") == 0
    row = await observer.fetchrow("SELECT worker, paused, reason, by_person FROM consumer_pauses")
    assert tuple(row) == ("refunds", True, "a bad release", "Ada")
    assert await annul("consumers", "resume", "refunds", "--reason", "fixed", "--by", "Bob") == 0
    assert await observer.fetchval("SELECT paused FROM consumer_pauses") is False
    entries = await observer.fetch("SELECT actor, what, subject FROM audit_entries ORDER BY seq")
    assert [tuple(one) for one in entries] == [
        ("Ada", "consumer.paused", "refunds"),
        ("Bob", "consumer.resumed", "refunds"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("consumers pause refunds", 2, "--reason"),
        ("consumers pause nobody --reason x", 2, "no such consumer"),
        ("consumers resume refunds --reason x", 1, "not paused"),
        ("providers pause wallet --reason x", 2, "wallet"),
        ("providers resume card --reason x", 1, "not paused"),
        ("consumers list", 2, "ANNUL_KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
async def test_what_can_not_be_done_ends_with_one_line_and_changes_nothing(
    annul: Annul, observer: Any, capfd: pytest.CaptureFixture[str], arguments: str, code: int, said: str
) -> None:
    assert await annul(*arguments.split()) == code
    assert said in capfd.readouterr().err
    assert await observer.fetchval("SELECT count(*) FROM audit_entries") == 0


async def test_a_provider_that_a_person_paused_is_listed_with_who_and_why(
    annul: Annul, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await annul("providers", "pause", "paypal", "--reason", "they asked", "--by", "Ada") == 0
    capfd.readouterr()
    assert await annul("providers", "list", "--json") == 0
    (one,) = json.loads(capfd.readouterr().out)["providers"]
    assert (one["provider"], one["paused"], one["by_person"], one["detail"]) == ("paypal", True, "Ada", "they asked")
    assert await annul("providers", "resume", "paypal", "--reason", "they are back", "--by", "Ada") == 0
    capfd.readouterr()
    assert await annul("providers", "list") == 0
    assert "open" in capfd.readouterr().out


async def test_consumers_are_listed_and_what_kafka_can_not_tell_is_not_shown_as_nought(
    annul: Annul, kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANNUL_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    assert await annul("consumers", "pause", "card", "--reason", "a bad release", "--by", "Ada") == 0
    capfd.readouterr()
    assert await annul("consumers", "list", "--json") == 1
    told = json.loads(capfd.readouterr().out)
    assert told["kafka"] != "answers"
    assert {one["lag"] for one in told["consumers"]} == {None}
    assert [one["consumer"] for one in told["consumers"] if one["paused"]] == ["card"]

    monkeypatch.setenv("ANNUL_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("ANNUL_TOPIC_PREFIX", "no_topics_here.")
    capfd.readouterr()
    assert await annul("consumers", "list") == 0
    shown = capfd.readouterr().out
    assert all(worker in shown for worker in CONSUMERS)
    assert "paused" in shown
