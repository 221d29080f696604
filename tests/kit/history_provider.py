"""A provider in memory that behaves as the real ones do, for random histories: keys that are remembered for a while,
refunds that settle, fail or bounce later, answers that get lost, and look-ups by id, by our mark or by the payment.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from schemas.refunds import RefundIssue, RefundLookUp
from workers.providers.answers import DUPLICATE_REFUNDS
from workers.providers.port import Answer

KEPT: Final = {"card": timedelta(hours=24), "paypal": timedelta(days=45)}
Status = Literal["pending", "succeeded", "failed"]
_OUTCOMES: Final[dict[Status, Literal["pending", "succeeded", "declined"]]] = {
    "pending": "pending",
    "succeeded": "succeeded",
    "failed": "declined",
}
Trouble = Literal[
    "refused", "unsent", "lost", "declined", "rejected", "no_funds", "broken", "pending", "failed", "bounced",
    "crash", "stall", "late", "copied", "flagged", "disputed", "outage",
]  # fmt: skip
_DANGEROUS: Final[tuple[tuple[Trouble, ...], ...]] = (
    ("stall", "declined", "late"),
    ("stall", "declined", "unsent"),
    ("stall", "late", "copied"),
    ("stall", "lost", "late"),
    ("stall", "no_funds", "late"),
    ("declined", "flagged", "copied"),
    ("pending", "failed", "late", "copied"),
    ("bounced", "late", "copied"),
    ("disputed", "late", "copied"),
    ("outage", "stall", "lost"),
    ("outage", "flagged", "copied"),
)
"""What is worst together."""
_FULL: Final = {"card": "charge_already_refunded", "paypal": "CAPTURE_FULLY_REFUNDED"}
_NO_FUNDS: Final = {"card": "insufficient_funds", "paypal": "REFUND_FAILED_INSUFFICIENT_FUNDS"}
_CANT_TAKE: Final = {"card": "lost_or_stolen_card", "paypal": "REFUND_NOT_ALLOWED"}
_NOT_ALLOWED: Final = {"card": "charge_not_refundable", "paypal": "REFUND_IS_RESTRICTED"}
_BUSY: Final = {"card": "idempotency_key_in_use", "paypal": "PREVIOUS_REQUEST_IN_PROGRESS"}
_DISPUTED: Final = "charge_for_pending_refund_disputed"


class Entry(msgspec.Struct):
    """A refund in the provider's book."""

    entry_id: str
    refund_id: str | None
    """Ours; None for one that somebody made in the dashboard."""
    reference: str
    amount_minor: int
    status: Status
    made_at: datetime
    code: str | None = None

    @property
    def effective(self) -> bool:
        """Whether the money left, or may yet."""
        return self.status != "failed"


class _Stored(msgspec.Struct):
    """What is remembered under a key."""

    used_at: datetime
    answer: Answer
    entry: Entry | None


class Luck:
    """The history's one source of chance, and how much may still go wrong: what is spent, a history ends well.

    Each history has troubles of its own: some kinds come often in it, some never. Together they come to where no even
    mix would.
    """

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.troubles = source.choice((0, 4, 8, 16, 16, 30, 30, 50))
        self._copies = 100
        self._kinds: dict[Trouble, float] = {kind: source.choice((0, 0.5, 1, 1, 3, 8)) for kind in get_args(Trouble)}
        if source.random() < 0.5:
            self._kinds.update(dict.fromkeys(source.choice(_DANGEROUS), 8))
            self.troubles = 50

    def hits(self, kind: Trouble, share: float) -> bool:
        """Whether trouble of a kind strikes, `share` of the time in an even mix."""
        # The draw is made in any case: what comes after it does not depend on the budget.
        drawn = self.source.random() < min(share * self._kinds[kind], 0.7)
        if not drawn or self.troubles <= 0:
            return False
        self.troubles -= 1
        return True

    def is_late(self) -> bool:
        """Whether a message takes longer than a moment; costs nothing of the budget."""
        return self.source.random() < min(0.2 * self._kinds["late"], 0.7) and self.troubles > 0

    def is_copied(self) -> bool:
        """Whether a message comes again: copies cause copies, so they have a bound of their own."""
        drawn = self.source.random() < min(0.1 * self._kinds["copied"], 0.4)
        if not drawn or self.troubles <= 0 or self._copies <= 0:
            return False
        self._copies -= 1
        return True


class FakeProvider:
    """One provider's book and its keys. `changed` is told of each entry that is new or moved."""

    def __init__(
        self, name: str, luck: Luck, changed: Callable[["FakeProvider", Entry], None], *, forgetful: bool = False
    ) -> None:
        self.name = name
        self.entries: list[Entry] = []
        self.room: dict[str, int | None] = {}
        """What may be refunded of a payment at all; None: more than anyone will ask for."""
        self.refunded_before: set[str] = set()
        self._luck = luck
        self._changed = changed
        self._kept = KEPT[name] / 48 if forgetful else KEPT[name]
        self._keys: dict[str, _Stored] = {}
        self._changed_mind: set[str] = set()

    # ------------------------------------------------------------ moves money

    def issue(self, command: RefundIssue, now: datetime) -> Answer:
        """Carry a refund out, or answer what was answered before."""
        luck, key = self._luck, command.idempotency_key
        if luck.hits("refused", 0.05):
            return Answer(outcome="retryable", code=_BUSY[self.name], retry_after_s=luck.source.choice((None, 2, 60)))
        if luck.hits("unsent", 0.04):
            return Answer(outcome="uncertain", code="http_503")
        stored = self._keys.get(key)
        if stored is not None and now - stored.used_at < self._kept:
            answer = self._again(stored)
        else:
            answer, entry = self._carry_out(command, now)
            if self.name == "card" or entry is not None:
                self._keys[key] = _Stored(now, answer, entry)
            if entry is not None:
                self._changed(self, entry)
        if luck.hits("lost", 0.06):
            return Answer(outcome="uncertain", code=luck.source.choice(("timeout", "connection_lost", "unreadable")))
        return answer

    def _again(self, stored: _Stored) -> Answer:
        """A card's answer is repeated word for word; PayPal tells how the refund stands now."""
        if self.name == "paypal" and stored.entry is not None:
            return answer_of(stored.entry)
        return stored.answer

    def _carry_out(self, command: RefundIssue, now: datetime) -> tuple[Answer, Entry | None]:
        luck = self._luck
        room = self.room.get(command.reference)
        if room is not None and self.out(command.reference) + command.amount_minor > room:
            return Answer(outcome="uncertain", code=_FULL[self.name]), None
        if command.idempotency_key not in self._changed_mind and luck.hits("declined", 0.1):
            if luck.source.random() < 0.8:
                self._changed_mind.add(command.idempotency_key)  # asked again, it would be carried out
            return Answer(outcome="declined", code=_CANT_TAKE[self.name]), None
        if luck.hits("rejected", 0.02):
            return Answer(outcome="rejected", code=_NOT_ALLOWED[self.name]), None
        if luck.hits("no_funds", 0.05):
            return Answer(outcome="retryable", code=_NO_FUNDS[self.name], retry_after_s=600), None
        if luck.hits("broken", 0.02):
            return Answer(outcome="uncertain", code="http_500"), None
        status: Status = "succeeded"
        code = None
        if luck.hits("pending", 0.15):
            status = "pending"
        elif luck.hits("failed", 0.08):
            status, code = "failed", luck.source.choice(("expired_or_canceled_card", "declined", _DISPUTED))
        entry = self.make(command.refund_id, command.reference, command.amount_minor, status, now, code)
        if luck.hits("broken", 0.02):
            return Answer(outcome="uncertain", code="http_500"), entry
        return answer_of(entry), entry

    def make(
        self,
        refund_id: str | None,
        reference: str,
        amount_minor: int,
        status: Status,
        now: datetime,
        code: str | None = None,
    ) -> Entry:
        """Write a refund into the book."""
        entry = Entry(
            entry_id=f"{self.name[0]}re_{len(self.entries) + 1}",
            refund_id=refund_id,
            reference=reference,
            amount_minor=amount_minor,
            status=status,
            made_at=now,
            code=code,
        )
        self.entries.append(entry)
        return entry

    def move(self, entry: Entry, status: Status, code: str | None) -> None:
        """A refund settles, or fails, later; what failed stays so."""
        if entry.status == "failed":
            return
        entry.status, entry.code = status, code
        self._changed(self, entry)

    # ------------------------------------------------------------ tells of it

    def out(self, reference: str) -> int:
        """What of a payment went back, or may yet."""
        return sum(one.amount_minor for one in self.entries if one.reference == reference and one.effective)

    def look_up(self, command: RefundLookUp) -> Answer:
        """What became of a refund."""
        if self._luck.hits("lost", 0.05):
            return Answer(outcome="uncertain", code="timeout")
        if command.provider_refund_id is not None:
            found = next((one for one in self.entries if one.entry_id == command.provider_refund_id), None)
            return answer_of(found) if found is not None else Answer(outcome="not_found", code="resource_missing")
        return self._by_mark(command) if self.name == "card" else self._by_payment(command)

    def _by_mark(self, command: RefundLookUp) -> Answer:
        of_payment = [one for one in self.entries if one.reference == command.reference]
        ours = [one for one in of_payment if one.refund_id == command.refund_id]
        if not ours:
            others = of_payment or command.reference in self.refunded_before
            return Answer(outcome="not_found", code="other_refunds" if others else None)
        best = min(ours, key=lambda one: ("succeeded", "pending", "failed").index(one.status))
        paid = [one for one in ours if one.effective]
        return replace(answer_of(best), code=DUPLICATE_REFUNDS) if len(paid) > 1 else answer_of(best)

    def _by_payment(self, command: RefundLookUp) -> Answer:
        out, room = self.out(command.reference), self.room.get(command.reference)
        if not out and command.reference not in self.refunded_before:
            return Answer(outcome="not_found")
        code = "CAPTURE_REFUNDED" if room is not None and out >= room else "CAPTURE_PARTIALLY_REFUNDED"
        return Answer(outcome="not_found", code=code)


def answer_of(entry: Entry) -> Answer:
    """How an entry is told of."""
    outcome = "rejected" if entry.code == _DISPUTED else _OUTCOMES[entry.status]
    return Answer(outcome=outcome, provider_refund_id=entry.entry_id, code=entry.code)
