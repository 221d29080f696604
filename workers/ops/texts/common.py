"""What every page says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # key: (English, French)
    "app.name": ("Annul", "Annul"),
    "app.skip": ("Skip to content", "Aller au contenu"),
    "nav.label": ("Main", "Navigation principale"),
    "nav.overview": ("Overview", "Vue d’ensemble"),
    "nav.consumers": ("Consumers", "Consommateurs"),
    "nav.refunds": ("Refunds", "Remboursements"),
    "nav.parked": ("Parked", "Mis de côté"),
    "nav.sellers": ("Sellers", "Vendeurs"),
    "nav.chats": ("Chats and timers", "Chats et échéances"),
    "nav.audit": ("Audit", "Journal d’audit"),
    "search.label": (
        "Order, refund, provider’s id, conversation, ARN",
        "Commande, remboursement, identifiant du prestataire, conversation, ARN",
    ),
    "search.short": ("Any id", "Un identifiant"),
    "search.go": ("Find", "Chercher"),
    "lang.other": ("Français", "English"),
    "viewer.sign_in": ("Sign in", "Se connecter"),
    "viewer.sign_out": ("Sign out", "Se déconnecter"),
    "viewer.read_only": (
        "Read-only: no users are configured.",
        "Lecture seule : aucun utilisateur n’est configuré.",
    ),
    "page.updated": ("as of {at} UTC", "au {at} UTC"),
    "page.stale": (
        "No news from the server: what is below is old.",
        "Pas de nouvelles du serveur : ce qui suit est ancien.",
    ),
    "page.next": ("Next page", "Page suivante"),
    "page.first": ("First page", "Première page"),
    "error.title": ("That did not work", "Cela n’a pas fonctionné"),
    "error.title.400": ("This can’t be read", "Illisible"),
    "error.title.403": ("Not allowed", "Action non permise"),
    "error.title.404": ("Not found", "Introuvable"),
    "error.title.409": ("It moved meanwhile", "L’état a changé"),
    "error.title.503": ("The database does not answer", "La base de données ne répond pas"),
    "error.404": ("There is no such page or thing.", "Cette page ou cet objet n’existe pas."),
    "error.404.find": (
        "The search above finds orders, refunds, chats, sellers and parked messages by their ids, written whole.",
        "La recherche ci-dessus trouve commandes, remboursements, chats et messages par leur identifiant complet.",
    ),
    "error.403": ("Your role does not allow this.", "Votre rôle ne le permet pas."),
    "error.403.role": (
        "You are signed in as {name}, whose role is {role}.",
        "Vous êtes connecté en tant que {name}, dont le rôle est {role}.",
    ),
    "role.viewer": ("viewer", "lecteur"),
    "role.operator": ("operator", "opérateur"),
    "role.approver": ("approver", "approbateur"),
    "error.field": ("What can’t be read: {name}.", "Ce qui est illisible : {name}."),
    "error.look": ("Look at it as it is now", "Voir la situation actuelle"),
    "error.again": ("Try again", "Réessayer"),
    "error.nobody": (
        "Nobody can do anything here: no users are configured (ANNUL_OPS_USERS_FILE or ANNUL_OPS_OIDC_ISSUER).",
        "Aucune action possible : aucun utilisateur configuré (ANNUL_OPS_USERS_FILE ou ANNUL_OPS_OIDC_ISSUER).",
    ),
    "error.400": ("The request could not be understood.", "La demande n’a pas été comprise."),
    "error.409": ("It moved meanwhile: look again.", "L’état a changé entre-temps : regardez à nouveau."),
    "error.503": (
        "The database does not answer. This page comes back with it.",
        "La base de données ne répond pas. Cette page reviendra avec elle.",
    ),
    "error.500": ("Something failed on our side.", "Une erreur est survenue de notre côté."),
    "error.back": ("Back to the overview", "Retour à la vue d’ensemble"),
}
