"""Every text in French. A line that begins with "- " is an item of a list."""

from typing import Final

FRENCH: Final[dict[str, str]] = {
    # ---- words
    "place.card": "votre carte bancaire",
    "place.paypal": "votre compte PayPal",
    "place.wallet": "votre portefeuille",
    "moment": "{date} à {time} (UTC)",
    # ---- an order was cancelled: the client
    "cancelled.client.subject": "Votre commande a été annulée",
    "cancelled.client.client": "Votre commande a été annulée, comme vous l'avez demandé.",
    "cancelled.client.seller": "Votre commande a été annulée par le vendeur.",
    "cancelled.client.support": "Votre commande a été annulée par notre équipe d'assistance.",
    "cancelled.client.system": "Votre commande a été annulée automatiquement.",
    "back": "La somme de {total} vous est rendue. C'est automatique, vous n'avez rien à faire :",
    "back.card": "- {amount} sur votre carte bancaire. Il faut compter 3 à 5 jours ouvrés pour voir la somme sur votre "
    "compte : normalement au plus tard le {date}.",
    "back.paypal": "- {amount} sur votre compte PayPal, où la somme apparaît quasiment immédiatement.",
    "back.wallet": "- {amount} sur votre portefeuille, où la somme apparaît quasiment immédiatement.",
    "back.elsewhere": "- {amount} par un autre moyen que votre paiement d'origine.",
    "back.nothing": "Aucune somme n'était plus réservée pour cette commande : il n'y a donc rien à vous rendre.",
    # ---- the chat
    "chat.until": "Vous pouvez toujours échanger : le chat reste ouvert jusqu'au {close}, puis il se ferme.",
    "chat.days": "Vous pouvez toujours échanger : le chat reste ouvert pendant {days} jours, jusqu'au {close}, puis il "
    "se ferme.",
    "chat.open": "Le chat reste ouvert, car une commande plus récente existe dans cette conversation.",
    "chat.over": "Le chat s'est fermé le {close}.",
    "chat.soon.subject": "Votre chat se ferme bientôt",
    "chat.soon.client": "Le chat lié à votre commande annulée se ferme le {close}.",
    "chat.soon.client.then": "Si vous souhaitez encore régler un point avec le vendeur, ou lui passer une nouvelle "
    "commande, écrivez-lui d'ici là. Avec une nouvelle commande, le chat reste ouvert.",
    "chat.soon.seller": "Le chat lié à une commande annulée se ferme le {close}. Ensuite, vous ne pourrez plus y "
    "écrire au client. Avec une nouvelle commande, le chat reste ouvert.",
    "chat.stays.subject": "Votre chat reste ouvert",
    "chat.stays.person": "Le chat lié à votre commande annulée reste ouvert et ne se ferme pas comme annoncé.",
    "chat.later.subject": "Votre chat reste ouvert plus longtemps",
    "chat.later": "Le chat lié à votre commande annulée reste ouvert plus longtemps que prévu : jusqu'au {close}, "
    "puis il se ferme.",
    "chat.stays": "Une commande plus récente existe dans cette conversation : le chat reste donc ouvert et ne se ferme "
    "pas comme annoncé.",
    # ---- an order was cancelled: the seller
    "cancelled.seller.subject": "Une commande a été annulée",
    "cancelled.seller.client": "Une commande a été annulée par le client.",
    "cancelled.seller.seller": "Une commande a été annulée, comme vous l'avez demandé.",
    "cancelled.seller.support": "Une commande a été annulée par notre équipe d'assistance.",
    "cancelled.seller.system": "Une commande a été annulée automatiquement.",
    "seller.stop": "La collaboration sur cette commande s'arrête : merci de ne plus y travailler. Elle ne peut plus "
    "être acceptée, livrée ni terminée.",
    "seller.back": "L'argent du client lui est rendu automatiquement, vous n'avez rien à faire. Si le client vous pose "
    "des questions sur son remboursement, vous pouvez lui répondre :",
    "seller.back.fast": "- Sur le portefeuille ou PayPal, la somme apparaît quasiment immédiatement.",
    "seller.back.card": "- Sur une carte bancaire, la somme peut prendre 3 à 5 jours ouvrés pour apparaître.",
    "seller.back.nothing": "Aucune somme n'était plus réservée pour cette commande : il n'y a donc rien à rendre au "
    "client.",
    "seller.unpaid": "Malheureusement, vous ne pouvez plus être payé pour cette commande, même si vous y avez déjà "
    "travaillé.",
    "advice.before": "Si vous avez déjà effectué le travail, agissez vite : discutez avec le client avant que le chat "
    "ne se ferme.",
    "advice.talk": "Si vous avez déjà effectué le travail, discutez avec le client.",
    "advice.order": "- Proposez-lui de passer une nouvelle commande correspondant au travail effectué, ou une offre "
    "personnalisée au prix adapté.",
    "advice.clarify": "- Clarifiez d'abord les attentes de chacun, pour éviter une nouvelle annulation.",
    "statistics.acceptance": "Toutes les annulations comptent dans vos statistiques, quel qu'en soit le responsable : "
    "celle-ci impacte votre taux d'acceptation.",
    "statistics.completion": "Toutes les annulations comptent dans vos statistiques, quel qu'en soit le responsable : "
    "celle-ci impacte votre taux de complétion.",
    "help": "En savoir plus sur les annulations et vos statistiques : {url}",
    # ---- refunds
    "refunded.subject": "Votre remboursement de {amount}",
    "refunded.card": "La somme de {amount} a été remboursée sur votre carte bancaire. Votre banque peut mettre 3 à 5 "
    "jours ouvrés à l'afficher : vous la verrez au plus tard le {date}.",
    "refunded.paypal": "La somme de {amount} a été remboursée sur votre compte PayPal. Vous l'y verrez quasiment "
    "immédiatement.",
    "refunded.wallet": "La somme de {amount} a été remboursée sur votre portefeuille. Vous l'y verrez quasiment "
    "immédiatement.",
    "elsewhere": "La somme de {amount} de votre commande annulée vous a été rendue par un autre moyen que votre "
    "paiement d'origine.",
    "nothing_to_do": "Vous n'avez rien à faire.",
    "redirected.subject": "Votre remboursement va sur votre portefeuille",
    "redirected": "La somme de {amount} n'a pas pu être rendue sur {place}. Elle va à la place sur votre "
    "portefeuille, et nous vous écrirons dès qu'elle y sera. Vous n'avez rien à faire.",
    "bounced.subject": "Correction : votre remboursement nous est revenu",
    "bounced.told": "Le {date}, nous vous avons annoncé que la somme de {amount} avait été remboursée sur {place}. Ce "
    "paiement nous est revenu depuis : vous n'avez donc pas encore cet argent. Nous en sommes désolés.",
    "bounced.untold": "La somme de {amount} n'a pas pu être créditée sur {place} : le paiement nous est revenu. Nous "
    "en sommes désolés.",
    "bounced.next": "Nous vous la ferons parvenir autrement, et nous vous écrirons dès que ce sera fait. Vous n'avez "
    "rien à faire.",
    "review.subject": "Votre remboursement prend plus de temps que prévu",
    "review": "Rendre la somme de {amount} sur {place} prend plus de temps que prévu. Une personne de notre équipe "
    "s'en occupe, et nous vous écrirons dès que ce sera fait. Vous n'avez rien à faire.",
    "order_refunded.subject": "Le client a été remboursé",
    "order_refunded": "Toute la somme réservée pour la commande annulée, {amount}, a été remboursée au client. S'il "
    "vous pose des questions, vous pouvez lui répondre :",
    "order_refunded.card": "- Ce qui est retourné sur une carte bancaire apparaît sur le compte au plus tard le {date} "
    "; les banques peuvent mettre 3 à 5 jours ouvrés.",
    "order_refunded.fast": "- Ce qui est retourné sur le portefeuille ou PayPal apparaît quasiment immédiatement.",
    "order_refunded.elsewhere": "- Une partie a été rendue par un autre moyen que le paiement d'origine.",
    "order_bounced.subject": "Correction : le remboursement du client nous est revenu",
    "order_bounced": "Le {date}, nous vous avons annoncé que le client avait été remboursé. Une partie de la somme, "
    "{amount}, nous est revenue depuis. Nous la ferons parvenir au client autrement ; ni vous ni lui n'avez rien à "
    "faire. S'il vous pose des questions, vous pouvez le lui dire.",
    # ---- what was refused
    "reactivation.subject": "Une commande annulée ne peut pas être réactivée",
    "reactivation": "Une demande de réactivation d'une commande annulée nous est parvenue. Ce n'est pas possible : "
    "l'argent qui était sur le compte séquestre retourne au client dès l'annulation, il n'y a donc plus rien pour la "
    "mener à bien.",
    "reactivation.client": "Si vous souhaitez travailler à nouveau ensemble, passez une nouvelle commande, en "
    "clarifiant d'abord les attentes de chacun avec le vendeur.",
    "reactivation.seller": "Si vous souhaitez travailler à nouveau ensemble, invitez le client à passer une nouvelle "
    "commande, en clarifiant d'abord les attentes de chacun.",
    "refused.subject": "La commande était déjà annulée",
    "refused.accepted": "Vous avez accepté une commande qui avait été annulée auparavant. L'acceptation n'est pas "
    "prise en compte, car une annulation met fin à la collaboration : merci de ne pas travailler sur cette commande.",
    "refused.delivered": "Vous avez livré une commande qui avait été annulée auparavant. La livraison n'est pas prise "
    "en compte, car une annulation met fin à la collaboration : merci de ne plus travailler sur cette commande.",
    "refused.completed": "Une commande a été marquée comme terminée, mais elle avait été annulée auparavant. Cela "
    "n'est pas pris en compte, car une annulation met fin à la collaboration.",
    "not_cancelled.subject": "Votre commande n'a pas pu être annulée",
    "not_cancelled": "Votre commande n'a pas pu être annulée : elle avait été terminée auparavant, et l'argent réservé "
    "pour elle revient au vendeur. Notre équipe d'assistance examine la situation. Vous n'avez rien à faire.",
    # ---- payouts
    "payout.subject": "Votre paiement a été refusé",
    "payout": "Votre paiement de {amount} n'a pas pu être effectué.",
    "payout.order_cancelled": "La commande a été annulée, et l'argent réservé pour elle retourne au client. "
    "Malheureusement, vous ne pouvez plus être payé pour cette commande, même si vous y avez déjà travaillé.",
    "payout.not_completed": "Nous ne savons pas encore que la commande est terminée. Une fois que le client aura "
    "accepté votre livraison, le paiement pourra être demandé à nouveau.",
    "payout.held_for_review": "Une annulation de cette commande est arrivée après la fin de la commande : une "
    "personne de notre équipe doit d'abord l'examiner. Vous n'avez rien à faire pour le moment.",
    "payout.already_allowed": "Un paiement a déjà été accordé pour cette commande, et une commande n'est payée qu'une "
    "fois. Si cet argent vous manque, contactez notre équipe d'assistance.",
    # ---- advice to a seller who is above the others' average
    "above.subject": "Vos annulations dépassent la moyenne des autres vendeurs",
    "above.many": "Sur vos {closed} commandes terminées ou annulées au cours des {days} jours jusqu'au {date}, "
    "{cancelled} ont été annulées, soit {rate}.",
    "above.one": "Sur vos {closed} commandes terminées ou annulées au cours des {days} jours jusqu'au {date}, "
    "{cancelled} a été annulée, soit {rate}.",
    "above.only": "Votre seule commande terminée ou annulée au cours des {days} jours jusqu'au {date} a été annulée, "
    "soit {rate}.",
    "above.average": "La moyenne des autres vendeurs est de {average}. Même en tenant compte du hasard, qui pèse plus "
    "lourd quand les commandes sont peu nombreuses, votre taux est d'au moins {lower} (borne inférieure de "
    "l'intervalle de confiance à {sure}) : il est au-dessus de cette moyenne.",
    "above.counts": "Toutes les annulations comptent, quel qu'en soit le responsable. Elles devraient cependant rester "
    "rares si votre service est bien structuré et que la communication avec le client est fluide. Il est donc "
    "important de réévaluer votre processus de vente :",
    "above.describe": "- Rédigez une description de service claire et détaillée, qui ne laisse aucune place à "
    "l'ambiguïté.",
    "above.provide": "- Indiquez précisément ce que le client doit fournir avant que vous ne commenciez le travail.",
    "above.ask": "- Posez toutes les questions nécessaires dès l'étape « En attente de validation ».",
    "above.clarify": "- Clarifiez les attentes et vérifiez que le client a bien compris ce qu'il achète.",
    "above.deliver": "- Livrez un travail conforme et complet, et revérifiez-le toujours avant la livraison : une "
    "livraison incomplète ou imprécise peut entraîner une demande d'annulation.",
    "above.cancelled": "Si une commande est tout de même annulée, le chat reste encore ouvert quelques jours.",
    "above.again": "Vous recevez ce message quand votre taux passe au-dessus de la moyenne, et au plus une fois en "
    "{days} jours.",
}
