"""How operators' commands print: one line of JSON for machines, tables for people."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_IN_A_PIPE: Final = 160


def print_json(value: Any) -> None:
    """One line on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def console() -> Console:
    """For people; as wide as the terminal, and wide enough where there is none."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE, highlight=False)


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()) -> Table:
    """Rows under headings; ids are folded, never cut off. `numbers` are headings of columns set to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold", justify="right" if heading in numbers else "left")
    for row in rows:
        made.add_row(*(cell(part) for part in row))
    return made


def cell(part: Any) -> Text:
    """Text as it is: no markup in it counts, and nothing in it steers the terminal."""
    if part is None:
        return Text("")
    if isinstance(part, datetime):
        return Text(when(part))
    return Text("".join(sign if sign.isprintable() else "\ufffd" for sign in str(part)))


def when(moment: datetime) -> str:
    """A time to the millisecond, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"
