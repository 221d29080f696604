"""When a provider is paused: what the answers to one process's calls say of the provider itself (SPEC §4)."""

from typing import Final, Literal

import msgspec

Sign = Literal["good", "unclear", "away", "refuses_us"]
"""What an answer says of the provider, whatever it says of the refund.

`good`: it answered as a provider does, a refusal included. `unclear`: neither for nor against it, for example that we
ask too often. `away`: it couldn't be reached, didn't answer, or failed itself. `refuses_us`: our credentials or rights.
"""

OUTAGE: Final = 5
"""So many answers in a row that say `away`, with no `good` one between them, are an outage."""


class Health(msgspec.Struct, frozen=True):
    """What a process saw of a provider since its last good answer."""

    failures: int = 0
    began_s: float = 0.0
    """When the first call of those that failed began, in monotonic seconds; 0 where none failed."""


def decide_pause(health: Health, sign: Sign, began_s: float) -> tuple[Health, bool]:
    """What is known after one more answer, to a call begun at `began_s`, and whether the provider is to be paused."""
    if sign == "good":
        return Health(), False
    if sign == "unclear":
        return health, False
    after = Health(health.failures + 1, min(health.began_s, began_s) if health.failures else began_s)
    if sign == "refuses_us":
        # This one call is the whole proof: what failed before it for other reasons may be older than the last pause.
        return Health(after.failures, began_s), True
    return after, after.failures >= OUTAGE
