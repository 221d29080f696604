"""What the pages of people's actions say; what a preview tells in English is put into French here."""

import re
from typing import Final, Literal

from workers.actions.rules import WHY

_WHY_FRENCH: Final = {
    "refund_moved": "le remboursement n’est plus ce qui a été vu ; regardez-le à nouveau et refaites la demande",
    "nothing_to_look_up": "dans cet état il n’y a rien à demander au prestataire",
    "not_in_review": "seul un remboursement à examiner peut être repris par une personne",
    "not_frozen": "il n’est pas gelé : demandez d’abord le règlement, et ne payez qu’une fois le gel acquis",
    "no_evidence": "il faut une preuve : que l’argent est parti, ou que rien n’est actif chez le prestataire",
    "gate_open": "une autre voie a déjà été demandée et attend la preuve que rien n’est actif",
    "something_is_alive": "un remboursement a abouti chez le prestataire, ou peut encore aboutir ; rien d’autre ne "
    "peut être payé",
    "paid_another_way": "le client a déjà cet argent, par le remboursement précédent ; la libération le clôt",
    "nothing_is_alive": "rien n’en est compté comme payé ou en route",
    "paid_elsewhere": "une personne l’a déjà payé autrement ; rien de plus ne peut être payé",
    "is_the_wallet": "il va déjà au portefeuille",
    "unknown_refund": "ce remboursement n’existe pas",
    "unknown_dispute": "ce litige n’existe pas",
    "dispute_closed": "il est déjà clos",
    "unknown_action": "cette action n’existe pas",
    "already_asked": "la même chose a déjà été demandée pour ce remboursement et n’est pas encore décidée",
    "already_decided": "c’est déjà décidé",
    "already_approved": "c’est déjà approuvé",
    "no_second_needed": "aucune seconde personne n’est nécessaire",
    "same_person": "qui a fait la demande ne peut pas l’approuver : il faut une seconde personne",
    "no_reason": "une raison est obligatoire",
    "bad_reason": "une raison compte au plus 500 caractères imprimables",
    "bad_evidence": "une preuve compte au plus 1000 caractères imprimables",
    "bad_name": "un nom compte de 1 à 128 caractères imprimables",
}
_WHY_ENGLISH: Final = {
    **WHY,
    # The command line names its own command here.
    "not_frozen": "it isn't frozen: ask to settle it by hand first, and pay only once it is",
}
TEXTS: Final[dict[str, tuple[str, str]]] = {
    # key: (English, French)
    **{f"actions.why.{code}": (_WHY_ENGLISH[code], _WHY_FRENCH[code]) for code in WHY},
    "actions.title": ("What may be done with {id}", "Ce qui peut être fait de {id}"),
    "actions.ask.title": ("{kind}: {id}", "{kind} : {id}"),
    "actions.preview.title": ("Before you confirm: {kind}", "Avant de confirmer : {kind}"),
    "actions.one.title": ("Action {id}", "Action {id}"),
    "actions.refused.title": ("This can’t be done now", "C’est impossible pour le moment"),
    "actions.refused.why": ("Not possible: {why}.", "Impossible : {why}."),
    "actions.refused.back": ("Look at it as it is now", "Voir la situation actuelle"),
    "actions.kind.retry": ("Retry", "Réessayer"),
    "actions.kind.look_up": ("Look up", "Interroger le prestataire"),
    "actions.kind.redirect": ("Redirect to the wallet", "Rediriger vers le portefeuille"),
    "actions.kind.settle": ("Settle by hand", "Régler à la main"),
    "actions.kind.mark_settled": ("Mark as settled", "Marquer comme réglé"),
    "actions.kind.mark_failed": ("Mark as failed", "Marquer comme échoué"),
    "actions.kind.release": ("Release", "Libérer"),
    "actions.does.retry": (
        (
            "Sends the refund again: under the same key while that is safe, else under a new one once it is proven "
            "that nothing of it is alive."
        ),
        (
            "Renvoie le remboursement : sous la même clé tant que c’est sûr, sinon sous une nouvelle, une fois prouvé "
            "que rien n’en est actif."
        ),
    ),
    "actions.does.look_up": (
        "Asks the provider what became of it. Moves no money.",
        "Demande au prestataire ce qu’il en est. Aucun mouvement d’argent.",
    ),
    "actions.does.redirect": (
        "Pays the client’s wallet instead, once it is proven that nothing of it is alive at the provider.",
        "Paie le portefeuille du client, une fois prouvé que rien n’est actif chez le prestataire.",
    ),
    "actions.does.settle": (
        "Freezes it, once it is proven that nothing is alive, so that a person may pay by other means.",
        "Le gèle, une fois prouvé que rien n’est actif, pour qu’une personne paie autrement.",
    ),
    "actions.does.mark_settled": (
        "Records that a person paid by other means. Only for one that is frozen.",
        "Consigne qu’une personne a payé autrement. Seulement s’il est gelé.",
    ),
    "actions.does.mark_failed": (
        "Records that what counts as paid never reached the client.",
        "Consigne que ce qui est compté comme payé n’est jamais arrivé au client.",
    ),
    "actions.does.release": (
        "Gives it back to the rules: they ask the provider and go on from the facts.",
        "Le rend aux règles : elles interrogent le prestataire et repartent des faits.",
    ),
    "actions.now": ("The refund as it is now", "Le remboursement tel qu’il est"),
    "actions.caption": ("Actions, and whether they can be done now", "Actions, et si elles sont possibles maintenant"),
    "actions.action": ("Action", "Action"),
    "actions.effect": ("What it does", "Ce qu’elle fait"),
    "actions.can": ("Now", "Maintenant"),
    "actions.can.yes": ("possible", "possible"),
    "actions.can.second": ("possible, with a second person", "possible, avec une seconde personne"),
    "actions.can.no": ("not possible: {why}", "impossible : {why}"),
    "actions.before": ("What people asked for so far", "Ce qui a été demandé jusqu’ici"),
    "actions.before.one": ("by {who}, {at} UTC: it {standing}", "par {who}, {at} UTC : {standing}"),
    "actions.is": ("{kind}: it {standing}.", "{kind} : {standing}."),
    "actions.before.none": ("Nobody asked for anything.", "Personne n’a rien demandé."),
    "actions.revision": ("Revision", "Révision"),
    "actions.reason": ("Reason (mandatory, at most 500 characters)", "Raison (obligatoire, 500 caractères au plus)"),
    "actions.reason.hint": (
        "Kept in the audit log; nothing personal.",
        "Conservée dans le journal d’audit ; rien de personnel.",
    ),
    "actions.evidence.required": (
        "Evidence (mandatory): what shows that it is so",
        "Preuve (obligatoire) : ce qui le montre",
    ),
    "actions.evidence.optional": (
        "Evidence: what shows that nothing of it is alive, where the provider can’t tell",
        "Preuve : ce qui montre que rien n’est actif, si le prestataire ne peut le dire",
    ),
    "actions.second": ("A second person has to agree first.", "Une seconde personne doit d’abord approuver."),
    "actions.fault": ("Please mend this: {why}.", "À corriger : {why}."),
    "actions.to_preview": ("Show what it would do", "Montrer ce que cela ferait"),
    "actions.confirm": ("Confirm: {kind}", "Confirmer : {kind}"),
    "actions.confirm.second": ("Ask for approval: {kind}", "Demander l’approbation : {kind}"),
    "actions.cancel": ("Back, without doing it", "Retour, sans rien faire"),
    "actions.would": ("What it will do", "Ce que cela fera"),
    "actions.stage.refund": ("Refund", "Remboursement"),
    "actions.stage.ledger": ("Ledger", "Grand livre"),
    "actions.stage.command": ("{provider} is sent", "Envoyé à {provider}"),
    "actions.stage.told": ("Events for others", "Événements pour les autres"),
    "actions.stage.again": ("Looked at again (UTC)", "Revu le (UTC)"),
    "actions.stage.nothing": ("Nothing changes.", "Rien ne change."),
    "actions.stage.what": ("What", "Quoi"),
    "actions.stage.how": ("How", "Comment"),
    "actions.stage.new": ("new", "nouveau"),
    "actions.stage.move": ("{amount} from {source} to {target}", "{amount} de {source} vers {target}"),
    "actions.stage.issue": (
        "{amount} to {reference}, key {key}, attempt {attempt}",
        "{amount} vers {reference}, clé {key}, tentative {attempt}",
    ),
    "actions.stage.look_up": ("look-up {number}, moves no money", "consultation {number}, sans mouvement d’argent"),
    "actions.standing.waits": ("waits for a second person", "attend une seconde personne"),
    "actions.standing.scheduled": (
        "is on its way: the workers carry it out within moments",
        "est en route : les services l’exécutent dans un instant",
    ),
    "actions.standing.applied": ("was carried out", "a été exécutée"),
    "actions.standing.refused": ("was refused", "a été refusée"),
    "actions.standing.rejected": ("was rejected", "a été rejetée"),
    "actions.standing.again": ("Look again", "Regarder à nouveau"),
    "actions.why": ("Why", "Pourquoi"),
    "actions.said.reason": ("Reason", "Raison"),
    "actions.said.evidence": ("Evidence", "Preuve"),
    "actions.said.by": ("Asked by", "Demandée par"),
    "actions.said.at": ("Asked at (UTC)", "Demandée le (UTC)"),
    "actions.said.approved": ("Approved", "Approuvée"),
    "actions.said.approved.by": ("by {name} on {at} UTC", "par {name} le {at} UTC"),
    "actions.said.decided": ("Decided at (UTC)", "Décidée le (UTC)"),
    "actions.masked": ("*** {count} characters", "*** {count} caractères"),
    "actions.approve": ("Approve", "Approuver"),
    "actions.reject": ("Reject", "Rejeter"),
    "actions.reject.reason": ("Reason for saying no", "Raison du refus"),
    "actions.mine": (
        "You asked for this: another person has to approve it.",
        "Vous avez fait cette demande : une autre personne doit l’approuver.",
    ),
    "actions.unapprovable": ("It can’t be approved any more: {why}.", "L’approbation n’est plus possible : {why}."),
}

_PROVEN_FRENCH: Final = {
    "the money goes to the client's wallet": "l’argent va au portefeuille du client",
    "the refund is sent anew, under a new key": "le remboursement est renvoyé sous une nouvelle clé",
    "the refund is frozen: a person pays, and marks it as settled": "le remboursement est gelé : une personne paie, "
    "puis le marque comme réglé",
}
_SHOWN_FRENCH: Final = "dès que la réponse du prestataire montre que rien n’en est actif"
_FRENCH: Final = (
    (r"at once", "tout de suite"),
    (r"once the provider's answer shows that nothing of it is alive", _SHOWN_FRENCH),
    (
        r"once calls of it that may be under way have ended, (?P<when>.+) UTC",
        "dès que les appels peut-être en cours sont finis, le {when} UTC",
    ),
    (r"once the wallet has it", "dès que le portefeuille l’a reçu"),
    (r"once (?P<provider>\w+) says that it succeeded", "dès que {provider} dit que c’est réussi"),
    (
        r"a dispute about the payment is open: .+",
        "un litige sur le paiement est ouvert : la commande est refusée et le remboursement revient à l’examen",
    ),
    (
        r"the payment is or was disputed: .+",
        "le paiement est ou fut contesté : la banque du client a peut-être rendu l’argent, ou peut encore le faire",
    ),
    (
        r"(?P<provider>\w+) is paused \((?P<code>.+)\): .+",
        "{provider} est en pause ({code}) : ce qui lui est envoyé attend son retour",
    ),
)
_GATED: Final = re.compile(r"once the provider's answer shows that nothing of it is alive (?P<what>[^.]+)\. .+")


def in_words(sentence: str, language: Literal["en", "fr"]) -> str:
    """A sentence of a preview in the language; one that is not known here stays English."""
    if language == "en":
        return sentence
    gated = _GATED.fullmatch(sentence)
    if gated is not None and gated["what"] in _PROVEN_FRENCH:
        rest = "Si quelque chose en est actif, rien de cela n’a lieu : il reste à l’examen et le dit."
        return f"{_SHOWN_FRENCH}, {_PROVEN_FRENCH[gated['what']]}. {rest}"
    for pattern, french in _FRENCH:
        if (match := re.fullmatch(pattern, sentence)) is not None:
            return french.format(**match.groupdict())
    return sentence
