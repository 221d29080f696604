"""Whatever the list and however it is cut up: nothing is invented where both agree, and nothing planted is missed."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit.reconciling import CUTOFF, LONG_AGO, fact, listed, ours
from msgspec.structs import replace

from workers.domain.refund_types import RANKS
from workers.providers.port import ListedRefund
from workers.reconcile.compare import Comparison, Known
from workers.reconcile.types import Ours

STANDINGS = st.sampled_from(list(RANKS))
STATES = {"pending": "pending", "succeeded": "succeeded", "failed": "redirected"}
Pair = tuple[Ours, ListedRefund]


def pair(number: int, standing: Any, amount_minor: int, marked: bool, payment: int) -> Pair:
    """A refund as both sides tell it; several may be of one payment."""
    refund_id, provider_refund_id, reference = f"rfd_{number}", f"re_{number}", f"pi_{payment}"
    held = fact(provider_refund_id, refund_id=refund_id, standing=standing)
    state = STATES[standing]
    one = ours(refund_id, held, state=state, amount_minor=amount_minor, reference=reference)
    told = listed(
        provider_refund_id,
        refund_id=refund_id if marked else None,
        reference=reference,
        standing=standing,
        amount_minor=amount_minor,
    )
    return one, told


@st.composite
def worlds(draw: st.DrawFn) -> list[Pair]:
    """Both sides agree."""
    shapes = st.tuples(STANDINGS, st.integers(1, 10_000), st.booleans(), st.integers(1, 5))
    return [pair(number, *shape) for number, shape in enumerate(draw(st.lists(shapes, min_size=1, max_size=12)))]


@st.composite
def chunks(draw: st.DrawFn, told: list[ListedRefund]) -> list[list[ListedRefund]]:
    """A list in any order, cut up anyhow."""
    shuffled = draw(st.permutations(told))
    cuts = sorted(draw(st.sets(st.integers(0, len(told)), max_size=4)) | {0, len(told)})
    return [list(shuffled[start:end]) for start, end in pairwise(cuts)]


def found(known: list[Ours], parts: list[list[ListedRefund]]) -> set[tuple[str, str | None, str | None]]:
    """What differs or may: kind, ours, theirs."""
    comparison = Comparison(CUTOFF)
    for part in parts:
        comparison.take(part, Known(known))
    comparison.expect((one, held.provider_refund_id) for one in known for held in one.facts if held.alive)
    suspected = [ask.suspected for ask in comparison.asks()]
    every = [*comparison.findings, *(one for one in suspected if one is not None)]
    return {(one.kind, one.refund_id, one.provider_refund_id) for one in every}


@given(worlds(), st.data())
def test_nothing_is_invented_where_both_agree(world: list[Pair], data: st.DataObject) -> None:
    parts = data.draw(chunks([told for _, told in world]))
    assert found([one for one, _ in world], parts) == set()


@given(worlds(), st.data())
def test_what_is_on_its_way_is_no_difference(world: list[Pair], data: st.DataObject) -> None:
    """The provider is ahead of us, or its list behind, by less than the lag."""
    known, told = [], []
    for one, theirs in world:
        young = data.draw(st.booleans())
        standing = data.draw(STANDINGS) if young else theirs.standing
        recently = replace(one.facts[0], heard_at=CUTOFF + timedelta(minutes=1))
        known.append(replace(one, facts=(recently,)) if young else one)
        told.append(replace(theirs, standing=standing))
    assert found(known, data.draw(chunks(told))) == set()


@given(worlds(), st.data())
def test_everything_planted_is_found_and_nothing_else(world: list[Pair], data: st.DataObject) -> None:
    known, told, planted = [], [], set()
    for number, (one, theirs) in enumerate(world):
        fault = data.draw(st.sampled_from(["none", "amount", "unknown", "by_hand", "missing", "twice", "standing"]))
        alive = theirs.standing != "failed"
        known.append(one)
        if fault == "missing" and alive and len(world) < 10:
            planted.add(("missing_at_provider", one.refund_id, theirs.provider_refund_id))
            continue
        if fault == "amount" and alive:
            theirs = replace(theirs, amount_minor=theirs.amount_minor + 1)  # noqa: PLW2901 - what is planted
            planted.add(("amount_differs", one.refund_id, theirs.provider_refund_id))
        elif fault == "standing":
            other = data.draw(st.sampled_from([standing for standing in RANKS if standing != theirs.standing]))
            theirs = replace(theirs, standing=other)  # noqa: PLW2901 - what is planted
            planted.add(("state_differs", one.refund_id, theirs.provider_refund_id))
        elif fault == "unknown":
            told.append(listed(f"re_x{number}", refund_id="rfd_x", reference=f"pi_x{number}"))
            planted.add(("unknown_refund", "rfd_x", f"re_x{number}"))
        elif fault == "by_hand":
            told.append(listed(f"re_h{number}", refund_id=None, reference=one.reference, made_at=LONG_AGO))
            of_payment = [other for other, _ in world if other.reference == one.reference]
            target = max(of_payment, key=lambda other: (other.state != "redirected", other.refund_id))
            planted.add(("unknown_refund", target.refund_id, f"re_h{number}"))
        elif fault == "twice" and alive:
            again = replace(theirs, provider_refund_id=f"re_d{number}", refund_id=one.refund_id)
            told.append(again)
            planted.add(("duplicate", one.refund_id, again.provider_refund_id))
        told.append(theirs)
    assert found(known, data.draw(chunks(told))) == planted
