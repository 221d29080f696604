"""What a check tells of: which invariant is broken, by what, and how."""

from typing import Final

import msgspec

MOST_VIOLATIONS: Final = 1000
"""Of one check. Who has a thousand has one cause; more of the same tells nothing new."""


class Violation(msgspec.Struct, frozen=True):
    """One invariant that one thing breaks."""

    invariant: str
    subject: str
    detail: str
