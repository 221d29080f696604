"""The local stack on real processes: it starts, loses nothing when killed, and leaves nothing behind."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from workers.local import home, reaper
from workers.local.child import StartError
from workers.local.home import StackFolder
from workers.local.postgres import LocalPostgres
from workers.local.processes import Supervisor
from workers.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
LARGE = 4 * 1024 * 1024

# A program that owns a stack until somebody ends it; prints one line when it's up.
OWNER = """
import asyncio, json, signal, sys
from dataclasses import asdict
import asyncpg
from workers.local.stack import LocalStack

async def main():
    async with LocalStack("owned") as stack:
        await stack.supervisor.add("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
        connection = await asyncpg.connect(stack.dsn)
        answer = await connection.fetchval("select 1")
        print(json.dumps({"folder": str(stack.folder.path), "answer": answer}), flush=True)
        await asyncio.Event().wait()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it, and all below
asyncio.run(main())
"""


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[LocalStack]:
    async with LocalStack("test") as running:
        yield running


@pytest.fixture
def own_base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A base folder no other run sweeps or looks into, with everybody's cache."""
    shared = home.cache()
    path = Path(tempfile.mkdtemp(prefix="annul-test-", dir="/var/tmp"))
    home.make_folder(path)  # as root: PostgreSQL's user passes through
    (path / "cache").symlink_to(shared)
    monkeypatch.setenv(home.FOLDER_VARIABLE, str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder() -> Iterator[StackFolder]:
    made = StackFolder.create("test")
    yield made
    made.remove()


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=LARGE)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"{topic}-readers", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def create_topic(bootstrap: str, topic: str, configs: dict[str, str] | None = None) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 2, 1, topic_configs=configs or {})])
    finally:
        await admin.close()


async def query(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def ended(pid: int, within_s: float = 15) -> None:
    """The system itself tells when a process ends, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), within_s)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def start_owner(
    python: str = sys.executable, **how: Any
) -> tuple[asyncio.subprocess.Process, StackFolder, list[psutil.Process]]:
    """A running owner of a stack, its folder, and all its descendants."""
    owner = await asyncio.create_subprocess_exec(
        python, "-c", OWNER, stdout=asyncio.subprocess.PIPE, cwd=how.pop("cwd", ROOT), **how
    )
    assert owner.stdout
    line = await asyncio.wait_for(owner.stdout.readline(), 60)
    said = json.loads(line)
    assert said["answer"] == 1
    return owner, StackFolder.open(Path(said["folder"])), psutil.Process(owner.pid).children(recursive=True)


def leftovers(base: Path) -> list[str]:
    return [path.name for path in base.iterdir() if path.suffix != ".lock"]


async def test_a_stack_serves_both_and_tells_others_where(stack: LocalStack) -> None:
    await create_topic(stack.bootstrap, "greetings")
    await produce(stack.bootstrap, "greetings", b"hello")
    assert await consume(stack.bootstrap, "greetings", 1) == [b"hello"]
    assert await query(stack.dsn, "select 1") == 1
    assert await query(stack.dsn, "show fsync") == "on"
    assert await query(stack.dsn, "show timezone") == "UTC"

    (state,) = [found.state for found in home.live_stacks() if found.path == stack.folder.path]
    assert (state.kafka_bootstrap, state.database_url) == (stack.bootstrap, stack.dsn)
    assert {child.name for child in state.children} == {"kafka", "postgres"}


async def test_it_listens_on_the_loopback_address_only(stack: LocalStack) -> None:
    assert stack.kafka
    assert stack.postgres
    for server in (stack.kafka, stack.postgres):
        assert server.pid
        listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


async def test_a_topic_may_allow_records_of_nearly_four_megabytes(stack: LocalStack) -> None:
    await create_topic(stack.bootstrap, "large", {"max.message.bytes": str(LARGE)})
    value = os.urandom(LARGE - 1024)
    await produce(stack.bootstrap, "large", value)
    assert await consume(stack.bootstrap, "large", 1) == [value]


async def test_a_database_of_its_own_for_a_test(stack: LocalStack) -> None:
    assert stack.postgres
    template = await stack.postgres.create_database("migrated")
    await query(template, "create table t as select 7 as seven")
    copy = await stack.postgres.create_database("copied", template="migrated")
    assert await query(copy, "select seven from t") == 7
    await stack.postgres.drop_database("copied")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await query(copy, "select 1")
    with pytest.raises(ValueError, match="plain database name"):
        await stack.postgres.create_database('x"; drop database annul; --')


async def test_killed_servers_come_back_with_their_data_on_the_same_ports(stack: LocalStack) -> None:
    assert stack.kafka
    assert stack.postgres
    await create_topic(stack.bootstrap, "kept")
    await produce(stack.bootstrap, "kept", b"before")
    await query(stack.dsn, "create table kept as select 42 as answer")
    pids = (stack.kafka.pid, stack.postgres.pid)

    stack.kafka.kill()
    stack.postgres.kill()
    await asyncio.gather(stack.kafka.start(), stack.postgres.start())

    assert stack.kafka.pid not in pids
    assert stack.postgres.pid not in pids
    assert await query(stack.dsn, "select answer from kept") == 42
    await produce(stack.bootstrap, "kept", b"after")
    assert sorted(await consume(stack.bootstrap, "kept", 2)) == [b"after", b"before"]


async def test_stopped_servers_come_back_too(stack: LocalStack) -> None:
    assert stack.kafka
    assert stack.postgres
    await asyncio.gather(stack.kafka.stop(), stack.postgres.stop())
    assert (stack.kafka.pid, stack.postgres.pid) == (None, None)
    await asyncio.gather(stack.kafka.start(), stack.postgres.start())
    assert await query(stack.dsn, "select 1") == 1


async def test_given_servers_are_used_and_left_alone(stack: LocalStack) -> None:
    async with LocalStack("guest", kafka_bootstrap=stack.bootstrap, database_url=stack.dsn) as guest:
        assert (guest.kafka, guest.postgres) == (None, None)
        assert await query(guest.dsn, "select 1") == 1
    assert not guest.folder.path.exists()
    assert await query(stack.dsn, "select 1") == 1


async def test_a_failed_start_ends_the_other_half_and_keeps_the_logs(own_base: Path) -> None:
    stack = LocalStack("failing", postgres_settings={"no_such_setting": "1"})
    with pytest.raises(StartError, match='unrecognized configuration parameter "no_such_setting"') as caught:
        await stack.__aenter__()
    assert stack.kafka
    assert stack.kafka.pid is None
    assert not stack.folder.path.exists()
    assert stack.logs
    assert stack.logs.is_relative_to(own_base)
    assert str(stack.logs) in caught.value.__notes__[0]
    assert {log.name for log in stack.logs.iterdir()} == {"kafka.log", "postgres.log"}


async def test_a_taken_port_is_said_with_the_last_lines_of_the_log(stack: LocalStack, folder: StackFolder) -> None:
    taken = int(stack.dsn.rpartition(":")[2].partition("/")[0])
    with pytest.raises(StartError, match="Address already in use"):
        await LocalPostgres(folder, port=taken).start()
    assert folder.state.children == []


async def test_when_its_owner_is_killed_everything_dies_and_the_next_sweep_removes_the_rest(own_base: Path) -> None:
    owner, folder, descendants = await start_owner()
    assert {child.name for child in folder.state.children} == {"kafka", "postgres", "sleeper"}
    assert len(descendants) > 3  # PostgreSQL has processes of its own
    assert home.sweep_stale() == []  # its owner lives

    owner.kill()
    await owner.wait()
    await asyncio.gather(*(ended(process.pid) for process in descendants))
    assert home.live_stacks() == []
    assert home.sweep_stale() == [folder.path]
    assert not folder.path.exists()


async def test_a_sweep_ends_exactly_what_a_dead_owner_left_running(own_base: Path) -> None:
    folder = StackFolder.create("orphaned")
    sleep = ("-c", "import time; time.sleep(600)")

    async def bystander(*arguments: str, **env: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, *sleep, *arguments, env={**os.environ, **env})

    recorded = await bystander()
    marked = await bystander(**{reaper.MARKER: str(folder.path)})
    reader = await bystander(str(folder.path / "kafka.log"))
    try:
        folder.record("recorded", recorded.pid)
        # The reader's pid as a former process had it: same number, other start.
        folder.state.children.append(reaper.ProcessId(reader.pid, 1.0, "long gone"))
        folder.state.owner = reaper.ProcessId(os.getpid(), 1.0, "owner")
        folder.save()

        assert await asyncio.to_thread(home.sweep_stale) == [folder.path]
        assert list(await asyncio.gather(recorded.wait(), marked.wait())) == [-signal.SIGKILL] * 2
        assert reader.returncode is None
    finally:
        for process in (recorded, marked, reader):
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["term", "ctrl-c twice"])
async def test_an_asked_owner_ends_everything_and_removes_its_folder(
    signals: list[signal.Signals], own_base: Path
) -> None:
    owner, _, descendants = await start_owner(stderr=asyncio.subprocess.DEVNULL)
    for number in signals:
        owner.send_signal(number)
    await asyncio.wait_for(owner.wait(), 20)
    assert leftovers(own_base) == ["cache"]
    await asyncio.gather(*(ended(process.pid, 1) for process in descendants))


async def test_a_supervisor_starts_a_killed_process_again_and_stops_the_deaf(folder: StackFolder) -> None:
    supervisor = Supervisor(folder)
    greet = "import os, time; print(os.environ['WHO'], flush=True); time.sleep(600)"
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    first = await supervisor.add("greeter", [sys.executable, "-c", greet], {"WHO": "me"})
    second = await supervisor.add("deaf", [sys.executable, "-c", deaf])
    assert {child.name: child.pid for child in folder.state.children} == {"greeter": first, "deaf": second}

    supervisor.kill("greeter")
    again = await asyncio.wait_for(supervisor.started("greeter", 2), 10)
    assert again != first
    assert supervisor.restarts("greeter") == 1
    assert supervisor.pid("greeter") == again
    await supervisor.stop_one("greeter")
    await ended(again, 1)
    assert supervisor.names == ["deaf"]

    while "deaf" not in (folder.path / "deaf.log").read_text():  # noqa: ASYNC110  a file gives no event
        await asyncio.sleep(0.01)
    await supervisor.stop(grace_s=0.2)
    await ended(second, 1)
    assert folder.state.children == []
    assert supervisor.names == []


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: every other test here runs as a plain user already")
async def test_it_works_as_a_plain_user() -> None:
    user = pwd.getpwnam("nobody")
    place = Path(tempfile.mkdtemp(prefix="annul-plain-", dir="/var/tmp"))
    try:
        local = place / "local"
        shutil.copytree(home.cache(), local / "cache")  # with Kafka's jars: no network needed
        give(place, user)
        python, environment = await usable_python(user, place)
        environment |= {home.FOLDER_VARIABLE: str(local), "HOME": "/nonexistent"}
        owner, folder, descendants = await start_owner(
            python, env=environment, cwd="/", user=user.pw_uid, group=user.pw_gid, extra_groups=[]
        )
        assert folder.path.is_relative_to(local)
        assert {process.uids().effective for process in descendants} == {user.pw_uid}
        owner.terminate()
        await asyncio.wait_for(owner.wait(), 20)
        assert not folder.path.exists()
        await asyncio.gather(*(ended(process.pid, 1) for process in descendants))
    finally:
        shutil.rmtree(place)


async def usable_python(user: pwd.struct_passwd, place: Path) -> tuple[str, dict[str, str]]:
    """This interpreter and these packages, for another user; a copy if ours lies in a home that is closed to them."""
    libraries = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(libraries)}

    async def works(python: str) -> bool:
        how: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        imports = (python, "-c", "import workers.local.stack")
        try:
            probe = await asyncio.create_subprocess_exec(
                *imports, env=environment, cwd="/", stderr=asyncio.subprocess.DEVNULL, **how
            )
        except PermissionError:
            return False
        return await probe.wait() == 0

    if await works(sys.executable):
        return sys.executable, environment
    python = copy_python(place / "python")
    give(place / "python", user)
    environment |= {"PYTHONHOME": str(place / "python"), "LD_LIBRARY_PATH": str(place / "python" / "lib")}
    if not await works(python):
        pytest.skip("this checkout lies where no other user can read it")
    return python, environment


def copy_python(target: Path) -> str:
    original, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    unneeded = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "config-*", "ensurepip")
    shutil.copytree(original / "lib" / version, target / "lib" / version, ignore=unneeded)
    for shared in (original / "lib").glob("libpython*.so*"):
        shutil.copy(shared, target / "lib")
    (target / "bin").mkdir()
    return str(shutil.copy(Path(sys.executable).resolve(), target / "bin" / version))


def give(place: Path, user: pwd.struct_passwd) -> None:
    for path in (place, *place.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
