"""Any life of a refund, told by messages that come late and twice: one notice a fact and person, and none untrue."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from kit.builders import NOW, REFUND
from kit.notices import VISIBLE, all_refunded, event, known, refund_now, text_of
from msgspec.structs import replace

from workers.domain.notices.notice import Notice, RefundNow
from workers.domain.notices.rules import decide_notices

WALLET: Final = "rfd_wallet"
TAKEN_BACK: Final = "taken_back"
"""Not a state: the money comes back while the refund is in review."""
CORRECTIONS: Final = ("refund.bounced", "refund.taken_back")
EVENTS: Final = {
    "pending": "refund.pending",
    "succeeded": "refund.succeeded",
    "settled_elsewhere": "refund.succeeded",
    "declined": "refund.failed",
    "bounced": "refund.bounced",
    "redirected": "refund.redirected",
    "needs_review": "refund.needs_review",
}
NEXT: Final = {
    "requested": ("pending", "succeeded", "declined", "needs_review"),
    "pending": ("succeeded", "declined", "needs_review"),
    "succeeded": ("bounced", "needs_review"),
    "declined": ("redirected", "needs_review", "succeeded"),
    "bounced": ("redirected", "needs_review", "succeeded"),
    "needs_review": ("succeeded", "redirected", "settled_elsewhere", "pending"),
    "redirected": (),
    "settled_elsewhere": (),
}


class World:
    """The refunds at one moment, and what was published up to it."""

    def __init__(
        self, refunds: dict[str, RefundNow], bounces: tuple[int, ...], published: list[tuple[str, Any]]
    ) -> None:
        self.refunds = refunds
        self.bounces = bounces
        self.published = published
        """By the step that led here."""

    @property
    def live(self) -> RefundNow:
        return self.refunds.get(WALLET) or self.refunds[REFUND]


def moved(refund: RefundNow, state: str, **changes: Any) -> RefundNow:
    settled: dict[str, Any] = {"settled_at": NOW, "visible_by": VISIBLE} if state == "succeeded" else {}
    if state == "bounced":
        settled = {"settled_at": None, "visible_by": None}
    return replace(refund, **{**settled, "state": state, "revision": refund.revision + 1, **changes})


def step(world: World, state: str) -> World:
    """The live refund comes to `state`."""
    before = world.live
    if state == "redirected":
        after = moved(before, state, redirected_to=WALLET)
        wallet = refund_now(refund_id=WALLET, provider="wallet")
        told = [(EVENTS[state], event(after)), ("refund.requested", event(wallet))]
        return World({before.refund_id: after, WALLET: wallet}, world.bounces, told)
    if state == TAKEN_BACK:
        after = moved(before, "needs_review", settled_at=None, visible_by=None)
        told = [("refund.needs_review", event(after))]
        return World({**world.refunds, after.refund_id: after}, world.bounces, told)
    after = moved(before, state)
    published: list[tuple[str, Any]] = [(EVENTS[state], event(after))]
    bounces = (*world.bounces, after.revision) if state == "bounced" else world.bounces
    return World({**world.refunds, after.refund_id: after}, bounces, published)


@st.composite
def lives(draw: st.DrawFn) -> list[World]:
    """A refund's life, step by step; `order.refunded` comes with the first settlement."""
    worlds = [World({REFUND: refund_now()}, (), [("refund.requested", event(refund_now()))])]
    whole = False
    for _ in range(draw(st.integers(0, 8))):
        live = worlds[-1].live
        states = ("succeeded",) if live.provider == "wallet" and live.state == "requested" else NEXT[live.state]
        if live.provider == "wallet" and live.state == "succeeded":
            break
        if live.settled_at is not None and live.state == "needs_review":
            states = ("succeeded", TAKEN_BACK)  # what is there is released, unless it comes back
        if not states:
            break
        worlds.append(step(worlds[-1], draw(st.sampled_from(states))))
        if worlds[-1].live.has_arrived and not whole:
            worlds[-1].published.append(("order.refunded", all_refunded()))
            whole = True
    return worlds


@st.composite
def readings(draw: st.DrawFn, worlds: list[World], most_late: int) -> list[tuple[int, str, Any]]:
    """When each message is read: in the order of the partition, late at will; then some again, in any order."""
    first, at = [], 0
    for number, world in enumerate(worlds):
        at = min(max(at, number + draw(st.integers(0, most_late))), len(worlds) - 1)
        first += [(at, type_, data) for type_, data in world.published]
    again = [(draw(st.integers(one[0], len(worlds) - 1)), *one[1:]) for one in first if draw(st.booleans())]
    return sorted([*first, *again], key=lambda one: one[0])


def told(worlds: list[World], reads: list[tuple[int, str, Any]]) -> Iterator[tuple[World, Notice]]:
    """Every notice, with the world as it was then."""
    record: dict[str, datetime] = {}
    for number, (at, type_, data) in enumerate(reads):
        world = worlds[at]
        now = NOW + timedelta(minutes=number)
        facts = known(*world.refunds.values(), told=dict(record), bounces={REFUND: world.bounces}, now=now)
        for one in decide_notices(type_, data, facts).notices:
            assert one.notification_id not in record, "once a fact and person"
            record.update(dict.fromkeys((one.notification_id, *one.also), now))
            yield world, one


def fact(notice: Notice) -> tuple[Any, ...]:
    return notice.kind, notice.facts["fact"], notice.facts.get("refund_id")


@given(st.data())
def test_every_fact_is_told_once_and_a_success_again_only_after_its_correction(data: st.DataObject) -> None:
    worlds = data.draw(lives())
    said = [one for _, one in told(worlds, data.draw(readings(worlds, most_late=4)))]
    facts = [fact(one) for one in said]
    for one in set(facts):
        if one[1] not in ("refund.succeeded", *CORRECTIONS):
            assert facts.count(one) == 1
    money = [one[1] for one in facts if one[0] == "client" and one[2] == REFUND]
    money = [one for one in money if one in ("refund.succeeded", *CORRECTIONS)]
    assert all(pair != ("refund.succeeded", "refund.succeeded") for pair in pairwise(money))
    assert facts[:2] == [("client", "order.cancelled", None), ("seller", "order.cancelled", None)]


@given(st.data())
def test_nobody_reads_that_money_was_refunded_that_is_not_there(data: st.DataObject) -> None:
    worlds = data.draw(lives())
    for world, one in told(worlds, data.draw(readings(worlds, most_late=4))):
        if one.facts["fact"] not in CORRECTIONS and "remboursé" in text_of(one):
            about = one.facts.get("refund_id", world.live.refund_id)
            assert world.refunds[about].has_arrived  # type: ignore[index]  # a text
        if one.facts["fact"] in CORRECTIONS and one.kind == "seller":
            assert not world.live.has_arrived


@given(st.data())
def test_once_all_is_read_the_client_has_read_how_it_ended(data: st.DataObject) -> None:
    worlds = data.draw(lives())
    said = [one for _, one in told(worlds, data.draw(readings(worlds, most_late=4)))]
    live = worlds[-1].live
    own = [one.facts["fact"] for one in said if one.kind == "client" and one.facts.get("refund_id") == live.refund_id]
    if live.state == "settled_elsewhere":
        assert own[-1] == "refund.settled_elsewhere"
    elif live.has_arrived:
        assert own[-1] == "refund.succeeded"
    elif live.state == "bounced":
        assert own[-1] == "refund.bounced"
    elif live.state == "needs_review":
        assert {"refund.needs_review", "refund.taken_back"} & set(own)


@given(st.data())
def test_read_at_once_every_success_and_every_bounce_is_told(data: st.DataObject) -> None:
    worlds = data.draw(lives())
    said = [fact(one) for _, one in told(worlds, data.draw(readings(worlds, most_late=0)))]
    for refund_id in (REFUND, WALLET):
        bounces = sum(1 for world in worlds for type_, _ in world.published if type_ == "refund.bounced")
        assert said.count(("client", "refund.bounced", refund_id)) == (bounces if refund_id == REFUND else 0)
    episodes, there = 0, False
    for world in worlds:
        is_there = world.refunds[REFUND].settled_at is not None
        episodes += is_there and not there
        there = is_there
    assert said.count(("client", "refund.succeeded", REFUND)) == episodes
    whole = [type_ for world in worlds for type_, _ in world.published].count("order.refunded")
    assert said.count(("seller", "order.refunded", None)) == whole
