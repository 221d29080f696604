"""`annul verify --topics` and statistics: what a seller's latest row says beside what SQL says."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.clock import VirtualClock
from kit.database import set_clock
from kit.fed_topics import FedTopics, counting
from kit.feed import break_rows
from kit.population import NOW
from msgspec.structs import replace

from schemas.sellers import SellerStatistics
from schemas.topics import ORDERS_EVENTS, SELLERS_OUTCOMES, SELLERS_STATISTICS

SELLERS = {"sel_0", "sel_1", "sel_2"}
NOON = NOW.replace(hour=12, minute=0, second=0)


class Waiting(VirtualClock):
    """Waits no time; something may happen at the first wait."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def sleep(self, seconds: float) -> None:
        self._passed_s += seconds
        if self._meanwhile is not None:
            await self._meanwhile()
            self._meanwhile = None


async def test_statistics_may_be_behind_only_while_somebody_reads(topics: FedTopics) -> None:
    assert await topics.violations() == [], "nobody has read anything yet"
    await topics.commit("cancellations", ORDERS_EVENTS.name, len(topics.feed.records(ORDERS_EVENTS.name)), 0)
    assert await topics.violations() == [], "the sellers' group has not"
    await topics.catch_up()
    found = await topics.violations()
    assert {(invariant, subject) for invariant, subject, _ in found} == {("I7", seller_id) for seller_id in SELLERS}
    assert all("is missing, and nobody lags" in detail for _, _, detail in found)


async def test_a_wrong_row_is_told_whether_somebody_reads_or_not(topics: FedTopics) -> None:
    rows = await topics.rows(up_to={"sel_1": 1})
    await topics.tell(counting(rows["sel_0"], "lifetime", completed=7), rows["sel_1"], replace(rows["sel_2"], seq=99))
    found = {subject: detail for _, subject, detail in await topics.violations()}
    assert set(found) == {"sel_0", "sel_2"}, "sel_1 is behind, and right as far as it is"
    assert "for lifetime the row says" in found["sel_0"]
    assert "completed 7" in found["sel_0"]
    assert found["sel_2"].startswith("the row is at outcome 99, the database knows up to ")


async def test_each_window_is_held_to_the_rows_own_day_and_outcome(topics: FedTopics) -> None:
    rows = await topics.rows(NOW + timedelta(days=45))
    assert rows["sel_0"].windows["30d"] != rows["sel_0"].windows["60d"]
    await topics.tell(*rows.values())
    assert await topics.violations() == [], "right as of their day, whatever the day is now"
    wrong = (
        counting(rows["sel_0"], "30d", accepted=1),
        counting(rows["sel_1"], "90d", cancelled_after_acceptance=0),
        replace(rows["sel_2"], windows={"60d": rows["sel_2"].windows["60d"]}),
    )
    await topics.tell(*wrong)
    found = {subject: detail for _, subject, detail in await topics.violations()}
    assert set(found) == SELLERS
    day = f"{NOW + timedelta(days=45):%Y-%m-%d}"
    assert f"for the 30d to {day} the row says accepted 1, " in found["sel_0"]
    assert f"for the 90d to {day} the row says" in found["sel_1"]
    assert found["sel_2"] == "the row has windows 60d instead of 30d, 60d, 90d"


async def test_a_rate_that_is_not_that_of_its_counts_is_told(topics: FedTopics) -> None:
    row = (await topics.rows())["sel_0"]
    span = replace(row.windows["60d"], cancellation_rate=0.123456)
    await topics.tell(replace(row, windows={**row.windows, "60d": span}))
    ((_, subject, detail),) = await topics.violations()
    assert subject == "sel_0"
    assert "cancellation_rate 0.123456, SQL counts" in detail


async def test_a_verdict_is_held_to_the_rows_own_numbers(topics: FedTopics) -> None:
    rows = await topics.rows()
    assert not any(row.above_average for row in rows.values())
    await topics.tell(replace(rows["sel_0"], above_average=True), replace(rows["sel_1"], others_average=0.0))
    found = {subject: detail for _, subject, detail in await topics.violations()}
    assert set(found) == {"sel_0", "sel_1"}
    assert found["sel_0"].endswith(
        f"its own others_average of {rows['sel_0'].others_average}, above_average can't be true"
    )
    assert found["sel_1"].endswith("its own others_average of 0.0, above_average must be true")


async def test_of_a_sellers_rows_the_latest_counts_wherever_it_lies(topics: FedTopics) -> None:
    now = datetime.now(UTC)
    rows = await topics.rows(now)
    await topics.tell(*rows.values())
    for row in rows.values():
        await topics.tell(counting(replace(row, as_of=now - timedelta(seconds=1)), "lifetime", completed=50))
    async with topics.at_work():
        assert await topics.violations() == []


async def test_a_row_that_cannot_be_read_is_told_and_a_tombstone_is_not(topics: FedTopics) -> None:
    await topics.send(SELLERS_STATISTICS.name, None, b"sel_0")
    await topics.send(SELLERS_STATISTICS.name, b"{}", b"sel_0")
    ((invariant, subject, detail),) = await topics.violations()
    assert (invariant, subject) == ("I7", f"{topics.prefix}sellers.statistics.v1:0:1")
    assert detail.startswith("unreadable: bad_envelope")


async def test_a_row_that_was_taken_away_is_missing(topics: FedTopics) -> None:
    await topics.tell(*(await topics.rows()).values())
    await topics.send(SELLERS_STATISTICS.name, None, b"sel_0")
    await topics.catch_up()
    ((_, subject, detail),) = await topics.violations()
    assert subject == "sel_0"
    assert "is missing, and nobody lags" in detail


def off(row: SellerStatistics, by: float) -> SellerStatistics:
    """The row with another average, and the same verdict by it."""
    assert row.others_average is not None
    return replace(row, others_average=round(row.others_average - by, 6))


async def test_an_average_may_be_a_thousandth_off_and_no_more(topics: FedTopics, observer: Any) -> None:
    await set_clock(observer, NOON)
    rows = await topics.rows(NOON)
    await topics.tell(off(rows["sel_0"], 0.001), rows["sel_1"], off(rows["sel_2"], 0.001002))
    async with topics.at_work():
        waiting = Waiting()
        found = await topics.wrong_statistics(waiting)
        assert set(found) == {"sel_2"}
        right = rows["sel_2"].others_average
        assert found["sel_2"].endswith(f"SQL gives {right} for all other sellers")
        assert waiting.monotonic() >= 60, "a row may take a minute to follow"
        await topics.tell(replace(rows["sel_2"], others_average=None, above_average=False))
        assert set(await topics.wrong_statistics(Waiting())) == {"sel_2"}, "there are others"


async def test_an_average_that_is_followed_in_time_is_right(topics: FedTopics, observer: Any) -> None:
    await set_clock(observer, NOON)
    rows = await topics.rows(NOON)
    await topics.tell(off(rows["sel_0"], 0.1), rows["sel_1"], rows["sel_2"])

    async def follow() -> None:
        await topics.tell(rows["sel_0"])

    async with topics.at_work():
        waiting = Waiting(follow)
        assert await topics.wrong_statistics(waiting) == {}
        assert waiting.monotonic() == 1


async def test_nothing_is_said_of_averages_while_the_workers_are_off_or_behind_or_more_is_decided(
    topics: FedTopics, observer: Any
) -> None:
    await set_clock(observer, NOON)
    rows = await topics.rows(NOON)
    await topics.tell(off(rows["sel_0"], 0.1), rows["sel_1"], rows["sel_2"])
    assert await topics.wrong_statistics(Waiting()) == {}, "nobody has read everything"
    await topics.catch_up()
    assert await topics.wrong_statistics(Waiting()) == {}, "nobody is at work"

    async def decide() -> None:
        await break_rows(topics.url, "UPDATE sellers SET seq = seq + 1 WHERE seller_id = 'sel_1'")

    async def undo() -> None:
        await break_rows(topics.url, "UPDATE sellers SET seq = seq - 1 WHERE seller_id = 'sel_1'")

    async def send_more() -> None:
        await topics.send(SELLERS_OUTCOMES.name, b"{}", b"sel_0")

    async with topics.at_work():
        assert set(await topics.wrong_statistics(Waiting())) == {"sel_0"}
        assert await topics.wrong_statistics(Waiting(decide)) == {}, "an outcome was decided meanwhile"
        await undo()
        await set_clock(observer, NOON.replace(hour=0, minute=5))
        assert await topics.wrong_statistics(Waiting()) == {}, "the day has just begun"
        await set_clock(observer, NOON)
        await break_rows(topics.url, "UPDATE consumer_offsets SET next_offset = next_offset + 1")
        assert await topics.wrong_statistics(Waiting()) == {}, "more is decided, and not yet sent"
        await break_rows(topics.url, "UPDATE consumer_offsets SET next_offset = next_offset - 1")
        assert await topics.wrong_statistics(Waiting(send_more)) == {}, "an outcome was sent meanwhile"


async def test_a_row_of_a_past_day_is_right_until_a_window_has_another_content(
    topics: FedTopics, observer: Any
) -> None:
    rows = await topics.rows(NOON)
    await topics.tell(*rows.values())
    await set_clock(observer, NOON + timedelta(days=300))
    assert await topics.wrong_statistics(Waiting()) == {}, "right as of its day, and nobody was there to send another"
    async with topics.at_work():
        await set_clock(observer, NOON + timedelta(days=20))
        assert await topics.wrong_statistics(Waiting()) == {}
        await set_clock(observer, NOON + timedelta(days=45))
        found = await topics.wrong_statistics(Waiting())
        assert set(found) == SELLERS
        assert found["sel_0"] == f"the row is of {NOON:%Y-%m-%d}, and a window has another content since"


async def test_a_verdict_follows_the_others_even_where_the_average_hardly_moved(
    topics: FedTopics, observer: Any
) -> None:
    """10 of 20 cancelled is 0.299298 at least, to be sure; the other seller has 299 of 1,000."""
    await set_clock(observer, NOON)
    outcomes = """INSERT INTO seller_outcomes (seller_id, seq, order_id, outcome, occurred_at)
                  SELECT '{0}', n, 'ord_' || n, CASE WHEN n <= {1} THEN 'cancelled_before_acceptance'
                         ELSE 'completed' END, annul_now() FROM generate_series(1, {2}) AS n"""
    sellers = "INSERT INTO sellers VALUES ('sel_0', 20), ('sel_1', 1000)"
    made = (outcomes.format("sel_0", 10, 20), outcomes.format("sel_1", 299, 1000))
    await break_rows(topics.url, "DELETE FROM seller_outcomes", "DELETE FROM sellers", sellers, *made)
    rows = await topics.rows(NOON)
    assert (rows["sel_0"].others_average, rows["sel_0"].above_average) == (0.299, True)
    late = replace(rows["sel_0"], others_average=0.2995, above_average=False)
    await topics.tell(late, rows["sel_1"])
    async with topics.at_work():
        assert await topics.wrong_statistics(Waiting()) == {
            "sel_0": "with 10 cancelled of 20 closed in 60d, and the others at 0.299 by SQL, above_average must be true"
        }
        await topics.tell(rows["sel_0"])
        assert await topics.wrong_statistics(Waiting()) == {}
