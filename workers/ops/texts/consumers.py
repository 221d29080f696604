"""What the pages of consumers and providers say."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # key: (English, French)
    "consumers.caption": (
        "Every consumer group, as Kafka has it",
        "Chaque groupe de consommateurs, tel que Kafka le voit",
    ),
    "consumers.name": ("Consumer", "Consommateur"),
    "consumers.standing": ("State", "État"),
    "consumers.members": ("Members", "Membres"),
    "consumers.lag": ("Messages waiting", "Messages en attente"),
    "consumers.lag_s": ("Waiting for", "En attente depuis"),
    "consumers.rate_in": ("In per second", "Entrées par seconde"),
    "consumers.rate_out": ("Out per second", "Sorties par seconde"),
    "consumers.moved": ("Last commit (UTC)", "Dernière validation (UTC)"),
    "consumers.unmoved": ("not seen yet", "pas encore vue"),
    "consumers.unknown": ("unknown", "inconnu"),
    "consumers.is.running": ("running", "en marche"),
    "consumers.is.behind": ("late", "en retard"),
    "consumers.is.stuck": ("stuck", "bloqué"),
    "consumers.is.no_members": ("no members", "aucun membre"),
    "consumers.is.paused": ("paused", "en pause"),
    "consumers.is.held_back": ("provider paused", "prestataire en pause"),
    "consumers.is.unknown": ("unknown", "inconnu"),
    "consumers.away": (
        "Kafka does not answer since {at} UTC ({fault}). Nothing is known of the present.",
        "Kafka ne répond pas depuis {at} UTC ({fault}). Rien n’est connu du présent.",
    ),
    "consumers.was": (
        "The figures below are from {at} UTC.",
        "Les chiffres ci-dessous datent de {at} UTC.",
    ),
    "consumers.unasked": (
        "Kafka has not been asked yet; it is asked every few seconds.",
        "Kafka n’a pas encore été interrogé ; il l’est toutes les quelques secondes.",
    ),
    "consumers.others": ("Workers without messages of their own", "Services sans messages propres"),
    "consumers.others.caption": ("What sends when it is due", "Ce qui envoie à l’échéance"),
    "consumers.others.late": ("First overdue since (UTC)", "Première échéance dépassée depuis (UTC)"),
    "consumers.others.late.none": ("nothing is overdue", "aucune échéance dépassée"),
    "consumers.others.pausable": ("not paused", "pas en pause"),
    "consumers.providers": ("Providers", "Prestataires"),
    "consumers.providers.caption": ("Whether providers are called", "Si les prestataires sont appelés"),
    "consumers.provider": ("Provider", "Prestataire"),
    "consumers.provider.open": ("called", "appelé"),
    "consumers.provider.is_open": (
        "Refunds are sent to it as they are asked for.",
        "Les remboursements lui sont envoyés dès qu’ils sont demandés.",
    ),
    "consumers.provider.waiting": (
        "{count} of its refunds are not settled: {money}.",
        "{count} de ses remboursements ne sont pas réglés : {money}.",
    ),
    "consumers.provider.waiting.one": (
        "{count} of its refunds is not settled: {money}.",
        "{count} de ses remboursements n’est pas réglé : {money}.",
    ),
    "consumers.provider.waiting.none": ("All its refunds are settled.", "Tous ses remboursements sont réglés."),
    "consumers.provider.see": ("See them", "Les voir"),
    "consumers.provider.failing": ("paused after failures", "en pause après des échecs"),
    "consumers.provider.held": ("paused by a person", "mis en pause par quelqu’un"),
    "consumers.since": ("Since (UTC)", "Depuis (UTC)"),
    "consumers.why": ("Why", "Pourquoi"),
    "consumers.who": ("Who", "Qui"),
    "consumers.probe": ("Next probe (UTC)", "Prochain essai (UTC)"),
    "consumers.one": ("Consumer {worker}", "Consommateur {worker}"),
    "consumers.one.provider": ("Provider {provider}", "Prestataire {provider}"),
    "consumers.one.paused": (
        "Paused by {person} since {at} UTC: {reason}",
        "Mis en pause par {person} depuis le {at} UTC : {reason}",
    ),
    "consumers.one.failing": (
        "Paused after failures since {at} UTC ({code}); it is asked again by itself and goes on when it answers.",
        "En pause après des échecs depuis le {at} UTC ({code}) ; un essai le relance dès qu’il répond.",
    ),
    "consumers.one.held_back": (
        "Its provider is paused: commands wait in Kafka, unclaimed.",
        "Son prestataire est en pause : les commandes attendent dans Kafka.",
    ),
    "consumers.one.missing": ("These topics are not there: {topics}", "Ces topics n’existent pas : {topics}"),
    "consumers.partitions": ("Partitions", "Partitions"),
    "consumers.partitions.caption": (
        "Where the group {name} stands in each partition",
        "Où en est le groupe {name} dans chaque partition",
    ),
    "consumers.topic": ("Topic", "Topic"),
    "consumers.partition": ("Partition", "Partition"),
    "consumers.committed": ("Committed", "Validé"),
    "consumers.end": ("End", "Fin"),
    "consumers.owner": ("Member", "Membre"),
    "consumers.owner.none": ("nobody", "personne"),
    "consumers.members.caption": ("The processes of the group", "Les processus du groupe"),
    "consumers.members.none": ("No process is a member of this group.", "Aucun processus n’est membre de ce groupe."),
    "consumers.member": ("Member", "Membre"),
    "consumers.client": ("Client", "Client"),
    "consumers.host": ("Host", "Hôte"),
    "consumers.pause": ("Pause", "Mettre en pause"),
    "consumers.resume": ("Resume", "Reprendre"),
    "consumers.reason": ("Reason, kept in the audit log", "Raison, conservée dans le journal d’audit"),
    "consumers.act": ("Pause or resume", "Mettre en pause ou reprendre"),
    "consumers.pause.does": (
        (
            "Every process of this consumer stops taking messages within two seconds and ends what it took. "
            "Messages wait in Kafka; nothing is lost. It stays paused until somebody resumes it."
        ),
        (
            "Chaque processus de ce consommateur ne prend plus rien au bout de deux secondes et finit ce qu’il a pris. "
            "Les messages attendent dans Kafka ; rien n’est perdu. La pause dure jusqu’à ce que quelqu’un la lève."
        ),
    ),
    "consumers.pause.does.timers": (
        (
            "Nothing that is due is sent: chats stay open, retries and look-ups wait. "
            "What was overdue is sent in one burst when somebody resumes it."
        ),
        (
            "Aucune échéance n’est envoyée : les conversations restent ouvertes, les nouvelles tentatives attendent. "
            "Ce qui était dû part d’un coup à la reprise."
        ),
    ),
    "consumers.resume.does": (
        "Every process goes on within two seconds, from where it stopped.",
        "Chaque processus reprend en deux secondes, là où il s’était arrêté.",
    ),
    "consumers.pause.does.provider": (
        (
            "No new refund is sent to this provider, from two seconds on; calls in flight end as they would. "
            "No probe ends this pause: somebody has to resume it."
        ),
        (
            "Aucun nouveau remboursement n’est envoyé à ce prestataire, au bout de deux secondes ; les appels en cours "
            "se terminent. Aucun essai ne lève cette pause : quelqu’un doit la lever."
        ),
    ),
    "consumers.resume.does.provider": (
        (
            "Refunds are sent again within two seconds; what waited goes on over a few seconds. "
            "Where the provider still fails it is paused again by itself."
        ),
        (
            "Les remboursements repartent en deux secondes ; ce qui attendait reprend en quelques secondes. "
            "Si le prestataire échoue encore, il est remis en pause tout seul."
        ),
    ),
    "consumers.may_not": (
        "To pause or resume takes the role of an operator.",
        "Mettre en pause ou reprendre demande le rôle d’opérateur.",
    ),
    "consumers.refused.unknown_consumer": ("There is no such consumer.", "Ce consommateur n’existe pas."),
    "consumers.refused.unknown_provider": ("There is no such provider.", "Ce prestataire n’existe pas."),
    "consumers.refused.already_paused": ("It is paused already.", "C’est déjà en pause."),
    "consumers.refused.not_paused": ("It is not paused.", "Ce n’est pas en pause."),
    "consumers.refused.no_reason": ("A reason is mandatory.", "Une raison est obligatoire."),
    "consumers.refused.bad_reason": (
        "A reason has at most 500 printable characters.",
        "Une raison a au plus 500 caractères imprimables.",
    ),
    "consumers.refused.bad_name": ("Your name can’t be recorded.", "Votre nom ne peut pas être enregistré."),
}
