"""The texts themselves, and how amounts, dates and times are written in them."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter

import pytest
from kit.notices import arrived, decide, event, known, refund_now, text_of

from schemas.currencies import EXPONENTS
from workers.domain.notices import cancelled
from workers.domain.notices.english import ENGLISH
from workers.domain.notices.french import FRENCH
from workers.domain.notices.notice import Amount
from workers.domain.notices.writing import TEXTS, write, writer_of

SOURCES = "".join(path.read_text() for path in Path(cancelled.__file__).parent.glob("*.py"))
DONE = {"fr": "remboursé", "en": "refunded"}
SAID_AFTERWARDS = ("refunded", "order_refunded", "bounced.told", "order_bounced")
"""The only texts that say that money was refunded: it was."""
WORDS = ("place.", "moment")


def parameters(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_both_languages_say_the_same_things_with_the_same_parameters() -> None:
    assert list(FRENCH) == list(ENGLISH), "in the same order, so that they can be read side by side"
    assert {key: parameters(text) for key, text in FRENCH.items()} == {
        key: parameters(text) for key, text in ENGLISH.items()
    }


@pytest.mark.parametrize("language", TEXTS)
def test_what_has_not_arrived_is_never_called_refunded(language: str) -> None:
    said = {key for key, text in TEXTS[language].items() if DONE[language] in text.lower()}
    assert said
    assert all(key.startswith(SAID_AFTERWARDS) for key in said), said


@pytest.mark.parametrize("language", TEXTS)
def test_texts_are_whole_sentences_without_slips(language: str) -> None:
    for key, text in TEXTS[language].items():
        assert text == text.strip(), key
        assert not re.search(r"  | ,| \.|,,|\.\.", text), key
        if not key.startswith(WORDS) and not key.endswith("subject"):
            assert text.endswith((".", ":", "{url}")), key
            assert text.removeprefix("- ")[0].isupper() or text.removeprefix("- ")[0] == "{", key


def test_french_addresses_people_formally() -> None:
    whole = " ".join(FRENCH.values())
    assert not re.search(r"\b(?:tu|toi|ton|ta|tes|te)\b", whole, re.IGNORECASE)


def test_every_text_is_used() -> None:
    computed = {"place", "back", "cancelled", "statistics", "refunded", "reactivation", "refused", "payout"}
    for key in ENGLISH:
        assert f'"{key}"' in SOURCES.replace(f'"{key}":', "") or key.split(".")[0] in computed, key


@pytest.mark.parametrize(
    ("locale", "minor", "currency", "text"),
    [
        ("fr-FR", 4_500, "EUR", "45,00 €"),
        ("fr-FR", 123_456_789, "EUR", "1 234 567,89 €"),
        ("fr-CA", 4_500, "CAD", "45,00 $"),
        ("en-GB", 4_500, "GBP", "£45.00"),
        ("en-US", 123_456, "USD", "$1,234.56"),
        ("en-GB", 4_500, "EUR", "€45.00"),
        ("fr-FR", 1_234, "JPY", "1 234 JPY"),
        ("en", 1_234, "JPY", "¥1,234"),
        ("fr", 1_234, "KWD", "1,234 KWD"),
        ("en-GB", 1_234, "KWD", "KWD 1.234"),
        ("en", 5, "KWD", "KWD 0.005"),
        ("en", 10**15, "EUR", "€10,000,000,000,000.00"),
        ("en", 10**15 - 1, "KWD", "KWD 999,999,999,999.999"),
        ("es-ES", 4_500, "EUR", "€45.00"),
        # Their minor unit by ISO 4217, not what is usual in shops.
        ("en", 100, "ISK", "ISK 100"),
        ("en", 1_050, "TWD", "NT$10.50"),
        ("fr", 1_050, "HUF", "10,50 HUF"),
    ],
)
def test_an_amount_is_exact_and_as_the_locale_writes_it(locale: str, minor: int, currency: str, text: str) -> None:
    assert plain(writer_of(locale).amount(Amount(minor, currency))) == text


@pytest.mark.parametrize("locale", ["fr-FR", "en-US", "en-GB", "de-DE", "en-IN"])
def test_no_amount_in_any_currency_loses_a_digit(locale: str) -> None:
    for currency, exponent in EXPONENTS.items():
        text = writer_of(locale).amount(Amount(1_234_567, currency))
        assert "".join(re.findall(r"[0-9]", text)) == "1234567", currency
        assert len(re.split(r"[.,](?=[0-9]+[^0-9.,]*$)", text)[-1]) >= exponent


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("fr-FR", "mardi 1er décembre 2026"),
        ("fr_CH", "mardi, 1er décembre 2026"),
        ("en-GB", "Tuesday, 1 December 2026"),
        ("en-US", "Tuesday, December 1, 2026"),
        ("pt-BR", "Tuesday, 1 December 2026"),
    ],
)
def test_a_date_is_written_as_people_do(locale: str, text: str) -> None:
    assert writer_of(locale).day(date(2026, 12, 1)) == text


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("fr-FR", "dimanche 11 janvier 2026 à 21:05 (UTC)"),
        ("fr-CA", "dimanche 11 janvier 2026 à 21 h 05 (UTC)"),
        ("en-GB", "Sunday, 11 January 2026 at 21:05 (UTC)"),
        ("en-US", "Sunday, January 11, 2026 at 9:05 PM (UTC)"),
    ],
)
def test_a_time_names_its_zone(locale: str, text: str) -> None:
    assert plain(writer_of(locale).value(datetime(2026, 1, 11, 21, 5, tzinfo=UTC))) == text


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("fr", "fr"),
        ("fr-FR", "fr"),
        ("FR-be", "fr"),
        ("fr_Latn-FR-x1", "fr"),
        ("fra", "fr"),
        ("fr-ZZ", "fr"),
        ("frr", "en"),
        ("fro-FR", "en"),
        ("en", "en"),
        ("en-FR", "en"),
        ("de-DE", "en"),
        ("zh_Hant-TW", "en"),
        ("en-US-posix", "en"),
    ],
)
def test_french_locales_read_french_and_all_others_english(locale: str, language: str) -> None:
    writer = writer_of(locale)
    assert writer.language == language
    assert writer.amount(Amount(4_500, "EUR"))


def test_a_list_stands_close_together_and_paragraphs_apart() -> None:
    refunds = (refund_now(), refund_now(refund_id="rfd_2", provider="wallet"))
    (client, _) = decide("refund.requested", event(refund_now()), known(*refunds)).notices
    lines = text_of(client).split("\n")
    assert [line.startswith("- ") for line in lines].count(True) == 2
    first = next(number for number, line in enumerate(lines) if line.startswith("- "))
    assert lines[first - 1].endswith(":")
    assert lines[first + 2] == ""


def test_french_marks_do_not_begin_a_line() -> None:
    (one,) = decide("refund.succeeded", event(arrived()), known(arrived())).notices
    _, body = write(one)
    assert "l'afficher\u00a0: vous" in body
