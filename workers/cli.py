"""annul, the command line.

Exit codes: 0 all well, 1 not, 2 a bad call or setting, 3 something can't be reached, 70 a stuck worker.
"""

import sys
from enum import StrEnum
from typing import Annotated, NoReturn

import asyncpg
import typer
from aiokafka.errors import KafkaError

from workers.commands import operators
from workers.commands.calling import EXIT_UNREACHABLE, operator_settings, run, unreachable
from workers.commands.ops_users import ops
from workers.pipeline.kafka import OffsetLostError
from workers.pipeline.offsets import StartRefusedError
from workers.pipeline.watchdog import EXIT_STUCK, StuckError
from workers.settings import Settings, SettingsError
from workers.telemetry import quiet_logging, start_logging
from workers.topics import TopicsError

EXIT_BAD_CALL = 2


class Outage(StrEnum):
    """What a demo can take away."""

    POSTGRES = "postgres"
    KAFKA = "kafka"


app = typer.Typer(
    name="annul",
    help="Carries out everything that must follow when an order is cancelled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(invoke_without_command=True)
chaos = typer.Typer(help="Proofs on real processes that are killed meanwhile.", no_args_is_help=True)


@app.callback()
def _quiet() -> None:
    quiet_logging()


@app.command()
def worker(
    names: Annotated[list[str], typer.Argument(help="cancellations refunds wallet … (README has the list), or all")],
) -> None:
    """Run workers until SIGTERM."""
    from workers.running import run_workers, worker_names  # noqa: PLC0415 - loaded only where needed: starts stay quick

    settings = Settings.read()
    start_logging(settings.log_level)
    wanted = worker_names(names, settings)
    run(run_workers(wanted, settings))


@app.command()
def migrate() -> None:
    """Bring the database to this version."""
    from workers.store.migrate import migrate as bring_up  # noqa: PLC0415

    settings = operator_settings("database_url")
    steps = run(bring_up(settings.database_url.get_secret_value()))
    typer.echo(f"{steps} step(s) applied")


@app.command()
def topics(
    rewind_to_database: Annotated[
        bool, typer.Option(help="set the groups' offsets to where the database is (after a restore)")
    ] = False,
    accept_new: Annotated[
        str | None, typer.Option(help="a topic that was made anew: start at its beginning", metavar="TOPIC")
    ] = None,
) -> None:
    """Bring the topics and the groups' first offsets to this version."""
    from workers import topics as ways  # noqa: PLC0415

    settings = operator_settings(
        "kafka_bootstrap_servers", *(["database_url"] if rewind_to_database or accept_new else [])
    )
    if accept_new:
        changes = run(ways.accept_new_topic(settings, accept_new))
    elif rewind_to_database:
        changes = run(ways.rewind_to_database(settings))
    else:
        changes = run(ways.prepare_topics(settings))
    typer.echo("\n".join(changes) or "nothing to change")


@app.command()
def up() -> None:
    """Real Kafka and PostgreSQL, simulated providers and every worker, in the foreground."""
    from workers.commands import demo as command  # noqa: PLC0415

    run(command.run_up())


@app.command()
def demo(
    orders: Annotated[int, typer.Option(min=1, max=1_000_000)] = 1_200,
    seed: Annotated[int, typer.Option(help="the same seed makes the same traffic")] = 1,
    lasting_s: Annotated[float, typer.Option(min=1, help="over how long the traffic is sent")] = 12,
    chat_open_for: Annotated[
        str | None, typer.Option(help="ISO 8601, how long chats stay open", metavar="PT10S")
    ] = None,
    kill: Annotated[bool, typer.Option("--kill", help="kill -9 every worker in turn meanwhile")] = False,
    outage: Annotated[Outage | None, typer.Option(help="gone for a while")] = None,
    outage_s: Annotated[float, typer.Option(min=1, help="for how long")] = 15,
    keep: Annotated[bool, typer.Option("--keep", help="leave it running")] = False,
    within_s: Annotated[float, typer.Option(help="how long everything may take to settle after the traffic")] = 60,
) -> None:
    """All of Annul on real parts with realistic traffic, faults included; exit 0 only if every invariant holds."""
    from workers.commands import demo as command  # noqa: PLC0415
    from workers.demo.run import Wishes  # noqa: PLC0415

    wishes = Wishes(
        orders=orders,
        seed=seed,
        lasting_s=lasting_s,
        chat_open_for=chat_open_for,
        kill=kill,
        outage=outage.value if outage else None,
        outage_s=outage_s,
        keep=keep,
        within_s=within_s,
    )
    if not run(command.run_demo(wishes)):
        raise typer.Exit(1)


@bench.callback()
def bench_cancellations(
    context: typer.Context,
    messages: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="cancellations a round")] = 60_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="pairs, measured in turn")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="one line of JSON")] = False,
) -> None:
    """Measure cancellations per second, beside a bare loop over the same messages in the same run."""
    if context.invoked_subcommand is not None:
        if any(
            source is not None and source.name != "DEFAULT"
            for source in map(context.get_parameter_source, context.params)
        ):
            raise typer.BadParameter(f"options of {context.invoked_subcommand} go after its name")
        return
    from workers.commands import bench as command  # noqa: PLC0415

    run(command.run(messages=messages, rounds=rounds, as_json=as_json))


@bench.command("sellers")
def bench_sellers(
    messages: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="outcomes a round")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="all of them, measured in turn")] = 3,
    profile: Annotated[bool, typer.Option("--profile", help="once more under a profiler")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="also measure how long a table is restored")] = False,
    restored: Annotated[int, typer.Option(min=1, max=5_000_000, help="sellers in that table")] = 1_000_000,
    install: Annotated[
        bool, typer.Option(help="install quixstreams in a place of its own, where it isn't there yet")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="one line of JSON")] = False,
) -> None:
    """Measure a sellers process: updates a second, beside bare aiokafka, quixstreams and a plain faust agent."""
    from workers.bench.sellers.run import Wishes  # noqa: PLC0415
    from workers.commands import bench_sellers as command  # noqa: PLC0415

    wishes = Wishes(messages, rounds, profile=profile, install=install, restored=restored if restore else 0)
    run(command.run(wishes, as_json=as_json))


@bench.command("ops")
def bench_ops(
    orders: Annotated[int, typer.Option(min=1_000, max=5_000_000)] = 1_000_000,
    parked: Annotated[int, typer.Option(min=10, max=500_000, help="as many again were put back or discarded")] = 50_000,
    sellers: Annotated[int, typer.Option(min=10, max=100_000)] = 10_000,
    requests: Annotated[int, typer.Option(min=1, max=1_000, help="of each page")] = 30,
    pairs: Annotated[
        int, typer.Option(min=0, max=50, help="then measure the worker with people at the dashboard and without")
    ] = 0,
    people: Annotated[int, typer.Option(min=1, max=50, help="each opens a page every 3 s")] = 3,
    messages: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="cancellations of each half")] = 60_000,
    as_json: Annotated[bool, typer.Option("--json", help="one line of JSON")] = False,
) -> None:
    """Measure the dashboard's pages over a large database: milliseconds, rows read, tables read from end to end."""
    from workers.bench.ops.run import Wishes  # noqa: PLC0415
    from workers.commands import bench_ops as command  # noqa: PLC0415

    sizes = {"orders": orders, "parked": parked, "sellers": sellers}
    wishes = Wishes(sizes=sizes, requests=requests, pairs=pairs, people=people, messages=messages)
    run(command.run(wishes, as_json=as_json))


@chaos.command("sellers")
def chaos_sellers(
    outcomes: Annotated[int, typer.Option(min=1_000, max=5_000_000)] = 200_000,
    sellers: Annotated[int, typer.Option(min=2, max=20_000, help="each is compared with every other one")] = 2_000,
    kills: Annotated[int, typer.Option(min=0, max=1_000, help="kill -9; others leave, freeze, are replaced")] = 30,
    workers: Annotated[int, typer.Option(min=1, max=16, help="processes that share the table")] = 3,
    seed: Annotated[int, typer.Option(help="the same seed makes the same outcomes and acts")] = 1,
    lasting_s: Annotated[
        float | None, typer.Option(min=5, help="over how long it is sent; 6 s a kill if not given")
    ] = None,
    within_s: Annotated[float, typer.Option(min=1, help="how long all may take to be equal")] = 180,
    changelog: Annotated[bool, typer.Option(help="then delete the table's changelog, and see it made again")] = True,
    keep_logs: Annotated[bool, typer.Option("--keep-logs", help="leave the processes' logs")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one line of JSON")] = False,
) -> None:
    """Prove on a stack of its own that the sellers' table equals SQL, whatever crashes; exit 1 on any difference."""
    from workers.chaos.run import Wishes  # noqa: PLC0415
    from workers.commands import chaos as command  # noqa: PLC0415

    if outcomes < 3 * sellers:
        raise typer.BadParameter("at least three times the number of sellers", param_hint="--outcomes")
    wishes = Wishes(
        outcomes=outcomes,
        sellers=sellers,
        kills=kills,
        workers=workers,
        seed=seed,
        lasting_s=lasting_s or max(20.0, 6.0 * kills),
        within_s=within_s,
        changelog=changelog,
        keep_logs=keep_logs,
    )
    if not run(command.run(wishes, as_json=as_json)):
        raise typer.Exit(1)


operators.add_to(app)
app.add_typer(bench, name="bench")
app.add_typer(chaos, name="chaos")
app.add_typer(ops, name="ops")


def main() -> None:
    """The console script: known faults end with one line and a code, never a traceback."""
    try:
        app()
    except (SettingsError, StartRefusedError, OffsetLostError, TopicsError) as error:
        _end(str(error), EXIT_BAD_CALL)
    except asyncpg.ClientConfigurationError as error:
        _end(f"ANNUL_DATABASE_URL: {error}", EXIT_BAD_CALL)
    except (KafkaError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        away = unreachable(error)
        if away is not None:
            _end(away, EXIT_UNREACHABLE)
        _end(_told(error), 1)
    except StuckError as error:
        _end(str(error), EXIT_STUCK)


def _told(error: Exception) -> str:
    if isinstance(error, KafkaError):
        return f"Kafka: {type(error).__name__}: {error}"
    if isinstance(error, asyncpg.PostgresError):
        return f"PostgreSQL: {type(error).__name__}: {error} (is the database migrated? `annul migrate`)"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _end(text: str, code: int) -> NoReturn:
    sys.stderr.write(f"annul: {' '.join(text.split())}\n")
    raise SystemExit(code)
