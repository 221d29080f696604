"""`annul verify --books`: our refunds beside the simulated providers' books, made over real HTTP."""

import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from kit.builders import tender
from kit.feed import Feed, break_rows
from kit.population import cancellation, settings_for

from schemas.refunds import RefundCommand, RefundIssue
from workers.insight import books
from workers.insight.verify import verify
from workers.providers.card import CardProvider
from workers.providers.http import AiohttpTransport
from workers.providers.paypal import PayPalProvider
from workers.providers.port import Answer, Provider
from workers.providers.simulated import Settings as Simulation
from workers.providers.simulated import SimulatedProviders
from workers.providers.simulated.book import Book, Entry
from workers.settings import Settings, SettingsError

SUCCEEDED = "UPDATE refunds SET state = 'succeeded', settled_at = now() WHERE order_id = '{}'"


def copy_of(entry: Entry, **changes: Any) -> Entry:
    """Another entry of the book."""
    return msgspec.structs.replace(entry, **changes)


class Ground:
    """A database whose refunds were made at the simulated providers."""

    def __init__(self, settings: Settings, url: str, book: Book) -> None:
        self.settings = settings
        self.url = url
        self.book = book

    def entry(self, order: str) -> Entry:
        """The one refund that the book has of an order's reference."""
        (found,) = [one for one in self.book.everything() if one.reference.endswith(order)]
        return found

    async def violations(self) -> list[tuple[str, str]]:
        report = await verify(self.settings, books=True)
        return [(one.subject, one.detail) for one in report.violations if one.invariant == "BOOK"]

    async def counts(self) -> dict[str, int]:
        found: dict[str, int] = (await verify(self.settings, books=True)).counts["books"]
        return found


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "_BETWEEN_LOOKS_S", 0.01)


@pytest.fixture
async def ground(database_url: str) -> AsyncIterator[Ground]:
    async with SimulatedProviders(Simulation(), rng=random.Random(1)) as providers:
        transports = AiohttpTransport(concurrency=4), AiohttpTransport(concurrency=4)
        given = Simulation()
        adapters: dict[str, Provider] = {
            "card": CardProvider(transports[0], providers.stripe_base, given.stripe_api_key, 5),
            "paypal": PayPalProvider(
                transports[1], providers.paypal_base, given.paypal_client_id, given.paypal_client_secret, 5
            ),
        }

        async def script(command: RefundCommand) -> Answer | None:
            assert isinstance(command, RefundIssue)
            answer = await adapters[command.provider].issue(command)
            return None if command.order_id == "ord_unheard" else answer

        async with Feed(database_url, script) as feed:
            for order, provider, currency in (
                ("euros", "card", "EUR"),
                ("yen", "card", "JPY"),
                ("dinars", "card", "KWD"),
                ("forints", "paypal", "HUF"),
                ("unheard", "paypal", "EUR"),
            ):
                reference = f"pi_{order}" if provider == "card" else f"8AC{order}"
                paid = tender(provider=provider, reference=reference)
                await feed.take(cancellation(order, paid, currency=currency))
            await feed.take(cancellation("wallet", tender(provider="wallet", reference="wal_1")))
        for adapter in adapters.values():
            await adapter.close()
        bases = {"stripe_api_base": providers.stripe_base, "paypal_api_base": providers.paypal_base}
        yield Ground(settings_for(database_url, **bases), database_url, providers.book)


async def test_books_that_agree_break_nothing(ground: Ground) -> None:
    assert await ground.violations() == []
    assert await ground.counts() == {"effective": 5, "in_flight": 1, "in_review": 0}


async def test_a_refund_that_is_nobodys_is_told(ground: Ground) -> None:
    entry = ground.entry("euros")
    ground.book.add(copy_of(entry, id="re_stranger", refund_id="rfd_stranger", idempotency_key="stranger"))
    assert await ground.violations() == [("re_stranger", "stripe refunded pi_euros, and no refund of ours did")]


async def test_a_second_refund_is_told_even_under_another_key(ground: Ground) -> None:
    entry = ground.entry("euros")
    ground.book.add(copy_of(entry, id="re_twin", idempotency_key="other"))
    ((subject, detail),) = await ground.violations()
    assert subject == entry.refund_id
    assert detail == f"2 refunds at the provider: {entry.id}, re_twin"


async def test_a_refund_without_our_mark_is_known_by_its_key(ground: Ground) -> None:
    ground.entry("euros").refund_id = None
    assert await ground.violations() == []


async def test_a_refund_that_is_not_there_is_told(ground: Ground) -> None:
    await break_rows(ground.url, SUCCEEDED.format("ord_unheard"), "UPDATE refunds SET idempotency_key = refund_id")
    entry = ground.entry("unheard")
    entry.refund_id = entry.idempotency_key = "gone"
    found = dict(await ground.violations())
    assert max(found.values()) == "succeeded here, and not in the book"
    assert entry.id in found


async def test_a_failure_that_was_never_heard_is_told(ground: Ground) -> None:
    entry = ground.book.move(ground.entry("euros").id, "failed")
    assert await ground.violations() == [(entry.refund_id, f"succeeded here, failed in the book as {entry.id}")]


async def test_a_pending_refund_that_failed_will_be_heard_of(ground: Ground) -> None:
    await break_rows(ground.url, "UPDATE refunds SET state = 'pending' WHERE order_id = 'ord_euros'")
    ground.book.move(ground.entry("euros").id, "failed")
    assert await ground.violations() == []
    assert (await ground.counts())["in_flight"] == 2


@pytest.mark.parametrize("state", ["declined", "bounced", "redirected"])
async def test_money_that_went_out_against_our_word_is_told(ground: Ground, state: str) -> None:
    await break_rows(ground.url, f"UPDATE refunds SET state = '{state}' WHERE order_id = 'ord_yen'")
    entry = ground.entry("yen")
    assert await ground.violations() == [(entry.refund_id, f"{state} here, succeeded in the book as {entry.id}")]


async def test_a_refund_in_review_is_counted_and_not_told(ground: Ground) -> None:
    await break_rows(ground.url, "UPDATE refunds SET state = 'needs_review' WHERE order_id = 'ord_yen'")
    assert await ground.violations() == []
    assert (await ground.counts())["in_review"] == 1


async def test_an_answer_on_its_way_needs_a_claim(ground: Ground) -> None:
    await break_rows(ground.url, "DELETE FROM refund_attempts")
    entry = ground.entry("unheard")
    assert await ground.violations() == [(entry.refund_id, f"requested here, succeeded in the book as {entry.id}")]


@pytest.mark.parametrize(
    ("order", "changes", "detail"),
    [
        ("euros", {"amount": 4499}, "4499 in the provider's minor unit, 4500 is due"),
        ("forints", {"amount": 4500}, "4500 in the provider's minor unit, 45 is due"),
        ("forints", {"currency": "EUR"}, "made in EUR, not in HUF"),
        ("yen", {"reference": "pi_other_yen"}, "made of stripe pi_other_yen, not of card pi_yen"),
    ],
)
async def test_a_difference_is_told(ground: Ground, order: str, changes: dict[str, Any], detail: str) -> None:
    entry = ground.entry(order)
    for name, value in changes.items():
        setattr(entry, name, value)
    assert await ground.violations() == [(entry.refund_id, f"{entry.id}: {detail}")]


async def test_a_refund_that_we_know_by_another_id_is_told(ground: Ground) -> None:
    await break_rows(ground.url, "UPDATE refunds SET provider_refund_id = 're_other' WHERE order_id = 'ord_yen'")
    entry = ground.entry("yen")
    assert await ground.violations() == [(entry.refund_id, f"{entry.id}: we know it as re_other")]


async def test_what_passes_by_the_next_look_is_not_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ground.book.move(ground.entry("euros").id, "failed")
    compare, looks = books.compare, []

    def compare_and_mend(*sides: Any) -> Any:
        looks.append(compare(*sides))
        ground.book.move(entry.id, "succeeded")
        return looks[-1]

    monkeypatch.setattr(books, "compare", compare_and_mend)
    assert await ground.violations() == []
    assert len(looks) == 2
    assert looks[0][0]


async def test_a_provider_without_a_book_is_said(database_url: str) -> None:
    runner = web.AppRunner(web.Application())  # answers everything with 404, as the real ones would
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        with pytest.raises(SettingsError, match=f"{base} keeps no book"):
            await verify(settings_for(database_url, stripe_api_base=base, paypal_api_base=base), books=True)
    finally:
        await runner.cleanup()
