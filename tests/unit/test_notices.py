"""Which fact is told to whom (SPEC R1-R8), and what the text says of money, dates and deadlines."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from kit import builders
from kit.builders import CLIENT, NOW, ORDER, REFUND, SELLER
from kit.notices import (
    CLOSE_AT,
    HELP_URL,
    VISIBLE,
    all_refunded,
    arrived,
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
    sides,
    texts,
    told_by,
)

from schemas.notifications import NotificationRequested
from workers.domain.notices.rules import request_of

WALLET = "rfd_wallet"
BOTH_CANCELLED = [("client", "cancellation"), ("seller", "cancellation")]
REDIRECTED = refund_now(state="redirected", redirected_to=WALLET, revision=3)
TO_WALLET = refund_now(refund_id=WALLET, provider="wallet")
RENEWED = refund_now(refund_id=WALLET)
BOUNCED = refund_now(state="bounced", revision=3)
IN_REVIEW = refund_now(state="needs_review", revision=2)
ELSEWHERE = refund_now(state="settled_elsewhere", revision=4)
CLIENT_REFUND = [("client", "refund")]
BOTH_CHAT = [("client", "chat"), ("seller", "chat")]


@pytest.mark.parametrize(
    ("type_", "data", "at", "told"),
    [
        pytest.param("refund.requested", event(refund_now()), known(refund_now()), BOTH_CANCELLED, id="cancelled"),
        pytest.param("order.refunded", all_refunded(0), known(), BOTH_CANCELLED, id="cancelled, nothing due"),
        pytest.param("refund.succeeded", event(arrived()), known(arrived()), CLIENT_REFUND, id="succeeded"),
        pytest.param("refund.succeeded", event(ELSEWHERE), known(ELSEWHERE), CLIENT_REFUND, id="settled elsewhere"),
        pytest.param("refund.redirected", event(REDIRECTED), known(REDIRECTED, TO_WALLET), CLIENT_REFUND, id="wallet"),
        pytest.param("refund.redirected", event(REDIRECTED), known(REDIRECTED, RENEWED), "silent", id="a new key"),
        pytest.param(
            "refund.redirected",
            event(refund_now(provider="wallet", state="redirected", redirected_to=REFUND), refund_id=WALLET),
            known(arrived(), refund_now(refund_id=WALLET, provider="wallet", state="redirected")),
            "silent",
            id="a redirect that is withdrawn",
        ),
        pytest.param("refund.bounced", event(BOUNCED), known(BOUNCED), CLIENT_REFUND, id="bounced"),
        pytest.param("refund.needs_review", event(IN_REVIEW), known(IN_REVIEW), CLIENT_REFUND, id="review"),
        pytest.param(
            "refund.needs_review", event(IN_REVIEW, code="overpaid"), known(IN_REVIEW), "silent", id="overpaid"
        ),
        pytest.param("refund.pending", event(refund_now()), known(refund_now()), "silent", id="pending"),
        pytest.param("refund.failed", event(refund_now()), known(refund_now()), "silent", id="failed"),
        pytest.param("chat.close_scheduled", chat_command(1), known(), "silent", id="close scheduled"),
        pytest.param("chat.closing_soon", chat_command(), known(), BOTH_CHAT, id="closing soon"),
        pytest.param("chat.close", chat_command(3), known(), "silent", id="close"),
        pytest.param(
            "chat.close_withdrawn", chat_command(4), known(conversation=open_chat()), BOTH_CHAT, id="stays open"
        ),
        pytest.param(
            "order.refused",
            refused("order.reactivation_requested"),
            known(),
            [("client", "refused"), ("seller", "refused")],
            id="reactivation",
        ),
        pytest.param("order.refused", refused("order.accepted"), known(), [("seller", "refused")], id="accepted"),
        pytest.param("order.refused", refused("order.delivered"), known(), [("seller", "refused")], id="delivered"),
        pytest.param("order.refused", refused("order.completed"), known(), [("seller", "refused")], id="completed"),
        pytest.param("order.refused", refused("order.cancelled"), known(), [("client", "refused")], id="too late"),
        pytest.param("order.refused", refused("order.of_tomorrow"), known(), "silent", id="unknown attempt"),
        pytest.param("payout.refused", payout()[0], known(payout=payout()[1]), [("seller", "refused")], id="payout"),
        pytest.param("payout.allowed", payout()[0], known(payout=payout()[1]), "silent", id="payout allowed"),
    ],
)
def test_who_is_told_of_what(type_: str, data: Any, at: Any, told: Any) -> None:
    said = decide(type_, data, at)
    if told == "silent":
        assert (said.label, said.notices) == ("silent", ())
        return
    assert (said.label, sides(said)) == ("applied", told)
    assert {one.recipient_id for one in said.notices} <= {CLIENT, SELLER}
    again = decide(type_, data, msgspec.structs.replace(at, told=told_by(said)))
    assert (again.label, again.notices) == ("duplicate", ()), "once a fact and person"


@pytest.mark.parametrize(
    ("type_", "data", "at"),
    [
        pytest.param("refund.succeeded", event(arrived()), known(BOUNCED), id="a success that came back"),
        pytest.param(
            "refund.succeeded",
            event(arrived()),
            known(arrived(revision=5), bounces={REFUND: (3,)}),
            id="a success that came back before the next one",
        ),
        pytest.param("refund.succeeded", event(ELSEWHERE), known(IN_REVIEW), id="settled elsewhere no more"),
        pytest.param(
            "refund.bounced", event(BOUNCED), known(arrived(revision=4)), id="a bounce nobody knew of, mended since"
        ),
        pytest.param(
            "refund.redirected", event(REDIRECTED), known(arrived(), TO_WALLET), id="a redirect that was withdrawn"
        ),
        pytest.param("refund.needs_review", event(IN_REVIEW), known(arrived(revision=4)), id="a review that ended"),
        pytest.param(
            "refund.needs_review",
            event(IN_REVIEW),
            known(arrived(state="needs_review")),
            id="a review of money that arrived",
        ),
        pytest.param("chat.closing_soon", chat_command(), known(conversation=open_chat()), id="a close withdrawn"),
        pytest.param(
            "chat.closing_soon",
            chat_command(),
            known(conversation=chat(close_at=CLOSE_AT + timedelta(days=1))),
            id="a close put off",
        ),
        pytest.param("chat.closing_soon", chat_command(), known(now=CLOSE_AT), id="a reminder after the close"),
        pytest.param("chat.close_withdrawn", chat_command(4), known(conversation=chat(revision=7)), id="closes again"),
        pytest.param("refund.succeeded", event(arrived()), known(), id="an unknown refund"),
    ],
)
def test_what_is_not_so_any_more_is_told_nobody(type_: str, data: Any, at: Any) -> None:
    said = decide(type_, data, at)
    assert (said.label, said.notices) == ("stale", ())


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"client_id": None}, ["seller"]),
        ({"seller_id": None}, ["client"]),
        ({"client_id": None, "seller_id": None}, []),
    ],
)
def test_whom_nobody_knows_is_not_told(order: dict[str, Any], told: list[str]) -> None:
    said = decide("order.refused", refused("order.reactivation_requested"), known(order=order))
    assert [one.kind for one in said.notices] == told
    assert said.label == ("applied" if told else "unaddressed")


def test_of_an_order_that_nobody_knows_nothing_is_told() -> None:
    unknown = {name: None for name in builders.cancelled_order().__struct_fields__ if name != "order_id"}
    at = known(refund_now(), order={**unknown, "revision": 0}, conversation=None)
    for type_, data in (
        ("refund.requested", event(refund_now())),
        ("order.refunded", all_refunded()),
        ("order.refused", refused("order.accepted")),
        ("payout.refused", payout()[0]),
    ):
        assert decide(type_, data, at).label == "unaddressed", type_


def test_a_payout_names_the_seller_even_where_the_order_does_not() -> None:
    told, row = payout("not_completed")
    said = decide("payout.refused", told, known(order={"seller_id": None, "seller_locale": None}, payout=row))
    (one,) = said.notices
    assert (one.recipient_id, one.locale) == (SELLER, "en")


# ---------------------------------------------------------------- the cancellation


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


# ---------------------------------------------------------------- refunds


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


# ---------------------------------------------------------------- what was refused


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


# ---------------------------------------------------------------- the message


def test_what_is_sent_is_keyed_by_its_recipient_and_named_by_its_fact() -> None:
    at = known(refund_now(), order={"client_locale": "pt-BR"})
    client, seller = (request_of(one, NOW) for one in decide("refund.requested", event(refund_now()), at).notices)
    assert (client.topic, client.type, client.key) == ("notifications.requested.v1", "notification.requested", CLIENT)
    assert isinstance(client.data, NotificationRequested)
    assert client.data.locale == "pt-BR", "the recorded locale, whatever language it is written in"
    assert client.data.body.startswith("Your order was cancelled")
    assert client.data.facts == {
        "fact": "order.cancelled",
        "cancelled_by": "client",
        "amount_minor": 4500,
        "currency": "EUR",
        "card_minor": 4500,
        "card_visible_by": "2026-11-30",
        "chat_closes_at": "2026-11-30T09:15:00+00:00",
    }
    assert seller.key == SELLER
    later = msgspec.structs.replace(at, now=NOW + timedelta(hours=1))
    again = request_of(decide("refund.requested", event(refund_now(), revision=9), later).notices[0], later.now)
    assert again.id == client.id, "the same fact has the same message id"
