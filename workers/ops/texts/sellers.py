"""What the pages of sellers say."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # key: (English, French)
    "sellers.filters": ("Find and sort sellers", "Chercher et trier les vendeurs"),
    "sellers.id": ("Id begins with", "L’identifiant commence par"),
    "sellers.sort": ("Sort by", "Trier par"),
    "sellers.sort.rate": ("cancellation rate, 60 days", "taux d’annulation, 60 jours"),
    "sellers.sort.closed": ("closed orders, 60 days", "commandes closes, 60 jours"),
    "sellers.sort.lower": ("lower bound of the rate", "borne inférieure du taux"),
    "sellers.sort.id": ("id", "identifiant"),
    "sellers.go": ("Show", "Afficher"),
    "sellers.as_of": (
        "{count} sellers, as their statistics stood {at} UTC",
        "{count} vendeurs, selon leurs statistiques au {at} UTC",
    ),
    "sellers.unread": (
        "The statistics are being read from Kafka: the table is not whole yet.",
        "Les statistiques sont en cours de lecture depuis Kafka : le tableau n’est pas encore complet.",
    ),
    "sellers.away": (
        "Kafka has not answered since {at} UTC: what is below is older than that.",
        "Kafka ne répond plus depuis {at} UTC : ce qui suit est plus ancien.",
    ),
    "sellers.full": (
        "There are more than {most} sellers: the others are left out here, their own pages work.",
        "Il y a plus de {most} vendeurs : les autres manquent ici, leurs pages fonctionnent.",
    ),
    "sellers.none": ("No seller fits.", "Aucun vendeur ne correspond."),
    "sellers.none.unread": ("No seller is known yet.", "Aucun vendeur n’est encore connu."),
    "sellers.caption": ("Sellers by {sort}", "Vendeurs par {sort}"),
    "sellers.seller": ("Seller", "Vendeur"),
    "sellers.rate": ("Cancellation rate, 60 days", "Taux d’annulation, 60 jours"),
    "sellers.lower": ("At least (95 %)", "Au moins (95 %)"),
    "sellers.cancelled": ("Cancelled", "Annulées"),
    "sellers.closed": ("Closed", "Closes"),
    "sellers.lifetime": ("Rate, ever", "Taux, depuis toujours"),
    "sellers.others": ("The others’ average", "Moyenne des autres"),
    "sellers.stands": ("Stands", "Situation"),
    "sellers.above": ("above average", "au-dessus de la moyenne"),
    "sellers.not_above": ("not above", "pas au-dessus"),
    # ---- one
    "sellers.one": ("Seller {id}", "Vendeur {id}"),
    "sellers.verdict.above": (
        "Above the others’ average, beyond doubt: {rate} against {average}.",
        "Au-dessus de la moyenne des autres, sans doute possible : {rate} contre {average}.",
    ),
    "sellers.verdict.doubt": (
        "Above the others’ average, but with so few orders not beyond doubt: {rate} against {average}.",
        "Au-dessus de la moyenne des autres, mais trop peu de commandes pour l’affirmer : {rate} contre {average}.",
    ),
    "sellers.verdict.below": (
        "Not above the others’ average: {rate} against {average}.",
        "Pas au-dessus de la moyenne des autres : {rate} contre {average}.",
    ),
    "sellers.verdict.none": (
        "No closed order in the last 60 days: not compared.",
        "Aucune commande close sur 60 jours : pas de comparaison.",
    ),
    "sellers.verdict.unknown": (
        "The others’ average is not known now: not compared.",
        "La moyenne des autres n’est pas connue à présent : pas de comparaison.",
    ),
    "sellers.as_of.one": ("From the recorded orders, {at} UTC", "D’après les commandes enregistrées, {at} UTC"),
    "sellers.spans": ("Counts and rates", "Décomptes et taux"),
    "sellers.spans.caption": (
        "Each rate is the division beside it; days are UTC, today included",
        "Chaque taux est la division indiquée ; jours UTC, aujourd’hui compris",
    ),
    "sellers.span": ("Span", "Période"),
    "sellers.span.lifetime": ("ever", "depuis toujours"),
    "sellers.span.90d": ("90 days", "90 jours"),
    "sellers.span.60d": ("60 days", "60 jours"),
    "sellers.span.30d": ("30 days", "30 jours"),
    "sellers.acceptance": ("Acceptance", "Acceptation"),
    "sellers.completion": ("Completion", "Achèvement"),
    "sellers.cancellation": ("Cancellation", "Annulation"),
    "sellers.charts": ("Over time, and among all", "Dans le temps, et parmi tous"),
    "sellers.plot": (
        "Cancellation rate of the 60 days before each of the last 90",
        "Taux d’annulation des 60 jours avant chacun des 90 derniers",
    ),
    "sellers.plot.figures": (
        "Now {now}, at least {least}, at most {most}.",
        "Maintenant {now}, au moins {least}, au plus {most}.",
    ),
    "sellers.spread": (
        "All sellers’ cancellation rates, 60 days",
        "Taux d’annulation de tous les vendeurs, 60 jours",
    ),
    "sellers.spread.figures": (
        "{sellers} sellers in bars of {step} %; this one, at {rate}, is in the marked bar, with {lower} in lower ones.",
        "{sellers} vendeurs par tranches de {step} % ; celui-ci, à {rate}, dans la barre marquée ; {lower} plus bas.",
    ),
    "sellers.spread.figures.none": (
        "{sellers} sellers in bars of {step} %; this one has no closed order.",
        "{sellers} vendeurs par tranches de {step} % ; celui-ci n’a pas de commande close.",
    ),
    "sellers.spread.unknown": (
        "All sellers’ rates are not known yet.",
        "Les taux de tous les vendeurs ne sont pas encore connus.",
    ),
    "sellers.compared": ("Against the others", "Face aux autres"),
    "sellers.others.count": ("Other sellers with a closed order", "Autres vendeurs ayant une commande close"),
    "sellers.others.sum": ("Sum of their rates", "Somme de leurs taux"),
    "sellers.others.at": ("Their numbers are from (UTC)", "Leurs chiffres datent du (UTC)"),
    "sellers.advice": ("Advice", "Conseils"),
    "sellers.advice.never": (
        "Never above the others’ average beyond doubt: never advised.",
        "Jamais au-dessus de la moyenne sans doute possible : jamais conseillé.",
    ),
    "sellers.advice.above": ("Above since {at} UTC.", "Au-dessus depuis le {at} UTC."),
    "sellers.advice.below": ("Below again since {at} UTC.", "De nouveau en dessous depuis le {at} UTC."),
    "sellers.advice.advised": ("Last advised {at} UTC.", "Dernier conseil le {at} UTC."),
    "sellers.advice.not_yet": (
        "Not advised of this crossing: an earlier advice is too recent, or it comes now.",
        "Pas encore conseillé cette fois : un conseil récent existe, ou il arrive.",
    ),
    "sellers.advice.none": ("Not advised so far.", "Pas conseillé jusqu’ici."),
    "sellers.outcomes": ("Outcomes", "Résultats"),
    "sellers.outcomes.caption": (
        "{count} in all, the newest first",
        "{count} au total, les plus récents d’abord",
    ),
    "sellers.outcomes.none": ("None.", "Aucun."),
    "sellers.seq": ("No.", "N°"),
    "sellers.order": ("Order", "Commande"),
    "sellers.outcome": ("Outcome", "Résultat"),
    "sellers.at": ("At (UTC)", "Le (UTC)"),
    "sellers.counts_in": ("Counts in", "Compte dans"),
    "sellers.corrects": ("corrects an earlier one", "corrige un précédent"),
    "sellers.corrected": ("taken back by {seq}", "repris par {seq}"),
    "sellers.o.accepted": ("accepted", "acceptée"),
    "sellers.o.cancelled_before_acceptance": ("cancelled before acceptance", "annulée avant acceptation"),
    "sellers.o.completed": ("completed", "terminée"),
    "sellers.o.cancelled_after_acceptance": ("cancelled after acceptance", "annulée après acceptation"),
}
