"""All that may happen next in a world. What changes nothing is left out."""

from collections.abc import Iterator

from model.calls import call_moves
from model.deciding import STANDINGS, Around, Changed, What, decide
from model.world import KEPT, LEASE, STALL, Bounds, Leg, World, live, replaced

BEYOND = "beyond the bounds"
_OUTCOMES = {"p": "pending", "s": "succeeded", "f": "declined"}


def moves(world: World, bounds: Bounds) -> Iterator[tuple[str, World | None]]:
    """What may happen, and the world after it; None where that is beyond the bounds."""
    for at, leg in enumerate(world.legs):
        yield from call_moves(world, at, leg, bounds)
        for name, what in _heard(leg, bounds):
            for after in observed(world, at, what, bounds):
                yield f"{at}: {name}", after
    yield from _people(world, bounds)
    if (later := _an_hour_on(world)) != world:
        yield "an hour passes", later


def _heard(leg: Leg, bounds: Bounds) -> Iterator[tuple[str, What]]:
    """Everything that was ever sent may be heard now, for the first time or again; what is never heard was lost."""
    attempt = leg.core.attempt
    if leg.due:
        yield "due", What("due")
    for of, outcome, record in leg.results:
        if record is None:
            yield f"{outcome} of attempt {of}", What("result", outcome, of, via="call")
            continue
        for letter in leg.book[record]:
            yield (
                f"{STANDINGS[letter]} of attempt {of}",
                What("result", _OUTCOMES[letter], of, f"re_{record}", "call"),
            )
    for record, history in enumerate(leg.book):
        for letter in history:
            yield f"{STANDINGS[letter]} by webhook", What("result", _OUTCOMES[letter], attempt, f"re_{record}")
    for newest, seen in ((True, leg.seen), (False, leg.seen_before)):
        if "none" in seen:
            yield f"not found, {'newest' if newest else 'older'} look-up", _absent(leg, newest, bounds)
        if "failed" in seen:
            failed = What("result", "declined", attempt, f"re_{len(leg.book) - 1}", "look_up", newest)
            yield f"failed, {'newest' if newest else 'older'} look-up", failed


def _absent(leg: Leg, newest: bool, bounds: Bounds) -> What:
    if bounds.without == "3" and newest and leg.core.state == "uncertain":
        return What("result", "declined", leg.core.attempt, via="call")
    return What("result", "not_found", leg.core.attempt, via="look_up", newest=newest or bounds.without == "5")


def observed(world: World, at: int, what: What, bounds: Bounds) -> Iterator[World | None]:
    """The worlds that an observation leads to, by how long everything was waited for."""
    leg = world.legs[at]
    successor = None
    if leg.core.state == "redirected":
        to, other = live(world)
        successor = (to, other.core, bool(other.claims))
    around = Around(
        at=at,
        claims=leg.claims,
        answered=leg.answered,
        facts=leg.facts,
        successor=successor,
        gives_up=leg.core.attempt >= bounds.attempts,
        late=False,
        paid_elsewhere=any(line[0] == f"settled_elsewhere:rfd_{at}" for line in world.posted),
        made=len(world.legs),
    )
    soon = decide(leg.core, what, around, bounds.without)
    late = decide(leg.core, what, around._replace(late=True), bounds.without)
    for made in (soon,) if late == soon else (soon, late):
        if made.created is not None and len(world.legs) >= bounds.legs:
            yield None
        elif (after := _decided(world, at, what, made, successor[0] if successor else None)) != world:
            yield after


def _decided(world: World, at: int, what: What, made: Changed, to: int | None) -> World:
    leg = world.legs[at]
    answered = leg.answered
    if what.via == "call" and what.kind == "result" and what.outcome != "uncertain":
        answered |= {what.attempt}
    facts = leg.facts
    if made.heard:
        known = [*facts, *["-"] * (len(leg.book) - len(facts))]
        for number, letter in made.heard:
            known[number] = max(known[number], letter, key="-psf".index)
        facts = tuple(known)
    leg = leg._replace(
        core=made.core,
        due=made.due if made.due is not None else leg.due and what.kind != "due",
        answered=answered,
        facts=facts,
        asked=made.asked or (leg.asked and not made.renumbered),
        seen=frozenset() if made.renumbered else leg.seen,
        seen_before=leg.seen_before | leg.seen if made.renumbered else leg.seen_before,
    )
    world = replaced(world, at, leg)
    if made.successor is not None:
        assert to is not None
        world = replaced(world, to, world.legs[to]._replace(core=made.successor, due=False))
    if made.created is not None:
        world = world._replace(legs=(*world.legs, Leg(made.created)))
    return _noted(world, at, what, made)


def _noted(world: World, at: int, what: What, made: Changed) -> World:
    """The ledger's lines, and whether a person still sees what they saw."""
    wrong, click, posted = made.wrong, world.click, world.posted
    if made.posted:
        known = {line[0] for line in posted}
        posted |= set(made.posted)
        if len({line[0] for line in posted}) < len(known) + len(made.posted):
            wrong = wrong or "a line of the ledger was posted twice"
    if what.kind == "action":
        assert click is not None
        if not click[2] and not made.refused:
            wrong = wrong or "done on what nobody saw"
        click = None
    elif click is not None and made.moved and click[1] == at:
        click = (click[0], click[1], False)
    if posted is world.posted and click is world.click and wrong is None:
        return world
    return world._replace(posted=posted, click=click, wrong=wrong or world.wrong)


def _people(world: World, bounds: Bounds) -> Iterator[tuple[str, World | None]]:
    at, leg = live(world)
    if world.flags and leg.core.state != "needs_review":
        for after in observed(world._replace(flags=world.flags - 1), at, What("flag"), bounds):
            yield f"{at}: flagged", after
    if world.click is not None:
        kind, at, fresh = world.click
        what = What("action", kind, newest=fresh or bounds.without == "8")
        for after in observed(world, at, what, bounds):
            yield f"{at}: {kind} is carried out", after
    elif leg.core.state == "needs_review":
        if world.paid_by_person and leg.core.gate == "frozen":
            # Whoever has paid marks it; what others do with a refund that was marked is another matter.
            yield f"{at}: mark_settled is clicked", world._replace(click=("mark_settled", at, True))
            return
        if leg.core.gate == "frozen":
            yield f"{at}: a person pays", world._replace(paid_by_person=True)
        if world.actions:
            for kind in ("retry", "redirect", "settle", "release"):
                clicked = world._replace(actions=world.actions - 1, click=(kind, at, True))
                yield f"{at}: {kind} is clicked", clicked


def _an_hour_on(world: World) -> World:
    legs = []
    for leg in world.legs:
        first = min((attempt for attempt, _ in leg.claims), default=0)
        kept = KEPT if leg.core.provider == "card" else LEASE + STALL
        claims = tuple(
            (attempt, min(age + 1, kept if attempt == first else LEASE + STALL)) for attempt, age in leg.claims
        )
        calls = tuple((attempt, min(age + 1, LEASE + STALL)) for attempt, age in leg.calls)
        legs.append(leg._replace(claims=claims, calls=calls))
    return world._replace(legs=tuple(legs))
