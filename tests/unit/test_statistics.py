"""Counts and rates folded from numbered outcomes (SPEC §6)."""

from typing import Any

import msgspec
import pytest
from kit.builders import NOW, SELLER, at, outcome

from schemas.base import encode
from schemas.envelope import Envelope, decode_data
from schemas.sellers import OutcomeKind, Replaced
from schemas.topics import SELLERS_STATISTICS
from workers.domain.statistics import KINDS, Counts, fold, span_of, statistics_of


def folded(*kinds: str) -> Counts:
    counts: Counts | None = Counts()
    for seq, kind in enumerate(kinds, start=1):
        assert counts is not None
        counts = fold(counts, outcome(seq, kind))
    assert counts is not None
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_an_outcome_counts_once_under_its_own_name(kind: str) -> None:
    before = Counts(seq=4, accepted=9, cancelled_before_acceptance=9, completed=9, cancelled_after_acceptance=9)
    assert fold(before, outcome(5, kind)) == msgspec.structs.replace(before, seq=5, **{kind: 10})


@pytest.mark.parametrize("seq", [1, 2, 5])
def test_a_repeat_counts_nothing(seq: int) -> None:
    before = Counts(seq=5, completed=3)
    assert fold(before, outcome(seq)) is before


@pytest.mark.parametrize("seq", [7, 8, 1000])
def test_a_gap_is_told_and_counts_nothing(seq: int) -> None:
    assert fold(Counts(seq=5), outcome(seq)) is None


def test_the_first_outcome_of_a_seller_is_number_one() -> None:
    assert fold(Counts(), outcome(2)) is None
    assert fold(Counts(), outcome(1)) == Counts(seq=1, completed=1)


def replacing(seq: int, kind: str, replaced: OutcomeKind) -> Any:
    return outcome(seq, kind, replaces=Replaced(outcome=replaced, occurred_at=at(-60)))


def test_a_correction_counts_the_new_outcome_and_takes_the_old_one_back() -> None:
    before = Counts(seq=2, accepted=1, cancelled_before_acceptance=1)
    after = fold(before, replacing(3, "cancelled_after_acceptance", "cancelled_before_acceptance"))
    assert after == Counts(seq=3, accepted=1, cancelled_after_acceptance=1)


def test_a_correction_of_the_day_alone_leaves_lifetime_counts_as_they_are() -> None:
    assert fold(Counts(seq=1, accepted=1), replacing(2, "accepted", "accepted")) == Counts(seq=2, accepted=1)


@pytest.mark.parametrize(
    ("counts", "acceptance", "completion", "cancellation"),
    [
        ({}, None, None, None),
        ({"accepted": 3}, 1.0, None, None),
        ({"cancelled_before_acceptance": 1}, 0.0, None, 1.0),
        ({"cancelled_after_acceptance": 1}, None, 0.0, 1.0),
        ({"completed": 2}, None, 1.0, 0.0),
        ({"accepted": 2, "cancelled_before_acceptance": 1}, 0.666667, None, 1.0),
        ({"accepted": 3, "completed": 1, "cancelled_after_acceptance": 2}, 1.0, 0.333333, 0.666667),
        (
            {"accepted": 7, "cancelled_before_acceptance": 1, "completed": 5, "cancelled_after_acceptance": 1},
            0.875,
            0.833333,
            0.285714,
        ),
    ],
)
def test_rates_are_rounded_to_six_places_or_null(
    counts: dict[str, int], acceptance: float | None, completion: float | None, cancellation: float | None
) -> None:
    span = span_of(Counts(**counts))
    assert (span.acceptance_rate, span.completion_rate, span.cancellation_rate) == (
        acceptance,
        completion,
        cancellation,
    )


def test_a_large_count_keeps_its_rate() -> None:
    assert span_of(Counts(completed=10**9 - 1, cancelled_after_acceptance=1)).completion_rate == 1.0
    assert span_of(Counts(completed=2 * 10**6, cancelled_after_acceptance=1)).cancellation_rate == 0.0


def test_the_row_of_a_seller_says_how_far_it_has_counted() -> None:
    row = statistics_of(SELLER, folded("accepted", "completed"), NOW)
    assert (row.seller_id, row.seq, row.as_of) == (SELLER, 2, NOW)
    assert (row.lifetime.accepted, row.lifetime.completed) == (1, 1)


def test_the_row_can_be_read_by_its_topics_own_schema() -> None:
    row = statistics_of(SELLER, folded("cancelled_before_acceptance"), NOW)
    envelope = Envelope("msg_1", "/annul", "seller.statistics", None, None)
    assert decode_data(SELLERS_STATISTICS.decoders(), envelope, encode(row)) == row
    assert msgspec.json.decode(encode(row))["lifetime"]["completion_rate"] is None
