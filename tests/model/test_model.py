"""The protocol holds in every world within the bounds, and is found broken as soon as one of its rules is taken out."""

import os

import pytest

from model.payout_race import crash, race
from model.search import search
from model.world import RULES, Bounds

WITHOUT = {
    "1 once": ("paid twice", 8, Bounds()),
    "1 live": ("paid twice", 8, Bounds(bounces=0, forgets=0, actions=1, flags=1)),
    "1 lease": ("paid twice", 14, Bounds()),
    "2": ("paid twice", 14, Bounds()),
    "3": ("paid twice", 10, Bounds()),
    "4": ("paid twice", 14, Bounds()),
    "5": ("paid twice", 14, Bounds()),
    "6": ("settled by what is known to have failed", 5, Bounds()),
    "7": ("waits, and nothing will wake it", 3, Bounds()),
    "8": ("done on what nobody saw", 6, Bounds(actions=1, flags=1)),
}
"""What goes wrong, the shortest story of it in steps, and the bounds that it needs."""
SHORT = {
    "two attempts, a bounce, a key forgotten": Bounds(),
    "a person acts": Bounds(attempts=1, actions=1),
    "a person has paid": Bounds(attempts=3, actions=2, flags=2, paid_elsewhere=True),
    "older look-ups": Bounds(bounces=0, forgets=0, older_look_ups=True),
    "a provider that takes its time, a flag, older look-ups": Bounds(
        attempts=1, pending=True, flags=1, older_look_ups=True
    ),
}
BEYOND = {
    "a key forgotten too soon": Bounds(without="2", beyond=True),
    "a stall that is too long": Bounds(without="1 lease", beyond=True, forgets=0),
    "a look-up that misses what is under way": Bounds(without="4", beyond=True, forgets=0),
}
LONG = {
    "three attempts": Bounds(attempts=3),
    "a provider that takes its time": Bounds(pending=True),
    "three refunds, one after the other": Bounds(legs=3),
    "two attempts and a person": Bounds(actions=1),
    "a flag and two clicks": Bounds(attempts=1, bounces=0, forgets=0, actions=2, flags=1),
    "paid twice, and people act on it": Bounds(
        attempts=1, forgets=0, actions=1, flags=1, without="1 live", beyond=True
    ),
}


@pytest.mark.parametrize("bounds", SHORT.values(), ids=SHORT)
def test_the_protocol_holds_in_every_world(bounds: Bounds) -> None:
    found = search(bounds)
    assert found.fault is None, found
    assert found.worlds > 10, "the model has come to a halt somewhere"


@pytest.mark.parametrize("bounds", BEYOND.values(), ids=BEYOND)
def test_where_more_goes_wrong_than_is_assumed_it_is_told_and_the_books_stay_right(bounds: Bounds) -> None:
    found = search(bounds)
    assert found.fault is None, found


@pytest.mark.long
@pytest.mark.skipif("ANNUL_MODEL" not in os.environ, reason="by `make model`")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bounds", LONG.values(), ids=LONG)
def test_the_protocol_holds_in_every_world_of_wider_bounds(bounds: Bounds) -> None:
    found = search(bounds)
    assert found.fault is None, found


@pytest.mark.parametrize("rule", RULES)
def test_without_one_rule_the_search_finds_the_story_of_what_goes_wrong(rule: str) -> None:
    fault, steps, bounds = WITHOUT[rule]
    found = search(bounds._replace(without=rule))
    assert found.fault == fault
    assert len(found.story) == steps, found.story


def test_what_rule_3_prevents_is_told_step_by_step() -> None:
    """An adapter that stalled wakes after the look-up found nothing, and what it was asked for was sent elsewhere."""
    story = search(Bounds(without="3")).story
    assert [story[0], story[-1]] == ["0: attempt 1 is claimed", "1: the wallet is credited"]
    places = [story.index(step) for step in ("0: not found, newest look-up", "0: call 1 goes through (s)")]
    assert places == sorted(places)


def test_an_order_is_never_refunded_and_paid_out_where_who_decides_it_locks_it_first() -> None:
    assert race(locked=True).fault is None


def test_without_rule_9_an_order_is_refunded_and_paid_out() -> None:
    found = race(locked=False)
    assert found.fault == "refunded and paid out"
    assert found.story.index("cancellation looks") < found.story.index("completion writes")


def test_what_was_recorded_is_sent_whenever_a_process_dies() -> None:
    assert crash(sends_what_was_recorded=True).fault is None


def test_without_rule_10_a_crash_after_the_commit_leaves_everything_unsent() -> None:
    found = crash(sends_what_was_recorded=False)
    assert (found.fault, found.story) == (
        "nothing was ever sent",
        ("decided and recorded", "the process dies", "the offset moves on"),
    )
