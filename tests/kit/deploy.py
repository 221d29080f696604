"""Where deploy/ is, its compose file filled in as compose does it, and settings that are only what a test gives."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?:(?P<how>:[-?])(?P<text>[^}]*))?\}")
FILLED = {
    "POSTGRES_PASSWORD": "pass",
    "ANNUL_STRIPE_API_KEY": "key",
    "ANNUL_PAYPAL_CLIENT_ID": "id",
    "ANNUL_PAYPAL_CLIENT_SECRET": "word",
    "ANNUL_STRIPE_WEBHOOK_SECRET": "word",
    "ANNUL_PAYPAL_WEBHOOK_ID": "id",
    "OPS_USERS_FILE": "./ops-users",
}


def interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    """As compose does it: `${A:?told}` must be there, `${A:-default}` need not."""
    if isinstance(value, dict):
        return {key: interpolated(part, environment) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, environment) for part in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        given = environment.get(found["name"], "")
        assert given or found["how"] == ":-", f"{found['name']}: {found['text']}"
        return given or found["text"]

    return VARIABLE.sub(fill, value)


def raw_compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def services() -> dict[str, Any]:
    found: dict[str, Any] = interpolated(raw_compose()["services"], FILLED)
    return found


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], Settings]:
    """Sets ANNUL_ variables to those given, and no others."""

    def setting(environment: Mapping[str, str]) -> Settings:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Settings.read()

    return setting
