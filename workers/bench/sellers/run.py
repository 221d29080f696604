"""`annul bench sellers`: updates a second of one process, beside three others that fold the same records."""

import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka.admin import NewTopic

from schemas.topics import SELLERS_OUTCOMES
from workers.bench.measuring import bench_stack, measure
from workers.bench.sellers.check import check_changelog, check_ours
from workers.bench.sellers.load import Truth, load
from workers.bench.sellers.quix_home import NotInstalledError, quix_python
from workers.bench.sellers.restore import Restored, restore
from workers.local.stack import LocalStack
from workers.settings import Settings
from workers.store.migrate import migrate
from workers.topics import admin_client, prepare_topics

OURS: Final = "ours"
_PACKAGE: Final = "workers.bench.sellers"
_ROOT: Final = Path(__file__).parents[3]


class Wishes(msgspec.Struct, frozen=True):
    """What to measure. `restored`: how many sellers are to be restored, 0 for none."""

    messages: int
    rounds: int
    profile: bool = False
    install: bool = True
    restored: int = 0


class Rate(msgspec.Struct, frozen=True):
    """Updates a second, and the processor time of one: that of the process alone, in microseconds."""

    per_s: float
    cpu_us: float


class Round(msgspec.Struct, frozen=True):
    """All of them, measured one after the other. `sends`: how often ours sent what it had; `rows`: how many rows."""

    rates: dict[str, Rate]
    sends: int
    rows: int


class Report(msgspec.Struct, frozen=True):
    """All rounds; medians, and medians of ours to each of the others in the same round."""

    messages: int
    sellers: int
    rounds: list[Round]
    medians: dict[str, Rate]
    ratios: dict[str, float]
    left_out: dict[str, str]
    restored: Restored | None
    profile: list[str]


class World(msgspec.Struct, frozen=True):
    """A round's own topics and database: nobody has folded anything there."""

    number: int
    folder: Path
    settings: Settings
    environment: dict[str, str]
    messages: int
    truth: Truth

    @property
    def topic(self) -> str:
        """The outcomes' full name."""
        return self.settings.topic_prefix + SELLERS_OUTCOMES.name

    def group(self, kind: str) -> str:
        """A consumer group of the round's own."""
        return f"bench.{kind}.{self.number}"

    async def measure(self, module: str, *arguments: str, **options: Any) -> dict[str, Any]:
        """Run one of the measured processes of this package."""
        return await measure(
            f"{_PACKAGE}.{module}", *arguments, str(self.messages), environment=self.environment, **options
        )


Kind = Callable[[World], Awaitable[dict[str, Any]]]


async def bench_sellers(wishes: Wishes) -> Report:
    """Measure on a stack of its own."""
    kinds: dict[str, Kind] = {"bare": _bare, "faust": _faust, OURS: _ours}
    left_out: dict[str, str] = {}
    try:
        quix = await quix_python(install=wishes.install)
        kinds = {"quixstreams": lambda world: _quixstreams(world, str(quix)), **kinds}
    except NotInstalledError as error:
        left_out["quixstreams"] = str(error)
    rounds: list[Round] = []
    profile: list[str] = []
    restored, sellers = None, 0
    async with bench_stack() as stack:
        for number in range(wishes.rounds):
            world = await _world(stack, number, wishes.messages)
            sellers = world.truth.sellers
            rounds.append(await _round(world, kinds))
        if wishes.profile:
            world = await _world(stack, wishes.rounds, wishes.messages)
            profile = (await _ours(world, profile=True))["profile"]
        if wishes.restored:
            world = await _world(stack, wishes.rounds + 1, 0)
            restored = await restore(world.settings, world.environment, wishes.restored)
    return _report(wishes, sellers, rounds, left_out, restored, profile)


async def _world(stack: LocalStack, number: int, messages: int) -> World:
    assert stack.postgres is not None
    url = await stack.postgres.create_database(f"round{number}")
    environment = {"ANNUL_DATABASE_URL": url, "ANNUL_TOPIC_PREFIX": f"round{number}."}
    await migrate(url)
    settings = Settings.read(environment)
    await prepare_topics(settings)
    truth = await load(settings, messages)
    return World(number, stack.folder.path, settings, environment, messages, truth)


async def _round(world: World, kinds: dict[str, Kind]) -> Round:
    """Each round begins with another one, so that nobody always comes first."""
    names = list(kinds)
    names = names[world.number % len(names) :] + names[: world.number % len(names)]
    found = {name: await kinds[name](world) for name in names}
    rates = {
        name: Rate(world.messages / found[name]["seconds"], found[name]["cpu_s"] / world.messages * 1e6)
        for name in kinds
    }
    return Round(rates, found[OURS]["sends"], found[OURS]["rows"])


async def _ours(world: World, *, profile: bool = False) -> dict[str, Any]:
    measured = await measure(
        f"{_PACKAGE}.ours", str(world.messages), *(["profile"] if profile else []), environment=world.environment
    )
    await check_ours(world.settings, world.truth)
    return measured


async def _bare(world: World) -> dict[str, Any]:
    changelog = f"{world.group('bare')}-changelog"
    async with admin_client(world.settings) as admin:
        configs = {"cleanup.policy": "compact"}
        await admin.create_topics([NewTopic(changelog, world.settings.topic_partitions, 1, topic_configs=configs)])
    measured = await world.measure("bare", world.topic, world.group("bare"), changelog)
    await check_changelog(world.settings, "bare", changelog, world.truth)
    return measured


async def _faust(world: World) -> dict[str, Any]:
    group = world.group("faust")
    measured = await world.measure("faust_agent", world.topic, group, str(world.folder / group))
    await check_changelog(world.settings, "faust", f"{group}-counts-changelog", world.truth)
    return measured


async def _quixstreams(world: World, python: str) -> dict[str, Any]:
    group = world.group("quix")
    bootstrap = world.settings.kafka_bootstrap_servers
    state = str(world.folder / group)
    measured = await measure(
        f"{_PACKAGE}.quix_agent",
        bootstrap,
        world.topic,
        group,
        state,
        str(world.messages),
        environment={"PYTHONPATH": str(_ROOT)},
        python=python,
    )
    await check_changelog(world.settings, "quixstreams", f"changelog__{group}--{world.topic}--default", world.truth)
    return measured


def _report(
    wishes: Wishes,
    sellers: int,
    rounds: list[Round],
    left_out: dict[str, str],
    restored: Restored | None,
    profile: list[str],
) -> Report:
    names = list(rounds[0].rates)
    medians = {
        name: Rate(
            statistics.median(one.rates[name].per_s for one in rounds),
            statistics.median(one.rates[name].cpu_us for one in rounds),
        )
        for name in names
    }
    ratios = {
        name: statistics.median(one.rates[OURS].per_s / one.rates[name].per_s for one in rounds)
        for name in names
        if name != OURS
    }
    return Report(wishes.messages, sellers, rounds, medians, ratios, left_out, restored, profile)
