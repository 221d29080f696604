"""What an advice says: every number that it follows from and every tip, in French and in English."""

import re
from datetime import date
from typing import Any

import pytest
from kit.advising import HELP_URL, TIPS, advice, numbers, plain

from workers.domain.notices.advice import advised, texts_of
from workers.domain.notices.notice import Rate
from workers.domain.notices.writing import write, writer_of

LANGUAGES = ("fr", "en")
AS_OF = date(2026, 11, 24)


def text(language: str, help_url: str | None = None, **changes: Any) -> str:
    texts = texts_of(numbers(as_of=AS_OF, **changes), help_url)
    return plain(texts.fr if language == "fr" else texts.en)


def test_the_numbers_are_told_in_words() -> None:
    french, english = text("fr"), text("en")
    assert french.startswith(
        "Sur vos 20 commandes terminées ou annulées au cours des 60 jours jusqu'au mardi 24 novembre 2026, "
        "7 ont été annulées, soit 35 %."
    )
    assert "La moyenne des autres vendeurs est de 12,4 %." in french
    assert "votre taux est d'au moins 18,1 % (borne inférieure de l'intervalle de confiance à 95 %)" in french
    assert english.startswith(
        "Of your 20 orders that were completed or cancelled in the 60 days up to Tuesday, 24 November 2026, "
        "7 were cancelled: 35%."
    )
    assert "The average of the other sellers is 12.4%." in english
    assert "your rate is at least 18.1% (the lower bound of the 95% confidence interval)" in english


@pytest.mark.parametrize(
    ("changes", "french", "english"),
    [
        ({"cancelled": 1, "closed": 2, "others_average": 0.05}, ", 1 a été annulée, soit 50 %", ", 1 was cancelled"),
        ({"cancelled": 1, "closed": 1, "others_average": 0.05}, "Votre seule commande", "Your only order"),
        ({"cancelled": 1_500, "closed": 12_000}, "vos 12 000 commandes", "your 12,000 orders"),
        ({"cancelled": 400, "closed": 1_199}, "soit 33,4 %", "cancelled: 33.4%"),
    ],
)
def test_any_numbers_make_a_sentence(changes: dict[str, Any], french: str, english: str) -> None:
    assert french in text("fr", **changes)
    assert english in text("en", **changes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_above_the_average_is_also_written_so(language: str) -> None:
    told = text(language, cancelled=1_300, closed=10_000, others_average=0.1235)
    average, lower = [number.replace(",", ".") for number in re.findall(r"(12[,.]\d+)", told)]
    assert float(lower) > float(average)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_tip_is_given(language: str) -> None:
    told = text(language)
    assert [tip for tip in TIPS[language] if tip not in told] == []
    assert "30" in told.split("\n")[-1], "how often one is told"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_page_is_linked_where_there_is_one(language: str) -> None:
    assert text(language, HELP_URL).endswith(f": {HELP_URL}")
    assert "http" not in text(language)


@pytest.mark.parametrize(
    ("locale", "language", "said"),
    [
        ("fr-FR", "fr", "35 %"),
        ("fr-CA", "fr", "12,4 %"),
        ("en-US", "en", "Tuesday, November 24, 2026"),
        ("en-GB", "en", "Tuesday, 24 November 2026"),
        ("de-DE", "en", "12.4%"),
        (None, "en", "35%"),
    ],
)
def test_the_notice_is_in_the_sellers_language(locale: str | None, language: str, said: str) -> None:
    subject, body = map(plain, write(advised(advice(as_of=AS_OF), locale, HELP_URL)))
    assert ("moyenne des autres vendeurs" in subject) is (language == "fr")
    assert said in body
    assert [tip for tip in TIPS[language] if tip not in body] == []


@pytest.mark.parametrize(
    ("locale", "rate", "written"),
    [
        ("fr-FR", Rate(0.35), "35 %"),
        ("fr-FR", Rate(0.12449), "12,4 %"),
        ("en-GB", Rate(0.12449, 2), "12.45%"),
        ("en", Rate(0.12449, 4), "12.449%"),
        ("en", Rate(1.0), "100%"),
        ("fr", Rate(0.0), "0 %"),
    ],
)
def test_a_rate_is_written_as_the_locale_does(locale: str, rate: Rate, written: str) -> None:
    assert plain(writer_of(locale).rate(rate)) == written
