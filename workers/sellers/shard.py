"""A partition's sellers: what the table holds of each, and who changed since that was last sent."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from schemas.sellers import SellerStatistics
from workers.domain.averages import Others, Share
from workers.domain.statistics import Told, Totals, is_due, row_of

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder(Totals).decode
SLICE: Final = 500
"""Sellers that are gone over before others get their turn."""


def is_readable(value: bytes) -> bool:
    """Whether a value of the table is one of this version's."""
    try:
        unpack(value)
    except msgspec.MsgspecError:
        return False
    return True


class Changed(msgspec.Struct, frozen=True):
    """A seller to be told of: the row, the table's new value, and what was told before."""

    seller_id: str
    row: SellerStatistics
    value: bytes
    told: Told
    before: Told | None


class Shard:
    """One partition's part of the table. `rows` belongs to the table; values in it are packed `Totals`."""

    def __init__(self, number: int, rows: dict[bytes, bytes]) -> None:
        self.number = number
        self.rows = rows
        self.share = Share()
        self.changed: dict[str, Totals] = {}
        """Totals that differ from what the table holds, or whose row isn't right any more."""
        self.gone: set[str] = set()
        """Sellers that are to leave the table."""
        self.done: int | None = None
        """Every record before this offset is folded."""
        self.adopted = False
        """Whether everything was taken from PostgreSQL that was decided before the partition came here."""
        self.caught_up = False
        """Whether the share holds all of that."""

    def take_share(self, keys: Iterable[bytes]) -> None:
        """Count in what was last told of these sellers."""
        for key in keys:
            told = unpack(self.rows[key]).told
            if told is not None:
                self.share.add(told.cancelled, told.closed)

    def known(self, seller_id: str) -> Totals | None:
        """What is known of a seller, to be read only."""
        totals = self.changed.get(seller_id)
        if totals is None and (packed := self.rows.get(seller_id.encode())) is not None:
            totals = unpack(packed)
        return totals

    def touch(self, seller_id: str) -> Totals:
        """A seller's totals, to be changed."""
        totals = self.changed.get(seller_id)
        if totals is None:
            packed = self.rows.get(seller_id.encode())
            totals = self.changed[seller_id] = unpack(packed) if packed is not None else Totals()
        return totals

    def replace(self, seller_id: str, totals: Totals) -> None:
        """Take what PostgreSQL has in place of what is here; what was told is known all the same."""
        known = self.known(seller_id)
        totals.told = known.told if known is not None else None
        self.changed[seller_id] = totals
        self.gone.discard(seller_id)

    def drop(self, seller_id: str) -> None:
        """The seller leaves the table: there is no such seller."""
        self.changed.pop(seller_id, None)
        self.gone.add(seller_id)

    def slices(self) -> Iterator[list[bytes]]:
        """The keys of all sellers as of now, a slice at a time."""
        keys = iter(list(self.rows))
        while some := list(islice(keys, SLICE)):
            yield some

    def note_due(self, keys: Iterable[bytes], today: int, others: Others | None) -> None:
        """Find those whose row isn't right any more: a day went by, or the others moved."""
        for key in keys:
            packed = self.rows.get(key)
            if packed is None or (seller_id := key.decode()) in self.changed:
                continue
            totals = unpack(packed)
            if is_due(totals, today, others):
                self.changed[seller_id] = totals

    def note_above(self, keys: Iterable[bytes]) -> None:
        """Find those who are above the others' average, so that they are judged anew."""
        for key in keys:
            packed = self.rows.get(key)
            if packed is not None and (totals := unpack(packed)).told is not None and totals.told.above:
                self.changed.setdefault(key.decode(), totals)

    def settle(self, now: datetime, others: Others | None) -> Iterator[Changed]:
        """Put each changed seller into the table and into `others`, and give what is to be sent of it."""
        today = now.toordinal()
        while self.changed:
            seller_id, totals = self.changed.popitem()
            if not totals.seq:
                continue  # nothing was ever decided of the seller
            totals.let_go(today)
            before = totals.told
            row, told = row_of(seller_id, totals, now, others)
            self._count(before, told, others)
            totals.told = told
            value = pack(totals)
            self.rows[seller_id.encode()] = value
            yield Changed(seller_id, row, value, told, before)

    def settle_gone(self, others: Others | None) -> Iterator[str]:
        """Take those that are gone out of the table and out of `others`."""
        while self.gone:
            seller_id = self.gone.pop()
            packed = self.rows.pop(seller_id.encode(), None)
            if packed is not None:
                self._count(unpack(packed).told, None, others)
            yield seller_id

    def _count(self, before: Told | None, after: Told | None, others: Others | None) -> None:
        """Count the seller in with what is told now; the next row may follow before the shares are exchanged."""
        was = (before.cancelled, before.closed) if before is not None else (0, 0)
        now = (after.cancelled, after.closed) if after is not None else (0, 0)
        if was != now:
            self.share.remove(*was)
            self.share.add(*now)
            if others is not None:
                others.change(was, now)
