"""An order's story in the language of who reads the page."""

from typing import Final

from workers.insight.telling import Telling
from workers.ops.language import TEXTS, Speech

_NAMED: Final = {
    "state": "refunds.state.",
    "provider": "refunds.provider.",
    "action": "actions.kind.",
    "dispute": "order.dispute.",
    "outcome": "order.outcome.",
}
"""Where texts stand that other parts of the pages name the same things by; of the rest see `texts/order_steps.py`."""


class PageTelling(Telling):
    """Tells as a page does."""

    def __init__(self, say: Speech) -> None:
        self._say = say

    def say(self, key: str, /, **values: object) -> str:
        """The sentence of a kind."""
        return self._say.text(f"order.said.{key}", **values)

    def money(self, minor: int, currency: str | None) -> str:
        """As the language writes it."""
        return self._say.money(minor, currency)

    def word(self, kind: str, name: str) -> str:
        """What the page calls it elsewhere; what it has no word for stays as the record has it."""
        key = f"{_NAMED.get(kind, f'order.{kind}.')}{name}"
        return self._say.text(key) if key in TEXTS else name
