"""Sellers' statistics over HTTP: the row, and how it comes about. PostgreSQL answers, so any process gives any seller.

It shares its process with the money path: few requests at a time, each for a short while, over connections of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import asyncpg
import msgspec
import structlog
from aiohttp import web

from schemas.base import Id, encode
from schemas.sellers import SellerStatistics
from workers.domain.order_effects import Explanation
from workers.insight.sellers import LAST_SEQ, explanation, statistics
from workers.store.database import Database
from workers.store.queries import sql

log = structlog.get_logger()
_AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_NO_ID: Final = "1-64 characters of A-Z a-z 0-9 _ . : -"

T = TypeVar("T")


class ApiLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what is answered."""

    in_work: int = 2
    """Requests at a time; more are told to come again. The database should be given as many connections."""
    answer_s: float = 5.0
    """An answer that takes longer is given up, the wait for a connection included."""
    page: int = 500
    """Outcomes in an answer at most."""
    page_unasked: int = 50
    """Outcomes in an answer that wasn't told how many."""


class _Refused(Exception):
    """An answer other than 200: a status, and why."""

    def __init__(self, status: HTTPStatus, error: str, retry_after_s: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}


def seller_routes(database: Database, *, partitions: int, limits: ApiLimits | None = None) -> list[web.RouteDef]:
    """The routes. `database` is theirs alone: the money path's connections would be taken away from it.

    `partitions` as the topic of outcomes has: whose average is known once all of them were written.
    """
    api = _SellerApi(database, partitions, limits or ApiLimits())
    return [
        web.get("/api/sellers/{id}/statistics", api.statistics),
        web.get("/api/sellers/{id}/explanation", api.explanation),
    ]


class _SellerApi:
    def __init__(self, database: Database, partitions: int, limits: ApiLimits) -> None:
        self._database = database
        self._partitions = partitions
        self._limits = limits
        self._in_work = 0

    async def statistics(self, request: web.Request) -> web.Response:
        """The row, in the shape of the topic's."""

        async def answer() -> SellerStatistics:
            seller_id = _id(request.match_info["id"], "a seller's id")
            row = await self._ask(lambda connection: statistics(connection, seller_id, self._partitions))
            if row is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing was ever counted for this seller")
            return row

        return await _answered(answer)

    async def explanation(self, request: web.Request) -> web.Response:
        """How the row comes about: `order`, or `limit` outcomes before `before_seq`."""

        async def answer() -> Explanation:
            seller_id = _id(request.match_info["id"], "a seller's id")
            given = request.query.get("order")
            order_id = None if given is None else _id(given, "`order`: an order's id")
            limit = _number(request, "limit", 0, self._limits.page)
            before = _number(request, "before_seq", 1, LAST_SEQ)
            told = await self._ask(
                lambda connection: explanation(
                    connection,
                    seller_id,
                    self._partitions,
                    limit=self._limits.page_unasked if limit is None else limit,
                    order_id=order_id,
                    before_seq=before,
                )
            )
            if told is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing was ever counted for this seller")
            if order_id is not None and told.order is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing was ever counted for this seller of that order")
            return told

        return await _answered(answer)

    async def _ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """What a question comes to, in a snapshot. Raises _Refused where it can't be asked now."""
        if self._in_work >= self._limits.in_work:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many questions at a time", 1)
        self._in_work += 1
        asking = asyncio.create_task(self._read(question))
        try:
            await asyncio.wait((asking,), timeout=self._limits.answer_s)
            if not asking.done():
                asking.cancel()
                # A driver that waits for PostgreSQL's word waits for it even when it is cancelled.
                self._database.abandon()
            return await asking
        except asyncio.CancelledError:
            asking.cancel()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # who asked has gone
            raise _away("TimeoutError") from None
        except _AWAY as error:
            raise _away(type(error).__name__) from None
        finally:
            self._in_work -= 1

    async def _read(self, question: Callable[[Any], Awaitable[T]]) -> T:
        async with self._database.transaction() as connection:
            await connection.execute(sql("begin_reading"))
            return await question(connection)


def _away(error: str) -> _Refused:
    log.warning("statistics.answer_delayed", error=error)
    return _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the database can't be asked now", 5)


async def _answered(answer: Callable[[], Awaitable[msgspec.Struct]]) -> web.Response:
    status, headers = HTTPStatus.OK, {}
    try:
        body = encode(await answer())
    except _Refused as refusal:
        status, headers = refusal.status, refusal.headers
        body = encode({"error": refusal.error})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _id(given: str, what: str) -> str:
    try:
        return msgspec.convert(given, Id)
    except msgspec.ValidationError:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"{what} has {_NO_ID}") from None


def _number(request: web.Request, name: str, least: int, most: int) -> int | None:
    given = request.query.get(name)
    if given is None:
        return None
    if given.isascii() and given.isdecimal() and len(given) <= len(str(most)) and least <= int(given) <= most:
        return int(given)
    raise _Refused(HTTPStatus.BAD_REQUEST, f"`{name}` is a number from {least} to {most}")
