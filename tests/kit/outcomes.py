"""Random outcomes of a seller, numbered as the rules number them, and what they come to by brute force."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import strategies as st

from kit.builders import outcome
from schemas.sellers import Replaced, SellerOutcome
from workers.domain.statistics import KINDS, WINDOWS

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_TIMES: Final = tuple(timedelta(**span) for span in ({}, {"hours": 12}, {"days": 1, "microseconds": -1}))
_CLOSES: Final = KINDS[1:]

Windows = dict[int, list[int]]


@st.composite
def outcomes(draw: st.DrawFn, days: int = 200, most: int = 25) -> list[SellerOutcome]:
    """Some outcomes of the first `days` days from `START`, in no order of time; some take back what stands."""
    made: list[SellerOutcome] = []
    standing: list[Replaced] = []
    for seq in range(1, draw(st.integers(0, most)) + 1):
        taken = None
        if standing and draw(st.integers(0, 2)) == 0:
            taken = standing.pop(draw(st.integers(0, len(standing) - 1)))
        kind = draw(st.sampled_from(KINDS if taken is None or taken.outcome == "accepted" else _CLOSES))
        when = START + timedelta(days=draw(st.integers(0, days - 1))) + draw(st.sampled_from(_TIMES))
        standing.append(Replaced(outcome=kind, occurred_at=when))
        made.append(outcome(seq, kind, occurred_at=when, replaces=taken))
    return made


def counts_of(found: Iterable[SellerOutcome], first: int = 0, last: int = 10**7) -> list[int]:
    """What outcomes come to on the days from `first` to `last`, corrections taken off; days are ordinals."""
    counts = dict.fromkeys(KINDS, 0)
    for one in found:
        if first <= one.occurred_at.toordinal() <= last:
            counts[one.outcome] += 1
        if one.replaces is not None and first <= one.replaces.occurred_at.toordinal() <= last:
            counts[one.replaces.outcome] -= 1
    return list(counts.values())


def windows_of(found: Sequence[SellerOutcome], today: int) -> Windows:
    """What they come to in each window."""
    return {length: counts_of(found, today - length + 1, today) for length in WINDOWS.values()}
