"""What a person's command takes from a local stack that runs, and that tests see no stack but their own."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from kit.own_stacks import OwnStacks

from workers.commands.calling import operator_settings
from workers.local import home
from workers.local.home import StackFolder
from workers.settings import SettingsError

SETTINGS = {"ANNUL_DATABASE_URL": "postgresql://theirs@127.0.0.1:1/annul", "ANNUL_CHAT_OPEN_FOR": "PT5S"}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of local stacks that nobody else has."""
    for name in [name for name in os.environ if name.startswith("ANNUL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(home.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def running(settings: dict[str, str]) -> StackFolder:
    """A stack that counts as alive: its owner is this process."""
    folder = StackFolder.create("up")
    folder.state.settings = settings
    folder.save()
    return folder


def test_settings_come_from_the_stack_that_runs_unless_the_environment_has_them(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.base() == base
    running(SETTINGS)
    monkeypatch.setenv("ANNUL_CHAT_OPEN_FOR", "P3D")
    monkeypatch.setenv("ANNUL_DATABASE_URL", "")  # empty is not set, as everywhere
    before = dict(os.environ)
    settings = operator_settings("database_url")
    assert settings.database_url.get_secret_value() == SETTINGS["ANNUL_DATABASE_URL"]
    assert settings.chat_open_for.days == 3
    assert dict(os.environ) == before  # a command in this process leaves nothing to the next one


def test_without_a_stack_nothing_is_made_up(base: Path) -> None:
    folder = running(SETTINGS)
    assert operator_settings("database_url").chat_open_for.seconds == 5
    folder.remove()
    assert list(base.iterdir()) == []
    with pytest.raises(SettingsError, match="ANNUL_DATABASE_URL is not set"):
        operator_settings("database_url")


def test_this_session_has_a_folder_of_its_own() -> None:
    assert home.base().parent.name == "tests"
    assert home.cache().resolve().parent == home.base().parent.parent.resolve()


@pytest.mark.parametrize("memory", [True, False])
def test_a_session_of_tests_sees_no_stack_of_others(
    base: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, *, memory: bool
) -> None:
    elsewhere = tmp_path_factory.mktemp("memory")
    monkeypatch.setattr("kit.own_stacks.MEMORY", elsewhere)
    monkeypatch.setattr("kit.own_stacks.in_memory", lambda: memory)
    running(SETTINGS)
    session = OwnStacks()
    assert len(list(elsewhere.iterdir())) == memory
    try:
        assert home.live_stacks() == []
        assert home.cache().resolve() == base / "cache"
        running(SETTINGS)
        assert len(home.live_stacks()) == 1
    finally:
        home.live_stacks()[0].remove()
        session.end()
    assert home.base() == base
    assert len(home.live_stacks()) == 1
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in (base / "tests").iterdir()] == ["sessions.lock"]


KILLED = """
import asyncio, sys
from kit.own_stacks import OwnStacks
from workers.local.home import StackFolder

OwnStacks()
folder = StackFolder.create("test")

async def main():
    child = await asyncio.create_subprocess_exec("sleep", "600", stdout=asyncio.subprocess.DEVNULL)
    folder.record("sleeper", child.pid)
    print(child.pid, folder.path.resolve(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_what_a_killed_session_left_running_is_ended_by_the_next_one(base: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert killed.stdout is not None
    sleeper, folder = (await killed.stdout.readline()).decode().split()
    session = OwnStacks()  # while the other one lives
    session.end()
    assert not ended(int(sleeper))
    killed.kill()
    await killed.wait()
    session = OwnStacks()
    session.end()
    assert ended(int(sleeper))
    assert not Path(folder).parent.exists()
    assert [path.name for path in (base / "tests").iterdir()] == ["sessions.lock"]


def ended(pid: int) -> bool:
    """No such process, or one that waits for its parent to ask."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"
