"""At the demo's end: the providers' lists held against ours, as the worker `reconcile` does it every day."""

import asyncio
from datetime import timedelta
from typing import Final

from workers.pipeline.clock import SystemClock
from workers.reconcile.run import Plan, reconcile
from workers.reconcile.types import Difference, Report
from workers.settings import Settings
from workers.store.database import Database
from workers.wiring import providers_of

_LOOKS: Final = 4
_BETWEEN_LOOKS_S: Final = 2.0
_SINCE: Final = timedelta(days=1)


async def differences_left(database: Database, settings: Settings) -> tuple[str, bool]:
    """One line that says what was compared and found, and whether it is well.

    What differs for a moment, because a webhook is on its way, is no difference: only what every look finds is one.
    Tells nobody and records nothing.
    """
    providers = providers_of(settings)
    lasting: list[Difference] | None = None
    try:
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(_BETWEEN_LOOKS_S)
            now = (await database.fetch("read_clock"))[0][0]
            plan = Plan(
                period_from=now - _SINCE,
                period_to=now,
                lag=timedelta(0),
                skew=timedelta(0),
                sample=20,
                uncertain_after=timedelta(days=1),
                pending_after=timedelta(days=1),
                dry_run=True,
            )
            report = await reconcile(database, SystemClock(), providers, plan)
            before = None if lasting is None else {_key(one) for one in lasting}
            lasting = [one for one in report.differences if before is None or _key(one) in before]
            if not lasting and not _failed(report):
                break
    finally:
        for provider in providers.values():
            if provider is not None:
                await provider.close()
    return _line(report, lasting or []), not lasting and not _failed(report)


def _key(one: Difference) -> tuple[str, str | None, str | None]:
    return one.kind, one.refund_id, one.provider_refund_id


def _failed(report: Report) -> list[str]:
    return [f"{one.provider}: {one.failed}" for one in report.providers if one.failed is not None]


def _line(report: Report, differences: list[Difference]) -> str:
    listed, ours = (sum(getattr(one, name) for one in report.providers) for name in ("listed", "ours"))
    found = ", ".join([*(f"{one.kind} {one.refund_id} {one.provider_refund_id}" for one in differences[:10])])
    told = f"{len(differences)} differences: {found}" if differences else "no differences"
    if failed := _failed(report):
        told += f"; {', '.join(failed)}"
    return f"Reconciliation: {listed} listed, {ours} ours, {told}."
