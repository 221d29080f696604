"""The picture of a refund's life in the docs is the table that the code decides by."""

import re
from pathlib import Path

from workers.domain.refund_types import TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "refunds.md"


def test_the_picture_shows_every_step_that_is_allowed_and_no_other() -> None:
    (picture,) = re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    drawn = re.findall(r"^ +(\w+) --> (\w+)(?:: .+)?$", picture, re.MULTILINE)
    allowed = {(before, after) for before, successors in TRANSITIONS.items() for after in successors}
    assert len(drawn) == len(set(drawn)), "each step once"
    assert set(drawn) == allowed
    assert re.findall(r"\[\*\] --> (\w+)", picture) == ["requested"]


def test_the_page_names_every_kind_of_line_in_the_ledger() -> None:
    source = (PAGE.parents[1] / "workers" / "domain" / "ledger.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r'"((?:captured|refunded_before|refund_\w+|redirect_\w+|settled_\w+|overpaid\w*))"', source))
    told = set(
        re.findall(
            r"^\| `(\w+)` \| `(?:provider|escrow|refunding|suspense)", PAGE.read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert told == kinds
