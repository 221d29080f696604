"""The rows that decisions on refunds need and change: locked, read and written in sets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from schemas.refunds import RefundAction, RefundDue, RefundFlagged, RefundResult
from workers.domain.ledger import credit_id
from workers.domain.order_types import Order
from workers.domain.refund_course import RefundDecision, Situation
from workers.domain.refund_types import Action, Claim, Fact, Refund
from workers.store.action_audit import decided
from workers.store.audit import append
from workers.store.database import columns
from workers.store.queries import sql
from workers.store.recording import insert, lock, store, update_refunds


class Asked(NamedTuple):
    """An action that nobody has decided yet."""

    action: Action
    unapproved: bool
    """A second person has to agree first."""


class Acted(NamedTuple):
    """An action that was decided; `refused` is a code where it could not be carried out."""

    action: Action
    refused: str | None


class RefundRows:
    """What a batch knows and changes. Whoever asks for a refund is given it as earlier decisions left it."""

    def __init__(self) -> None:
        self.claims: dict[str, list[Claim]] = {}
        self.answered: dict[str, set[int]] = {}
        self.facts: dict[str, dict[str, Fact]] = {}
        self.actions: dict[str, Asked] = {}
        self.acted: list[Acted] = []
        self.credited: set[str] = set()
        self.paid_elsewhere: set[str] = set()
        """Refunds that a person has marked as settled elsewhere, whatever has happened to them since."""
        self._orders: dict[str, Order] = {}
        self._refunds: dict[str, Refund] = {}
        self._of_order: dict[str, list[str]] = {}
        self._changed: dict[str, Refund] = {}
        self._created: set[str] = set()
        self._changed_orders: dict[str, Order] = {}
        self._new_facts: dict[tuple[str, str], Fact] = {}
        self._decisions: list[tuple[RefundDecision, str]] = []
        self._observations: list[tuple[Any, ...]] = []

    # ------------------------------------------------------------ what is known

    def refund(self, refund_id: str) -> Refund | None:
        """As it is by now."""
        return self._changed.get(refund_id) or self._refunds.get(refund_id)

    def order(self, order_id: str) -> Order:
        """As it is by now."""
        return self._changed_orders.get(order_id) or self._orders[order_id]

    def of_order(self, order_id: str) -> list[Refund]:
        """All refunds of an order."""
        return [self._changed.get(key) or self._refunds[key] for key in self._of_order[order_id]]

    def successor_of(self, refund: Refund) -> Refund | None:
        """The refund that a redirected one's money went on with, over several redirects."""
        found = refund
        while found.state == "redirected" and found.redirected_to is not None:
            following = self.refund(found.redirected_to)
            assert following is not None, "redirects stay within their order"
            found = following
        return found if found is not refund else None

    def situation(self, refund: Refund, base: Situation) -> Situation:
        """`base` with all that is known of a refund by now."""
        successor = self.successor_of(refund)
        return replace(
            base,
            client_locale=self.order(refund.order_id).client_locale,
            claims=tuple(self.claims.get(refund.refund_id, ())),
            answered=frozenset(self.answered.get(refund.refund_id, ())),
            facts=tuple(self.facts.get(refund.refund_id, {}).values()),
            successor=successor,
            successor_claimed=successor is not None and successor.refund_id in self.claims,
            paid_elsewhere=refund.refund_id in self.paid_elsewhere,
        )

    # ------------------------------------------------------------ load

    async def load(self, connection: Any, batch: Sequence[Any]) -> None:
        """Lock the orders, then their refunds; what else is known of a refund only where the batch depends on it."""
        order_ids = {said.order_id for said in batch}
        self._orders = await lock(connection, "lock_orders", Order, order_ids)
        self._refunds = await lock(connection, "lock_refunds", Refund, order_ids)
        for refund in self._refunds.values():
            self._of_order.setdefault(refund.order_id, []).append(refund.refund_id)
        named = {said.refund_id for said in batch if said.refund_id in self._refunds}
        await self._load_credits(connection)
        await self._load_actions(connection, [said.action_id for said in batch if isinstance(said, RefundAction)])
        heard = {said.refund_id for said in batch if not isinstance(said, RefundDue)} & named
        for row in await connection.fetch(sql("read_facts"), list(heard)) if heard else ():
            self.facts.setdefault(row["refund_id"], {})[row["provider_refund_id"]] = Fact(**row)
        await self._load_claims(connection, self._whose_claims(batch, named))
        reviewed = [one for one in named if self._refunds[one].state in ("needs_review", "settled_elsewhere")]
        for row in await connection.fetch(sql("read_paid_elsewhere"), reviewed) if reviewed else ():
            self.paid_elsewhere.add(row["refund_id"])

    def _whose_claims(self, batch: Sequence[Any], named: set[str]) -> list[str]:
        """The good way needs none: a command that was sent, and succeeded."""
        wanted = set()
        for said in batch:
            if said.refund_id not in named:
                continue
            refund = self._refunds[said.refund_id]
            if refund.state != "requested" or not isinstance(said, RefundResult) or said.outcome != "succeeded":
                wanted.add(said.refund_id)
            if (successor := self.successor_of(refund)) is not None:
                wanted.add(successor.refund_id)
        return list(wanted)

    async def _load_claims(self, connection: Any, wanted: list[str]) -> None:
        if not wanted:
            return
        for refund_id, *claim in await connection.fetch(sql("read_claims"), wanted):
            attempt, claimed_at, lease_until = claim
            made = Claim(attempt=attempt, claimed_at=claimed_at, lease_until=lease_until)
            self.claims.setdefault(refund_id, []).append(made)
        for refund_id, attempt in await connection.fetch(sql("read_answered"), wanted):
            self.answered.setdefault(refund_id, set()).add(attempt)

    async def _load_credits(self, connection: Any) -> None:
        wallets = [
            (refund.order_id, credit_id(refund.refund_id))
            for refund in self._refunds.values()
            if refund.provider == "wallet"
        ]
        found = await connection.fetch(sql("read_wallet_credits"), *columns(wallets, 2)) if wallets else ()
        self.credited = {row["refund_id"] for row in found}

    async def _load_actions(self, connection: Any, action_ids: list[str]) -> None:
        for row in await connection.fetch(sql("lock_actions"), action_ids) if action_ids else ():
            given = dict(row)
            unapproved = given.pop("unapproved")
            self.actions[row["action_id"]] = Asked(Action(**given), unapproved)

    # ------------------------------------------------------------ note and store

    def note(self, decision: RefundDecision, message_id: str) -> None:
        """Keep what a decision changes, for the next one and for the store."""
        self._decisions.append((decision, message_id))
        refund = decision.refund
        if decision.changed:
            self._changed[refund.refund_id] = refund
        if decision.successor is not None:
            self._changed[decision.successor.refund_id] = decision.successor
        if (created := decision.created) is not None:
            self._changed[created.refund_id] = created
            self._created.add(created.refund_id)
            self._of_order[created.order_id].append(created.refund_id)
        self.paid_elsewhere.update(step.refund_id for step in decision.steps if step.state == "settled_elsewhere")
        for fact in decision.facts:
            self.facts.setdefault(fact.refund_id, {})[fact.provider_refund_id] = fact
            self._new_facts[fact.refund_id, fact.provider_refund_id] = fact

    def change_order(self, order: Order) -> None:
        """The order is another one now."""
        self._changed_orders[order.order_id] = order

    def observe(self, message_id: str, said: RefundResult | RefundFlagged, after: Refund, now: datetime) -> None:
        """Keep what was heard, also where it changes nothing."""
        heard: tuple[Any, ...]
        if isinstance(said, RefundResult):
            heard = (said.attempt, said.outcome, said.via, said.provider_refund_id, said.provider_code, said.message)
            look_up_no = said.look_up_no
            if said.via == "call" and said.outcome != "uncertain":
                self.answered.setdefault(said.refund_id, set()).add(said.attempt)
        else:
            heard = (after.attempt, "flagged", "check", said.provider_refund_id, said.code, None)
            look_up_no = None
        self._observations.append(
            (said.refund_id, message_id, *heard, look_up_no, said.observed_at, now, after.state, after.revision)
        )

    async def store(self, connection: Any, now: datetime) -> None:
        """Write what changed, and every observation."""
        await store(connection, "orders", self._changed_orders, self._orders)
        await update_refunds(connection, [one for key, one in self._changed.items() if key not in self._created])
        await insert(connection, "refunds", [self._changed[key] for key in self._created])
        if self._observations:
            await connection.execute(sql("insert_observations"), *columns(self._observations, 0))
        if self._new_facts:
            facts = [msgspec.structs.astuple(fact) for fact in self._new_facts.values()]
            await connection.execute(sql("store_facts"), *columns(facts, 5))
        decisions = [decision for decision, _ in self._decisions]
        await insert(connection, "ledger_transfers", [line for one in decisions for line in one.transfers])
        steps = [
            (*msgspec.structs.astuple(step), now, message_id)
            for decision, message_id in self._decisions
            for step in decision.steps
        ]
        if steps:
            await connection.copy_records_to_table("refund_steps", records=steps)
        if self.acted:
            rows = [(one.action.action_id, "refused" if one.refused else "applied", one.refused) for one in self.acted]
            await connection.execute(sql("decide_actions"), *columns(rows, 3), now)

    async def store_audit(self, connection: Any) -> None:
        """Say in the audit chain what became of people's actions: the last thing of the transaction."""
        entries = [decided(action.action_id, action.refund_id, action.kind, refused) for action, refused in self.acted]
        await append(connection, entries)
