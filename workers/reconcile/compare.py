"""The comparison of a provider's list with our refunds, pure: it reads nothing and does nothing.

What a list alone proves is a finding. What it only gives reason to believe (a list lags, and tells no reasons) is a
suspicion: the provider is asked for that very refund before anybody is bothered.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from workers.domain.known_before import was_told
from workers.domain.refund_types import RANKS
from workers.providers.answers import DUPLICATE_REFUNDS
from workers.providers.port import Answer, ListedRefund
from workers.reconcile.types import Ask, Finding, Kind, Ours, Side, standing_of

NO_PROOF: Final = frozenset({"CAPTURE_REFUNDED", "CAPTURE_PARTIALLY_REFUNDED"})
"""PayPal's capture was refunded, it doesn't say by whom: an empty look-up that proves no absence."""


class Known:
    """Our refunds that a chunk of a list may be about."""

    def __init__(self, rows: Iterable[Ours]) -> None:
        self._by_id: dict[str, Ours] = {}
        self._by_fact: dict[str, Ours] = {}
        self._by_reference: dict[str, Ours] = {}
        for ours in rows:
            self._by_id[ours.refund_id] = ours
            for fact in ours.facts:
                self._by_fact[fact.provider_refund_id] = ours
            other = self._by_reference.get(ours.reference)
            if other is None or _weight(ours) > _weight(other):
                self._by_reference[ours.reference] = ours

    def of(self, listed: ListedRefund) -> Ours | None:
        """Our refund that the provider's was made of: by our mark, else by the provider's id."""
        marked = self._by_id.get(listed.refund_id) if listed.refund_id is not None else None
        return marked or self._by_fact.get(listed.provider_refund_id)

    def of_payment(self, listed: ListedRefund) -> Ours | None:
        """Our refund of the same payment."""
        return self._by_reference.get(listed.reference) if listed.reference is not None else None


def _weight(ours: Ours) -> tuple[bool, datetime, str]:
    """Of several refunds of a payment the one that is alive, else the youngest."""
    return ours.state != "redirected", ours.first_issued_at, ours.refund_id


class Comparison:
    """Takes a list in chunks, in any order; of what was listed it keeps ids alone.

    What changed after `cutoff` is left alone: word of it may be on its way to us, or to the list.
    """

    def __init__(self, cutoff: datetime) -> None:
        self.listed = 0
        self.findings: list[Finding] = []
        self._cutoff = cutoff
        self._seen: set[str] = set()
        self._dead: set[str] = set()
        self._alive: dict[str, str] = {}
        self._twice: dict[str, tuple[Ours, dict[str, Side]]] = {}
        self._asks: dict[tuple[str, str], Ask] = {}
        self._expected = 0
        self._lacking = 0

    def take(self, chunk: Sequence[ListedRefund], known: Known) -> None:
        """The next part of the list, and ours that it may be about."""
        for one in chunk:
            self.listed += 1
            self._seen.add(one.provider_refund_id)
            ours = known.of(one)
            if ours is None:
                self._foreign(one, known.of_payment(one))
                continue
            if one.standing == "failed":
                self._dead.add(one.provider_refund_id)
                self._compare_standing(ours, one)
                continue
            self._note_alive(ours, one)
            if (one.amount_minor, one.currency) == (ours.amount_minor, ours.currency):
                self._compare_standing(ours, one)
            else:
                self.findings.append(_finding("amount_differs", ours, one, flag=True))

    def expect(self, rows: Iterable[tuple[Ours, str]]) -> None:
        """Ours, by the provider's id, that the list had to hold; called once the whole list was taken."""
        for ours, provider_refund_id in rows:
            self._expected += 1
            if provider_refund_id in self._seen:
                continue
            self._lacking += 1
            missing = Finding(
                kind="missing_at_provider",
                ours=ours,
                refund_id=ours.refund_id,
                provider_refund_id=provider_refund_id,
                theirs=None,
                flag=True,
            )
            self._suspect(ours, missing)

    @property
    def expected(self) -> int:
        """How many of ours the list had to hold."""
        return self._expected

    @property
    def lacks_all(self) -> bool:
        """The list holds none of ours: more likely another account's, or empty by mistake, than true."""
        return self._expected >= _ENOUGH and self._lacking == self._expected

    def asks(self) -> list[Ask]:
        """What to ask about, once all was taken; duplicates first: they are money."""
        for ours, listed in self._twice.values():
            self._duplicates(ours, listed)
        asks = [ask for ask in self._asks.values() if not (self.lacks_all and _kind(ask) == "missing_at_provider")]
        return sorted(asks, key=lambda ask: _kind(ask) != "duplicate")

    def _foreign(self, one: ListedRefund, related: Ours | None) -> None:
        """A refund that isn't ours, as far as we know: made in the provider's dashboard, or decided and then lost."""
        if one.standing == "failed" or one.made_at >= self._cutoff:
            return
        if related is not None and _was_told(related, one):
            return
        self.findings.append(_finding("unknown_refund", related, one, flag=related is not None))

    def _note_alive(self, ours: Ours, one: ListedRefund) -> None:
        first = self._alive.setdefault(ours.refund_id, one.provider_refund_id)
        others = {fact.provider_refund_id for fact in ours.facts if fact.alive} | {first}
        if others != {one.provider_refund_id}:
            _, listed = self._twice.setdefault(ours.refund_id, (ours, {}))
            listed[one.provider_refund_id] = _side(one)

    def _duplicates(self, ours: Ours, listed: dict[str, Side]) -> None:
        facts = {fact.provider_refund_id: Side(state=fact.standing) for fact in ours.facts if fact.alive}
        first = self._alive[ours.refund_id]
        alive = {**facts, first: Side(state="alive"), **listed}
        remaining = [provider_refund_id for provider_refund_id in alive if provider_refund_id not in self._dead]
        if len(remaining) <= 1:
            return
        # The one that we count as the refund; the others are too much.
        counted = ours.provider_refund_id if ours.provider_refund_id in remaining else remaining[0]
        for provider_refund_id in remaining:
            if provider_refund_id == counted:
                continue
            found = Finding(
                kind="duplicate",
                ours=ours,
                refund_id=ours.refund_id,
                provider_refund_id=provider_refund_id,
                theirs=alive[provider_refund_id],
                flag=True,
            )
            self._suspect(ours, found)

    def _compare_standing(self, ours: Ours, one: ListedRefund) -> None:
        held = ours.held(one.provider_refund_id)
        if held is None:
            # A failed one that we never heard of moved no money, and matters only where nothing else is known.
            differs = one.made_at < self._cutoff and (one.standing != "failed" or ours.state == "uncertain")
        else:
            differs = RANKS[one.standing] != RANKS[held.standing] and held.heard_at < self._cutoff
        if differs:
            self._suspect(ours, _finding("state_differs", ours, one, flag=True))

    def _suspect(self, ours: Ours, suspected: Finding) -> None:
        """Of several suspicions of one refund of the provider's the last stands: duplicates come last."""
        assert suspected.provider_refund_id is not None
        ask = Ask(ours=ours, provider_refund_id=suspected.provider_refund_id, suspected=suspected)
        self._asks[ours.refund_id, suspected.provider_refund_id] = ask


_ENOUGH: Final = 10
"""So many that are all missing are no accident of single refunds."""


def judge(ask: Ask, answer: Answer) -> Finding | None:
    """What a look-up's answer shows to differ; None where it agrees with what we hold, or says nothing."""
    if answer.outcome == "not_found":
        return _absent(ask, answer)
    standing = standing_of(answer)
    if standing is None:
        return None
    ours = ask.ours
    provider_refund_id = answer.provider_refund_id or ask.provider_refund_id
    held = ours.held(provider_refund_id)
    twice = standing != "failed" and (answer.code == DUPLICATE_REFUNDS or _kind(ask) == "duplicate")
    news = held is None or RANKS[standing] > RANKS[held.standing]
    if held is None and standing == "failed" and ours.state != "uncertain":
        return None
    if held is not None and held.standing == standing and not twice:
        return None
    suspected = ask.suspected
    theirs = suspected.theirs if suspected is not None else None
    return Finding(
        kind="duplicate" if twice else "state_differs",
        ours=ours,
        refund_id=ours.refund_id,
        provider_refund_id=provider_refund_id,
        theirs=replace(theirs, state=standing) if theirs is not None else Side(state=standing),
        # Who decides refunds takes news; what is older than what we hold would change nothing there.
        flag=twice or not news or provider_refund_id is None,
        told=answer if news and provider_refund_id is not None else None,
    )


def _absent(ask: Ask, answer: Answer) -> Finding | None:
    ours = ask.ours
    if ask.provider_refund_id is None:
        alive = ours.state == "succeeded" and answer.code not in NO_PROOF
        if not alive:
            return None
    else:
        held = ours.held(ask.provider_refund_id)
        if held is None:
            # In the list and not to be found: what the list gave reason to believe is for a person.
            return ask.suspected
        alive = held.alive
    return Finding(
        kind="missing_at_provider",
        ours=ours,
        refund_id=ours.refund_id,
        provider_refund_id=ask.provider_refund_id,
        theirs=None,
        flag=alive,
    )


def _kind(ask: Ask) -> Kind | None:
    return ask.suspected.kind if ask.suspected is not None else None


def _was_told(ours: Ours, one: ListedRefund) -> bool:
    before = ours.refunded_before_minor
    return one.currency == ours.currency and was_told(
        one.made_at, one.amount_minor, asked_at=ours.asked_at, refunded_before_minor=before
    )


def _finding(kind: Kind, ours: Ours | None, one: ListedRefund, *, flag: bool) -> Finding:
    return Finding(
        kind=kind,
        ours=ours,
        refund_id=ours.refund_id if ours is not None else one.refund_id,
        provider_refund_id=one.provider_refund_id,
        theirs=_side(one),
        flag=flag,
    )


def _side(one: ListedRefund) -> Side:
    return Side(state=one.standing, amount_minor=one.amount_minor, currency=one.currency)
