"""Named SQL: each `-- name: …` block of the .sql files beside this module, by its name."""

import re
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(files("workers.store").joinpath("sql").iterdir(), key=lambda entry: entry.name):
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, f"two queries are named {name}"
            found[name] = text.strip()
    return found


def sql(name: str) -> str:
    """The text of the query called `name`."""
    return _all()[name]


def names(prefix: str) -> list[str]:
    """The names of all queries that begin with `prefix`."""
    return sorted(name for name in _all() if name.startswith(prefix))
