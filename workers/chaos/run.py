"""`annul chaos sellers`: the seller table beside SQL, after kills, rebalances, zombies and shuffled duplicates."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import asyncpg
import msgspec

from schemas.topics import SELLERS_STATISTICS
from workers.chaos import group
from workers.chaos.acts import Act, plan_acts
from workers.chaos.compare import OnTheWay, lifetimes_of
from workers.chaos.logs import count_events
from workers.chaos.market import make_outcomes
from workers.chaos.proving import Proof, Stage
from workers.chaos.tails import Tail, tail_of
from workers.chaos.traffic import STEPS_A_S, Traffic, plan_steps
from workers.chaos.troupe import Troupe
from workers.local.stack import LocalStack
from workers.pipeline.clock import SystemClock
from workers.pipeline.emit import Emitter
from workers.pipeline.kafka import KafkaProducer
from workers.settings import Settings
from workers.store.migrate import migrate
from workers.topics import prepare_topics

SESSION_S: Final = 6
_START_S: Final = 30.0


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who started it asked for."""

    outcomes: int
    sellers: int
    kills: int
    workers: int
    seed: int
    lasting_s: float
    within_s: float
    changelog: bool
    keep_logs: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    ok: bool
    seed: int
    outcomes: int
    sent: int
    sellers: int
    acts: dict[str, int]
    rebalances: int
    most_members: int
    ended_unasked: dict[str, int]
    longest_leave_s: float
    rows_on_the_way: int
    wrong_on_the_way: int
    """Rows whose counts of all time are not those that the seller had at the row's `seq`."""
    late_on_the_way: int
    """Rows that came after one with a higher `seq`."""
    proofs: list[Proof]
    log_events: dict[str, int]
    """Warnings and worse in the workers' logs, by event."""
    seconds: float
    logs: str | None


async def run(wishes: Wishes, tell: Callable[[str], None]) -> Report:
    """Run it on a stack of its own; `tell` is given a line whenever something happens."""
    began = time.monotonic()
    rng = random.Random(wishes.seed)
    outcomes = make_outcomes(wishes.outcomes, wishes.sellers, rng, datetime.now(UTC))
    steps = plan_steps(outcomes, max(1, round(wishes.lasting_s * STEPS_A_S)), rng)
    acts = plan_acts(wishes.kills, wishes.lasting_s, SESSION_S, rng)
    on_the_way = OnTheWay(lifetimes_of(outcomes))

    def tell_when(what: str) -> None:
        tell(f"{time.monotonic() - began:6.1f} s  {what}")

    stack = LocalStack("chaos", keep=wishes.keep_logs)
    async with stack, _stage(stack, wishes, tell_when) as (stage, emitter):
        troupe = Troupe(stack.folder, _environments(stage.settings, wishes, stack), tell_when)
        rebalances = group.Rebalances(stage.settings)
        watching = asyncio.create_task(rebalances.watch())
        topic = stage.settings.topic_prefix + SELLERS_STATISTICS.name
        try:
            async with tail_of(stage.settings, topic, on_the_way.look) as rows:
                traffic = Traffic(steps, stage.connection, emitter)
                await troupe.start()
                await rebalances.until_there(wishes.workers, _START_S)
                await asyncio.gather(traffic.send(wishes.lasting_s), _perform(acts, troupe))
                tell_when(f"{traffic.sent} records of {traffic.decided} outcomes sent, nothing more happens")
                await troupe.calm_down()
                await stage.prove("kills and rebalances", rows, traffic.decided)
                if wishes.changelog:
                    await _lose_changelog(stage, troupe, rows, traffic.decided)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await troupe.close()
        events = count_events(stack.folder.path)
    return Report(
        ok=not on_the_way.wrong and all(proof.equal_s is not None for proof in stage.proofs),
        seed=wishes.seed,
        outcomes=traffic.decided,
        sent=traffic.sent,
        sellers=wishes.sellers,
        acts=dict(troupe.done),
        rebalances=rebalances.seen,
        most_members=rebalances.most_members,
        ended_unasked={str(code): count for code, count in troupe.ended_unasked.items()},
        longest_leave_s=troupe.longest_leave_s,
        rows_on_the_way=rows.records,
        wrong_on_the_way=on_the_way.wrong,
        late_on_the_way=on_the_way.late,
        proofs=[*stage.proofs, *_told_on_the_way(on_the_way)],
        log_events=dict(events),
        seconds=time.monotonic() - began,
        logs=str(stack.logs) if stack.logs else None,
    )


@asynccontextmanager
async def _stage(
    stack: LocalStack, wishes: Wishes, tell: Callable[[str], None]
) -> AsyncIterator[tuple[Stage, Emitter]]:
    """PostgreSQL and Kafka ready for the workers, and what speaks to them."""
    settings = Settings.read(
        {
            "ANNUL_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
            "ANNUL_DATABASE_URL": stack.dsn,
            "ANNUL_TOPIC_REPLICATION_FACTOR": "1",
            "ANNUL_KAFKA_SESSION_TIMEOUT_S": str(SESSION_S),
        }
    )
    await migrate(stack.dsn)
    await prepare_topics(settings)
    connection = await asyncpg.connect(stack.dsn)
    emitter = Emitter(KafkaProducer(settings.kafka()), SystemClock())
    try:
        yield Stage(settings, connection, wishes.within_s, tell), emitter
    finally:
        await emitter.close()
        await connection.close()


def _environments(settings: Settings, wishes: Wishes, stack: LocalStack) -> list[Mapping[str, str]]:
    """One for each process: every other one has a name of its own in the group."""
    made: list[Mapping[str, str]] = []
    for number in range(wishes.workers):
        environment = {
            "ANNUL_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
            "ANNUL_DATABASE_URL": stack.dsn,
            "ANNUL_TOPIC_REPLICATION_FACTOR": "1",
            "ANNUL_TOPIC_PARTITIONS": str(settings.topic_partitions),
            "ANNUL_KAFKA_SESSION_TIMEOUT_S": str(SESSION_S),
            "ANNUL_HEALTH_PORT": "0",
        }
        if number % 2 == 0:
            environment["ANNUL_INSTANCE_ID"] = f"chaos-{number}"
        made.append(environment)
    return made


async def _perform(acts: list[Act], troupe: Troupe) -> None:
    began = time.monotonic()
    for act in acts:
        await asyncio.sleep(began + act.at_s - time.monotonic())
        await troupe.act(act)


async def _lose_changelog(stage: Stage, troupe: Troupe, rows: Tail, decided: int) -> None:
    """The table's changelog is deleted: while nobody runs, and under those who run. No outcome comes meanwhile."""
    await troupe.dismiss()
    await group.delete_topics(stage.settings, await group.changelogs(stage.settings))
    await troupe.start()
    await stage.prove("its changelog was lost with the table", rows, decided)
    await group.delete_topics(stage.settings, await group.changelogs(stage.settings))
    await troupe.kill_all()
    await troupe.start()
    await stage.prove("its changelog was lost under those who run, and they were killed", rows, decided)


def _told_on_the_way(on_the_way: OnTheWay) -> list[Proof]:
    if not on_the_way.wrong:
        return []
    return [
        Proof(
            after="each row that was sent on the way",
            sellers=0,
            rows=on_the_way.wrong,
            lag_gone_s=None,
            equal_s=None,
            differing=on_the_way.wrong,
            differences=on_the_way.faults,
        )
    ]
