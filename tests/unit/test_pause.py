"""When a provider is paused: what its answers say of the provider itself."""

from typing import Any

import pytest

from workers.domain.pause import OUTAGE, Health, Sign, decide_pause
from workers.pauses import sign_of
from workers.providers.answers import CONFIGURATION_FAULTS
from workers.providers.port import Answer


def after(*signs: Any) -> list[bool]:
    """Whether each of these answers, one after the other, pauses the provider."""
    health, found = Health(), []
    for number, sign in enumerate(signs):
        health, pauses = decide_pause(health, sign, float(number))
        found.append(pauses)
    return found


def test_failures_in_a_row_pause_and_one_less_does_not() -> None:
    assert after(*["away"] * OUTAGE) == [False] * (OUTAGE - 1) + [True]


def test_one_good_answer_among_failures_begins_the_count_anew() -> None:
    assert not any(after(*["away"] * (OUTAGE - 1), "good", *["away"] * (OUTAGE - 1)))


def test_answers_that_tell_nothing_neither_count_nor_excuse() -> None:
    assert not any(after(*["unclear"] * 100))
    assert after(*["away"] * (OUTAGE - 1), *["unclear"] * 3, "away")[-1]


def test_a_refusal_of_our_credentials_pauses_at_once() -> None:
    assert after("good", "refuses_us") == [False, True]


def test_what_a_pause_is_believed_on_began_with_the_first_failure() -> None:
    """However the calls end: one that began first may end last."""
    health = Health()
    for began_s in (7.0, 5.0, 9.0):
        health, _ = decide_pause(health, "away", began_s)
    assert health.began_s == 5.0
    refused, _ = decide_pause(health, "refuses_us", 11.0)
    assert refused.began_s == 11.0


@pytest.mark.parametrize(
    ("outcome", "code", "sign"),
    [
        ("succeeded", None, "good"),
        ("declined", "lost_or_stolen_card", "good"),
        ("rejected", "resource_missing", "good"),
        ("not_found", None, "good"),
        ("retryable", "idempotency_key_in_use", "good"),
        ("uncertain", "CAPTURE_FULLY_REFUNDED", "good"),
        ("retryable", "insufficient_funds", "good"),
        ("retryable", "rate_limit", "unclear"),
        ("retryable", "http_429", "unclear"),
        ("uncertain", "unreadable", "unclear"),
        ("retryable", "connection_refused", "away"),
        ("uncertain", "connection_lost", "away"),
        ("uncertain", "timeout", "away"),
        ("retryable", "token_unavailable", "away"),
        ("uncertain", "http_500", "away"),
        ("uncertain", "http_503", "away"),
        ("uncertain", "api_error", "away"),
        ("uncertain", "INTERNAL_SERVER_ERROR", "away"),
        ("retryable", "http_409", "good"),
        *(("retryable", code, "refuses_us") for code in sorted(CONFIGURATION_FAULTS)),
    ],
)
def test_what_an_answer_says_of_the_provider(outcome: str, code: str | None, sign: Sign) -> None:
    assert sign_of(Answer(outcome=outcome, code=code)) == sign  # type: ignore[arg-type]  # all are outcomes
