"""The way of a request through a simulated provider, the same for both: door, key, work, answer."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from workers.providers.simulated.book import Book, Entry
from workers.providers.simulated.fault_table import Fault
from workers.providers.simulated.faults import Faults, Provider
from workers.providers.simulated.keys import Keys, Stored
from workers.providers.simulated.wire import Dropped, Reply, Request, Settings

_FLOOD: Final = 2 * 1_048_576
_REMEMBERED: Final = 10_000


class World:
    """What both providers share: the book, the faults, time and chance."""

    def __init__(self, settings: Settings, rng: random.Random, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.rng = rng
        self.clock = clock
        self.book = Book(rng, settings.captured)
        self.faults = Faults(rng, settings.fault_rate, settings.random_faults)
        self.closing = asyncio.Event()
        self._outages: dict[Provider, tuple[Fault, float]] = {}

    def begin_outage(self, provider: Provider, fault: Fault, for_s: float | None) -> None:
        """From now on every request meets this fault at the door, for a while or until it is told to end."""
        assert fault.stage == "door"
        until = float("inf") if for_s is None else self.clock() + for_s
        self._outages[provider] = (fault, until)

    def end_outage(self, provider: Provider) -> None:
        """The provider is back."""
        self._outages.pop(provider, None)

    def outage(self, provider: Provider) -> Fault | None:
        """What every request meets now, if anything."""
        fault, until = self._outages.get(provider, (None, 0.0))
        return fault if self.clock() < until else None

    async def hold(self, seconds: float) -> None:
        """Let time pass, no longer than the servers live."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a refund that passed validation; `fingerprint` is what must not change under one key."""

    reference: str
    amount: int
    currency: str | None
    refund_id: str | None
    order_id: str | None
    key: str | None
    fingerprint: str
    sent: dict[str, str]
    whole: bool = True
    """Whether the caller wants the whole refund back (PayPal's `Prefer`)."""


class Simulator(ABC):
    """A provider without sockets: a request in, a reply out, or `Dropped`."""

    provider: Provider
    stores_errors: bool

    def __init__(self, world: World, key_ttl_s: float) -> None:
        self.world = world
        self.book = world.book
        self.keys = Keys(key_ttl_s, world.clock)
        self.received: deque[Request] = deque(maxlen=_REMEMBERED)
        """The latest requests, for tests."""

    async def handle(self, request: Request) -> Reply:
        """Answer a request. Raises `Dropped` where the connection is to be cut."""
        self.received.append(request)
        refused = await self._at_door(self.world.outage(self.provider))
        return refused if refused is not None else await self.route(request)

    @abstractmethod
    async def route(self, request: Request) -> Reply:
        """Authenticate, validate, and answer."""

    @abstractmethod
    def refusal(self, fault: Fault) -> Reply:
        """A fault in the provider's words."""

    @abstractmethod
    def refuses(self, post: Post) -> Fault | None:
        """Why the provider won't make this refund: disputes, amounts left, currency."""

    @abstractmethod
    def shown(self, entry: Entry, status: int, *, whole: bool) -> Reply:
        """A refund as the provider shows it."""

    @abstractmethod
    def in_progress(self) -> Reply:
        """Another request under this key runs."""

    @abstractmethod
    def key_misused(self) -> Reply:
        """The key was used with other parameters."""

    @abstractmethod
    def replayed(self, stored: Stored, post: Post) -> Reply:
        """The answer to a key that was used before."""

    @property
    @abstractmethod
    def made_status(self) -> int:
        """The HTTP status of a refund just made."""

    async def make(self, post: Post) -> Reply:
        """Carry out a request for a refund, with the fault that it meets."""
        fault = self.world.faults.draw(self.provider, post.reference, look_up=False)
        refused = await self._at_door(fault)
        if refused is not None:
            return refused
        stored = self.keys.find(post.key)
        if stored is None:
            reply = await self._work(post, fault)
        elif stored.fingerprint != post.fingerprint:
            return self.key_misused()
        elif stored.reply is None:
            return self.in_progress()
        else:
            reply = self.replayed(stored, post)
        return await self._answered(fault, reply)

    async def look_up(self, reference: str, reply: Reply) -> Reply:
        """Answer a request that moves no money, with the fault that it meets."""
        fault = self.world.faults.draw(self.provider, reference, look_up=True)
        refused = await self._at_door(fault)
        if refused is not None:
            return refused
        await self._latency()
        return await self._answered(fault, reply)

    async def _at_door(self, fault: Fault | None) -> Reply | None:
        if fault is None or fault.stage != "door":
            return None
        settings = self.world.settings
        match fault.act:
            case "refuse":
                return self.refusal(fault)
            case "wait":
                await self.world.hold(settings.slow_s)
                return None
            case "late":
                await self.world.hold(settings.late_s)
                return None
            case "hang":
                await self.world.hold(settings.hang_s)
                raise Dropped
            case _:
                raise Dropped

    async def _work(self, post: Post, fault: Fault | None) -> Reply:
        self.keys.begin(post.key, post.fingerprint)
        done = False
        try:
            await self._latency()
            refusal = fault if fault is not None and fault.stage == "work" else self.refuses(post)
            if refusal is not None:
                reply, entry = self.refusal(refusal), None
            else:
                entry = self._write(post, fault)
                reply = self.shown(entry, self.made_status, whole=post.whole)
            if fault is not None and fault.act == "break" and self.stores_errors:
                reply = self.refusal(fault)
            done = entry is not None or self.stores_errors
            if done:
                self.keys.finish(post.key, reply, entry)
        finally:
            if not done:
                self.keys.forget(post.key)
        return reply

    def _write(self, post: Post, fault: Fault | None) -> Entry:
        life = fault.life if fault is not None and fault.life else ("succeeded",)
        reason = fault.reason if fault is not None else None
        known = self.book.captured(self.provider, post.reference)
        entry = Entry(
            id=self.book.new_id(self.provider),
            provider=self.provider,
            reference=post.reference,
            amount=post.amount,
            currency=(post.currency or known.currency or self.world.settings.currency).upper(),
            refund_id=post.refund_id,
            order_id=post.order_id,
            idempotency_key=post.key,
            status=life[0],
            # A bounce's reason belongs to its end, a pending refund's own reason to its beginning.
            reason=reason if len(life) == 1 or life[-1] == "succeeded" else None,
            created=int(self.world.clock()),
            sent=post.sent,
        )
        self.book.add(entry)
        for status in life[1:]:
            end_reason = reason if status == "failed" else None
            asyncio.get_running_loop().call_later(
                self.world.settings.settle_after_s, self._settle, entry, life[0], status, end_reason
            )
        return entry

    def _settle(self, entry: Entry, before: str, status: str, reason: str | None) -> None:
        # Somebody may have moved it by hand meanwhile.
        if entry.status == before and not self.world.closing.is_set():
            self.book.move(entry.id, status, reason)

    async def _answered(self, fault: Fault | None, reply: Reply) -> Reply:
        if fault is None or fault.stage != "answer":
            return reply
        settings = self.world.settings
        match fault.act:
            case "break":
                return self.refusal(fault)
            case "garble":
                return Reply(status=reply.status, headers=reply.headers, body=reply.body[: len(reply.body) // 2])
            case "flood":
                return Reply(status=reply.status, headers=reply.headers, body=b" " * _FLOOD + reply.body)
            case "wait":
                await self.world.hold(settings.slow_s)
                return reply
            case "hang":
                await self.world.hold(settings.hang_s)
                raise Dropped
            case _:
                raise Dropped

    async def _latency(self) -> None:
        mean = self.world.settings.latency_s
        if mean > 0:
            await self.world.hold(mean * (0.5 + self.world.rng.random()))
