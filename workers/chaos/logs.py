"""What the workers' logs complain of."""

from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

_BAD: Final = frozenset({"warning", "error", "critical"})


class _Line(msgspec.Struct):
    event: str = ""
    level: str = ""


_line = msgspec.json.Decoder(_Line)


def count_events(folder: Path) -> Counter[str]:
    """How often each warning, or worse, is in the logs of the processes of a stack."""
    found: Counter[str] = Counter()
    for path in folder.glob("sellers-*.log"):
        for text in path.read_bytes().splitlines():
            try:
                line = _line.decode(text)
            except msgspec.DecodeError:
                continue
            if line.level in _BAD:
                found[f"{line.level} {line.event[:100]}"] += 1
    return found
