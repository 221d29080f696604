"""The dashboard's table of sellers: its order, pages, and place in the distribution."""

from datetime import timedelta

import pytest
from kit.builders import NOW
from kit.seller_rows import seller_row

from workers.ops.following import PAGE, Key, Sort, Table


def ids(table: Table, sort: Sort, prefix: str = "") -> list[str]:
    """All pages, one after the other."""
    found: list[str] = []
    after: Key | None = None
    while True:
        part = table.page(sort, prefix, after, 0.0)
        assert len(part.rows) <= PAGE
        found += [row.seller_id for row in part.rows]
        after = part.after
        if after is None:
            return found


@pytest.fixture
def table() -> Table:
    table = Table()
    for row in (
        seller_row("sel_half", 1, 1),
        seller_row("sel_many", 40, 60),
        seller_row("sel_good", 0, 50),
        seller_row("sel_none", 0, 0),
        seller_row("other", 3, 7),
    ):
        table.take(row)
    return table


def test_it_is_sorted_by_each_figure_and_who_has_none_comes_last(table: Table) -> None:
    assert ids(table, "rate") == ["sel_half", "sel_many", "other", "sel_good", "sel_none"]
    assert ids(table, "closed") == ["sel_many", "sel_good", "other", "sel_half", "sel_none"]
    assert ids(table, "lower") == ["sel_many", "other", "sel_half", "sel_good", "sel_none"]
    assert ids(table, "id") == ["other", "sel_good", "sel_half", "sel_many", "sel_none"]


def test_a_prefix_finds_those_whose_ids_begin_so(table: Table) -> None:
    assert ids(table, "rate", "sel_") == ["sel_half", "sel_many", "sel_good", "sel_none"]
    assert ids(table, "id", "oth") == ["other"]
    assert ids(table, "id", "none") == []


@pytest.mark.parametrize("sort", ["rate", "closed", "lower", "id"])
def test_pages_hold_every_seller_once_though_many_are_equal(sort: Sort) -> None:
    table = Table()
    for number in range(3 * PAGE + 7):
        table.take(seller_row(f"sel_{number:03}", number % 3, 5))
    found = ids(table, sort)
    assert sorted(found) == [f"sel_{number:03}" for number in range(3 * PAGE + 7)]


def test_a_late_copy_of_an_older_row_changes_nothing(table: Table) -> None:
    table.take(seller_row("sel_good", 5, 5, seq=9))
    table.take(seller_row("sel_good", 0, 50, seq=8, as_of=NOW + timedelta(hours=1)))
    assert table.rows["sel_good"].rate == 0.5
    table.take(seller_row("sel_good", 5, 5, seq=9, as_of=NOW + timedelta(hours=1), above=True))
    assert table.rows["sel_good"].above


def test_a_new_row_shows_in_the_order_soon(table: Table) -> None:
    assert ids(table, "rate")[0] == "sel_half"
    table.take(seller_row("sel_worst", 9, 1))
    assert table.page("rate", "", None, 60.0).rows[0].seller_id == "sel_worst"


def test_it_says_when_it_is_full_and_still_follows_those_it_has() -> None:
    table = Table(2)
    for row in (seller_row("a", 1, 1), seller_row("b", 1, 1), seller_row("a", 1, 3, seq=2)):
        table.take(row)
    assert not table.full
    table.take(seller_row("c", 1, 1))
    assert table.full
    assert {row.seller_id: row.closed for row in table.rows.values()} == {"a": 4, "b": 2}


def test_the_distribution_counts_each_rate_in_its_bar(table: Table) -> None:
    table.take(seller_row("sel_all", 4, 0))
    spread = table.spread()
    assert {place: count for place, count in enumerate(spread) if count} == {0: 1, 6: 1, 8: 1, 10: 1, 19: 1}
