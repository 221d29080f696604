"""deploy/compose.yaml held to the code: a service a worker, its settings, where secrets go."""

import re
from pathlib import Path
from typing import Any

import pytest
from kit.dashboard import users_file
from kit.deploy import DEPLOY, FILLED, ROOT, VARIABLE, raw_compose, services
from pydantic import SecretStr

from workers.settings import PREFIX, Settings
from workers.wiring import WORKERS, Process


def worker_services() -> dict[str, Any]:
    return {name: one for name, one in services().items() if one.get("command", [""])[:1] == ["worker"]}


def test_every_worker_has_a_service_of_its_name() -> None:
    assert {name: one["command"] for name, one in worker_services().items()} == {
        name: ["worker", name] for name in WORKERS
    }


@pytest.mark.parametrize("name", WORKERS)
async def test_service_has_what_its_worker_needs(name: str, only: Any, tmp_path: Path) -> None:
    environment = dict(worker_services()[name]["environment"])
    if (inside := environment.get("ANNUL_OPS_USERS_FILE")) is not None:
        assert worker_services()[name]["volumes"] == [f"{FILLED['OPS_USERS_FILE']}:{inside}:ro"]
        environment["ANNUL_OPS_USERS_FILE"] = str(users_file(tmp_path, ada="operator"))
    unknown = {key.removeprefix(PREFIX).lower() for key in environment} - Settings.model_fields.keys()
    assert not unknown, "settings that nobody reads"
    WORKERS[name](Process(only(environment)))


def test_services_of_workers_are_run_as_they_should_be() -> None:
    found = worker_services()
    instances = [one["environment"]["ANNUL_INSTANCE_ID"] for one in found.values()]
    assert len(set(instances)) == len(instances), "each process has a seat of its own"
    for name, one in found.items():
        assert one["stop_grace_period"] == "15s", name
        assert one["restart"] == "unless-stopped", name
        assert one["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}, name
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"]), name
        assert one["environment"]["ANNUL_HEALTH_PORT"] in one["expose"], name
        assert "healthcheck" not in one, "the image's own"
        doors = {"webhooks": ["127.0.0.1:8081:8081"], "ops": ["127.0.0.1:8080:8080"]}
        assert one.get("ports", []) == doors.get(name, []), "health has no login: it stays inside"


def test_image_is_built_once_and_before_the_workers() -> None:
    found = services()
    builders = [name for name, one in found.items() if "build" in one]
    assert builders == ["prepare"]
    prepare = found["prepare"]
    assert (DEPLOY / prepare["build"]["context"]).resolve() == ROOT
    assert (ROOT / prepare["build"]["dockerfile"]).is_file()
    assert prepare["entrypoint"] == ["sh", "-ec", "annul migrate; annul topics"]
    assert {name: one["condition"] for name, one in prepare["depends_on"].items()} == {
        "kafka": "service_healthy",
        "postgres": "service_healthy",
    }
    for name, one in worker_services().items():
        assert (one["image"], one["pull_policy"]) == (prepare["image"], "never"), name


def test_secrets_come_from_outside_and_go_only_where_they_are_needed() -> None:
    secrets = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if is_secret(field.annotation)}
    for name, one in raw_compose()["services"].items():
        given = {key: value for key, value in one.get("environment", {}).items() if key in secrets}
        assert all("${" in value for value in given.values()), name
        providers = {key.split("_")[1] for key in given if "STRIPE" in key or "PAYPAL" in key}
        needed = {"card": {"STRIPE"}, "paypal": {"PAYPAL"}, "webhooks": {"STRIPE", "PAYPAL"}}
        needed["reconcile"] = needed["webhooks"]
        assert providers == needed.get(name, set())


def is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())


def test_kafka_and_postgresql_keep_their_data_and_tell_when_they_are_ready() -> None:
    found = services()
    assert found["kafka"]["image"] == "apache/kafka:4.3.1"
    assert found["postgres"]["image"] == "postgres:18"
    volumes = {name: found[name]["volumes"] for name in ("kafka", "postgres")}
    # From 18 on PostgreSQL's image has its volume here; one at …/data would be left empty.
    assert volumes == {"kafka": ["kafka:/var/lib/kafka/data"], "postgres": ["postgres:/var/lib/postgresql"]}
    assert found["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"
    assert found["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert raw_compose()["volumes"].keys() == {"kafka", "postgres"}
    for name in ("kafka", "postgres"):
        assert found[name]["healthcheck"]["test"][0] == "CMD"
        assert all(port.startswith("127.0.0.1:") for port in found[name].get("ports", []))


def test_env_example_names_all_that_compose_asks_for_and_holds_no_value() -> None:
    asked = {(found["name"], found["how"]) for found in VARIABLE.finditer((DEPLOY / "compose.yaml").read_text())}
    required = {name for name, how in asked if how == ":?"}
    optional = {name for name, how in asked if how == ":-"}
    assert required | optional == {name for name, _ in asked}, "each says what happens without it"
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    named = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    offered = {line[1:].split("=", 1)[0] for line in lines if re.match(r"#[A-Z_]+=", line)}
    assert named == dict.fromkeys(required, "")
    assert offered == optional
    assert FILLED.keys() == required
    assert ".env" in (DEPLOY / ".gitignore").read_text().splitlines()
