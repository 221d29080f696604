"""Where the money of a random history really is, whatever the tables say; judged at each movement."""

from collections import defaultdict
from datetime import datetime
from typing import Any, Literal

import msgspec

from kit.history_provider import KEPT, FakeProvider
from kit.history_world import Letter, World
from schemas.orders import OrderCancelled, Tender
from schemas.refunds import OrderRefunded, RefundEvent, RefundIssue, RefundLookUp, RefundResult
from workers.domain.emission import Emission
from workers.pipeline.messages import Verdict

TenderKey = tuple[str, str]
Lie = Literal["dashboard", "beyond", "forgetful"]
"""What is beyond the protocol: refunds made by hand at the provider, stalls longer than the longest, keys forgotten."""


class Truth(msgspec.Struct):
    """Of one tender."""

    tender: Tender
    wallet: int = 0
    persons: int = 0

    @property
    def due(self) -> int:
        """What the client is owed."""
        return self.tender.captured_minor - self.tender.refunded_minor


class Truths:
    """Of all tenders, with what was seen of the workers' work. `lie` names what is beyond the protocol, if anything."""

    def __init__(self, world: World, providers: dict[str, FakeProvider], lie: Lie | None) -> None:
        self.lie = lie
        self.orders: list[str] = []
        self.of: dict[TenderKey, Truth] = {}
        self.tender_of: dict[str, TenderKey] = {}
        self.refunds_of: dict[TenderKey, list[str]] = defaultdict(list)
        self.latest: dict[str, RefundIssue] = {}
        """The last command of each refund."""
        self.told_refunded: dict[str, set[int]] = defaultdict(set)
        self.disputed: dict[str, str] = {}
        """Payments by their open disputes."""
        self.failed_at: dict[str, datetime] = {}
        self.providers = providers
        self._world = world
        self._credited: set[str] = set()
        self._asked_at: dict[str, datetime] = {}
        self._heard_failed: set[str] = set()
        self._claimed_at: dict[str, datetime] = {}
        self._called_at: dict[str, datetime] = {}
        self._given_up: set[str] = set()
        world.on_emission.append(self._emitted)
        world.on_verdict.append(self._decided)

    def _emitted(self, emission: Emission) -> None:
        data = emission.data
        if isinstance(data, RefundIssue):
            key = (data.order_id, data.tender_id)
            if data.refund_id not in self.tender_of:
                self.tender_of[data.refund_id] = key
                self.refunds_of[key].append(data.refund_id)
            if data.refund_id not in self.latest or self.latest[data.refund_id].attempt < data.attempt:
                self.latest[data.refund_id] = data
        elif isinstance(data, RefundLookUp):
            self._asked_at[data.refund_id] = self._world.now
        elif isinstance(data, OrderRefunded):
            self.told_refunded[emission.key].add(data.revision)

    def _decided(self, letter: Letter, verdict: Verdict) -> None:
        said = letter.data
        if isinstance(said, OrderCancelled) and verdict.label == "applied":
            for tender in said.escrow.tenders:
                self.of[said.order_id, tender.tender_id] = Truth(tender)
        elif isinstance(said, RefundIssue) and verdict.effect is not None:
            assert said.reference not in self.disputed.values(), f"{said.reference} is disputed, and was claimed"
            self._claimed_at.setdefault(said.refund_id, self._world.now)
        elif isinstance(said, RefundResult) and said.outcome in ("declined", "rejected"):
            self._heard_failed.add(said.provider_refund_id or "")
        self._caused(letter, verdict)

    def _caused(self, letter: Letter, verdict: Verdict) -> None:
        said = letter.data
        for emission in verdict.emissions:
            told = emission.data
            if emission.type == "refund.redirected" and isinstance(told, RefundEvent) and told.provider != "wallet":
                self._give_up(told.refund_id, said)
            elif letter.reader != "wallet" or not isinstance(told, RefundResult):
                continue
            elif told.via == "call" and told.outcome == "succeeded":
                self._credit(said)

    def _credit(self, command: RefundIssue) -> None:
        """A wallet's refund is its ledger line: however often it is claimed, it is there once."""
        key = self.tender_of[command.refund_id]
        if command.refund_id not in self._credited:
            self._credited.add(command.refund_id)
            self.of[key].wallet += command.amount_minor
        self.check(key)

    def _give_up(self, refund_id: str, said: Any) -> None:
        """Paid another way: an answer proves that nothing is alive, nobody called after it, nor ever will."""
        if self.lie is None:
            is_answer = isinstance(said, RefundResult) and said.via == "look_up" and said.refund_id == refund_id
            assert is_answer, f"{refund_id}: paid another way, and no look-up proved that nothing was alive"
            called_at = self._called_at.get(refund_id)
            assert called_at is None or called_at <= said.observed_at, f"{refund_id}: proved by an old answer"
            self._given_up.add(refund_id)

    def called(self, command: RefundIssue) -> None:
        """A provider was asked to pay: under a key that it can't have forgotten, and for what is not given up."""
        refund_id, now = command.refund_id, self._world.now
        self._called_at[refund_id] = now
        if self.lie is None:
            assert refund_id not in self._given_up, f"{refund_id} was given up, and is called for"
            kept_until = self._claimed_at[refund_id] + KEPT[command.provider]
            assert now <= kept_until, f"{refund_id} is called for, and its key may be forgotten since {kept_until}"
        self.check(self.tender_of[refund_id])

    # ------------------------------------------------------------ judged

    def out(self, key: TenderKey) -> int:
        """What a provider paid of a tender, or may yet."""
        tender = self.of[key].tender
        return 0 if tender.provider == "wallet" else self.providers[tender.provider].out(tender.reference)

    def paid(self, key: TenderKey) -> int:
        """All that the client has of a tender, or is about to get."""
        return self.out(key) + self.of[key].wallet + self.of[key].persons

    def check(self, key: TenderKey) -> None:
        """Never more than is due; where somebody lies or stalls for too long, that is for the end to judge."""
        truth = self.of[key]
        if self.lie is None:
            assert self.paid(key) <= truth.due, (
                f"{key} was paid twice: {truth.due} due; provider {self.out(key)}, wallet {truth.wallet}, "
                f"persons {truth.persons}"
            )

    def unheard(self, refund_id: str, entry_id: str | None) -> bool:
        """Whether a refund that settled failed later, and neither its notice nor an answer to the audit arrived.

        The last audit is asked once: what gets lost of it is for reconciliation.
        """
        failed_at, asked_at = self.failed_at.get(entry_id or ""), self._asked_at.get(refund_id)
        if failed_at is None or asked_at is None or entry_id in self._heard_failed:
            return False
        return asked_at > failed_at
