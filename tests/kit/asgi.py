"""Requests as a server would tell an application of them."""

from collections.abc import Mapping
from typing import Any


def scope_of(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """`path` with its query; `headers` in lower case."""
    where, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
