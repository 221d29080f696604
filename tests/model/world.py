"""What the model's world is made of. All of it is small tuples, so that worlds can be compared and counted."""

from typing import Final, NamedTuple

LEASE: Final = 1
STALL: Final = 1
KEPT: Final = 4
"""Hours: of a claim, of the longest stall with the call included, and that the provider remembers a key."""

RULES: Final = ("1 once", "1 live", "1 lease", "2", "3", "4", "5", "6", "7", "8")
"""What can be taken out, by the protocol's numbers; of rule 1 each part by itself. 9 and 10 are in `payout_race.py`."""


class Bounds(NamedTuple):
    """How much may happen. `attempts` are those of rules; a person's word makes one more."""

    attempts: int = 2
    legs: int = 2
    """Refunds: the first and those that took its place."""
    records: int = 2
    """Refunds that the provider makes of one of ours."""
    pending: bool = False
    """Whether the provider takes its time."""
    bounces: int = 1
    forgets: int = 1
    actions: int = 0
    flags: int = 0
    older_look_ups: bool = False
    """Whether answers to older look-ups come too. They change nothing, but make for many worlds."""
    without: str | None = None
    """The rule that is taken out."""
    paid_elsewhere: bool = False
    """Begins where a person has paid by other means and marked it, and not with the request."""
    beyond: bool = False
    """Beyond what is assumed: it may be paid twice. What is asked is whether that is told, and the books are right."""


class Core(NamedTuple):
    """The row of a refund, as far as rules depend on it. Numbers of revisions and look-ups are left out: whatever
    carries one is kept as being of now, or of before.
    """

    provider: str
    state: str
    attempt: int = 1
    settled: bool = False
    named: str | None = None
    """The provider's refund that it names."""
    overpaid: bool = False
    gate: str | None = None
    gate_asked: bool = False
    gate_manual: bool = False
    to: int | None = None
    """Which refund took its place."""


class Leg(NamedTuple):
    """A refund with all that is under way for it."""

    core: Core
    due: bool = True
    """A row is there that will look at it as it is now."""
    claims: tuple[tuple[int, int], ...] = ()
    """Attempts that were claimed, and how long ago."""
    calls: tuple[tuple[int, int], ...] = ()
    """Calls that may still reach the provider: of which attempt, and how long since they were claimed."""
    results: frozenset[tuple[int, str, int | None]] = frozenset()
    """Answers to calls that were ever sent: attempt, outcome and the provider's refund. Each may come at any time."""
    answered: frozenset[int] = frozenset()
    facts: tuple[str, ...] = ()
    """What was heard of each refund of the provider's: `p`ending, `s`ucceeded, `f`ailed, or `-`."""
    book: tuple[str, ...] = ()
    """All that each of the provider's refunds has been, the last letter what it is."""
    key: int | None = None
    """The refund that the provider will answer with when it gets the key again."""
    asked: bool = False
    """A look-up with the newest number was sent."""
    seen: frozenset[str] = frozenset()
    """What look-ups with the newest number came to that found nothing alive: `none`, `failed`."""
    seen_before: frozenset[str] = frozenset()
    """What those with older numbers came to."""


class World(NamedTuple):
    """Everything."""

    legs: tuple[Leg, ...]
    posted: frozenset[tuple[str, str, str]]
    """The ledger: id, and between which accounts."""
    bounces: int
    forgets: int
    actions: int
    flags: int
    click: tuple[str, int, bool] | None = None
    """What a person asked for, of which refund, and whether that is still as they saw it."""
    paid_by_person: bool = False
    wrong: str | None = None
    """What a step itself did that must not be."""


def first_world(bounds: Bounds) -> World:
    """A refund was just asked for."""
    leg = Leg(Core("card", "requested"))
    opened = ("refund_requested:rfd_0", "escrow", "refunding:card")
    world = World((leg,), frozenset({opened}), bounds.bounces, bounds.forgets, bounds.actions, bounds.flags)
    if not bounds.paid_elsewhere:
        return world
    marked = ("settled_elsewhere:rfd_0", "refunding:card", "suspense")
    leg = Leg(Core("card", "settled_elsewhere"), due=False, claims=((1, 0),), answered=frozenset({1}))
    return world._replace(legs=(leg,), posted=world.posted | {marked}, paid_by_person=True)


def replaced(world: World, at: int, leg: Leg) -> World:
    """The world with another leg."""
    return world._replace(legs=(*world.legs[:at], leg, *world.legs[at + 1 :]))


def live(world: World) -> tuple[int, Leg]:
    """The refund that the money is with."""
    at = 0
    while world.legs[at].core.state == "redirected":
        to = world.legs[at].core.to
        assert to is not None
        at = to
    return at, world.legs[at]


def paid(world: World) -> int:
    """How often the client has the money, or will have it without anybody's doing."""
    alive = sum(record[-1] != "f" for leg in world.legs for record in leg.book)
    return alive + world.paid_by_person
