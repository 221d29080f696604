"""What the worker `ops` tells Prometheus of what stands open, on orders in every state; and what others count."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest
from kit.builders import ORDER, result
from kit.desk import Desk
from kit.groups_seen import all_well, seen
from kit.population import settings_for

from workers.domain.policy import RefundPolicy
from workers.ops.asking import Reader
from workers.ops.standing import Standing
from workers.ops.watching import Seen, Watch
from workers.refunds import Refunds
from workers.store.database import Database
from workers.telemetry import Metrics


@pytest.fixture
async def there(populated: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(populated)
    yield connection
    await connection.close()


def standing_on(url: str, known: Seen) -> tuple[Standing, Metrics]:
    metrics, reader = Metrics(), Reader(url)
    watch = Watch(settings_for(url), reader)
    watch.seen = known
    return Standing(metrics.registry, reader, watch), metrics


async def test_gauges_are_what_the_tables_say(populated: str, there: Any) -> None:
    standing, metrics = standing_on(populated, seen(all_well(datetime.now(UTC))))
    await standing.read()
    value = metrics.registry.get_sample_value
    rows = await there.fetch("SELECT provider, state, count(*), min(state_since) FROM refunds GROUP BY 1, 2")
    waiting = [row for row in rows if row["state"] in ("uncertain", "needs_review", "pending", "retrying")]
    assert len(waiting) >= 3
    for provider, state, count, since in waiting:
        labels = {"provider": provider, "state": state}
        assert value("annul_refunds_unsettled", labels) == count
        assert value("annul_refunds_oldest_timestamp_seconds", labels) == pytest.approx(since.timestamp())
    assert value("annul_refunds_unsettled", {"provider": "card", "state": "succeeded"}) is None
    for reason, count in await there.fetch(
        "SELECT reason, count(*) FROM parked_messages WHERE status = 'parked' GROUP BY reason"
    ):
        assert value("annul_parked_open", {"reason": reason}) == count
    assert value("annul_consumer_members", {"worker": "card"}) == 1


async def test_what_is_not_known_is_left_out(populated: str) -> None:
    known = seen(all_well(datetime.now(UTC)))
    standing, metrics = standing_on(populated, msgspec.structs.replace(known, away_since=datetime.now(UTC)))
    value = metrics.registry.get_sample_value
    assert value("annul_standing_timestamp_seconds") is None, "PostgreSQL was not asked yet"
    await standing.read()
    assert value("annul_standing_timestamp_seconds") is not None
    assert value("annul_consumer_members", {"worker": "card"}) is None, "Kafka is away"


async def test_each_step_of_a_refund_is_counted_once_it_is_recorded(database_url: str) -> None:
    database, metrics = Database(database_url), Metrics()
    desk = Desk(database)
    await desk.cancel(ORDER)
    handler = Refunds(RefundPolicy(), random.Random(1), metrics)
    verdicts = await desk.decide(handler, result(provider_refund_id="re_1"))
    counted = {"provider": "card", "state": "succeeded"}
    assert metrics.registry.get_sample_value("annul_refund_transitions_total", counted) is None
    handler.perform([verdict.effect for verdict in verdicts if verdict.effect is not None])
    assert metrics.registry.get_sample_value("annul_refund_transitions_total", counted) == 1
    await database.close()
