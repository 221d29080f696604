"""What payment providers send by themselves: their own JSON, byte for byte, behind a signature that was checked."""

from typing import Any

import msgspec

from schemas.base import Message


class ProviderWebhook(Message, frozen=True, kw_only=True):
    """As much of a provider's event as tells what it is about; the header `annul_provider` says whose it is."""

    id: str
    type: str | None = None
    """Stripe's name of the event."""
    event_type: str | None = None
    """PayPal's."""
    created: Any = None
    create_time: Any = None
    data: Any = msgspec.field(default=None)
    """Stripe's thing is in `data.object`."""
    resource: Any = None
    """PayPal's thing."""
