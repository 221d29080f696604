"""What client and seller read of refunds: arrived, sent on, bounced, corrected."""

from datetime import timedelta

import msgspec
import pytest
from kit.builders import NOW, REFUND
from kit.notices import (
    BOUNCED,
    CLIENT_REFUND,
    ELSEWHERE,
    REDIRECTED,
    TO_WALLET,
    VISIBLE,
    WALLET,
    all_refunded,
    arrived,
    decide,
    english,
    event,
    known,
    refund_now,
    sides,
    texts,
    told_by,
)


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ("card", "a été remboursée sur votre carte bancaire. Votre banque peut mettre 3 à 5 jours ouvrés"),
        ("paypal", "a été remboursée sur votre compte PayPal. Vous l'y verrez quasiment immédiatement."),
        ("wallet", "a été remboursée sur votre portefeuille. Vous l'y verrez quasiment immédiatement."),
    ],
)
def test_the_client_reads_that_the_money_is_back(provider: str, text: str) -> None:
    refund = arrived(provider=provider)
    told = texts(decide("refund.succeeded", event(refund), known(refund)))["client"]
    assert f"La somme de 45,00 € {text}" in told
    assert ("au plus tard le mardi 1er décembre 2026" in told) == (provider == "card")


def test_what_a_person_paid_another_way_is_told_as_such() -> None:
    told = texts(decide("refund.succeeded", event(ELSEWHERE), known(ELSEWHERE, order=english())))["client"]
    assert "€45.00 of your cancelled order was returned to you by another way" in told


def test_a_redirect_says_where_the_money_goes_instead_and_not_that_it_is_there() -> None:
    at = known(REDIRECTED, TO_WALLET, order=english())
    told = texts(decide("refund.redirected", event(REDIRECTED), at))["client"]
    assert "€45.00 could not be returned to your card. It goes to your wallet instead" in told
    assert "refunded" not in told


def test_a_bounce_is_a_correction_for_those_who_were_told() -> None:
    yesterday = NOW - timedelta(days=1)
    first = decide("refund.succeeded", event(arrived()), known(arrived()))
    whole = decide("order.refunded", all_refunded(), known(arrived(), told=told_by(first)))
    told = {**told_by(first, yesterday), **told_by(whole, yesterday)}
    bounces = {REFUND: (3,)}
    said = decide("refund.bounced", event(BOUNCED), known(BOUNCED, told=told, bounces=bounces))
    assert sides(said) == [("client", "refund"), ("seller", "refund")]
    client, seller = texts(said).values()
    assert (
        "Le dimanche 22 novembre 2026, nous vous avons annoncé que la somme de 45,00 € avait été remboursée" in client
    )
    assert "vous n'avez donc pas encore cet argent" in client
    assert "nous vous avons annoncé que le client avait été remboursé. Une partie de la somme, 45,00 €" in seller
    later = decide(
        "refund.succeeded",
        event(arrived(revision=5)),
        known(arrived(revision=5), told={**told, **told_by(said)}, bounces=bounces),
    )
    assert sides(later) == CLIENT_REFUND, "and the next success is news again"


def test_money_that_comes_back_while_a_person_looks_is_a_correction_too() -> None:
    told = told_by(decide("refund.succeeded", event(arrived()), known(arrived())))
    failed = refund_now(state="needs_review", revision=4)
    said = decide("refund.needs_review", event(failed), known(failed, told=told))
    assert "nous vous avons annoncé que la somme de 45,00 €" in texts(said)["client"]
    told |= told_by(said)
    assert decide("refund.needs_review", event(failed), known(failed, told=told)).label == "duplicate"
    later = arrived(revision=6)
    again = decide("refund.succeeded", event(later), known(later, told=told))
    assert sides(again) == CLIENT_REFUND, "and the next success is news"
    assert decide("refund.succeeded", event(later), known(later, told={**told, **told_by(again)})).label == "duplicate"


def test_the_seller_is_not_corrected_once_the_client_has_it_another_way() -> None:
    whole = decide("order.refunded", all_refunded(), known(arrived()))
    to_wallet = arrived(refund_id=WALLET, provider="wallet")
    at = known(REDIRECTED, to_wallet, told=told_by(whole), bounces={REFUND: (3,)})
    assert sides(decide("refund.bounced", event(BOUNCED), at)) == CLIENT_REFUND


def test_who_was_not_told_of_a_success_is_not_told_that_it_was_a_mistake() -> None:
    (text,) = texts(decide("refund.bounced", event(BOUNCED), known(BOUNCED, bounces={REFUND: (3,)}))).values()
    assert "annoncé" not in text
    assert "n'a pas pu être créditée sur votre carte bancaire" in text


def test_a_success_that_a_person_releases_from_review_is_no_news() -> None:
    first = decide("refund.succeeded", event(arrived()), known(arrived()))
    released = arrived(revision=4)
    again = decide("refund.succeeded", event(released), known(released, told=told_by(first)))
    assert again.label == "duplicate"


def test_the_seller_reads_that_all_of_it_is_back_and_when_it_shows() -> None:
    at = known(arrived(), arrived(refund_id="rfd_2", provider="wallet", amount_minor=500))
    told = told_by(decide("refund.requested", event(refund_now()), at))
    said = decide("order.refunded", all_refunded(5_000), msgspec.structs.replace(at, told=told))
    assert sides(said) == [("seller", "refund")]
    text = texts(said)["seller"]
    assert "50,00 €, a été remboursée au client" in text
    assert "retourné sur une carte bancaire apparaît sur le compte au plus tard le mardi 1er décembre 2026" in text
    assert "retourné sur le portefeuille ou PayPal apparaît quasiment immédiatement" in text
    assert said.notices[0].facts["visible_by"] == VISIBLE.isoformat()


def test_the_seller_is_not_told_so_where_part_of_it_came_back_since() -> None:
    told = told_by(decide("refund.requested", event(refund_now()), known(BOUNCED)))
    assert decide("order.refunded", all_refunded(), known(BOUNCED, told=told)).notices == ()
