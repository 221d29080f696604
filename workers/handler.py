"""What most workers share: they take a whole batch at a time and do nothing outside the database."""

from collections.abc import Iterable
from typing import Any


class DatabaseHandler:
    """A handler whose decisions cause rows and messages only."""

    batch_records = 10_000
    reads_ahead = True

    async def room(self) -> int:
        """There is always room."""
        return self.batch_records

    def perform(self, effects: Iterable[Any]) -> None:
        """Nothing is done outside."""

    async def drain(self, within_s: float) -> None:
        """Nothing was started."""
