"""What must hold in every world."""

from collections import Counter
from functools import cache

from model.world import Leg, World, live, paid

RESTING = ("succeeded", "settled_elsewhere", "needs_review")
_WAITING = ("requested", "retrying", "uncertain", "pending", "declined", "bounced")


def fault_of(world: World, *, beyond: bool = False) -> str | None:
    """What is wrong with a world; None where nothing is."""
    if world.wrong is not None:
        return world.wrong
    if not beyond and paid(world) > 1:
        return "paid twice"
    if _known_to_be_paid_twice(world) and not _is_with_a_person(world):
        return "known to be paid twice, and nobody looks"
    if sum(leg.core.state != "redirected" for leg in world.legs) != 1:
        return "not one live refund"
    for leg in world.legs:
        if (fault := _fault_of_leg(leg)) is not None:
            return fault
    return _fault_of_ledger(world)


def rests(world: World) -> bool:
    """The client has the money as far as is known, or a person looks."""
    return live(world)[1].core.state in RESTING


def _known_to_be_paid_twice(world: World) -> bool:
    cards = sum(leg.facts.count("s") for leg in world.legs if leg.core.provider == "card")
    wallets = sum(leg.core.settled for leg in world.legs if leg.core.provider == "wallet")
    elsewhere = sum(line[0].startswith("settled_elsewhere") for line in world.posted)
    return cards + wallets + elsewhere > 1


def _is_with_a_person(world: World) -> bool:
    """In review, or released by somebody who has seen it."""
    core = live(world)[1].core
    return core.state == "needs_review" or core.overpaid


def _fault_of_leg(leg: Leg) -> str | None:
    core = leg.core
    if core.state == "succeeded" and not core.settled:
        return "succeeded, and no money there"
    waits = core.state in _WAITING or (core.state == "needs_review" and core.gate not in (None, "frozen"))
    if waits and not leg.due:
        return "waits, and nothing will wake it"
    if core.settled and core.named is not None and core.provider == "card" and leg.facts[int(core.named[-1])] == "f":
        return "settled by what is known to have failed"
    return None


def _fault_of_ledger(world: World) -> str | None:
    balances = balances_of(world.posted)
    if any(balances[account] < 0 for account in balances if account.startswith("refunding:")):
        return "more came back than was under way"
    cards = [leg for leg in world.legs if leg.core.provider == "card"]
    if balances["provider:card"] != sum(letter == "s" for leg in cards for letter in leg.facts):
        return "the ledger and what was heard differ"
    if balances["wallet"] != sum(len(leg.book) for leg in world.legs if leg.core.provider == "wallet"):
        return "the ledger and the wallet differ"
    return None


@cache
def balances_of(posted: frozenset[tuple[str, str, str]]) -> Counter[str]:
    """What is in each account."""
    found: Counter[str] = Counter()
    for _, source, target in posted:
        found[source] -= 1
        found[target] += 1
    return found
