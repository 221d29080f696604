"""What client and seller read of a cancellation: money, dates, the chat, and what was refused after it."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from kit.builders import CLIENT, NOW, ORDER, REFUND, SELLER
from kit.notices import (
    CLOSE_AT,
    HELP_URL,
    REDIRECTED,
    TO_WALLET,
    all_refunded,
    chat,
    chat_command,
    decide,
    english,
    event,
    known,
    open_chat,
    payout,
    refund_now,
    refused,
    texts,
    told_by,
)


def test_the_client_reads_what_goes_back_where_and_when_it_shows() -> None:
    tenders = (
        refund_now(),
        refund_now(refund_id="rfd_2", provider="paypal", amount_minor=1_050),
        refund_now(refund_id="rfd_3", provider="wallet", amount_minor=5),
    )
    told = texts(decide("refund.requested", event(refund_now()), known(*tenders)))["client"]
    for line in (
        "Votre commande a été annulée, comme vous l'avez demandé.",
        "La somme de 55,55 € vous est rendue.",
        "- 45,00 € sur votre carte bancaire.",
        "3 à 5 jours ouvrés",
        "le lundi 30 novembre 2026.",  # five business days after the day of the decision
        "- 10,50 € sur votre compte PayPal",
        "- 0,05 € sur votre portefeuille",
        "quasiment immédiatement",
        "reste ouvert pendant 7 jours, jusqu'au lundi 30 novembre 2026 à 09:15 (UTC)",
    ):
        assert line in told
    assert "remboursé" not in told


def test_the_client_reads_it_in_english() -> None:
    at = known(refund_now(), order=english(cancelled_by="seller"))
    told = texts(decide("refund.requested", event(refund_now()), at))["client"]
    for line in (
        "Your order was cancelled by the seller.",
        "- €45.00 to your card.",
        "normally by Monday, 30 November 2026.",
        "until Monday, 30 November 2026 at 09:15 (UTC)",
    ):
        assert line in told
    assert "refunded" not in told


def test_the_date_follows_the_holidays_of_the_clients_country() -> None:
    late = NOW.replace(month=12, day=22)
    french, swiss_less = ({"client_locale": locale} for locale in ("fr-FR", "fr"))
    dates = [
        decide("refund.requested", event(refund_now()), known(refund_now(), order=order, now=late)).notices[0]
        for order in (french, swiss_less)
    ]
    # Christmas is a Friday, New Year's Day too.
    assert [one.facts["card_visible_by"] for one in dates] == ["2026-12-30", "2026-12-29"]


def test_where_the_money_was_sent_on_meanwhile_the_client_reads_where_it_goes_now() -> None:
    told = texts(decide("refund.requested", event(refund_now()), known(REDIRECTED, TO_WALLET)))["client"]
    assert "- 45,00 € sur votre portefeuille" in told
    assert "carte" not in told


def test_the_client_reads_that_nothing_is_due() -> None:
    told = texts(decide("order.refunded", all_refunded(0), known()))
    assert "il n'y a donc rien à vous rendre" in told["client"]
    assert "rien à rendre au client" in told["seller"]


def test_the_seller_reads_what_follows_for_them_and_what_to_answer() -> None:
    told = texts(decide("refund.requested", event(refund_now()), known(refund_now())))["seller"]
    for line in (
        "Une commande a été annulée par le client.",
        "La collaboration sur cette commande s'arrête",
        "rendu automatiquement",
        "Sur le portefeuille ou PayPal, la somme apparaît quasiment immédiatement.",
        "3 à 5 jours ouvrés",
        "vous ne pouvez plus être payé",
        "jusqu'au lundi 30 novembre 2026 à 09:15 (UTC)",
        "avant que le chat ne se ferme",
        "une nouvelle commande correspondant au travail effectué",
        "offre personnalisée au prix adapté",
        "Clarifiez d'abord les attentes",
        "quel qu'en soit le responsable : celle-ci impacte votre taux de complétion",
        HELP_URL,
    ):
        assert line in told
    assert "remboursé" not in told


@pytest.mark.parametrize(
    ("close", "rate"),
    [("cancelled_before_acceptance", "taux d'acceptation"), ("cancelled_after_acceptance", "taux de complétion")],
)
def test_the_seller_reads_which_rate_the_cancellation_counts_in(close: str, rate: str) -> None:
    at = known(refund_now(), order={"counted_close": close})
    assert rate in texts(decide("refund.requested", event(refund_now()), at))["seller"]


def test_without_a_help_page_there_is_no_link() -> None:
    told = texts(decide("refund.requested", event(refund_now()), known(refund_now(), help_url=None)))["seller"]
    assert "statistiques" in told
    assert "http" not in told


@pytest.mark.parametrize(
    ("conversation", "text"),
    [
        (chat(cancelled_order="ord_later"), "le chat reste ouvert jusqu'au lundi 30 novembre 2026"),
        (chat(close_at=CLOSE_AT - timedelta(hours=1)), "le chat reste ouvert jusqu'au lundi 30 novembre 2026 à 08:15"),
        (open_chat(), "Le chat reste ouvert, car une commande plus récente existe"),
        (chat(close_at=NOW), "Le chat s'est fermé le lundi 23 novembre 2026"),
    ],
)
def test_both_read_what_becomes_of_the_chat(conversation: Any, text: str) -> None:
    told = texts(decide("refund.requested", event(refund_now()), known(refund_now(), conversation=conversation)))
    assert all(text in one for one in told.values())


def test_who_read_in_the_cancellation_that_the_chat_stays_open_is_not_told_again() -> None:
    at = known(refund_now(), conversation=open_chat())
    told = told_by(decide("refund.requested", event(refund_now()), at))
    again = decide("chat.close_withdrawn", chat_command(4), msgspec.structs.replace(at, told=told))
    assert again.label == "duplicate"


def test_neither_names_nor_references_nor_reasons_are_in_what_people_read() -> None:
    said = decide("refund.requested", event(refund_now()), known(refund_now()))
    for text in texts(said).values():
        for secret in ("pi_3Nx", "changed my mind", CLIENT, SELLER, REFUND, ORDER):
            assert secret not in text


@pytest.mark.parametrize(
    ("attempted", "who", "text"),
    [
        ("order.reactivation_requested", "client", "retourne au client dès l'annulation"),
        ("order.reactivation_requested", "client", "passez une nouvelle commande"),
        ("order.reactivation_requested", "seller", "invitez le client à passer une nouvelle commande"),
        ("order.accepted", "seller", "L'acceptation n'est pas prise en compte"),
        ("order.delivered", "seller", "La livraison n'est pas prise en compte"),
        ("order.completed", "seller", "Cela n'est pas pris en compte"),
        ("order.cancelled", "client", "elle avait été terminée auparavant"),
    ],
)
def test_a_refusal_says_why(attempted: str, who: str, text: str) -> None:
    assert text in texts(decide("order.refused", refused(attempted), known()))[who]


def test_each_attempt_is_refused_by_itself() -> None:
    first = decide("order.refused", refused("order.accepted"), known())
    other = refused("order.accepted", NOW + timedelta(seconds=1))
    assert decide("order.refused", other, known(told=told_by(first))).label == "applied"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("order_cancelled", "vous ne pouvez plus être payé"),
        ("order_cancelled", "offre personnalisée au prix adapté"),
        ("order_cancelled", "40,00 €"),
        ("not_completed", "pourra être demandé à nouveau"),
        ("held_for_review", "doit d'abord l'examiner"),
        ("already_allowed", "n'est payée qu'une fois"),
    ],
)
def test_a_refused_payout_says_why_and_what_can_be_done(reason: str, text: str) -> None:
    told, row = payout(reason)
    assert text in texts(decide("payout.refused", told, known(payout=row)))["seller"]
