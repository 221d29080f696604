"""The sign-in page."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "sign_in.title": ("Sign in", "Se connecter"),
    "sign_in.name": ("Name", "Nom"),
    "sign_in.password": ("Password", "Mot de passe"),
    "sign_in.go": ("Sign in", "Se connecter"),
    "sign_in.wrong": (
        "Name and password do not go together.",
        "Le nom et le mot de passe ne correspondent pas.",
    ),
    "sign_in.too_often": (
        "Too many tries. Wait a quarter of an hour.",
        "Trop d’essais. Attendez un quart d’heure.",
    ),
    "sign_in.issuer": ("Go on to the sign-in page", "Continuer vers la page de connexion"),
    "sign_in.no_role": (
        "You are signed in there, but none of your groups has a role here.",
        "Vous êtes connecté là-bas, mais aucun de vos groupes n’a de rôle ici.",
    ),
    "sign_in.not_proven": (
        "The sign-in did not succeed, or took too long. Try again.",
        "La connexion n’a pas abouti ou a pris trop de temps. Réessayez.",
    ),
    "sign_in.issuer_away": (
        "The sign-in service does not answer. Try again in a moment.",
        "Le service de connexion ne répond pas. Réessayez dans un instant.",
    ),
    "sign_in.out": ("Signed out", "Déconnecté"),
    "sign_in.out.here": (
        "You are signed out of this dashboard.",
        "Vous êtes déconnecté de ce tableau de bord.",
    ),
    "sign_in.out.there": ("Sign out of the sign-in service too", "Se déconnecter aussi du service de connexion"),
    "error.forged": (
        "This form was not sent from this dashboard, or is too old. Go back, reload the page and try again.",
        "Ce formulaire ne vient pas de ce tableau de bord, ou il est trop ancien. Rechargez la page et réessayez.",
    ),
}
