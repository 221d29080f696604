"""A small world in which one random history takes place: real handlers on a real database, everything else simulated.

Time is a heap of what happens next. Messages are letters that come now, later, or again; processes stop between any
two steps; one source of chance decides, so that a seed tells the whole history.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, Protocol

import msgspec

from kit.history_provider import Luck
from schemas.base import Message
from schemas.envelope import Envelope
from schemas.refunds import RefundIssue
from schemas.topics import BY_NAME
from workers.cancellations import Cancellations
from workers.consumers import CONSUMERS
from workers.domain.emission import Emission
from workers.domain.policy import Policy
from workers.payouts import Payouts
from workers.pipeline.messages import Handler, Incoming, Verdict, unpack_one
from workers.pipeline.ports import Partition, Record
from workers.refunds import Refunds
from workers.store.database import columns
from workers.store.queries import sql
from workers.wallet import Wallet

START: Final = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
_RECORD: Final = Record(Partition("anywhere", 0), 0, None, b"", ())
_WORKERS: Final = ("cancellations", "refunds", "payouts", "wallet", "card", "paypal")
_READER: Final = {topic.name: name for name in _WORKERS for topic in CONSUMERS[name]}
_NO_TIME: Final = timedelta(0)
_MOST_EVENTS: Final = 3000
_FIRE: Final = """UPDATE scheduled_messages SET state = 'firing', firing_since = annul_now()
 WHERE subject = ANY($1::text[]) AND due_at <= annul_now()
   AND (state = 'waiting' OR (state = 'firing' AND firing_since < annul_now() - interval '30 s'))
RETURNING schedule_id, revision, due_at, message"""
_NEXT: Final = """SELECT min(CASE state WHEN 'waiting' THEN due_at ELSE firing_since + interval '31 s' END)
  FROM scheduled_messages WHERE subject = ANY($1::text[]) AND state IN ('waiting', 'firing')"""


class CrashError(Exception):
    """A process ends before its transaction commits."""


class Letter(msgspec.Struct, frozen=True):
    """A message on its way to a worker."""

    reader: str
    message_id: str
    type: str
    data: Any


class Adapters(Protocol):
    """Those of the providers outside."""

    async def record(self, name: str, batch: Sequence[Incoming]) -> Sequence[Verdict]:
        """Claim."""
        ...

    def begin(self, call: Any) -> None:
        """Call."""
        ...


class World:
    """One history under way."""

    def __init__(self, seed: int, connection: Any, policy: Policy) -> None:
        self.seed = seed
        self.source = random.Random(seed)
        self.luck = Luck(self.source)
        self.connection = connection
        self.policy = policy
        self.now = START
        self.log: list[str] = []
        self.tally: Counter[str] = Counter()
        self.verdicts: list[tuple[Letter, Verdict]] = []
        self.subjects: list[str] = []
        self.on_emission: list[Callable[[Emission], None]] = []
        self.on_verdict: list[Callable[[Letter, Verdict], None]] = []
        self.adapters: Adapters
        """Set by who knows the providers."""
        self._numbers = count()
        self._events: list[tuple[datetime, int, str, Callable[[], Awaitable[None] | None]]] = []
        self._inbox: dict[str, list[Letter]] = defaultdict(list)
        self._timer_at: datetime | None = None
        self._outage: dict[str, tuple[datetime, datetime]] = {}
        if self.luck.hits("outage", 0.2):
            begins = START + timedelta(minutes=self.source.choice((0, self.source.uniform(0, 6), 20)))
            lasts = timedelta(hours=self.source.choice((0.3, 6, 26, 60)))
            self._outage[self.source.choice(("card", "card", "paypal", "wallet", "refunds"))] = begins, begins + lasts
        lease = timedelta(seconds=policy.refunds.lease_s)
        self._handlers: dict[str, Handler] = {
            "cancellations": Cancellations(policy),
            "refunds": Refunds(policy.refunds, random.Random(seed + 1)),
            "payouts": Payouts(),
            "wallet": Wallet("wallet", lease),
        }

    # ------------------------------------------------------------ time

    def at(self, delay: timedelta, what: str, act: Callable[[], Awaitable[None] | None]) -> None:
        """Something will happen."""
        heapq.heappush(self._events, (self.now + max(delay, _NO_TIME), next(self._numbers), what, act))

    def note(self, text: str) -> None:
        """A line of the history."""
        self.log.append(f"{self.now - START!s:>24}  {text}")

    async def run(self, steps: int | None = None) -> bool:
        """Let so many events happen, or all; whether anything is left."""
        taken = 0
        while self._events and (steps is None or taken < steps):
            taken += 1
            self.tally["events"] += 1
            assert self.tally["events"] < _MOST_EVENTS, "the history does not come to rest"
            at, _, what, act = heapq.heappop(self._events)
            await self.set_clock(at)
            if what:
                self.note(what)
            going = act()
            if going is not None:
                await going
        return bool(self._events)

    async def set_clock(self, at: datetime) -> None:
        """It is `at` for everyone on this connection."""
        self.now = at
        await self.connection.execute("SELECT set_config('annul.now', $1, false)", at.isoformat())

    def span(self) -> timedelta:
        """How long something takes: mostly a moment, sometimes hours, seldom weeks."""
        if not self.luck.is_late():
            return timedelta(seconds=self.source.uniform(0.05, 2))
        drawn = self.source.random()
        if drawn < 0.3:
            return timedelta(seconds=self.source.uniform(2, 90))
        if drawn < 0.8:
            return timedelta(minutes=self.source.uniform(1.5, 40))
        if drawn < 0.96:
            return timedelta(hours=self.source.uniform(1, 48))
        return timedelta(days=self.source.uniform(2, 20))

    # ------------------------------------------------------------ letters

    def post(self, topic: str, type_: str, message_id: str, data: Message, delay: timedelta | None = None) -> None:
        """A message is in Kafka: read after a while, perhaps again after a longer one."""
        reader = _READER.get(topic)
        if reader is None:
            return  # read by workers that decide nothing about money
        letter = Letter(reader, message_id, type_, data)
        self._send(letter, delay if delay is not None else self.span())
        while self.luck.is_copied():
            self._send(letter, self.span() + self.span())
            self.tally["copies"] += 1

    def _send(self, letter: Letter, delay: timedelta) -> None:
        def come() -> Awaitable[None] | None:
            begins, ends = self._outage.get(letter.reader, (self.now, self.now))
            if begins <= self.now < ends:
                self._send(letter, ends - self.now + timedelta(seconds=self.source.uniform(0, 5)))
                return None
            self._inbox[letter.reader].append(letter)
            return self._read(letter.reader)

        self.at(delay, "", come)

    async def _read(self, reader: str) -> None:
        """The worker takes what has come; now and then it waits for more and takes it at once."""
        if len(self._inbox[reader]) == 1 and self.source.random() < 0.15:
            self.at(timedelta(seconds=self.source.uniform(0.5, 3)), "", lambda: self._take(reader))
        else:
            await self._take(reader)

    async def _take(self, reader: str) -> None:
        batch, self._inbox[reader] = self._inbox[reader], []
        if not batch:
            return
        told = ", ".join(f"{one.type} {short(one.data)}" for one in batch)
        fate = "commits"
        if self.luck.hits("crash", 0.03):
            fate = "dies before it commits"
        elif self.luck.hits("crash", 0.04):
            fate = "commits, and dies before it sends"
        self.note(f"{reader} reads {told}" + (f"; {fate}" if fate != "commits" else ""))
        self.tally["transactions"] += 1
        verdicts: Sequence[Verdict] = ()
        try:
            async with self.connection.transaction():
                verdicts = await self._decide(reader, batch)
                if fate == "dies before it commits":
                    raise CrashError  # noqa: TRY301 - it stands for a process that ends here
        except CrashError:
            self.tally["crashes"] += 1
            for letter in batch:
                self._send(letter, timedelta(seconds=self.source.uniform(5, 60)))
            return
        self._follow(batch, verdicts, alive=fate == "commits")
        if reader in ("cancellations", "refunds"):
            await self._plan_timers()

    async def _decide(self, reader: str, batch: list[Letter]) -> Sequence[Verdict]:
        incoming = [Incoming(_RECORD, Envelope(one.message_id, "/x", one.type, None, None), one.data) for one in batch]
        if reader in self._handlers:
            return await self._handlers[reader].record(self.connection, incoming, self.now)
        return await self.adapters.record(reader, incoming)

    def _follow(self, batch: Sequence[Letter], verdicts: Sequence[Verdict], *, alive: bool) -> None:
        """What was decided is sent: at once, or as it was recorded, by whoever takes over."""
        late = _NO_TIME if alive else timedelta(seconds=self.source.choice((15, 60, 3600, 40_000)))
        again = not alive and self.source.random() < 0.5
        for letter, verdict in zip(batch, verdicts, strict=True):
            fault = f" ({verdict.fault.reason})" if verdict.fault else ""
            self.note(f"    {verdict.label}{fault}: " + (", ".join(map(_told, verdict.emissions)) or "nothing sent"))
            self.verdicts.append((letter, verdict))
            self.tally[f"{letter.reader} {verdict.label}"] += 1
            for heard in self.on_verdict:
                heard(letter, verdict)
            for emission in verdict.emissions:
                self.emit(emission, late)
                if again:
                    self.emit(emission, late * 2)
            if letter.reader in ("card", "paypal") and verdict.effect is not None and alive:
                self.adapters.begin(verdict.effect)

    def emit(self, emission: Emission, late: timedelta = _NO_TIME) -> None:
        """Something is sent."""
        if isinstance(emission.data, RefundIssue) and emission.data.refund_id not in self.subjects:
            self.subjects.append(emission.data.refund_id)
        for heard in self.on_emission:
            heard(emission)
        self.post(emission.topic, emission.type, emission.id, emission.data, late + self.span())

    # ------------------------------------------------------------ timers

    async def _plan_timers(self) -> None:
        due_at = await self.connection.fetchval(_NEXT, self.subjects)
        if due_at is None or (self._timer_at is not None and self._timer_at <= due_at and self._timer_at > self.now):
            return
        drawn = self.source.random()
        late = timedelta(seconds=self.source.uniform(0, 0.5))
        if drawn > 0.8 and self.luck.troubles > 0:
            late = timedelta(seconds=self.source.uniform(0, 60 if drawn < 0.95 else 20_000))
        planned = self._timer_at = max(due_at, self.now) + late
        self.at(planned - self.now, "", lambda: self._fire(planned))

    async def _fire(self, planned: datetime) -> None:
        if planned != self._timer_at:
            return  # something was due sooner
        rows = await self.connection.fetch(_FIRE, self.subjects)
        dies = bool(rows) and self.luck.hits("crash", 0.05)
        for row in sorted(rows, key=lambda row: (row["due_at"], row["schedule_id"])):
            sent = unpack_one(row["message"])
            headers = dict(sent.headers)
            type_, message_id = headers["ce_type"].decode(), headers["ce_id"].decode()
            self.note(f"timers fire {row['schedule_id']} ({row['revision']}){', and die' if dies else ''}")
            self.post(sent.topic, type_, message_id, BY_NAME[sent.topic].decoders()[type_].decode(sent.value or b""))
        if rows and not dies:
            marks = [(row["schedule_id"], row["revision"], row["due_at"]) for row in rows]
            await self.connection.execute(sql("mark_fired"), *columns(marks, 3))
        self._timer_at = None
        await self._plan_timers()


def short(data: Any) -> str:
    """What a message is about, in a few words."""
    names = (
        "refund_id", "order_id", "attempt", "look_up_no", "outcome", "via", "provider_refund_id", "provider_code",
        "revision", "code", "state", "payout_id", "action_id",
    )  # fmt: skip
    found = {name: getattr(data, name, None) for name in names}
    if found["refund_id"]:
        found["order_id"] = None
        found["refund_id"] = found["refund_id"][:10]
    return " ".join(f"{value}" if name.endswith("_id") else f"{name}={value}" for name, value in found.items() if value)


def _told(emission: Emission) -> str:
    return f"{emission.type} {short(emission.data)}"
