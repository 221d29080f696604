"""Stripe's signature: over raw bytes, within five minutes, by any of several secrets. And how often one may come."""

import hashlib
import hmac

import pytest

from workers.providers.simulated.signatures import stripe_signature
from workers.webhooks.limits import TokenBucket
from workers.webhooks.signatures import secrets_in, stripe_signed

NOW = 1_795_000_000
BODY = b'{"id": "evt_1",  "type":"refund.updated"}'


def signed(header: str, body: bytes = BODY, secrets: tuple[str, ...] = ("whsec_a",), now_s: float = NOW) -> bool:
    return stripe_signed(header, body, secrets, now_s)


def v1(secret: str, body: bytes = BODY, at: int = NOW) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def test_the_bytes_as_they_came_are_signed() -> None:
    header = stripe_signature("whsec_a", BODY, NOW)
    assert signed(header)
    assert not signed(header, BODY.replace(b"  ", b" ")), "the same JSON, other bytes"
    assert not signed(header, BODY + b"\n")


@pytest.mark.parametrize(("off_s", "good"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_signature_holds_for_five_minutes_by_our_clock(off_s: int, good: bool) -> None:
    assert signed(stripe_signature("whsec_a", BODY, NOW + off_s)) is good


def test_the_signed_time_is_part_of_what_is_signed() -> None:
    old = stripe_signature("whsec_a", BODY, NOW - 4000)
    assert not signed(old.replace(str(NOW - 4000), str(NOW)))


def test_while_a_secret_is_rotated_both_hold_on_either_side() -> None:
    assert signed(stripe_signature("whsec_b", BODY, NOW), secrets=("whsec_a", "whsec_b"))
    assert signed(f"t={NOW},v1={v1('whsec_old')},v1={v1('whsec_a')}")
    assert not signed(stripe_signature("whsec_c", BODY, NOW), secrets=("whsec_a", "whsec_b"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        f"t={NOW}",
        f"v1={v1('whsec_a')}",
        f"t={NOW},v0={v1('whsec_a')}",
        f"t={NOW},t={NOW},v1={v1('whsec_a')}",
        f"t=-{NOW},v1={v1('whsec_a')}",
        f"t={NOW}.0,v1={v1('whsec_a')}",
        f"t={NOW},v1={v1('whsec_a')[:-1]}",
        f"t={NOW},v1={v1('whsec_a').upper()}é\ud800",
        f"t={'9' * 5000},v1={v1('whsec_a')}",
        f"t={NOW}," + ",".join(["v1=0"] * 2000) + f",v1={v1('whsec_a')}",
    ],
)
def test_anything_else_is_no_signature(header: str) -> None:
    assert not signed(header)


def test_a_setting_may_hold_several_secrets() -> None:
    assert secrets_in("whsec_a") == ("whsec_a",)
    assert secrets_in(" whsec_a, whsec_b ,") == ("whsec_a", "whsec_b")
    assert secrets_in(" , ") == ()


def test_a_bucket_gives_a_burst_and_then_a_steady_rate() -> None:
    bucket = TokenBucket(per_s=2, burst=3, now_s=100.0)
    assert [bucket.wait_s(100.0) for _ in range(4)] == [0, 0, 0, 1]
    assert [bucket.wait_s(100.5) for _ in range(2)] == [0, 1]
    assert [bucket.wait_s(1000.0) for _ in range(4)] == [0, 0, 0, 1], "no more is saved up than the burst"


def test_who_must_wait_long_is_told_so() -> None:
    bucket = TokenBucket(per_s=0.1, burst=1, now_s=0.0)
    assert bucket.wait_s(0.0) == 0
    assert bucket.wait_s(0.0) == 10
    assert bucket.wait_s(9.9) == 1
    assert bucket.wait_s(10.0) == 0
