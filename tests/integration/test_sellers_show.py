"""`annul sellers show ID`: a seller's counts and rates from SQL, and the outcomes behind them."""

import json

import pytest
from kit.feed import Feed, rows_of
from kit.population import placement, script, settings_for

from workers.commands import sellers_show
from workers.insight.sellers import show_seller


async def test_a_seller_is_told_with_rates_and_outcomes(populated_shared: str) -> None:
    view = await show_seller(settings_for(populated_shared), "sel_1", limit=3)
    assert view is not None
    (counted,) = await rows_of(populated_shared, "read_seller_counts", "sel_1")
    assert (view.seq, view.lifetime.accepted) == (counted["seq"], counted["accepted"])
    assert view.lifetime.cancellation_rate is not None
    assert [one["seq"] for one in view.outcomes] == [view.seq, view.seq - 1, view.seq - 2]


async def test_a_correction_is_shown_to_people(populated_shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = await rows_of(populated_shared, "SELECT seller_id FROM orders WHERE order_id = 'ord_late'")
    assert await sellers_show.run(settings_for(populated_shared), row["seller_id"], limit=50, as_json=False)
    assert "cancelled_before_acceptance of" in capsys.readouterr().out


async def test_a_seller_as_json(populated_shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await sellers_show.run(settings_for(populated_shared), "sel_2", limit=1, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"seller_id", "seq", "lifetime", "outcomes"}
    assert len(told["outcomes"]) == 1


async def test_a_seller_never_counted_is_one_clear_line(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with Feed(database_url, script) as feed:
        await feed.take(placement("quiet"))
    assert not await sellers_show.run(settings_for(database_url), "sel_2", limit=1, as_json=True)
    assert capsys.readouterr().err == "annul: nothing was ever counted for seller 'sel_2'\n"
