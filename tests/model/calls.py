"""What adapters and a provider may do next with a refund."""

from collections.abc import Iterator

from model.claiming import Asked, claim_of
from model.world import KEPT, LEASE, STALL, Bounds, Leg, World, replaced


def call_moves(world: World, at: int, leg: Leg, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """Commands are claimed, calls are made or stall, look-ups are answered, a provider thinks again and forgets."""
    if leg.core.provider == "wallet":
        yield from _wallet(world, at, leg)
        return
    for name, after in (*_claims(leg, bounds), *_calls(leg, bounds), *_look_ups(leg)):
        if after != leg:
            yield f"{at}: {name}", replaced(world, at, after)
    for record, history in enumerate(leg.book):
        if history[-1] == "p":
            yield f"{at}: it goes through", replaced(world, at, _grown(leg, record, "s"))
            yield f"{at}: it fails", replaced(world, at, _grown(leg, record, "f"))
        elif history[-1] == "s" and world.bounces:
            bounced = replaced(world, at, _grown(leg, record, "f"))
            yield f"{at}: it bounces", bounced._replace(bounces=world.bounces - 1)
    if leg.key is not None and world.forgets and max((age for _, age in leg.claims), default=0) >= KEPT:
        forgot = replaced(world, at, leg._replace(key=None))
        yield f"{at}: the provider forgets the key", forgot._replace(forgets=world.forgets - 1)


def _claims(leg: Leg, bounds: Bounds) -> Iterator[tuple[str, Leg]]:
    """Every attempt's command was sent, and any copy of it may be read now."""
    taken = {attempt for attempt, _ in leg.claims}
    oldest = max((age for _, age in leg.claims), default=None)
    for attempt in range(1, leg.core.attempt + 1):
        asked = Asked(
            state="requested" if bounds.without == "1 live" else leg.core.state,
            is_newest=attempt == leg.core.attempt or bounds.without == "1 live",
            claimed=attempt in taken and (bounds.without != "1 once" or len(leg.calls) > 1),
            forgotten=oldest is not None and oldest + LEASE > KEPT - STALL and bounds.without != "2",
            disputed=False,
        )
        word = claim_of(asked)
        if word == "claimed":
            claims = leg.claims if attempt in taken else tuple(sorted((*leg.claims, (attempt, 0))))
            yield (
                f"attempt {attempt} is claimed",
                leg._replace(claims=claims, calls=tuple(sorted((*leg.calls, (attempt, 0))))),
            )
        elif word == "key_forgotten":
            yield f"attempt {attempt} comes too late for its key", _told(leg, attempt, "uncertain")


def _calls(leg: Leg, bounds: Bounds) -> Iterator[tuple[str, Leg]]:
    """A process may stall before its call and in it; the provider may get the call, and nobody its answer."""
    for call in dict.fromkeys(leg.calls):
        attempt, age = call
        calls = list(leg.calls)
        calls.remove(call)
        ended = leg._replace(calls=tuple(calls))
        yield f"call {attempt} times out", _told(leg, attempt, "uncertain")
        yield f"call {attempt} is not made", _told(ended, attempt, "retryable")
        if age >= LEASE + STALL and bounds.without != "1 lease":
            continue
        if leg.key is not None:
            yield f"call {attempt} is answered as before", _told(ended, attempt, "ok", leg.key)
            yield f"call {attempt} is answered as before, unheard", ended
            continue
        yield f"call {attempt} is declined", _told(ended, attempt, "declined")
        record = len(leg.book)
        if record < bounds.records:
            for letter in "sp" if bounds.pending else "s":
                made = ended._replace(book=(*leg.book, letter), key=record)
                yield f"call {attempt} goes through ({letter})", _told(made, attempt, "ok", record)
                yield f"call {attempt} goes through ({letter}), unheard", made


def _look_ups(leg: Leg) -> Iterator[tuple[str, Leg]]:
    """What a look-up finds alive is as good as a webhook, and comes as one."""
    if leg.asked and all(history[-1] == "f" for history in leg.book):
        yield "looked up", leg._replace(seen=leg.seen | {"failed" if leg.book else "none"})


def _wallet(world: World, at: int, leg: Leg) -> Iterator[tuple[str, World]]:
    """The wallet's claim, credit and answer are one."""
    asked = Asked(leg.core.state, is_newest=True, claimed=bool(leg.claims), forgotten=False, disputed=False)
    if claim_of(asked) == "claimed":
        credited = _told(leg._replace(claims=((leg.core.attempt, 0),), book=("s",)), leg.core.attempt, "ok", 0)
        line = (f"refund_settled:rfd_{at}", "refunding:wallet", "wallet")
        yield f"{at}: the wallet is credited", replaced(world, at, credited)._replace(posted=world.posted | {line})


def _grown(leg: Leg, record: int, letter: str) -> Leg:
    book = list(leg.book)
    book[record] += letter
    return leg._replace(book=tuple(book))


def _told(leg: Leg, attempt: int, outcome: str, record: int | None = None) -> Leg:
    return leg._replace(results=leg.results | {(attempt, outcome, record)})
