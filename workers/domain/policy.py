"""The durations and bounds that the rules take from settings; `_s` means seconds."""

from datetime import timedelta

import msgspec


class RefundPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long a refund waits in each state before somebody looks again (SPEC §4)."""

    retry_base_s: float = 1.0
    retry_max_s: float = 300.0
    give_up_after: timedelta = timedelta(days=5)
    lease_s: float = 30.0
    """An adapter that claimed an attempt may call the provider until then."""
    command_again_s: float = 45.0
    """A command that nobody claimed is sent again after this; must exceed the lease."""
    look_up_base_s: float = 5.0
    look_up_max_s: float = 300.0
    pending_look_up_s: float = 3600.0
    pending_limit: timedelta = timedelta(days=30)
    uncertain_limit: timedelta = timedelta(days=5)
    gate_limit: timedelta = timedelta(days=5)
    """So long a provider may leave open whether something of a declined or bounced refund is alive."""
    audit_after: tuple[timedelta, ...] = (
        timedelta(days=1),
        timedelta(days=5),
        timedelta(days=14),
        timedelta(days=30),
    )
    key_retention: dict[str, timedelta] = msgspec.field(
        default_factory=lambda: {"card": timedelta(hours=24), "paypal": timedelta(days=45)}
    )
    """How long a provider remembers an idempotency key; the wallet never forgets."""
    longest_stall: timedelta = timedelta(minutes=10)
    """How long a process may have been stopped and still wake up and call, the call itself included."""
    redirects_itself: bool = True
    """Whether a refund that its instrument can't take goes to the client's wallet without a person's word."""
    refusals_before_renewal: int = 3
    """So often the same key is sent again after a refusal that the provider stores; then a new key is needed."""

    def key_kept(self, provider: str) -> timedelta | None:
        """How long after a key's first use a call with it may still begin, stalls taken off; None: for ever."""
        kept = self.key_retention.get(provider)
        return None if kept is None else kept - self.longest_stall


class ChatPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long a chat stays open after a cancellation, and when both sides are reminded (SPEC R4)."""

    open_for: timedelta = timedelta(days=7)
    remind_before: timedelta = timedelta(hours=24)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    refunds: RefundPolicy = msgspec.field(default_factory=RefundPolicy)
    chats: ChatPolicy = msgspec.field(default_factory=ChatPolicy)
