"""What ops must hear of at once, told once it is recorded: money that went out twice, and a balance that is short."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kit.builders import ORDER, REFUND, result
from kit.desk import Desk
from structlog.testing import capture_logs

from workers.domain.policy import RefundPolicy
from workers.refunds import Refunds
from workers.store.database import Database
from workers.telemetry import Metrics


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    database = Database(database_url)
    yield Desk(database)
    await database.close()


async def alarms(desk: Desk, metrics: Metrics, *answers: Any) -> list[dict[str, Any]]:
    """What is logged once each answer is decided."""
    handler = Refunds(RefundPolicy(), random.Random(1), metrics)
    with capture_logs() as logged:
        for answer in answers:
            verdicts = await desk.decide(handler, answer)
            handler.perform([verdict.effect for verdict in verdicts if verdict.effect is not None])
    return [dict(entry) for entry in logged]


def counted(metrics: Metrics, event: str) -> float:
    found = metrics.registry.get_sample_value("annul_alarms_total", {"event": event, "provider": "card"})
    return found or 0.0


async def test_money_that_went_out_twice_is_an_alarm_once(desk: Desk) -> None:
    await desk.cancel(ORDER)
    metrics = Metrics()
    twice = [result(provider_refund_id=name, via="webhook") for name in ("re_1", "re_2", "re_2")]
    (alarm,) = await alarms(desk, metrics, *twice)
    assert alarm == {"event": "refund.overpaid", "log_level": "error", "provider": "card", "refund_id": REFUND}
    assert counted(metrics, "refund.overpaid") == 1


async def test_a_balance_that_is_short_is_an_alarm_whatever_the_outcome_beside_it(desk: Desk) -> None:
    await desk.cancel(ORDER)
    metrics = Metrics()
    short = [
        result("retryable", provider_code="insufficient_funds"),
        result("pending", provider_code="insufficient_funds", provider_refund_id="re_1", via="webhook"),
    ]
    assert [one["event"] for one in await alarms(desk, metrics, *short)] == ["provider.short_of_funds"] * 2
    assert counted(metrics, "provider.short_of_funds") == 2


async def test_a_success_is_no_alarm(desk: Desk) -> None:
    await desk.cancel(ORDER)
    assert await alarms(desk, Metrics(), result(provider_refund_id="re_1")) == []
