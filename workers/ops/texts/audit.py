"""The audit page."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "audit.title": ("Audit log", "Journal d’audit"),
    "audit.what_it_is": (
        "What people did, newest first. Each entry is bound to the one before by its hash.",
        "Ce qui a été fait, le plus récent d’abord. Chaque entrée est liée à la précédente par son empreinte.",
    ),
    "audit.verify": ("Verify the chain", "Vérifier la chaîne"),
    "audit.verified": ("The chain verifies: {count} entries.", "La chaîne est intacte : {count} entrées."),
    "audit.verified.newest": (
        "The newest {count} entries verify. That is not all of them: annul verify checks the rest.",
        "Les {count} dernières entrées sont intactes. Ce ne sont pas toutes : annul verify contrôle le reste.",
    ),
    "audit.broken": ("The chain does not verify: {why}.", "La chaîne n’est pas intacte : {why}."),
    "audit.verified.one": ("The chain verifies: {count} entry.", "La chaîne est intacte : {count} entrée."),
    "audit.head": ("The last entry is {seq}, its hash {hash}.", "La dernière entrée est {seq}, son empreinte {hash}."),
    "audit.none": ("Nobody has done anything yet.", "Personne n’a encore rien fait."),
    "audit.none.fits": ("No entry fits.", "Aucune entrée ne correspond."),
    "audit.entries": ("Entries", "Entrées"),
    "audit.seq": ("No.", "Nº"),
    "audit.at": ("At (UTC)", "Le (UTC)"),
    "audit.actor": ("Who", "Qui"),
    "audit.what": ("What", "Quoi"),
    "audit.subject": ("Of", "De"),
    "audit.detail": ("Detail", "Détail"),
    "audit.filter": ("Filter", "Filtrer"),
}
