"""What the rules of advice take: a seller with 7 of 20 orders cancelled, beside others with 12.4 % on average."""

from datetime import UTC, datetime
from typing import Any, Final

from kit.builders import NOW, SELLER
from schemas.sellers import AdviceNumbers, SellerAdvice
from workers.domain.advice import Judged, numbers_of
from workers.domain.notices.advice import texts_of

HELP_URL: Final = "https://help.example/statistics"
TIPS: Final = {
    "fr": (
        "description de service claire et détaillée",
        "Indiquez précisément ce que le client doit fournir avant que vous ne commenciez",
        "Posez toutes les questions nécessaires dès l'étape « En attente de validation »",
        "Clarifiez les attentes et vérifiez que le client a bien compris",
        "travail conforme et complet, et revérifiez-le toujours avant la livraison",
        "discutez avec le client avant que le chat ne se ferme",
        "nouvelle commande correspondant au travail effectué, ou une offre personnalisée au prix adapté",
    ),
    "en": (
        "clear and detailed description of your service",
        "Say exactly what the client must provide before you begin to work",
        "Ask all the questions you need answered while the order awaits your acceptance",
        "check that the client has understood what they are buying",
        "Deliver complete work that is as agreed, and always check it once more before you deliver",
        "talk to the client before the chat closes",
        "new order that matches the work done, or a custom offer at the right price",
    ),
}
"""The product's own tips, as each language says them."""


def judged(seller_id: str = SELLER, *, above: bool = True, **changes: Any) -> Judged:
    """What the seller's row says."""
    fields = {"cancelled": 7, "closed": 20, "others_average": 0.124, "as_of": NOW.date()}
    return Judged(seller_id=seller_id, above=above, **{**fields, **changes})


def numbers(**changes: Any) -> AdviceNumbers:
    """What the advice follows from."""
    return numbers_of(judged(**changes))


def advice(seller_id: str = SELLER, issued_at: datetime = NOW, **changes: Any) -> SellerAdvice:
    """`seller.advice`."""
    told = numbers(**changes)
    texts = texts_of(told, HELP_URL)
    return SellerAdvice(seller_id=seller_id, kind="above_average", numbers=told, texts=texts, issued_at=issued_at)


def plain(text: str) -> str:
    """Every space an ordinary one."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def utc(*parts: int) -> datetime:
    """A time."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # the zone is named, whatever the parts
