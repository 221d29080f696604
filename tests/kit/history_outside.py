"""What comes into a random history from providers and banks: refunds that live on, webhooks, disputes, alarms."""

from datetime import timedelta
from typing import Final

from kit.history_adapters import Calls
from kit.history_orders import Orders
from kit.history_people import People
from kit.history_provider import Entry, FakeProvider, Status
from kit.history_truth import Lie, Truths
from kit.history_world import World
from schemas.refunds import Outcome, RefundFlagged, RefundIssue, RefundResult
from schemas.topics import REFUNDS_DUE, REFUNDS_RESULTS
from workers.domain.emission import Emission

_OUTCOMES: Final[dict[Status, Outcome]] = {"pending": "pending", "succeeded": "succeeded", "failed": "declined"}
_DISPUTED: Final = "charge_for_pending_refund_disputed"
_OPENED: Final = "INSERT INTO disputes VALUES ($1, $2, $3, 'open', true, $4) ON CONFLICT DO NOTHING"
_WON: Final = "UPDATE disputes SET status = 'won', is_open = false WHERE dispute_id = $1"
_LIES: Final[dict[int, Lie]] = {0: "dashboard", 1: "beyond", 2: "forgetful"}
"""One history in forty each is beyond the protocol."""


class Outside:
    """Sets a history up."""

    def __init__(self, world: World) -> None:
        self._world = world
        lie = _LIES.get(world.source.randrange(40))
        providers = {
            name: FakeProvider(name, world.luck, self._changed, forgetful=lie == "forgetful")
            for name in ("card", "paypal")
        }
        self.truths = Truths(world, providers, lie)
        self._doubted: set[str] = set()
        calls = Calls(world, providers, beyond=lie == "beyond")
        calls.heard.append(self.truths.called)
        world.adapters = calls
        world.on_emission.append(self._emitted)
        People(world, self.truths)
        Orders(world, self.truths).place()

    # ------------------------------------------------------------ providers

    def _changed(self, provider: FakeProvider, entry: Entry) -> None:
        """A provider's refund is new or moved: it goes on living, and mostly the provider says so."""
        world, source = self._world, self._world.source
        world.note(f"    {provider.name} has {entry.entry_id} for {(entry.refund_id or 'nobody')[:10]}: {entry.status}")
        if entry.status == "failed":
            self.truths.failed_at[entry.entry_id] = world.now
        elif entry.status == "pending":
            ends: Status = "failed" if source.random() < 0.35 else "succeeded"
            why = source.choice(("expired_or_canceled_card", "declined")) if ends == "failed" else None
            world.at(timedelta(hours=source.uniform(0.01, 150)), "", lambda: provider.move(entry, ends, why))
        elif world.luck.hits("bounced", 0.1):
            code = source.choice(("declined", "expired_or_canceled_card", _DISPUTED))
            world.tally["bounces"] += 1
            world.at(timedelta(days=source.uniform(0.01, 20)), "", lambda: provider.move(entry, "failed", code))
        if entry.refund_id is not None and source.random() < 0.75:
            self._tell(entry, self.truths.latest[entry.refund_id])

    def _tell(self, entry: Entry, command: RefundIssue) -> None:
        """A webhook as the translator words it."""
        said = RefundResult(
            refund_id=command.refund_id,
            order_id=command.order_id,
            provider=command.provider,
            attempt=command.attempt,
            outcome="rejected" if entry.code == _DISPUTED else _OUTCOMES[entry.status],
            provider_refund_id=entry.entry_id,
            provider_code=entry.code,
            observed_at=self._world.now,
            via="webhook",
        )
        message_id = f"whk_{entry.entry_id}_{entry.status}"
        self._world.post(REFUNDS_RESULTS.name, "refund.result", message_id, said)

    # ------------------------------------------------------------ doubts

    def _emitted(self, emission: Emission) -> None:
        command = emission.data
        if isinstance(command, RefundIssue) and command.refund_id not in self._doubted:
            self._doubted.add(command.refund_id)
            self._doubt(command)

    def _doubt(self, command: RefundIssue) -> None:
        """A bank may dispute the payment, a comparison sound an alarm, somebody refund by hand."""
        world, source = self._world, self._world.source
        if world.luck.hits("flagged", 0.06):
            delay = world.span() if source.random() < 0.6 else timedelta(hours=source.expovariate(0.1))
            world.at(delay, "a comparison sounds an alarm", lambda: self._flag(command, "reconciliation_differs"))
        if command.provider == "wallet":
            return
        if world.luck.hits("disputed", 0.04):
            delay = world.span() if source.random() < 0.5 else timedelta(hours=source.expovariate(0.2))
            world.at(delay, f"a dispute of {command.reference} opens", lambda: self._dispute(command))
        elif self.truths.lie == "dashboard":
            world.at(timedelta(hours=source.uniform(0, 100)), "", lambda: self._by_hand(command))

    async def _dispute(self, command: RefundIssue) -> None:
        world, truths = self._world, self.truths
        world.tally["disputes"] += 1
        name = f"dp_{command.refund_id}"
        truths.disputed[name] = command.reference
        await world.connection.execute(_OPENED, command.provider, name, command.reference, world.now)
        for refund_id in truths.refunds_of[truths.tender_of[command.refund_id]]:
            if truths.latest[refund_id].reference == command.reference:
                self._flag(truths.latest[refund_id], "disputed")
        if world.source.random() < 0.5:
            world.at(timedelta(days=world.source.uniform(1, 10)), "it is won", lambda: self._win(command))

    async def _win(self, command: RefundIssue) -> None:
        name = f"dp_{command.refund_id}"
        await self._world.connection.execute(_WON, name)
        del self.truths.disputed[name]

    def _by_hand(self, command: RefundIssue) -> None:
        """Somebody refunds in the provider's dashboard, where nothing of ours is on it; mostly we are told."""
        world, provider = self._world, self.truths.providers[command.provider]
        world.note(f"somebody refunds {command.reference} by hand")
        provider.make(None, command.reference, command.amount_minor, "succeeded", world.now)
        if world.source.random() < 0.8:
            self._flag(command, "unknown_provider_refund")

    def _flag(self, command: RefundIssue, code: str) -> None:
        flagged = RefundFlagged(
            refund_id=command.refund_id, order_id=command.order_id, code=code, observed_at=self._world.now
        )
        self._world.post(REFUNDS_DUE.name, "refund.flagged", f"flg_{code}_{command.reference}", flagged)
