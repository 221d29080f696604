"""Telling the simulated providers what was paid, as the real ones know it: a card refund names no currency."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import aiohttp

from schemas.orders import Escrow

_AT_ONCE: Final = 5_000
_DEADLINE_S: Final = 10.0
_SIMULATIONS: Final[Mapping[str, Literal["stripe", "paypal"]]] = {"card": "stripe", "paypal": "paypal"}


class Capture(NamedTuple):
    """A payment, and in which currency it was made."""

    provider: Literal["stripe", "paypal"]
    reference: str
    currency: str


def captures_of(escrow: Escrow) -> list[Capture]:
    """An order's payments that a provider took; the wallet is ours."""
    return [
        Capture(_SIMULATIONS[tender.provider], tender.reference, escrow.currency)
        for tender in escrow.tenders
        if tender.provider in _SIMULATIONS
    ]


async def register(base_url: str, captures: Iterable[Capture]) -> None:
    """In a request or a few; both providers keep one book, so either may be told. Raises aiohttp.ClientError."""
    told: Sequence[Capture] = list(captures)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_DEADLINE_S)) as session:
        for start in range(0, len(told), _AT_ONCE):
            some = [one._asdict() for one in told[start : start + _AT_ONCE]]
            async with session.post(f"{base_url}/_annul/captures", json=some) as response:
                response.raise_for_status()
