"""The audit chain: append-only entries, each bound to the one before by its hash.

hash = SHA-256 over the fields in order (seq, at, actor, what, subject, detail, prev_hash), each led by its length in
bytes as eight bytes, the highest first. Texts are UTF-8, `seq` is decimal, `at` is ISO 8601 in UTC to the microsecond.
The first entry's prev_hash is 32 zero bytes. Who keeps an entry's number and hash elsewhere can prove that nothing up
to it was changed since.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from workers.store.queries import sql

GENESIS: Final = bytes(32)
_LOCK: Final = 0x6175646974  # "audit"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody did something. `what` is noun.verb; `subject` is the id of what it was done to."""

    actor: str
    what: str
    subject: str
    detail: dict[str, Any]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it stands in the chain; `detail` is canonical JSON."""

    seq: int
    at: datetime
    actor: str
    what: str
    subject: str
    detail: str
    prev_hash: bytes
    hash: bytes


def canonical(detail: dict[str, Any]) -> str:
    """JSON with sorted names and no white space: equal details, equal text."""
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(seq: int, at: datetime, actor: str, what: str, subject: str, detail: str, prev_hash: bytes) -> bytes:
    """The hash that binds an entry to all before it."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    made = hashlib.sha256()
    for part in (*(text.encode() for text in (str(seq), moment, actor, what, subject, detail)), prev_hash):
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()


async def append(connection: Any, entries: Sequence[Entry]) -> None:
    """Add entries, within the caller's transaction, which must read what others commit (READ COMMITTED).

    Call it last: from here to the transaction's end everyone else who appends waits.
    """
    if not entries:
        return
    await connection.execute(sql("lock_audit"), _LOCK)
    # In a statement of its own: the lock's own statement began before the others had committed.
    head = await connection.fetchrow(sql("read_audit_head"))
    seq, before = (head["seq"], head["hash"]) if head else (0, GENESIS)
    now = await connection.fetchval(sql("read_clock"))
    rows = []
    for entry in entries:
        seq += 1
        said = (entry.actor, entry.what, entry.subject, canonical(entry.detail))
        made = digest(seq, now, *said, before)
        rows.append((seq, now, *said, before, made))
        before = made
    await connection.copy_records_to_table("audit_entries", records=rows)


async def read_chain(connection: Any) -> AsyncIterator[Link]:
    """All entries in order; within a transaction."""
    async for row in connection.cursor(sql("read_audit_chain"), prefetch=500):
        yield Link(**row)


async def newest_verified(connection: Any, last_seq: int, most: int) -> "Verifier":
    """The newest entries, at most so many, each held against the one before; within a transaction."""
    start = max(last_seq - most, 0)
    before = await connection.fetchval(sql("read_audit_hash"), start) if start else GENESIS
    verifier = Verifier(start, before)
    async for row in connection.cursor(sql("read_audit_chain_after"), start, prefetch=500):
        verifier.take(Link(**row))
    return verifier


class Verifier:
    """Takes the entries in order and keeps what is wrong with the first that doesn't verify."""

    def __init__(self, seq: int = 0, before: bytes | None = GENESIS) -> None:
        """`seq` and `before`: the entry that the first one follows, and its hash."""
        self.broken: str | None = None if before is not None else f"entry {seq} is missing"
        self._seq = seq
        self._hash = before or GENESIS

    def take(self, link: Link) -> None:
        """The next entry. After the first fault nothing more is said: all that follows is in doubt."""
        if self.broken is not None:
            return
        self._seq += 1
        said = (link.actor, link.what, link.subject, link.detail)
        if link.seq != self._seq:
            self.broken = f"entry {self._seq} is missing; the next one is {link.seq}"
        elif link.hash != digest(link.seq, link.at, *said, link.prev_hash):
            self.broken = f"entry {link.seq} ({link.what} of {link.subject}) is not what was appended"
        elif link.prev_hash != self._hash:
            self.broken = f"entry {link.seq} ({link.what} of {link.subject}) doesn't follow the one before it"
        self._hash = link.hash
