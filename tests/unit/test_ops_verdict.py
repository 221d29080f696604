"""Whether all is well, in one sentence: the worst first, since when, and never a 0 for what isn't known."""

import string
from datetime import timedelta
from typing import Any

import pytest
from kit.groups_seen import AT, all_well, group, later, place, seen

from workers.actions.holds import ConsumerPause
from workers.consumers import CONSUMERS
from workers.insight.overview import Figures, Sample, Unsettled
from workers.ops.cards import cards_of
from workers.ops.language import TEXTS, Speech
from workers.ops.trend import charts_of, steps_of
from workers.ops.verdict import problems_of, rows_of
from workers.ops.watching import Seen
from workers.pauses import Pause

WELL = seen(all_well())


def figures(**changes: Any) -> Figures:
    """Nothing is open."""
    given: dict[str, Any] = {
        "at": AT,
        "cancellations": 0,
        "unsettled": (),
        "parked": 0,
        "parked_since": None,
        "chats": 0,
        "chats_overdue": 0,
        "next_chat_at": None,
        "timers_late_since": None,
        "consumer_pauses": {},
        "provider_pauses": (),
        "samples": (),
    }
    return Figures(**{**given, **changes})


def held(worker: str, **changes: Any) -> dict[str, ConsumerPause]:
    given = {"worker": worker, "paused": True, "reason": "a bad release", "by_person": "Ada", "since": AT}
    return {worker: ConsumerPause(**{**given, **changes})}


def provider_pause(**changes: Any) -> Pause:
    given: dict[str, Any] = {
        "provider": "card",
        "paused": True,
        "code": "timeout",
        "detail": None,
        "paused_at": AT,
        "probe_at": AT,
        "probes": 3,
        "resumed_at": None,
        "by_person": None,
        "lasted_s": 1.0,
    }
    return Pause(**{**given, **changes})


def unsettled(state: str, minutes: float, currency: str = "EUR", refunds: int = 1, provider: str = "card") -> Unsettled:
    since = AT - timedelta(minutes=minutes)
    return Unsettled(
        state=state,
        provider=provider,
        currency=currency,
        refunds=refunds,
        amount_minor=1000,
        issued_at=since,
        state_since=since,
    )


def standing(worker: str, what: Seen, known: Figures) -> str:
    return next(row.standing for row in rows_of(what, known) if row.worker == worker)


def keys(what: Seen, known: Figures) -> list[str]:
    return [one.key.removeprefix("overview.") for one in problems_of(what, known)]


def card(name: str, what: Seen, known: Figures) -> Any:
    say = Speech("en")
    return next(one for one in cards_of(what, known, rows_of(what, known), say) if one.name == name)


def test_all_is_well_only_where_everything_is_known_and_nothing_is_open() -> None:
    assert keys(WELL, figures()) == []
    assert keys(Seen(), figures()) == ["unasked"]
    assert keys(Seen(at=WELL.at, away_since=AT, groups=WELL.groups), figures()) == ["kafka_away"]


def test_the_worst_comes_first() -> None:
    stopped = group("refunds", place(3, 9, AT), members=())
    idle = group("wallet", place(9, 9), members=())
    what = seen(all_well(refunds=stopped, wallet=idle))
    known = figures(
        unsettled=(unsettled("needs_review", 5),),
        parked=3,
        parked_since=AT,
        provider_pauses=(provider_pause(),),
        consumer_pauses=held("payouts"),
    )
    assert keys(what, known) == [
        "no_members",
        "provider_failing",
        "review",
        "no_members",
        "consumer_paused",
        "parked",
    ]
    first = problems_of(what, known)[0]
    assert (first.values, first.since, first.link) == ({"worker": "refunds"}, AT, "/consumers/refunds")


def test_stuck_late_paused_and_held_back_are_told_apart() -> None:
    waits = {worker: group(worker, place(3, 9, AT)) for worker in ("refunds", "card", "payouts", "paypal")}
    late = {**waits, "payouts": group("payouts", place(8, 9, AT))}
    what = seen(all_well(AT, **waits), all_well(later(90), **late))
    known = figures(consumer_pauses=held("paypal"), provider_pauses=(provider_pause(),))
    found = {worker: standing(worker, what, known) for worker in waits}
    assert found == {"refunds": "stuck", "card": "held_back", "payouts": "behind", "paypal": "paused"}
    assert standing("sellers", what, known) == "running"


def test_a_pause_that_is_over_is_no_pause() -> None:
    known = figures(
        consumer_pauses=held("paypal", paused=False), provider_pauses=(provider_pause(paused=False, resumed_at=AT),)
    )
    assert keys(WELL, known) == []
    assert {row.standing for row in rows_of(WELL, known)} == {"running"}


def test_a_provider_that_a_person_paused_is_not_called_failing() -> None:
    assert keys(WELL, figures(provider_pauses=(provider_pause(by_person="Ada"),))) == ["provider_held"]


def test_a_refund_that_is_uncertain_for_a_moment_is_no_problem_yet() -> None:
    assert keys(WELL, figures(unsettled=(unsettled("uncertain", 14),))) == []
    assert keys(WELL, figures(unsettled=(unsettled("uncertain", 16),))) == ["uncertain"]


def test_while_kafka_is_away_the_lag_is_unknown_and_what_was_known_says_from_when() -> None:
    before = seen(all_well(later(90), refunds=group("refunds", place(3, 9, AT))))
    assert card("lag", before, figures()).lines == ("1 min 30 s",)
    away = Seen(at=before.at, away_since=later(95), groups=before.groups)
    shown = card("lag", away, figures())
    assert shown.lines == ("unknown",)
    assert "was 1 min 30 s at 03:01:30" in shown.beside
    assert {row.standing for row in rows_of(away, figures())} == {"unknown"}
    assert card("lag", Seen(), figures()).lines == ("unknown",)


def test_a_group_that_kafka_tells_nothing_of_is_no_lag_of_zero() -> None:
    known = seen(all_well())
    partly = Seen(at=known.at, groups={name: one for name, one in known.groups.items() if name != "card"})
    assert card("lag", partly, figures()).lines == ("unknown",)
    assert keys(partly, figures()) == ["unknown"]
    assert card("lag", known, figures()).lines == ("0 s",)


def test_what_is_stuck_says_how_much_money_it_holds() -> None:
    stopped = seen(all_well(wallet=group("wallet", place(3, 9, AT), members=())))
    known = figures(
        unsettled=(
            unsettled("needs_review", 5, provider="paypal"),
            unsettled("needs_review", 5, "JPY"),
            unsettled("requested", 2, provider="paypal"),
            unsettled("requested", 2, provider="wallet"),
            unsettled("uncertain", 20),
        ),
        provider_pauses=(provider_pause(provider="paypal", by_person="Ada"),),
        consumer_pauses=held("card"),
    )
    assert {one.key.removeprefix("overview."): dict(one.money) for one in problems_of(stopped, known)} == {
        "no_members": {"EUR": 1000},
        "review": {"EUR": 1000, "JPY": 1000},
        "provider_held": {"EUR": 1000},
        "consumer_paused": {"EUR": 1000},
        "uncertain": {"EUR": 1000},
    }


def test_money_is_never_added_over_currencies() -> None:
    known = figures(unsettled=(unsettled("requested", 90), unsettled("retrying", 5, "JPY"), unsettled("pending", 1)))
    shown = card("money", WELL, known)
    assert shown.lines == ("20.00 EUR", "1,000 JPY")
    assert shown.beside == "3 refunds, the oldest for 1 h 30 min"


def sample(minutes_ago: float, cancellations: int, lag_s: dict[str, float | None] | None = None) -> Sample:
    at = AT - timedelta(minutes=minutes_ago)
    return Sample(at=at, cancellations=cancellations, lag_s=lag_s, waiting=1, waiting_minor={}, parked=0)


def test_cancellations_per_minute_are_of_the_last_minutes_and_unknown_at_first() -> None:
    assert card("cancellations", WELL, figures(cancellations=7)).lines == ("unknown",)
    samples = (sample(60, 0), sample(5, 1000), sample(1, 1040))
    shown = card("cancellations", WELL, figures(cancellations=1050, samples=samples))
    assert shown.lines == ("10",)
    assert shown.beside == "over the last 1 h 0 min: 17.5 per minute"


def test_the_trend_has_a_gap_where_nothing_was_known() -> None:
    begin = AT - timedelta(hours=6)
    line = steps_of([(AT - timedelta(minutes=11), 5.0), (AT - timedelta(minutes=12), 9.0), (AT, None)], begin)
    assert line[-3:] == [9.0, None, None]
    assert len(line) == 72
    charts = charts_of(figures(samples=(sample(2, 0), sample(1, 60, {"card": 7.0, "wallet": None}))), Speech("en"))
    assert charts[0][0] == "Cancellations per minute"
    assert "Now 60, at most 60" in str(charts[0][1])
    assert "Now 7, at most 7" in str(charts[1][1])
    assert charts_of(figures(samples=(sample(1, 0),)), Speech("en")) == []


@pytest.mark.parametrize("key", [key for key in TEXTS if key.startswith(("overview.", "consumers."))])
def test_both_languages_take_the_same_values(key: str) -> None:
    english, french = ({name for _, name, _, _ in string.Formatter().parse(text) if name} for text in TEXTS[key])
    assert english == french


def test_every_consumer_is_shown_whatever_kafka_says() -> None:
    assert [row.worker for row in rows_of(Seen(), figures())] == list(CONSUMERS)
