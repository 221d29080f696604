"""`annul reconcile` for people and machines."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from workers.commands.output import console, print_json, table, when
from workers.insight.money import money
from workers.pipeline.clock import SystemClock
from workers.providers.port import Provider
from workers.reconcile.run import Plan, reconcile
from workers.reconcile.types import NOT_CONFIGURED, Difference, Report, Side
from workers.settings import Settings, SettingsError
from workers.store.database import Database
from workers.wiring import providers_of


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for; the period ends now unless they say otherwise."""

    provider: str | None
    period_from: datetime | None
    period_to: datetime | None
    days: int
    sample: int | None
    """None: as many as the setting says."""
    dry_run: bool
    as_json: bool
    file: Path | None


async def run(settings: Settings, wishes: Wishes) -> bool:
    """Reconcile, print, and write the file; True where nothing differs. Raises SettingsError for what can't be."""
    if wishes.file is not None and not wishes.file.parent.is_dir():
        raise SettingsError(f"--file: there is no folder {str(wishes.file.parent)!r}")
    providers = _chosen(settings, wishes.provider)
    database = Database(settings.database_url.get_secret_value())
    try:
        now = (await database.fetch("read_clock"))[0][0]
        report = await reconcile(database, SystemClock(), providers, _plan(settings, wishes, now))
    finally:
        for provider in providers.values():
            if provider is not None:
                await provider.close()
        await database.close()
    if wishes.as_json:
        print_json(report)
    else:
        _print(report)
    if wishes.file is not None:
        wishes.file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return report.ok


def _chosen(settings: Settings, name: str | None) -> Mapping[str, Provider | None]:
    providers = providers_of(settings)
    if name is not None:
        providers = {name: providers[name]}
    if not any(providers.values()):
        missing = {"card": "ANNUL_STRIPE_API_KEY is", "paypal": "ANNUL_PAYPAL_CLIENT_ID and …_SECRET are"}
        raise SettingsError(" and ".join(f"{missing[one]} not set" for one in providers))
    return providers


def _plan(settings: Settings, wishes: Wishes, now: datetime) -> Plan:
    policy = settings.policy().refunds
    until = min(wishes.period_to or now, now)
    since = wishes.period_from or until - timedelta(days=wishes.days)
    if since >= until:
        raise SettingsError("the period ends before it begins: --from must be before --to, and before now")
    return Plan(
        period_from=since,
        period_to=until,
        lag=timedelta(seconds=settings.reconcile_lag_s),
        sample=settings.reconcile_sample if wishes.sample is None else wishes.sample,
        uncertain_after=timedelta(seconds=policy.look_up_max_s),
        pending_after=timedelta(seconds=policy.pending_look_up_s),
        dry_run=wishes.dry_run,
    )


def _print(report: Report) -> None:
    out = console()
    title = f"{when(report.period_from)} to {when(report.period_to)} UTC"
    numbers = ("in their list", "of ours", "looked up", "asked for now")
    parts = [
        (one.provider, one.listed, one.ours, one.looked_up, one.woken, _outcome(one.failed)) for one in report.providers
    ]
    out.print(table(title, ("provider", *numbers, ""), parts, numbers=numbers))
    if report.differences:
        rows = [_row(one) for one in report.differences]
        headings = ("what", "provider", "refund", "order", "their id", "ours", "theirs", "done")
        out.print(table("Differences", headings, rows))
    if report.left_out:
        out.print(f"{report.left_out} more differences; nothing was done about them.")
    kept = "A dry run: nothing was told, nothing recorded." if report.dry_run else f"Recorded as {report.run_id}."
    out.print(("Nothing differs. " if report.ok else "") + kept)


def _outcome(failed: str | None) -> str:
    if failed == NOT_CONFIGURED:
        return "left out: no credentials"
    return "read" if failed is None else f"FAILED: {failed}"


def _row(one: Difference) -> tuple[Any, ...]:
    return (
        one.kind.replace("_", " "),
        one.provider,
        one.refund_id,
        one.order_id,
        one.provider_refund_id,
        _told(one.ours),
        _told(one.theirs),
        one.action.replace("_", " "),
    )


def _told(side: Side | None) -> str:
    if side is None:
        return "nothing"
    return side.state if side.amount_minor is None else f"{side.state}, {money(side.amount_minor, side.currency)}"
