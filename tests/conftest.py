"""What all tests share: the fixtures of `kit`, a folder for their local stacks, how many examples property tests try.

Examples are a quick set, or with HYPOTHESIS_PROFILE=long a long one.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from kit.own_stacks import OwnStacks
from kit.shared_out import ByFile, has_others_run_them, longest_first

pytest_plugins = [
    "kit.database",
    "kit.broker",
    "kit.kafka",
    "kit.population",
    "kit.parked",
    "kit.sellers_ground",
    "kit.fed_topics",
    "kit.deploy",
    "kit.translating",
    "kit.wishes",
]

_SLOW_MACHINES = [HealthCheck.too_slow]

settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

_stacks = pytest.StashKey[OwnStacks]()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A command run in a test may leave a log that writes to what the test has closed."""
    yield
    structlog.reset_defaults()


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is collected: nothing in this session sees the stacks of others."""
    if not has_others_run_them(config):
        config.stash[_stacks] = OwnStacks()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whatever came of it."""
    if (own := config.stash.get(_stacks, None)) is not None:
        own.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Also in a single process, so that the order is the same."""
    longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """With `-n`."""
    return ByFile(config, log)
