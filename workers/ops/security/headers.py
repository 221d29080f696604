"""What every answer carries, whoever asks and whatever came of it; and how cookies are written."""

from typing import Final

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
TLS: Final = {"strict-transport-security": "max-age=31536000"}


def cookie_of(name: str, value: str, *, tls: bool, ends: bool = False, for_s: int | None = None) -> str:
    """A cookie for this host alone, that no script reads and no other site's form sends."""
    age = "; Max-Age=0" if ends else "" if for_s is None else f"; Max-Age={for_s}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if tls else ''}{age}"
