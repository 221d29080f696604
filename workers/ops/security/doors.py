"""Who keeps the users, and who is signed in."""

import hmac

from workers.ops.security.oidc import Oidc
from workers.ops.security.sessions import Sessions
from workers.ops.security.users import Users
from workers.ops.viewer import Role


class Doors:
    """What the guard knows: who keeps the users (a file or an issuer) and the sessions.

    Without sessions nobody can sign in, and then everybody on this machine may look.
    """

    def __init__(
        self, users: Users | None, sessions: Sessions | None, *, behind_tls: bool, oidc: Oidc | None = None
    ) -> None:
        self.users = users
        self.oidc = oidc
        self.sessions = sessions
        self.behind_tls = behind_tls
        # A browser takes a cookie of such a name over TLS only, and from this very host.
        prefix = "__Host-" if behind_tls else ""
        self.cookie = f"{prefix}annul_session"
        self.stranger_cookie = f"{prefix}annul_visit"
        self.flow_cookie = f"{prefix}annul_flow"
        self.known_cookie = f"{prefix}annul_known"

    async def viewer_of(self, token: str, *, somebody_there: bool = True) -> tuple[str, Role] | None:
        """Whose session it is, and their role as of now; None where they have none.

        `somebody_there`: the session goes on. Raises AwayError.
        """
        found = await self.sessions.find(token, somebody_there=somebody_there) if self.sessions is not None else None
        if found is None:
            return None
        # Where a file keeps the users, what an issuer once said of somebody counts no more; and the other way round.
        if self.users is not None:
            role = self.users.role_of(found.name, found.proof)
        else:
            assert self.oidc is not None
            role = found.role if hmac.compare_digest(found.proof, self.oidc.proof) else None
        return (found.name, role) if role is not None else None
