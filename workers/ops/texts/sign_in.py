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
    "error.forged": (
        "This form was not sent from this dashboard, or is too old. Go back, reload the page and try again.",
        "Ce formulaire ne vient pas de ce tableau de bord, ou il est trop ancien. Rechargez la page et réessayez.",
    ),
}
