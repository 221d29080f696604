"""What the overview says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # key: (English, French)
    "overview.well": ("All is well.", "Tout va bien."),
    "overview.since": ("{what}, since {at} UTC ({span}).", "{what}, depuis {at} UTC ({span})."),
    "overview.holds": ("{sentence} It holds {money}.", "{sentence} {money} en attente."),
    "overview.plain": ("{what}.", "{what}."),
    "overview.more": ("Also", "Également"),
    "overview.look": ("Look into it", "Voir le détail"),
    "overview.kafka_away": (
        "Kafka does not answer: nothing is known of the consumers",
        "Kafka ne répond pas : rien n’est connu des consommateurs",
    ),
    "overview.unasked": ("Kafka has not been asked yet", "Kafka n’a pas encore été interrogé"),
    "overview.no_members": (
        "No process runs the consumer {worker}",
        "Aucun processus n’exécute le consommateur {worker}",
    ),
    "overview.stuck": ("The consumer {worker} is stuck", "Le consommateur {worker} est bloqué"),
    "overview.behind": ("The consumer {worker} is late", "Le consommateur {worker} est en retard"),
    "overview.unknown": ("Kafka tells nothing of the consumer {worker}", "Kafka ne dit rien du consommateur {worker}"),
    "overview.no_topic": (
        "A topic of the consumer {worker} is missing: {topics}",
        "Il manque un topic du consommateur {worker} : {topics}",
    ),
    "overview.timers_late": (
        "What was due has not been sent: no process runs timers",
        "Des échéances n’ont pas été envoyées : aucun processus n’exécute timers",
    ),
    "overview.provider_failing": (
        "The provider {provider} is paused after failures ({code})",
        "Le prestataire {provider} est en pause après des échecs ({code})",
    ),
    "overview.provider_held": (
        "The provider {provider} was paused by {person}",
        "Le prestataire {provider} a été mis en pause par {person}",
    ),
    "overview.consumer_paused": (
        "The consumer {worker} was paused by {person}",
        "Le consommateur {worker} a été mis en pause par {person}",
    ),
    "overview.review": (
        "Refunds that wait for a person: {count}",
        "Remboursements qui attendent quelqu’un : {count}",
    ),
    "overview.uncertain": (
        "Refunds that have been uncertain for long: {count}",
        "Remboursements incertains depuis longtemps : {count}",
    ),
    "overview.parked": ("Messages parked: {count}", "Messages mis de côté : {count}"),
    "overview.cards": ("Figures", "Chiffres"),
    "overview.card.cancellations": ("Cancellations per minute", "Annulations par minute"),
    "overview.card.cancellations.over": ("over the last {span}", "sur {span}"),
    "overview.card.cancellations.hour": ("over the last {span}: {rate} per minute", "sur {span} : {rate} par minute"),
    "overview.card.cancellations.unknown": (
        "known after the first minute",
        "connu après la première minute",
    ),
    "overview.card.money": ("Money waiting", "Argent en attente"),
    "overview.card.money.none": ("none", "aucun"),
    "overview.card.money.oldest": (
        "{count} refunds, the oldest for {span}",
        "{count} remboursements, le plus ancien depuis {span}",
    ),
    "overview.card.money.oldest.one": (
        "{count} refund, for {span}",
        "{count} remboursement, depuis {span}",
    ),
    "overview.card.money.settled": ("every refund is settled", "tout est remboursé"),
    "overview.card.lag": ("Consumer lag, the longest", "Retard des consommateurs, le plus long"),
    "overview.card.lag.of": ("{worker}: {count} messages", "{worker} : {count} messages"),
    "overview.card.lag.of.one": ("{worker}: {count} message", "{worker} : {count} message"),
    "overview.card.lag.none": ("nobody lags", "aucun retard"),
    "overview.card.lag.partly": ("not known of {worker}", "inconnu pour {worker}"),
    "overview.card.lag.was": ("was {span} at {at}", "était de {span} à {at}"),
    "overview.card.lag.away": ("Kafka does not answer", "Kafka ne répond pas"),
    "overview.card.parked": ("Parked messages", "Messages mis de côté"),
    "overview.card.parked.oldest": ("the oldest for {span}", "le plus ancien depuis {span}"),
    "overview.card.parked.none": ("nothing waits for a decision", "rien n’attend de décision"),
    "overview.card.doubt": ("Uncertain and in review", "Incertains et à examiner"),
    "overview.card.doubt.both": (
        "{uncertain} uncertain, {review} in review",
        "{uncertain} incertains, {review} à examiner",
    ),
    "overview.card.doubt.none": ("nothing is in doubt", "aucun doute"),
    "overview.card.chats": ("Chats that close within 24 h", "Chats fermés d’ici 24 h"),
    "overview.card.chats.next": ("the next in {span}", "le prochain dans {span}"),
    "overview.card.chats.late": ("{count} overdue", "{count} en retard"),
    "overview.card.chats.none": ("none is due", "aucune échéance"),
    "overview.unknown_figure": ("unknown", "inconnu"),
    "overview.trend": ("The last hours", "Les dernières heures"),
    "overview.trend.cancellations": ("Cancellations per minute", "Annulations par minute"),
    "overview.trend.lag": ("Longest consumer lag, in seconds", "Retard le plus long, en secondes"),
    "overview.trend.waiting": ("Refunds that are not settled", "Remboursements non soldés"),
    "overview.trend.says": (
        "Now {now}, at most {most}, from {first} to {last} UTC",
        "Actuellement {now}, au plus {most}, de {first} à {last} UTC",
    ),
    "overview.trend.empty": (
        "The first figures come within two minutes.",
        "Les premiers chiffres arrivent d’ici deux minutes.",
    ),
    "overview.trend.gaps": ("A gap means: not known.", "Une interruption signifie : inconnu."),
}
