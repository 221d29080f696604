"""The dashboard put together: every page there is, what they need, what runs beside them."""

from collections.abc import Awaitable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import structlog
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from workers.ops import pages
from workers.ops.app import create_app
from workers.ops.asking import Reader
from workers.ops.following import Following
from workers.ops.security import flow, oidc
from workers.ops.security.doors import Doors
from workers.ops.security.guard import Guard, is_loopback
from workers.ops.security.sessions import Sessions
from workers.ops.security.users import Users
from workers.ops.standing import Standing
from workers.ops.watching import Watch
from workers.ops.worker import Ops
from workers.settings import Settings, SettingsError, secret
from workers.telemetry import Metrics

log = structlog.get_logger()


def routes() -> list[BaseRoute]:
    """The routes of all pages."""
    found: list[BaseRoute] = []
    for module in sorted(iter_modules(pages.__path__), key=lambda one: one.name):
        found += import_module(f"{pages.__name__}.{module.name}").ROUTES
    return found


def doors_of(settings: Settings, reader: Reader) -> Doors:
    """Who may. Raises SettingsError where nobody could sign in, and others than this machine's people could ask."""
    tls = settings.ops_behind_tls
    if settings.ops_users_file is None and settings.ops_oidc_issuer is None:
        if not is_loopback(settings.ops_host):
            raise SettingsError(
                "ANNUL_OPS_HOST must be 127.0.0.1 while neither ANNUL_OPS_USERS_FILE nor ANNUL_OPS_OIDC_ISSUER is set"
            )
        if tls:
            # Somebody meant others to reach it.
            raise SettingsError(
                "ANNUL_OPS_BEHIND_TLS needs ANNUL_OPS_USERS_FILE or ANNUL_OPS_OIDC_ISSUER: else anybody may look"
            )
        return Doors(None, None, behind_tls=tls)
    if not tls and not is_loopback(settings.ops_host):
        log.warning("ops.tls_missing", host=settings.ops_host)
    sessions = Sessions(reader, idle=settings.ops_session_idle, longest=settings.ops_session_longest)
    if settings.ops_users_file is None:
        return Doors(None, sessions, behind_tls=tls, oidc=_issuer(settings))
    if settings.ops_oidc_issuer is not None:
        # One person by two names would be the second person to what they asked for themselves.
        raise SettingsError("ANNUL_OPS_USERS_FILE and ANNUL_OPS_OIDC_ISSUER don't go together: set one of them")
    return Doors(Users(Path(settings.ops_users_file)), sessions, behind_tls=tls)


def _issuer(settings: Settings) -> oidc.Oidc:
    settings.need("ops_url", "ops_oidc_client_id", "ops_oidc_client_secret")
    client = oidc.Client(
        issuer=settings.ops_oidc_issuer or "",
        client_id=settings.ops_oidc_client_id or "",
        client_secret=secret(settings.ops_oidc_client_secret) or "",
        redirect_uri=f"{(settings.ops_url or '').rstrip('/')}{flow.BACK}",
        name_claim=settings.ops_oidc_name_claim,
        roles_claim=settings.ops_oidc_roles_claim,
        groups={
            "viewer": settings.ops_oidc_viewers,
            "operator": settings.ops_oidc_operators,
            "approver": settings.ops_oidc_approvers,
        },
    )
    return oidc.Oidc(client)


def assemble(settings: Settings, metrics: Metrics | None = None) -> Ops:
    """The worker, ready to run."""
    reader = Reader(settings.database_url.get_secret_value())
    watch = Watch(settings, reader)
    standing = Standing((metrics or Metrics()).registry, reader, watch)
    following = Following(settings)
    doors = doors_of(settings, reader)
    state = {"doors": doors, "reader": reader, "settings": settings, "watch": watch, "following": following}
    app = create_app(state, routes(), [Middleware(Guard, doors=doors)])

    def duties() -> list[Awaitable[None]]:
        return [watch.run(), standing.run(), following.run()]

    return Ops(app, settings.ops_host, settings.ops_port, duties=duties, close=reader.close, stopping=watch.close)
