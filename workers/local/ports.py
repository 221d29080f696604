"""Free TCP ports on the loopback address."""

import secrets
import socket
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_LOWEST: Final = 20_000
_EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES: Final = 200

_given: Final[set[int]] = set()  # to servers of this process, which may not be listening yet


def free_port() -> int:
    """A port nobody listens on, below those the system gives to outgoing connections.

    One of the latter could be taken while a killed server is down. Worse: a client that keeps trying to reconnect
    to it may be given that very port and connect to itself.
    """
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_highest() - _LOWEST)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(f"no free port between {_LOWEST} and {_highest()}")


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _highest() -> int:
    try:
        lowest_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        lowest_ephemeral = 32_768
    # A system that hands out nearly all ports leaves no quiet range: then any will do.
    return lowest_ephemeral if lowest_ephemeral > _LOWEST + 1_000 else 65_535
