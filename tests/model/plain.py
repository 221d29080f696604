"""One world for many that can't be told apart by anything that may still happen. Each line says why."""

from functools import lru_cache

from model.world import KEPT, LEASE, STALL, Bounds, Leg, World

_OVER = LEASE + STALL


def plain(world: World, bounds: Bounds) -> World:
    """The world without what makes no difference any more."""
    legs = tuple(_plain(leg, bounds) for leg in world.legs)
    return world if legs == world.legs else world._replace(legs=legs)


@lru_cache(maxsize=200_000)
def _plain(leg: Leg, bounds: Bounds) -> Leg:
    core, claims = leg.core, dict(leg.claims)
    first = min(claims, default=0)
    newest = core.attempt
    # From here on no call can be under way, so it makes no difference whether it was answered.
    over = {attempt for attempt, age in claims.items() if age >= _OVER}
    answered = leg.answered - over if claims else leg.answered
    results = frozenset(
        one for one in leg.results if _may_matter(one, leg, answered=one[0] in answered or one[0] in over)
    )
    calls, key = leg.calls, leg.key
    if bounds.without != "1 lease":
        # Woken this late it is not made. That it says so is as if it had said so before, and was heard late.
        calls = tuple(call for call in calls if call[1] < _OVER)
    if bounds.without not in ("1 once", "1 live"):
        claims = {at: age for at, age in claims.items() if age < _OVER or at in (first, newest)}
    if (
        not calls
        and key is not None
        and claims[first] + LEASE > KEPT - STALL
        and bounds.without not in ("1 lease", "2")
    ):
        # Nobody will use the key again, so it may as well be forgotten.
        key = None
    seen_before = leg.seen_before if bounds.without == "5" or bounds.older_look_ups else frozenset[str]()
    return leg._replace(
        claims=tuple(sorted(claims.items())),
        calls=calls,
        answered=answered,
        results=results,
        key=key,
        seen_before=seen_before,
    )


def _may_matter(result: tuple[int, str, int | None], leg: Leg, *, answered: bool) -> bool:
    attempt, outcome, _ = result
    newest = attempt == leg.core.attempt
    if outcome == "uncertain":
        return newest and leg.core.state == "requested"
    if outcome == "retryable":
        return not answered or (newest and leg.core.state == "requested")
    # What it tells of the provider's refund webhooks tell as well.
    return not answered or (outcome == "declined" and newest)
