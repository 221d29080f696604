"""The worker's processes: some with a name of their own in the group, some without; they end and come back."""

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from workers.chaos.acts import Act
from workers.local.child import Child
from workers.local.home import StackFolder

_ARGV: Final = (sys.executable, "-m", "workers", "worker", "sellers")
_GRACE_S: Final = 20.0
_AGAIN_S: Final = 0.5
_LONG_S: Final = 5.0
_SETTLED_S: Final = 5.0
_HAUNTS_S: Final = 3.0
"""How long a process that was replaced while it was frozen goes on once it is awake."""


class Member:
    """A place in the group; the processes that take it come and go. Who ends unasked is started again."""

    def __init__(self, folder: StackFolder, name: str, environment: Mapping[str, str], ended: Counter[int]) -> None:
        self.name = name
        self.child: Child | None = None
        self.is_frozen = False
        self.is_static = "ANNUL_INSTANCE_ID" in environment
        self.born = 0.0
        self._folder = folder
        self._environment = dict(environment)
        self._ended = ended
        self._watching: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        """Whether it has a process that can run."""
        return self.child is not None and not self.is_frozen

    async def start(self) -> None:
        """Put a process here, if there is none."""
        if self.child is not None:
            return
        self.born = time.monotonic()
        child = self.child = await Child.start(self._folder, self.name, _ARGV, env=self._environment)
        watching = asyncio.create_task(self._watch(child))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    def take(self) -> Child | None:
        """The process, whose end is asked for from now on; the place is empty."""
        child, self.child, self.is_frozen = self.child, None, False
        return child

    async def _watch(self, child: Child) -> None:
        code = await child.wait()
        if self.child is child:
            self._ended[code] += 1
            self.take()
            await asyncio.sleep(_AGAIN_S)
            await self.start()

    async def close(self) -> None:
        """Nothing is started here any more; the process is ended the hard way."""
        for watching in self._watching:
            watching.cancel()
        if child := self.take():
            child.kill()
            await child.wait()


class Troupe:
    """All members, and what was done to them."""

    def __init__(self, folder: StackFolder, environments: list[Mapping[str, str]], tell: Callable[[str], None]) -> None:
        self.done: Counter[str] = Counter()
        self.ended_unasked: Counter[int] = Counter()
        """Exit codes of those that ended by themselves, and were started again."""
        self.longest_leave_s = 0.0
        self._ghosts: list[Child] = []
        self._tell = tell
        self._members = [
            Member(folder, f"sellers-{number}", environment, self.ended_unasked)
            for number, environment in enumerate(environments)
        ]
        self._later: set[asyncio.Task[None]] = set()

    async def start(self, most: int | None = None) -> None:
        """Every place gets a process, or the first few."""
        for member in self._members[:most]:
            if member.child is None:
                self.done["start"] += 1
                await member.start()

    async def act(self, act: Act) -> None:
        """Do it to someone who runs; returns once it is done, while what follows of it comes later."""
        able = [member for member in self._members if member.is_up]
        if act.kind in ("freeze", "replace"):  # who has had partitions for a while has something in hands
            able = [member for member in able if time.monotonic() - member.born > _SETTLED_S] or able
        if act.kind == "replace":
            able = [member for member in able if member.is_static] or able
        if not able:
            await self.start(1)
            able = self._members[:1]
        member = able[int(act.whom * len(able))]
        self.done[act.kind] += 1
        self._tell(f"{act.kind} {member.name}{' with a name of its own' if member.is_static else ''}")
        if act.kind in ("freeze", "replace"):
            await self._freeze(member, act)
        else:
            await self._end(member, act)

    async def _end(self, member: Member, act: Act) -> None:
        child = member.take()
        if child is None:
            return
        if act.kind == "kill":
            child.send(signal.SIGKILL)
            await child.wait()
        else:
            self._later_do(self._leave(child))
        if act.for_s:
            self._later_do(self._come_back(member, act.for_s))
        else:
            await member.start()

    async def _leave(self, child: Child) -> None:
        began = time.monotonic()
        code = await child.stop(signal.SIGTERM, _GRACE_S)
        took_s = time.monotonic() - began
        self.longest_leave_s = max(self.longest_leave_s, took_s)
        if took_s > _LONG_S:
            self._tell(f"{child.name} took {took_s:.1f} s to leave, with code {code}")

    async def _come_back(self, member: Member, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if member.child is None:
            self.done["start"] += 1
            await member.start()

    async def _freeze(self, member: Member, act: Act) -> None:
        child = member.child
        if child is None:
            return
        child.send(signal.SIGSTOP)
        member.is_frozen = True
        if act.kind == "replace":
            member.take()
            self._ghosts.append(child)
            await member.start()
        self._later_do(self._wake(member, child, act.for_s))

    async def _wake(self, member: Member, child: Child, after_s: float) -> None:
        await asyncio.sleep(after_s)
        child.send(signal.SIGCONT)
        if member.child is child:
            member.is_frozen = False
        if child in self._ghosts:  # two of one name are one too many for long: whoever runs them ends the old one
            await asyncio.sleep(_HAUNTS_S)
            await self._leave(child)

    def _later_do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def calm_down(self) -> None:
        """Nothing more happens: who was frozen is awake, every place has a process."""
        while self._later:
            await asyncio.gather(*self._later)
        await self.start()

    async def dismiss(self) -> None:
        """All leave, by SIGTERM."""
        while self._later:
            await asyncio.gather(*self._later)
        children = [child for member in self._members if (child := member.take())]
        await asyncio.gather(*(self._leave(child) for child in children))

    async def kill_all(self) -> None:
        """All end at once, by SIGKILL, and stay away."""
        children = [child for member in self._members if (child := member.take())]
        for child in children:
            child.send(signal.SIGKILL)
        await asyncio.gather(*(child.wait() for child in children))

    async def close(self) -> None:
        """End whatever is left."""
        for task in self._later:
            task.cancel()
        for ghost in self._ghosts:
            ghost.kill()
        await asyncio.gather(*(member.close() for member in self._members))
