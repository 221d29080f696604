"""`annul sellers show ID`: a seller's row as SQL has it, and its explanation: each rate can be recomputed from it."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kit.database import Copies
from kit.disputed import COUNTS, DISPUTED, OTHERS, OUTCOMES, PARTITIONS, TODAY, folded, record_disputed
from kit.feed import Feed, rows_of
from kit.population import placement, script, settings_for
from typer.testing import CliRunner

from schemas.sellers import SellerStatistics
from workers import cli
from workers.commands import sellers_show
from workers.domain.averages import Others
from workers.domain.statistics import WINDOWS, Told, row_of
from workers.insight.reading import snapshot
from workers.insight.sellers import explanation, show_seller, statistics
from workers.settings import Settings

KINDS = ("accepted", "cancelled before acceptance", "completed", "cancelled after acceptance")
COLUMNS = ("90d", "60d", "30d")
DIVISION = re.compile(r"^  (\w+) (\w+) = .* = ([(0-9][0-9 ()+/]*)(?:: no rate.*| = ([0-9.]+))$", re.MULTILINE)


@pytest.fixture(scope="module")
async def disputed(copies: Copies) -> AsyncIterator[Settings]:
    """Of a database with the disputed seller, which tests leave as it is."""
    url = await copies.take()
    await record_disputed(url)
    yield settings_for(url, topic_partitions=PARTITIONS)
    await copies.drop(url)


async def explain(
    settings: Settings, capsys: pytest.CaptureFixture[str], order_id: str | None = None, *, limit: int = 50
) -> str:
    assert await sellers_show.explain(settings, DISPUTED, order_id, limit=limit, as_json=False)
    return capsys.readouterr().out


async def explain_json(
    settings: Settings, capsys: pytest.CaptureFixture[str], order_id: str | None = None, *, limit: int = 50
) -> Any:
    assert await sellers_show.explain(settings, DISPUTED, order_id, limit=limit, as_json=True)
    return json.loads(capsys.readouterr().out)


def rows_in(text: str) -> list[dict[str, str]]:
    """The table of outcomes as a person reads it; what goes on below in a cell belongs to it."""
    rows: list[dict[str, str]] = []
    for line in text.splitlines():
        cells = [part.strip() for part in line.split("│")[1:-1]]
        if len(cells) != 4 + len(COLUMNS):
            continue
        names = ("#", "order", "at", "what", *COLUMNS)
        if cells[0]:
            rows.append(dict(zip(names, cells, strict=True)))
        else:
            rows[-1]["what"] += f" {cells[3]}"
    return rows


# ---------------------------------------------------------------- the row


async def test_the_row_is_what_the_workers_would_say(disputed: Settings) -> None:
    totals = folded()
    totals.told = Told(totals.seq, TODAY.toordinal(), 4, 7, None, above=False)
    others = Others([[(10, 3, 6)], [(7, 1, 4), (20, 2, 2)]])
    async with snapshot(disputed) as connection:
        row = await statistics(connection, DISPUTED, PARTITIONS)
        assert await statistics(connection, "sel_nobody", PARTITIONS) is None
    assert row == row_of(DISPUTED, totals, TODAY, others)[0]


async def test_the_row_is_told_to_people(disputed: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await sellers_show.run(disputed, DISPUTED, limit=3, as_json=False)
    told = capsys.readouterr().out
    lines = [[part.strip() for part in line.split("│")[1:-1]] for line in told.splitlines()]
    for span, counts in COUNTS.items():
        assert [line[1:5] for line in lines if line and line[0] == span] == [[f"{one}" for one in counts]]
    assert "Others' average: 0.14. Above average: yes; the lower bound 0.250458 is above" in told
    assert [row["#"] for row in rows_in(told)] == ["17", "16", "15"]


async def test_the_row_as_json_has_the_shape_of_the_topics(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await sellers_show.run(disputed, DISPUTED, limit=1, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {*SellerStatistics.__struct_fields__, "compared", "outcomes"}
    assert (told["seq"], told["others_average"], told["above_average"]) == (17, OTHERS[2], True)
    assert set(told["windows"]) == set(WINDOWS)
    assert [one["seq"] for one in told["outcomes"]] == [17]


async def test_while_nobody_wrote_of_the_others_it_is_said(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await record_disputed(database_url, shares=False)
    settings = settings_for(database_url, topic_partitions=PARTITIONS)
    assert await sellers_show.run(settings, DISPUTED, limit=0, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["others_average"], told["above_average"]) == (None, False)
    assert told["compared"].startswith("not compared: no sellers worker has written yet")
    assert "not above average: not compared: no sellers worker" in await explain(settings, capsys)


async def test_a_part_of_the_others_is_no_average(disputed: Settings) -> None:
    async with snapshot(disputed) as connection:
        told = await explanation(connection, DISPUTED, PARTITIONS + 1, limit=0)
    assert told is not None
    assert told.comparison.others_average is None
    assert "partition 2 " in told.comparison.why


# ---------------------------------------------------------------- the explanation


async def test_each_rate_can_be_recomputed_from_the_text_alone(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = await explain(disputed, capsys)
    rows = rows_in(told)
    counted = {"lifetime": [one for one in rows if "taken back by" not in one["what"]]}
    counted |= {span: [one for one in rows if one[span].startswith("leaves ")] for span in COLUMNS}
    counts = {
        span: [sum(re.match(rf"{kind}(;|$)", one["what"]) is not None for one in some) for kind in KINDS]
        for span, some in counted.items()
    }
    assert counts == COUNTS
    divisions = {(name, span): (numbers, value) for name, span, numbers, value in DIVISION.findall(told)}
    for span, (accepted, before, completed, after) in counts.items():
        for name, numbers in {
            "acceptance": f"{accepted} / ({accepted} + {before})",
            "completion": f"{completed} / ({completed} + {after})",
            "cancellation": f"({before} + {after}) / ({completed} + {before} + {after})",
        }.items():
            assert divisions[name, span] == (numbers, f"{round(eval(numbers), 6)}")


async def test_the_comparison_can_be_recomputed_from_the_text_alone(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = await explain(disputed, capsys)
    for what in ("others with a closed order in these days", "divisor"):
        (found,) = re.findall(rf"{what} = ([-0-9. ()/]+) = ([0-9.]+)$", told, re.MULTILINE)
        assert round(eval(found[0]), 6) == float(found[1])
    assert "4 cancelled of 7 closed orders" in told
    assert "above average: the lower bound 0.250458 is above the others' average 0.140000" in told


async def test_what_is_late_taken_back_or_expired_is_said(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {one["#"]: one for one in rows_in(await explain(disputed, capsys))}
    assert row["10"]["what"] == "accepted; late: it happened on a day before that of #9"
    assert row["9"]["what"] == "cancelled before acceptance; taken back by #11, counts nowhere"
    assert row["8"]["what"].endswith("takes back #6, accepted on 2026-10-20: one less of that in lifetime, 90d, 60d")
    assert [row["8"][span] for span in COLUMNS] == ["leaves 2026-12-24", "left 2026-11-24", "left 2026-10-25"]
    assert [row["17"][span] for span in COLUMNS] == ["enters 2026-11-25"] * 3


async def test_the_page_about_it_shows_what_the_command_says(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    shown = [
        line
        for block in re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(shown) > 8
    told = await explain(disputed, capsys)
    assert set(shown) <= set(told.splitlines())
    listed = {one["#"]: one for one in rows_in(told)}
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in page.splitlines()]
    examples = [row for row in rows if len(row) == 6 and row[0].isdecimal()]
    assert [row[0] for row in examples] == ["11", "10", "9"]
    for seq, at, _, *windows in examples:
        assert listed[seq]["at"].startswith(at)
        assert [listed[seq][span] for span in COLUMNS] == windows


async def test_few_outcomes_of_many_say_so_and_the_counts_hold_for_all(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = await explain(disputed, capsys, limit=2)
    assert "The latest 2 of 17 outcomes" in told
    assert "The counts above are of all 17 outcomes" in told
    assert "accepted 6, cancelled before acceptance 4" in told
    # What took an outcome back is told even where it isn't listed itself.
    async with snapshot(disputed) as connection:
        page = await explanation(connection, DISPUTED, PARTITIONS, limit=1, before_seq=10)
    assert page is not None
    assert [(one.seq, one.taken_back_by, one.late) for one in page.outcomes] == [(9, 11, False)]


async def test_an_order_says_what_it_did(disputed: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    told = await explain(disputed, capsys, "ord_e")
    assert [row["#"] for row in rows_in(told)] == ["11", "10", "9"]
    assert "What #10 did: accepted, 2026-10-24" in told
    cells = [[part.strip() for part in line.split("│")[1:-1]] for line in told.splitlines()]
    assert ["60d", "acceptance rate", "1 / (1 + 1) = 0.5", "1 / (1 + 0) = 1.0"] in cells
    assert ["60d", "acceptance rate", "2 / (2 + 3) = 0.4", "1 / (1 + 3) = 0.25"] in cells, "without the order"
    assert "Nothing changed in 30d." in told
    assert "Without it the seller would be above average: the lower bound 0.187616" in told


@pytest.mark.parametrize("order_id", sorted({one.order_id for one in OUTCOMES}))
async def test_an_orders_before_and_after_are_folded_from_what_was_recorded(
    disputed: Settings, capsys: pytest.CaptureFixture[str], order_id: str
) -> None:
    told = await explain_json(disputed, capsys, order_id)
    assert told["outcomes_in_all"] == len(told["outcomes"]) == len(told["order"]["effects"])
    for effect in told["order"]["effects"]:
        for side, seq in (("before", effect["seq"] - 1), ("after", effect["seq"])):
            totals = folded(OUTCOMES[:seq])
            for change in effect["changes"]:
                length, one = WINDOWS.get(change["span"]), change[side]
                expected = totals.window(length, TODAY.toordinal()) if length else totals.lifetime
                assert [one[kind.replace(" ", "_")] for kind in KINDS] == expected


async def test_what_there_is_nothing_of_is_one_clear_line(
    disputed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not await sellers_show.explain(disputed, "sel_x", None, limit=1, as_json=True)
    assert not await sellers_show.explain(disputed, "sel_x", "ord_a", limit=1, as_json=True)
    assert not await sellers_show.explain(disputed, DISPUTED, "ord_x", limit=1, as_json=False)
    assert not await sellers_show.run(disputed, "sel_x", limit=1, as_json=True)
    assert capsys.readouterr() == (
        "",
        "annul: nothing was ever counted for seller 'sel_x'\n" * 2
        + "annul: nothing was ever counted for seller 'sel_disputed' of order 'ord_x'\n"
        + "annul: nothing was ever counted for seller 'sel_x'\n",
    )


def test_the_options_lead_there(disputed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNUL_DATABASE_URL", disputed.database_url.get_secret_value())
    monkeypatch.setenv("ANNUL_TOPIC_PARTITIONS", f"{PARTITIONS}")
    runner, show = CliRunner(), ["sellers", "show", DISPUTED, "--limit", "1"]
    assert "The latest 1 of 17 outcomes" in runner.invoke(cli.app, show).stdout
    assert "The counts above are of all 17" in runner.invoke(cli.app, [*show, "--explain"]).stdout
    told = runner.invoke(cli.app, [*show, "--explain", "--order", "ord_e", "--json"])
    assert [one["seq"] for one in json.loads(told.stdout)["outcomes"]] == [11, 10, 9]
    refused = runner.invoke(cli.app, [*show, "--order", "ord_e"])
    assert (refused.exit_code, str(refused.exception)) == (1, "--order goes with --explain")
    assert runner.invoke(cli.app, ["sellers", "show", "sel_x", "--explain"]).exit_code == 1


# ---------------------------------------------------------------- what the workers record


async def test_outcomes_as_the_workers_record_them(populated_shared: str) -> None:
    settings = settings_for(populated_shared)
    async with snapshot(settings) as connection:
        view = await show_seller(connection, "sel_1", settings.topic_partitions, 3)
    assert view is not None
    (counted,) = await rows_of(
        populated_shared,
        "SELECT max(seq) AS seq, count(*) FILTER (WHERE outcome = 'accepted')"
        " - count(*) FILTER (WHERE replaces_outcome = 'accepted') AS accepted"
        " FROM seller_outcomes WHERE seller_id = 'sel_1'",
    )
    assert (view.seq, view.lifetime.accepted) == (counted["seq"], counted["accepted"])
    assert [one.seq for one in view.outcomes] == [view.seq, view.seq - 1, view.seq - 2]


async def test_a_late_acceptance_as_the_workers_record_it(
    populated_shared: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = await rows_of(populated_shared, "SELECT seller_id FROM orders WHERE order_id = 'ord_late'")
    settings = settings_for(populated_shared)
    assert await sellers_show.explain(settings, row["seller_id"], "ord_late", limit=50, as_json=False)
    told = rows_in(capsys.readouterr().out)
    assert ["cancelled after acceptance; takes back" in one["what"] for one in told] == [True, False, False]


async def test_a_seller_never_counted_is_one_clear_line(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with Feed(database_url, script) as feed:
        await feed.take(placement("quiet"))
    assert not await sellers_show.run(settings_for(database_url), "sel_2", limit=1, as_json=True)
    assert capsys.readouterr().err == "annul: nothing was ever counted for seller 'sel_2'\n"
