"""Who is advised: sellers' standings, kept in PostgreSQL, where the row lock decides between two processes.

The worker calls, in each flush and *before* it sends the rows:

    await record_standings(database, [Judged(...), ...], now, help_url)   -> how many are advised

with one `Judged` (`workers.domain.advice`: seller_id, above, cancelled, closed, others_average, as_of) for each
seller whose row is to be sent and says that they are above, or says so no more while the last one did. Whoever is
always below may be left out; told of all the same they change nothing. A crash in between repeats the call, and
repeating changes nothing. Any number of sellers: it works through them in parts, one transaction each.

A process that dies after the call and before its rows leaves a standing that no row tells of. Should the one that
follows judge otherwise, nothing flips for it, and the seller would count as above for good: their next crossing would
be none. So the pass that compares the table with PostgreSQL goes over

    async for seller_ids in read_above(database): ...

and says of its own sellers among them whose last row isn't above just that, by `record_standings`; not while a flush
that has called it is still sending, or a crossing that has only begun would end.

Now and then (a minute apart, say) it also asks

    await read_waiting(database, now, mine, limit)   -> seller ids, those only for which `mine` is true

for the sellers that crossed too soon after an advice and whose 30 days are over, and answers with the numbers that it
has of them by another call of `record_standings`, `above` as it is now. Whom it can't judge yet (no average) it leaves
out; they come again the next time.

Errors that pass by themselves (`workers.store.database.is_passing`) are the caller's to wait for: the whole call may be
repeated. The advice is a scheduled message due at once: the worker `timers` sends it to `sellers.advice.v1`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from workers.domain.advice import AT_MOST_EVERY, Judged, Standing, advice_of, decide_standing, numbers_of
from workers.domain.notices.advice import texts_of
from workers.store.database import Database, RaceLostError
from workers.store.recording import Agenda, lock, store

log = structlog.get_logger()
_PART: Final = 2_000
_PAGE: Final = 1_000


async def record_standings(
    database: Database, judged: Sequence[Judged], now: datetime, help_url: str | None = None
) -> int:
    """Keep where sellers stand from now on, and schedule the advice of those who are to have it; how many.

    Of several words on one seller the last holds.
    """
    said = {one.seller_id: one for one in judged}
    parts = sorted(said)
    advised = 0
    for start in range(0, len(parts), _PART):
        part = {seller_id: said[seller_id] for seller_id in parts[start : start + _PART]}
        advised += await _record_part(database, part, now, help_url)
    if advised:
        log.info("advice.scheduled", sellers=advised)
    return advised


async def _record_part(database: Database, said: Mapping[str, Judged], now: datetime, help_url: str | None) -> int:
    """Most of what is said changes nothing, and is left at one look without a lock."""
    rows = await database.fetch("read_standings", list(said))
    known = {row["seller_id"]: Standing(**row) for row in rows}
    changing = {key: one for key, one in said.items() if decide_standing(known.get(key), one, now)[0] != known.get(key)}
    if not changing:
        return 0
    try:
        async with database.transaction() as connection:
            return await _decide(connection, changing, now, help_url)
    except RaceLostError:
        # Another process has made one of the rows: it is there to be locked now.
        async with database.transaction() as connection:
            return await _decide(connection, changing, now, help_url)


async def _decide(connection: Any, said: Mapping[str, Judged], now: datetime, help_url: str | None) -> int:
    known = await lock(connection, "lock_standings", Standing, list(said))
    changed: dict[str, Standing] = {}
    agenda, advised = Agenda(), 0
    for seller_id, judged in said.items():
        standing, advise = decide_standing(known.get(seller_id), judged, now)
        if standing is None or standing == known.get(seller_id):
            continue
        changed[seller_id] = standing
        if advise:
            numbers = numbers_of(judged)
            agenda.note([advice_of(standing, numbers, texts_of(numbers, help_url), now)], (), None)
            advised += 1
    await store(connection, "seller_standings", changed, known)
    await agenda.store(connection)
    return advised


async def read_above(database: Database) -> AsyncIterator[list[str]]:
    """Everyone who stands above by PostgreSQL's word, some at a time, by their ids."""
    after = ""
    while rows := await database.fetch("read_above_standings", after, _PAGE):
        yield [row["seller_id"] for row in rows]
        after = rows[-1]["seller_id"]


async def read_waiting(database: Database, now: datetime, mine: Callable[[str], bool], limit: int = _PAGE) -> list[str]:
    """At most `limit` sellers of `mine` whose crossing has waited for long enough, the longest first.

    Others' are passed over, so that those of a process that is away hold nobody up.
    """
    found: list[str] = []
    after: tuple[datetime | None, str] = (None, "")
    while len(found) < limit:
        rows = await database.fetch("read_waiting_standings", now - AT_MOST_EVERY, *after, _PAGE)
        found += [row["seller_id"] for row in rows if mine(row["seller_id"])]
        if len(rows) < _PAGE:
            break
        after = (rows[-1]["advised_at"], rows[-1]["seller_id"])
    return found[:limit]
