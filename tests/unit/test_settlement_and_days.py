"""When an order counts as refunded, and when the client sees the money (SPEC R2)."""

from datetime import date, timedelta

import pytest
from kit.builders import NOW, ORDER, cancelled_order, refund_in, successor

from schemas.refunds import OrderRefunded
from workers.domain.business_days import country_of, visible_by
from workers.domain.settlement import settle_order

SETTLED = refund_in("succeeded")
OTHER = refund_in("succeeded", refund_id="rfd_2", tender_id="tnd_2", provider="wallet", amount_minor=500)


def test_an_order_is_refunded_once_every_tender_is_settled() -> None:
    order, told = settle_order(cancelled_order(), [SETTLED, OTHER], NOW)
    assert (order.refunded_at, order.revision) == (NOW, 2)
    assert told is not None
    assert told.data == OrderRefunded(order_id=ORDER, currency="EUR", amount_minor=5000, settled_at=NOW, revision=2)
    assert (told.type, told.topic, told.key) == ("order.refunded", "refunds.events.v1", ORDER)


@pytest.mark.parametrize(
    "state",
    ["requested", "retrying", "uncertain", "pending", "declined", "bounced", "needs_review"],
)
def test_an_order_with_an_unsettled_refund_is_not_refunded(state: str) -> None:
    order = cancelled_order()
    open_refund = refund_in(state, refund_id="rfd_2", tender_id="tnd_2")
    assert settle_order(order, [SETTLED, open_refund], NOW) == (order, None)


def test_a_redirected_refund_counts_as_the_one_that_took_its_place() -> None:
    redirected = refund_in("redirected")
    assert settle_order(cancelled_order(), [redirected, successor()], NOW)[1] is None
    _, told = settle_order(cancelled_order(), [redirected, successor("succeeded")], NOW)
    assert told is not None
    assert told.data.amount_minor == 4500  # type: ignore[attr-defined]  # order.refunded


def test_what_a_person_paid_elsewhere_is_settled() -> None:
    _, told = settle_order(cancelled_order(), [refund_in("settled_elsewhere"), OTHER], NOW)
    assert told is not None


def test_an_order_is_told_refunded_once() -> None:
    order, _ = settle_order(cancelled_order(), [SETTLED], NOW)
    assert settle_order(order, [SETTLED], NOW + timedelta(days=1)) == (order, None)


def test_an_order_without_refunds_is_not_settled_by_them() -> None:
    order = cancelled_order()
    assert settle_order(order, [], NOW) == (order, None)


def test_the_word_that_an_order_is_refunded_has_one_id() -> None:
    _, first = settle_order(cancelled_order(), [SETTLED], NOW)
    _, again = settle_order(cancelled_order(revision=5), [SETTLED, OTHER], NOW + timedelta(days=1))
    assert first is not None
    assert again is not None
    assert first.id == again.id


@pytest.mark.parametrize("provider", ["wallet", "paypal"])
@pytest.mark.parametrize("day", [date(2026, 11, 23), date(2026, 12, 25), date(2026, 11, 28)])
def test_wallet_and_paypal_show_on_the_day_itself(provider: str, day: date) -> None:
    assert visible_by(provider, day, "FR") == day


@pytest.mark.parametrize(
    ("settled", "shows"),
    [
        # A plain week: Monday to Monday.
        (date(2026, 11, 23), date(2026, 11, 30)),
        # Over a weekend, and from within one.
        (date(2026, 11, 27), date(2026, 12, 4)),
        (date(2026, 11, 28), date(2026, 12, 4)),
        (date(2026, 11, 29), date(2026, 12, 4)),
        # Christmas and New Year's Day are both Fridays: over two holidays, two weekends and the end of the year.
        (date(2026, 12, 24), date(2027, 1, 4)),
        (date(2026, 12, 31), date(2027, 1, 8)),
        # Easter Monday, Ascension Day with Labour Day and Victory Day in May.
        (date(2026, 4, 3), date(2026, 4, 13)),
        (date(2026, 4, 30), date(2026, 5, 11)),
        (date(2026, 5, 13), date(2026, 5, 21)),
        # Bastille Day is a Tuesday.
        (date(2026, 7, 13), date(2026, 7, 21)),
    ],
)
def test_a_card_refund_shows_within_five_french_business_days(settled: date, shows: date) -> None:
    assert visible_by("card", settled, "FR") == shows


def test_without_a_country_only_weekends_are_off() -> None:
    assert visible_by("card", date(2026, 12, 24), None) == date(2026, 12, 31)


def test_holidays_are_those_of_the_clients_country() -> None:
    # Thanksgiving, the 26th, is a working day in France.
    assert visible_by("card", date(2026, 11, 25), "US") == date(2026, 12, 3)
    assert visible_by("card", date(2026, 11, 25), "FR") == date(2026, 12, 2)


def test_the_weekend_is_that_of_the_clients_country() -> None:
    # From a Thursday; Friday and Saturday are off in Saudi Arabia, Sunday is not.
    assert visible_by("card", date(2026, 11, 26), "SA") == date(2026, 12, 3)
    assert visible_by("card", date(2026, 11, 29), "SA") == date(2026, 12, 6)


@pytest.mark.parametrize(
    ("locale", "country"),
    [
        ("fr-FR", "FR"),
        ("fr_FR", "FR"),
        ("en-us", "US"),
        ("zh-Hans-CN", "CN"),
        ("fr", None),
        ("FR", None),
        ("en-001", None),
        ("fr-XX", None),
        ("sr-Latn", None),
        ("", None),
        (None, None),
    ],
)
def test_the_country_comes_from_the_locale(locale: str | None, country: str | None) -> None:
    assert country_of(locale) == country


@pytest.mark.parametrize("country", ["FR", "DE", "US", "SA", "IR", "JP", None])
def test_a_card_refund_never_shows_sooner_than_five_days_nor_later_than_three_weeks(country: str | None) -> None:
    days = (date(2026, 1, 1) + timedelta(days=number) for number in range(365))
    assert all(5 <= (visible_by("card", day, country) - day).days <= 21 for day in days)
