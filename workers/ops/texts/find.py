"""What the search says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # key: (English, French)
    "find.title": ("Found for “{text}”", "Résultats pour « {text} »"),
    "find.empty": ("Search", "Recherche"),
    "find.ask": ("Type an id into the field above.", "Saisissez un identifiant dans le champ ci-dessus."),
    "find.none": (
        (
            "Nothing has this id. It may be an order, refund, conversation, payout, dispute, seller or parked message, "
            "a payment’s or a refund’s id at the provider, or the reference (ARN) that a bank knows a card refund by. "
            "Ids are compared whole."
        ),
        (
            "Rien ne porte cet identifiant. Ce peut être une commande, un remboursement, une conversation, un "
            "versement, un litige, un vendeur ou un message mis de côté, l’identifiant d’un paiement ou d’un "
            "remboursement chez le prestataire, ou la référence (ARN) d’un remboursement par carte. "
            "L’identifiant doit être complet."
        ),
    ),
    "find.most": ("The first {most} are shown.", "Les {most} premiers sont affichés."),
    "find.what": ("What it is", "Ce que c’est"),
    "find.where": ("Where", "Où"),
    "find.kind.order": ("order", "commande"),
    "find.kind.unread_order": ("order, of parked messages alone", "commande, de messages mis de côté seulement"),
    "find.kind.refund": ("refund", "remboursement"),
    "find.kind.provider_refund": ("refund at the provider", "remboursement chez le prestataire"),
    "find.kind.payment": ("payment", "paiement"),
    "find.kind.arn": ("reference at the bank (ARN)", "référence bancaire (ARN)"),
    "find.kind.conversation": ("conversation", "conversation"),
    "find.kind.payout": ("payout", "versement"),
    "find.kind.dispute": ("dispute", "litige"),
    "find.kind.action": ("a person’s action", "action d’une personne"),
    "find.kind.seller": ("seller", "vendeur"),
    "find.kind.parked": ("parked message", "message mis de côté"),
}
