"""How tests are shared out to several processes, each with its own PostgreSQL and Kafka (`pytest -n 2`)."""

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

_TOGETHER: Final = ("tests/e2e/",)
"""One Annul, all its workers, runs for all of these."""
_LONGEST_FIRST: Final = (
    "tests/e2e/",
    "tests/property/test_histories.py",
    "tests/model/",
    "tests/integration/",
    "tests/contract/",
    "tests/property/",
)
"""What is short comes last, and fills the end evenly."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """The tests of a file run in one process, one after another; the next file goes to whoever is ready first."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # by their number; how long they take counts
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((folder for folder in _TOGETHER if file.startswith(folder)), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Order them so that no long file is left for the end, when others have nothing to do any more."""

    def rank(item: pytest.Item) -> int:
        first = (place for place, start in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(start))
        return next(first, len(_LONGEST_FIRST))

    items.sort(key=rank)


def has_others_run_them(config: pytest.Config) -> bool:
    """This process shares tests out and runs none."""
    return bool(config.getoption("numprocesses", default=None))
