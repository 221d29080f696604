"""What a notice is made of, and what is known while one is decided. It has no language until it is written."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal, NamedTuple

import msgspec

from schemas.notifications import About
from workers.domain.ids import derived
from workers.domain.order_types import Conversation, Order
from workers.domain.payout import Payout

Kind = Literal["client", "seller"]
UNKNOWN_LOCALE = "en"


class Amount(NamedTuple):
    """Money in the currency's minor unit."""

    minor: int
    currency: str


class Word(NamedTuple):
    """A word or phrase of the texts, by its key."""

    key: str


class Rate(NamedTuple):
    """A share of a whole, written in per cent with at most `places` decimals."""

    share: float
    places: int = 1


Value = Amount | Word | Rate | datetime | date | int | str


class Line(msgspec.Struct, frozen=True):
    """A paragraph by its key in the texts, and what stands in it."""

    key: str
    values: dict[str, Value] = msgspec.field(default_factory=dict)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One fact for one person. `also` names other facts that this notice tells, which then are told no more."""

    notification_id: str
    kind: Kind
    recipient_id: str
    locale: str
    about: About
    order_id: str | None
    """None of what is about no single order."""
    subject: Line
    body: tuple[Line, ...]
    facts: dict[str, str | int | bool | None]
    also: tuple[str, ...] = ()


class RefundNow(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as it is while a notice is decided, which may be later than what the message says."""

    refund_id: str
    order_id: str
    provider: str
    amount_minor: int
    currency: str
    state: str
    settled_at: datetime | None
    visible_by: date | None
    redirected_to: str | None
    revision: int

    @property
    def place(self) -> Word:
        """Where it goes, as the client calls it."""
        return Word(f"place.{self.provider}")

    @property
    def amount(self) -> Amount:
        """How much."""
        return Amount(self.amount_minor, self.currency)

    @property
    def has_arrived(self) -> bool:
        """Whether the client has the money: only then is anybody told so."""
        paid = self.settled_at is not None and self.state in ("succeeded", "needs_review")
        return paid or self.state == "settled_elsewhere"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known as a message is decided, later news included."""

    now: datetime
    order: Order
    refunds: tuple[RefundNow, ...] = ()
    conversation: Conversation | None = None
    payout: Payout | None = None
    bounces: Mapping[str, tuple[int, ...]] = {}
    """The revisions at which each refund bounced."""
    told: Mapping[str, datetime] = {}
    """Which notices were given before, and when."""
    help_url: str | None = None

    def recipient(self, kind: Kind) -> str | None:
        """Whom the order names, if it does."""
        if kind == "client":
            return self.order.client_id
        return self.order.seller_id or (self.payout.seller_id if self.payout is not None else None)

    def locale(self, kind: Kind) -> str:
        """The recorded locale of a side."""
        recorded = self.order.client_locale if kind == "client" else self.order.seller_locale
        return recorded or UNKNOWN_LOCALE

    def refund(self, refund_id: str | None) -> RefundNow | None:
        """One of the order's refunds."""
        return next((refund for refund in self.refunds if refund.refund_id == refund_id), None)

    def bounced_before(self, refund_id: str, revision: int) -> int:
        """How often a refund had bounced before a revision: each success after one is news again."""
        return sum(at < revision for at in self.bounces.get(refund_id, ()))

    def bounced_since(self, refund_id: str, revision: int) -> bool:
        """Whether a success at a revision has been taken back."""
        return any(at > revision for at in self.bounces.get(refund_id, ()))


def notice_id(kind: Kind, *fact: str) -> str:
    """The same fact for the same side has the same id, whatever message brought it."""
    return derived("ntf", kind, *fact)


def notice(
    known: Known,
    kind: Kind,
    fact: tuple[str, ...],
    about: About,
    *,
    subject: Line,
    body: tuple[Line, ...],
    facts: dict[str, str | int | bool | None],
    also: tuple[str, ...] = (),
) -> Notice | None:
    """A notice for one side; None where nobody knows who that is."""
    recipient_id = known.recipient(kind)
    if recipient_id is None:
        return None
    return Notice(
        notification_id=notice_id(kind, *fact),
        kind=kind,
        recipient_id=recipient_id,
        locale=known.locale(kind),
        about=about,
        order_id=known.order.order_id,
        subject=subject,
        body=body,
        facts={"fact": fact[0], **facts},
        also=also,
    )
