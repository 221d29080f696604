"""The adapters of a random history: the real claim, and calls that may stall, get lost or come too late."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kit.history_provider import FakeProvider
from kit.history_world import World, short
from schemas.refunds import RefundIssue, RefundLookUp
from workers.claims import claim, issues, refused, result_of
from workers.pipeline.messages import Incoming, Verdict
from workers.providers.port import Answer

_DEADLINE: Final = timedelta(seconds=10)


class Call(msgspec.Struct, frozen=True):
    """An adapter's call: until when it may begin, and how late the process may still be at it."""

    command: RefundIssue | RefundLookUp
    lease_until: datetime


class Calls:
    """The adapters' processes: the real claim, then a call that may stall anywhere, and a result that may get lost."""

    def __init__(self, world: World, providers: dict[str, FakeProvider], *, beyond: bool = False) -> None:
        self._world = world
        self._providers = providers
        self._beyond = beyond
        self.heard: list[Callable[[RefundIssue], None]] = []

    async def record(self, name: str, batch: Sequence[Incoming]) -> list[Verdict]:
        """As `workers.adapter` does it; the calls are the effects."""
        world, policy = self._world, self._world.policy.refunds
        lease = timedelta(seconds=policy.lease_s)
        process = f"{name}-{world.source.randrange(2)}"
        kept = policy.key_kept(name)
        answers = iter(await claim(world.connection, issues(batch), process, lease, key_kept=kept))
        verdicts = []
        for message in batch:
            command = message.data
            if isinstance(command, RefundIssue) and (answer := next(answers)).word != "claimed":
                world.tally[f"claim {answer.word}"] += 1
                verdicts.append(refused(command, answer, world.now))
            else:
                verdicts.append(Verdict("applied", effect=Call(command, world.now + lease)))
        return verdicts

    def begin(self, call: Call) -> None:
        """The process goes on, or stops for a while, or for ever."""
        world = self._world
        if world.luck.hits("crash", 0.04):
            world.note(f"    the adapter dies before it calls for {short(call.command)}")
            return
        world.at(self._pause(call), "", lambda: self._call(call))

    def _pause(self, call: Call) -> timedelta:
        """Mostly none; at most until the lease has run out and the longest stall has passed."""
        world = self._world
        if not world.luck.hits("stall", 0.1):
            return timedelta(seconds=world.source.uniform(0.01, 1))
        stall = world.policy.refunds.longest_stall
        if world.source.random() < 0.4:
            return timedelta(seconds=world.source.uniform(1, 20))
        last = call.lease_until + stall - world.now
        if self._beyond:
            last += timedelta(hours=world.source.choice((0, 1, 12, 72)))
        return last * world.source.choice((world.source.uniform(0.02, 0.999), world.source.uniform(0.7, 0.999)))

    def _call(self, call: Call) -> None:
        world, command = self._world, call.command
        if isinstance(command, RefundLookUp):
            self._answer(call, self._providers[command.provider].look_up(command))
            return
        if world.now + _DEADLINE > call.lease_until:
            world.note(f"the lease has run out: {short(command)} is not called")
            world.emit(result_of(command, "retryable", world.now, code="lease_expired"))
            return
        pause = self._pause(call)
        if pause > _DEADLINE and world.source.random() < 0.5:
            # The adapter waits no longer; its request is on its way all the same.
            world.at(_DEADLINE, "", lambda: world.emit(result_of(command, "uncertain", world.now, code="timeout")))
            world.at(pause, "", lambda: self._arrive(call, listening=False))
        else:
            world.at(pause, "", lambda: self._arrive(call, listening=True))

    def _arrive(self, call: Call, *, listening: bool) -> None:
        world, command = self._world, call.command
        assert isinstance(command, RefundIssue)
        world.tally["calls"] += 1
        answer = self._providers[command.provider].issue(command, world.now)
        world.note(f"{command.provider} is called for {short(command)}: {answer.outcome} {answer.code or ''}")
        for heard in self.heard:
            heard(command)
        if listening:
            self._answer(call, answer)

    def _answer(self, call: Call, answer: Answer) -> None:
        world = self._world
        if world.luck.hits("lost", 0.05):
            world.note(f"    the adapter dies with the answer for {short(call.command)}")
            return
        told = result_of(
            call.command,
            answer.outcome,
            world.now,
            provider_refund_id=answer.provider_refund_id,
            code=answer.code,
            retry_after_s=answer.retry_after_s,
        )
        world.emit(told)
