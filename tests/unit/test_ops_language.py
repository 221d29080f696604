"""How the dashboard writes numbers, money and counted things, in English and French."""

import pytest

from workers.ops.language import TEXTS, Speech

ENGLISH, FRENCH = Speech("en"), Speech("fr")


@pytest.mark.parametrize(
    ("minor", "currency", "english", "french"),
    [
        (123456789, "EUR", "1,234,567.89 EUR", "1\u202f234\u202f567,89 EUR"),
        (4902, "JPY", "4,902 JPY", "4\u202f902 JPY"),
        (-5, "KWD", "-0.005 KWD", "-0,005 KWD"),
        (9007199254740993, "EUR", "90,071,992,547,409.93 EUR", "90\u202f071\u202f992\u202f547\u202f409,93 EUR"),
        (7, "XXX", "7 minor units of XXX", "7 minor units of XXX"),
    ],
)
def test_money_has_its_currencys_decimals_grouped_as_the_language_does(
    minor: int, currency: str, english: str, french: str
) -> None:
    assert (ENGLISH.money(minor, currency), FRENCH.money(minor, currency)) == (english, french)


def test_amounts_in_several_currencies_stand_side_by_side() -> None:
    assert ENGLISH.sum({"EUR": 4500, "JPY": 700}) == "45.00 EUR + 700 JPY"


def test_one_thing_is_not_told_as_many() -> None:
    for count, english, french in (
        (0, "0 messages wait for a person", "0 message attend une personne"),
        (1, "1 message waits for a person", "1 message attend une personne"),
        (2, "2 messages wait for a person", "2 messages attendent une personne"),
    ):
        assert ENGLISH.text("parked.groups.caption", count=ENGLISH.number(count), at="").startswith(english)
        assert FRENCH.text("parked.groups.caption", count=FRENCH.number(count), at="").startswith(french)


def test_what_is_said_of_one_has_a_saying_for_many() -> None:
    assert [key for key in TEXTS if key.endswith(".one") and "{count}" in TEXTS[key][0]]
    assert not [key for key in TEXTS if key.endswith(".one") and "{count}" in TEXTS[key][0] and key[:-4] not in TEXTS]


def test_no_french_line_begins_with_a_sign() -> None:
    assert not [french for _, french in TEXTS.values() if any(f" {sign}" in french for sign in ":;?!»")]
    assert FRENCH.text("search.short") == "Un identifiant"
