"""`annul ops user NAME`: the line of a user for the dashboard's file of users."""

import getpass
import sys
from enum import StrEnum
from typing import Annotated

import typer

from workers.settings import SettingsError

ops = typer.Typer(help="The dashboard.", no_args_is_help=True)


class RoleName(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


@ops.callback()
def _group() -> None:
    """The dashboard."""


@ops.command("user")
def user(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[RoleName, typer.Option(help="what they may do; each role may do what those before it may")],
) -> None:
    """Print a user's line for ANNUL_OPS_USERS_FILE; asks for the password, or reads it from a pipe."""
    from workers.ops.security.users import line_of  # noqa: PLC0415 - a hash library; only here

    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Again: "):
            raise SettingsError("the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    sys.stdout.write(line_of(name, role.value, password) + "\n")
