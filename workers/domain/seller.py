"""What counts in a seller's statistics, numbered without a gap (SPEC R5, §6)."""

from datetime import datetime

from msgspec.structs import replace

from schemas.sellers import OutcomeKind, Replaced, SellerOutcome
from schemas.topics import SELLERS_OUTCOMES
from workers.domain.emission import Emission, emission
from workers.domain.order_types import Known, Order, Seller


class Tally:
    """Numbers a seller's outcomes for one order event and keeps the order's account of what it counts as."""

    def __init__(self, known: Known) -> None:
        assert known.seller is not None
        self.order: Order = known.order
        self.seller: Seller = known.seller
        self.outcomes: list[SellerOutcome] = []

    def accepted(self, occurred_at: datetime, *, known_from_event: bool) -> None:
        """The order was accepted; the `accepted` event's own time replaces one that was only implied.

        Of implied times the earliest stands, so that the order in which they are heard doesn't matter.
        """
        counted = self.order.counted_accepted_at
        if counted is None:
            self._add("accepted", occurred_at)
        elif counted != occurred_at and (
            known_from_event or (self.order.accepted_at is None and occurred_at < counted)
        ):
            self._add("accepted", occurred_at, Replaced(outcome="accepted", occurred_at=counted))
        else:
            return
        self.order = replace(self.order, counted_accepted_at=occurred_at)

    def closed(self, outcome: OutcomeKind, occurred_at: datetime) -> None:
        """The order came to its end, or to another end than counted so far."""
        before = self.order.counted_close
        if before == outcome:
            return
        replaced = None
        if before is not None:
            assert self.order.counted_close_at is not None
            replaced = Replaced(outcome=before, occurred_at=self.order.counted_close_at)
        self._add(outcome, occurred_at, replaced)
        self.order = replace(self.order, counted_close=outcome, counted_close_at=occurred_at)

    def never_accepted(self, cancelled_at: datetime) -> None:
        """The acceptance that counts so far came after the cancellation: the cancellation takes its place."""
        counted = self.order.counted_accepted_at
        assert counted is not None
        self._add("cancelled_before_acceptance", cancelled_at, Replaced(outcome="accepted", occurred_at=counted))
        self.order = replace(
            self.order,
            counted_accepted_at=None,
            counted_close="cancelled_before_acceptance",
            counted_close_at=cancelled_at,
        )

    def _add(self, outcome: OutcomeKind, occurred_at: datetime, replaces: Replaced | None = None) -> None:
        self.seller = replace(self.seller, seq=self.seller.seq + 1)
        self.outcomes.append(
            SellerOutcome(
                seller_id=self.seller.seller_id,
                order_id=self.order.order_id,
                seq=self.seller.seq,
                outcome=outcome,
                occurred_at=occurred_at,
                replaces=replaces,
            )
        )

    def known(self, known: Known) -> Known:
        """`known` with this order and seller."""
        return replace(known, order=self.order, seller=self.seller)


def numbered(outcome: SellerOutcome, after: int) -> SellerOutcome:
    """An outcome that was counted from 1 within a batch, numbered on after the seller's outcome `after`."""
    return replace(outcome, seq=after + outcome.seq) if after else outcome


def told(outcome: SellerOutcome, now: datetime) -> Emission:
    """`seller.outcome`, once it has its number."""
    cause = (outcome.seller_id, str(outcome.seq))
    return emission(SELLERS_OUTCOMES, outcome.seller_id, "seller.outcome", outcome, now, *cause)
