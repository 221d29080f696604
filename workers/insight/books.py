"""Our refunds held against the books of the simulated providers: the only ones that can tell the whole truth.

A refund whose answer, or the failure of a pending one, is still on its way is no contradiction yet: it is counted as
in flight, and one that waits for a person as in review. What remains is looked at again before it is told, since both
sides move meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from workers.insight.violations import MOST_VIOLATIONS, Violation
from workers.providers.amounts import NotExpressible, paypal_value, stripe_minor
from workers.settings import Settings, SettingsError
from workers.store.queries import sql

_LOOKS: Final = 3
_BETWEEN_LOOKS_S: Final = 1.5
_DEADLINE_S: Final = 30.0
_PROVIDERS: Final = {"card": "stripe", "paypal": "paypal"}
_SETTLED: Final = frozenset({"succeeded", "pending"})
_OPEN: Final = frozenset({"requested", "retrying", "uncertain"})


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as a provider's book has it; `amount` in the provider's minor unit."""

    id: str
    provider: str
    reference: str
    amount: int
    currency: str
    refund_id: str | None
    idempotency_key: str | None
    status: str
    effective: bool


class _Page(msgspec.Struct, frozen=True):
    refunds: list[Entry]


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as we have it."""

    refund_id: str
    provider: str
    reference: str
    amount_minor: int
    currency: str
    idempotency_key: str
    state: str
    provider_refund_id: str | None
    claimed: bool


async def check_books(connection: Any, settings: Settings) -> tuple[list[Violation], dict[str, int]]:
    """What doesn't agree, and how many refunds the books hold, are in flight and in review.

    Raises SettingsError where a provider keeps no book, as the real ones do not.
    """
    lasting: list[Violation] = []
    counts: dict[str, int] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_DEADLINE_S)) as session:
        for look in range(_LOOKS):
            ours = [Ours(**row) for row in await connection.fetch(sql("read_provider_refunds"))]
            entries = await _books(session, (settings.stripe_api_base, settings.paypal_api_base))
            found, counts = compare(ours, entries)
            before = {violation.subject for violation in lasting}
            lasting = [violation for violation in found if not look or violation.subject in before]
            if not lasting:
                break
            if look < _LOOKS - 1:
                await asyncio.sleep(_BETWEEN_LOOKS_S)
    return lasting[:MOST_VIOLATIONS], counts


async def _books(session: aiohttp.ClientSession, bases: Iterable[str]) -> list[Entry]:
    """All entries; one world may be served under both addresses."""
    entries: dict[tuple[str, str], Entry] = {}
    for base in dict.fromkeys(bases):
        try:
            async with session.get(f"{base}/_annul/book") as response:
                response.raise_for_status()
                page = msgspec.json.decode(await response.read(), type=_Page)
        except (aiohttp.ClientResponseError, msgspec.MsgspecError) as error:
            raise SettingsError(f"{base} keeps no book; only the simulated providers do") from error
        entries |= {(entry.provider, entry.id): entry for entry in page.refunds}
    return list(entries.values())


def compare(ours: Sequence[Ours], entries: Sequence[Entry]) -> tuple[list[Violation], dict[str, int]]:
    """Each side held against the other."""
    by_id = {refund.refund_id: refund for refund in ours}
    by_key = {refund.idempotency_key: refund for refund in ours}
    of_refund: dict[str, list[Entry]] = {}
    found = []
    for entry in entries:
        refund = by_id.get(entry.refund_id or "") or by_key.get(entry.idempotency_key or "")
        if refund is not None:
            of_refund.setdefault(refund.refund_id, []).append(entry)
        elif entry.effective:
            found.append(_wrong(entry.id, f"{entry.provider} refunded {entry.reference}, and no refund of ours did"))
    tally: Counter[str] = Counter()
    for refund in ours:
        found += _compare(refund, of_refund.get(refund.refund_id, []), tally)
    counts = {
        "effective": sum(entry.effective for entry in entries),
        "in_flight": tally["in_flight"],
        "in_review": tally["in_review"],
    }
    return found, counts


def _compare(refund: Ours, entries: Sequence[Entry], tally: Counter[str]) -> list[Violation]:
    subject = refund.refund_id
    effective = [entry for entry in entries if entry.effective]
    if len(effective) > 1:
        ids = ", ".join(entry.id for entry in effective)
        return [_wrong(subject, f"{len(effective)} refunds at the provider: {ids}")]
    if not effective:
        if refund.state == "pending" and entries:
            tally["in_flight"] += 1  # it failed, and the next look-up hears of it
        elif refund.state in _SETTLED:
            told = f"{entries[-1].status} in the book as {entries[-1].id}" if entries else "and not in the book"
            return [_wrong(subject, f"{refund.state} here, {told}")]
        return []
    (entry,) = effective
    found = [_wrong(subject, f"{entry.id}: {detail}") for detail in _differences(refund, entry)]
    if refund.state in _OPEN and refund.claimed:
        tally["in_flight"] += 1
    elif refund.state == "needs_review":
        tally["in_review"] += 1
    elif refund.state not in _SETTLED:
        found.append(_wrong(subject, f"{refund.state} here, {entry.status} in the book as {entry.id}"))
    return found


def _differences(refund: Ours, entry: Entry) -> Iterable[str]:
    if (entry.provider, entry.reference) != (_PROVIDERS[refund.provider], refund.reference):
        yield f"made of {entry.provider} {entry.reference}, not of {refund.provider} {refund.reference}"
    if refund.provider_refund_id not in (None, entry.id):
        yield f"we know it as {refund.provider_refund_id}"
    # A card refund names no currency: it is the capture's.
    if refund.provider == "paypal" and entry.currency != refund.currency:
        yield f"made in {entry.currency}, not in {refund.currency}"
    try:
        due = _provider_minor(refund)
    except NotExpressible as error:
        yield f"an amount that the provider can't take: {error}"
        return
    if entry.amount != due:
        yield f"{entry.amount} in the provider's minor unit, {due} is due"


def _provider_minor(refund: Ours) -> int:
    if refund.provider == "card":
        return stripe_minor(refund.amount_minor, refund.currency)
    return int(paypal_value(refund.amount_minor, refund.currency).replace(".", ""))


def _wrong(subject: str, detail: str) -> Violation:
    return Violation("BOOK", subject, detail)
