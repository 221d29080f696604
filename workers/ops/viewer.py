"""Who looks, and what they may do."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final, Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from workers.ops.language import Language

Role = Literal["viewer", "operator", "approver"]
RANK: Final[dict[Role, int]] = {"viewer": 0, "operator": 1, "approver": 2}
"""Each may do what those before it may: an approver is an operator who may also agree to another's action."""
Endpoint = Callable[[Request], Awaitable[Response]]


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """The person behind a request."""

    name: str
    """As the audit log names them; empty where nobody signed in."""
    role: Role | None
    """None: may see nothing but the sign-in page."""
    language: Language
    csrf: str
    """What a form of theirs has to bring; empty where they can't send one."""

    def may(self, role: Role) -> bool:
        """Whether they have at least this role."""
        return self.role is not None and RANK[self.role] >= RANK[role]


def viewer_of(request: Request) -> Viewer:
    """Set by the middleware of `workers.ops.security` for each request."""
    viewer: Viewer = request.state.viewer
    return viewer


def needs(role: Role) -> Callable[[Endpoint], Endpoint]:
    """An endpoint for people with at least this role; others get 403. Every endpoint carries it, or `open_to_all`."""

    def wrap(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guarded(request: Request) -> Response:
            if not viewer_of(request).may(role):
                raise HTTPException(403)
            return await endpoint(request)

        guarded.annul_needs = role  # type: ignore[attr-defined]  # a test goes over all routes and looks for it
        return guarded

    return wrap


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """An endpoint for anybody: sign-in, style sheets, health."""
    endpoint.annul_needs = None  # type: ignore[attr-defined]
    return endpoint
