"""Whatever was counted, late and corrected: the explanation, counted by hand, is what the workers count."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from kit.disputed import DISPUTED, TODAY, folded, recorded

from schemas.sellers import Replaced, SellerOutcome
from workers.domain.averages import Others
from workers.domain.explained_outcomes import outcomes_of
from workers.domain.explanation import SPANS, Standing, counts_of
from workers.domain.order_effects import explain_order, thresholds
from workers.domain.statistics import KINDS

DAY = TODAY.date()
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ord_1", "ord_2", "ord_3"]),
        st.sampled_from(KINDS),
        # Few different times, so that some outcomes of an order are alike; about the windows' edges, and tomorrow.
        st.sampled_from([-1, 0, 1, 29, 30, 31, 59, 60, 89, 90, 400]),
        st.one_of(st.none(), st.integers(0, 30)),
    ),
    min_size=1,
    max_size=30,
)


def outcomes_from(steps: list[tuple[str, str, int, int | None]]) -> list[SellerOutcome]:
    """Each step counts something of an order; one with a number takes back what of that order still counts, if any."""
    standing: dict[str, list[Replaced]] = {}
    found = []
    for seq, (order_id, kind, days_ago, back) in enumerate(steps, 1):
        counted = standing.setdefault(order_id, [])
        replaces = counted.pop(back % len(counted)) if back is not None and counted else None
        at = TODAY - timedelta(days=days_ago)
        one = SellerOutcome(
            seller_id=DISPUTED,
            order_id=order_id,
            seq=seq,
            outcome=kind,  # type: ignore[arg-type]  # one of them
            occurred_at=at,
            replaces=replaces,
        )
        counted.append(Replaced(outcome=one.outcome, occurred_at=at))
        found.append(one)
    return found


@given(STEPS)
def test_rows_counted_by_hand_are_the_counts(steps: list[tuple[str, str, int, int | None]]) -> None:
    outcomes = outcomes_from(steps)
    told = outcomes_of(recorded(outcomes), recorded(outcomes), DAY)
    for span, counts in counts_of(folded(outcomes), DAY.toordinal()).items():
        assert [sum(one.outcome == kind and span in one.counts_in for one in told) for kind in KINDS] == counts
    taken = [one.takes_back.seq for one in told if one.takes_back is not None]
    assert sorted(taken, key=lambda seq: seq or 0) == [one.seq for one in told if one.taken_back_by is not None]


@given(STEPS)
def test_without_an_order_is_what_the_others_come_to(steps: list[tuple[str, str, int, int | None]]) -> None:
    outcomes = outcomes_from(steps)
    related = [one for one in recorded(outcomes) if one.order_id == outcomes[0].order_id]
    cuts = thresholds(related)
    totals = [folded(outcomes[: cut - 1]) for cut in cuts]
    standing = Standing(Others([]))
    told = explain_order(outcomes[0].order_id, related, cuts, [*totals, folded(outcomes)], DAY, standing)
    never = counts_of(folded(one for one in outcomes if one.order_id != outcomes[0].order_id), DAY.toordinal())
    for change in told.without:
        assert [getattr(change.after, kind) for kind in KINDS] == never[change.span]
    assert [one.span for one in told.without] == list(SPANS)
