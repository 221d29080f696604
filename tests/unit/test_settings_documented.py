"""deploy/settings.md held to the settings there are, their defaults and who needs them."""

import re
from datetime import timedelta
from typing import Any

from kit.deploy import DEPLOY, ROOT
from pydantic import SecretStr

from workers.settings import PREFIX, Settings, SettingsError
from workers.wiring import WORKERS, Process


def settings_table() -> dict[str, tuple[str, str]]:
    """Variable to its default and who needs it."""
    rows = re.findall(r"^\| `(ANNUL_\w+)` \| (.+?) \| (.+?) \| .{10,} \|$", settings_text(), re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows)
    return {name: (default, needed) for name, default, needed in rows}


def settings_text() -> str:
    return (DEPLOY / "settings.md").read_text()


def told(value: Any) -> str:
    """A default as the table writes it."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "-"
    if isinstance(value, timedelta):
        hours, rest = divmod(value, timedelta(hours=1))
        assert rest == timedelta(0)
        value = f"PT{hours}H" if hours % 24 else f"P{hours // 24}D"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_settings_table_has_every_setting_and_its_default() -> None:
    fields = Settings.model_fields
    assert {name: default for name, (default, _) in settings_table().items()} == {
        PREFIX + name.upper(): told(field.default) for name, field in fields.items()
    }


_NO_WORDS = {"kafka_sasl_mechanism", "kafka_ca_file", "ops_users_file", "ops_oidc_issuer", "traces_endpoint"}


async def test_settings_table_says_who_needs_what(only: Any) -> None:
    unset = {name for name, field in Settings.model_fields.items() if told(field.default) == "-"}
    filled = {PREFIX + name.upper(): "word" for name in unset - _NO_WORDS}
    filled |= {name: f"postgresql://{name}" if "DATABASE" in name else "http://x" for name in filled if "_URL" in name}
    filled["ANNUL_KAFKA_BOOTSTRAP_SERVERS"] = "kafka:9092"
    found = {}
    for variable, (default, _) in settings_table().items():
        without = only({name: value for name, value in filled.items() if name != variable})
        needing = [name for name in WORKERS if default == "-" and not starts(name, without, variable)]
        found[variable] = "all" if needing == list(WORKERS) else ", ".join(needing) or "-"
    assert found == {name: needed for name, (_, needed) in settings_table().items()}


def starts(worker: str, settings: Settings, variable: str) -> bool:
    try:
        WORKERS[worker](Process(settings))
    except SettingsError as error:
        if variable not in str(error):
            raise
        return False
    return True


def test_every_variable_that_the_code_reads_is_told() -> None:
    read = {
        name for path in (ROOT / "workers").rglob("*.py") for name in re.findall(r"ANNUL_[A-Z_]+\b", path.read_text())
    }
    assert read <= set(re.findall(r"`(ANNUL_[A-Z_]+)`", settings_text()))
