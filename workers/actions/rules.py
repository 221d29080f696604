"""What a person has to say, when a second one has to agree, and the sentences for what is refused."""

import unicodedata
from typing import Final, Self

import msgspec

from schemas.currencies import EXPONENTS
from workers.domain.policy import RefundPolicy
from workers.domain.refund_types import ActionKind
from workers.settings import Settings
from workers.store.action_audit import REFUNDS

KINDS: Final[tuple[ActionKind, ...]] = (
    "retry",
    "look_up",
    "redirect",
    "settle",
    "mark_settled",
    "mark_failed",
    "release",
)
_MOST_REASON: Final = 500
_MOST_EVIDENCE: Final = 1000
_MOST_NAME: Final = 128

WHY: Final = {
    "refund_moved": "the refund is not any more what was seen; look at it again, and ask anew",
    "nothing_to_look_up": "there is nothing to ask the provider about in this state",
    "not_in_review": "only a refund in review is moved by a person",
    "not_frozen": "it isn't frozen: ask for `settle` first, and pay only once nothing can be alive at the provider",
    "no_evidence": "it takes evidence: what shows that the money went, or that nothing of it is alive at the provider",
    "gate_open": "another way was asked for already, and waits for the proof that nothing of the refund is alive",
    "something_is_alive": "a refund of it has gone through at the provider, or may yet; nothing else may be paid",
    "paid_another_way": "the client has this money already, by the refund before it; `release` closes it",
    "nothing_is_alive": "nothing of it counts as paid or as on its way",
    "paid_elsewhere": "a person has paid it by other means already; nothing more may be paid",
    "is_the_wallet": "it goes to the wallet already",
    "unknown_refund": "there is no such refund",
    "unknown_dispute": "there is no such dispute",
    "dispute_closed": "it is closed already",
    "unknown_action": "there is no such action",
    "already_asked": "the same was asked of this refund already, and is not decided yet",
    "already_decided": "it is decided already",
    "already_approved": "it was approved already",
    "no_second_needed": "it needs no second person",
    "same_person": "who asked can't approve: a second person must",
    "no_reason": "a reason is mandatory",
    "bad_reason": f"a reason has at most {_MOST_REASON} printable characters",
    "bad_evidence": f"evidence has at most {_MOST_EVIDENCE} printable characters",
    "bad_name": f"a person's name has 1 to {_MOST_NAME} printable characters, and isn't a worker's",
}
"""By the code of a refusal."""


class ActionError(Exception):
    """An action can't be asked for or agreed to. `code` is stable; the text says it in a sentence."""

    def __init__(self, code: str, about: str = "") -> None:
        super().__init__(f"{about}: {WHY[code]}" if about else WHY[code])
        self.code = code


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say about actions."""

    policy: RefundPolicy
    approval_above: int
    """In whole units of a refund's currency."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises SettingsError where two settings don't go together."""
        return cls(policy=settings.policy().refunds, approval_above=settings.approval_above)

    def need_second(self, kind: ActionKind, amount_minor: int, currency: str) -> bool:
        """Whether a second person has to agree. To ask the provider is harmless, whatever the amount."""
        return kind != "look_up" and amount_minor > self.approval_above * 10 ** EXPONENTS[currency]


def the_name(text: str) -> str:
    """A person's name, spaces mended. Raises ActionError."""
    name = _checked(text, _MOST_NAME, "bad_name", "bad_name")
    if is_a_worker(name):
        raise ActionError("bad_name")
    return name


def the_reason(text: str) -> str:
    """A reason, spaces mended. Raises ActionError."""
    return _checked(text, _MOST_REASON, "bad_reason", "no_reason")


def the_evidence(text: str | None) -> str | None:
    """Evidence, spaces mended; None where there is none. Raises ActionError."""
    return _checked(text, _MOST_EVIDENCE, "bad_evidence", "bad_evidence") if text and text.strip() else None


def same_person(one: str, other: str) -> bool:
    """Names differ by more than capitals, spaces and ways to write the same letter."""
    return _plain(one) == _plain(other)


def is_a_worker(name: str) -> bool:
    """Whether the audit chain would take a person of this name for a worker that decided."""
    return same_person(name, REFUNDS)


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", " ".join(name.split())).casefold())
    # A mark that no letter has taken in can't be seen.
    return "".join(one for one in letters if unicodedata.category(one) not in ("Mn", "Me", "Cf"))


def _checked(text: str, most: int, bad: str, missing: str) -> str:
    told = " ".join(text.split())
    if not told:
        raise ActionError(missing)
    # What can't be printed may steer a terminal, and some of it PostgreSQL can't keep.
    if len(told) > most or not told.isprintable():
        raise ActionError(bad)
    return told
