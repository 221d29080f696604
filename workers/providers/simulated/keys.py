"""Idempotency keys as the providers keep them: the first response, for a while."""

from collections.abc import Callable

import msgspec

from workers.providers.simulated.book import Entry
from workers.providers.simulated.wire import Reply


class Stored(msgspec.Struct, frozen=True):
    """What is known of a key: `reply` is None while the first request under it runs."""

    fingerprint: str
    at: float
    reply: Reply | None = None
    entry: Entry | None = None


class Keys:
    """The keys of one provider, each forgotten `ttl_s` after its first use: then it executes anew."""

    def __init__(self, ttl_s: float, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._stored: dict[str, Stored] = {}

    def find(self, key: str | None) -> Stored | None:
        """What is known of a key, if anything."""
        if key is None:
            return None
        stored = self._stored.get(key)
        if stored is not None and self._clock() - stored.at >= self._ttl_s:
            del self._stored[key]
            return None
        return stored

    def begin(self, key: str | None, fingerprint: str) -> None:
        """A request under this key starts."""
        if key is not None:
            self._stored[key] = Stored(fingerprint, self._clock())

    def finish(self, key: str | None, reply: Reply, entry: Entry | None) -> None:
        """Keep the response of the request that began."""
        if key is not None:
            begun = self._stored[key]
            self._stored[key] = msgspec.structs.replace(begun, reply=reply, entry=entry)

    def forget(self, key: str | None) -> None:
        """The request that began leaves nothing under its key."""
        if key is not None:
            self._stored.pop(key, None)
