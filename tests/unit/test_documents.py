"""What the texts in deploy/ and the README tell is so: topics, commands, links, reasons, events."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from kit.deploy import DEPLOY, ROOT

from schemas.topics import CATALOGUE
from workers import cli


def test_topics_as_data_are_the_catalogue() -> None:
    data = json.loads((ROOT / "schemas" / "topics.json").read_text())["topics"]
    assert [(one["name"], one["direction"], one["key"], one["types"], one["settings"]) for one in data] == [
        (topic.name, topic.direction, topic.key, list(topic.types), topic.settings()) for topic in CATALOGUE
    ]
    assert all(isinstance(value, str) for one in data for value in one["settings"].values()), "as Kafka takes them"


def spans(path: Path) -> list[str]:
    """What stands in back-ticks, and the lines of code blocks."""
    text = path.read_text()
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    return [
        *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)),
        *"\n".join(blocks).splitlines(),
    ]


@pytest.mark.parametrize("name", ["README.md", "RUNBOOK.md", "settings.md"])
def test_commands_that_are_told_exist(name: str) -> None:
    whole = typer.main.get_command(cli.app)
    calls = [span.split() for span in spans(DEPLOY / name) if span.startswith("annul ")]
    assert calls
    for _, *words in calls:
        command: Any = whole
        while words and hasattr(command, "commands"):
            step = words.pop(0)
            if step == "NAME":
                break
            assert step in command.commands, f"annul {step}"
            command = command.commands[step]
        known = {option for part in command.params if isinstance(part, click.Parameter) for option in part.opts}
        known |= {option for part in command.params for option in part.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize("name", ["README.md", "RUNBOOK.md", "settings.md", "metrics.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (DEPLOY / name).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        path = DEPLOY / (file or name)
        assert path.is_file(), target
        heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, (
            target
        )


def sources(*folders: str) -> str:
    return "\n".join(
        path.read_text() for folder in folders for path in sorted((ROOT / folder).glob("*.py")) if path.name != "cli.py"
    )


def test_runbook_knows_every_reason_to_park() -> None:
    code = sources("schemas", "workers", "workers/domain", "workers/pipeline", "workers/webhooks")
    named = dict(re.findall(r'^([A-Z_]+)(?:: Final)? = "([a-z_]+)"$', code, re.MULTILINE))
    reasons = {named.get(one, one) for one in re.findall(r'Fault\(\s*"?([A-Za-z_]+)"?,', code)} - {"reason", "fault"}
    assert len(reasons) > 8
    assert reasons <= set(spans(DEPLOY / "RUNBOOK.md"))


def test_runbook_knows_every_review_of_our_own_and_every_event_of_trouble() -> None:
    told_there = set(spans(DEPLOY / "RUNBOOK.md"))
    domain = sources("workers/domain")
    assert set(re.findall(r'_review\(\w+, "([a-z_]+)"', domain)) <= told_there
    code = sources("workers", "workers/pipeline", "workers/webhooks", "workers/reconcile")
    trouble = set(re.findall(r'log\.(?:error|critical)\(\s*"([a-z_.]+)"', code))
    waiting = set(re.findall(r'log\.warning\(\s*"([a-z_.]+_delayed)"', code))
    assert len(waiting) > 5
    assert trouble | waiting <= told_there
