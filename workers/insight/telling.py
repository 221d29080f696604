"""The words in which an order's story is told: each kind of sentence once, in English; others bring their own."""

from collections.abc import Mapping
from typing import Final

from workers.insight.money import money

ENGLISH: Final[Mapping[str, str]] = {
    "placed": "by {client} with {seller} in {chat}",
    "by": "by {who}",
    "paid_out": "the escrow was paid out",
    "too_early": "nothing to refuse yet: it was not cancelled then",
    "cancelled": "by {who} ({stage}); {amount} captured ({tenders})",
    "cancelled.before": ", {amount} refunded before",
    "tender": "{tender} by {provider}",
    "tenders.none": "nothing paid",
    "outcome": "{outcome}, number {seq} of {seller}",
    "outcome.replaces": "; takes back {outcome} of {at}",
    "ledger": "{amount} from {source} to {target}",
    "payout": "{payout}: {amount} to {seller}; {reason}",
    "chat.closes": "{chat} closes {at} UTC",
    "chat.withdrawn": "; withdrawn since",
    "chat.sent": "sent; it was due {at} UTC",
    "chat.due": "will be sent then, unless it is withdrawn",
    "refunded": "{amount} went back",
    "refunded.nothing": "nothing was due",
    "notice": "to the {whom} about {about}, as {notice}",
    "parked": "{what} as {parked}: {reason} ({field}: {detail})",
    "parked.unread": "a message",
    "request": "{amount} to {provider} {reference} as {refund} ({tender})",
    "request.instead": " instead of {refund}",
    "claim": "attempt {attempt} of {refund} by {who}, for {lease_s} s",
    "flagged": "{refund} doesn't add up",
    "answer": "{provider} on attempt {attempt} of {refund}: {outcome} (by {via})",
    "answer.id": "their id {refund}",
    "answer.now": "now {state} (revision {revision})",
    "code": "code {code}",
    "move": "{refund} was {state} (revision {revision})",
    "move.goes_on": "its money goes on with {refund}",
    "wish": "{action}: {kind} of {refund} at revision {revision} by {who}",
    "wish.second": ", which takes a second person",
    "wish.agreed": "{action} by {who}",
    "decision": "{action}: {kind} of {refund}",
    "dispute": "{provider} {dispute} about {reference}: {status} ({standing})",
    "look": "{refund} is looked at again",
    "look.gate": "; its gate ({gate}) waits for proof that nothing of it is alive",
}


class Telling:
    """Tells in English, and names things as the record does."""

    def say(self, key: str, /, **values: object) -> str:
        """The sentence of a kind, or the part of one."""
        return ENGLISH[key].format(**values)

    def money(self, minor: int, currency: str | None) -> str:
        """With as many decimals as the currency has."""
        return money(minor, currency)

    def word(self, kind: str, name: str) -> str:
        """What the record calls `name`; `kind` is what it is a name of, as `state`."""
        del kind
        return name


IN_ENGLISH: Final = Telling()
