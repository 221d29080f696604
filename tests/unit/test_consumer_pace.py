"""What several looks at the consumers tell: rates, the last move, who is stuck, how long messages wait."""

import pytest
from kit.groups_seen import AT, group, later, look, member, place

from workers.insight.pace import GroupNow, Pace


def after(*looks: tuple[float, int, int]) -> GroupNow:
    """What is known after looks at (seconds, committed, end); what waits was written at the beginning."""
    pace = Pace()
    for seconds, committed, end in looks:
        waits = AT if end > committed else None
        known = pace.take(look(later(seconds), group("card", place(committed, end, waits))))
    return known["card"]


def test_a_stopped_consumer_lags_more_and_more_though_no_message_comes() -> None:
    assert [after((0, 3, 5), (second, 3, 5)).lag_s for second in (5, 65, 3600)] == [5, 65, 3600]


def test_nothing_waiting_is_a_lag_of_zero_and_not_knowing_is_none() -> None:
    assert after((0, 5, 5)).lag_s == 0
    (unknown,) = (Pace().take(look(AT, group("card", place(3, 5))))[name] for name in ("card",))
    assert (unknown.lag, unknown.lag_s) == (2, None)


def test_one_partition_that_is_not_known_makes_the_rest_no_promise() -> None:
    fine, unknown, late = place(5, 5), place(3, 5, partition=1), place(3, 5, AT, partition=2)
    assert Pace().take(look(later(9), group("card", fine, unknown)))["card"].lag_s is None
    assert Pace().take(look(later(9), group("card", unknown, late)))["card"].lag_s == 9


def test_marks_of_other_peoples_transactions_are_no_messages() -> None:
    known = Pace().take(look(later(9), group("card", place(5, 6, empty=True))))["card"]
    assert (known.lag, known.lag_s) == (0, 0)


def test_stuck_is_who_has_messages_and_did_not_move_for_a_minute() -> None:
    assert after((0, 3, 5), (59, 3, 9)).standing == "running"
    stuck = after((0, 3, 5), (59, 3, 9), (60, 3, 9))
    assert (stuck.standing, stuck.quiet_since) == ("stuck", AT)


def test_who_moves_is_not_stuck_however_far_behind() -> None:
    moving = after((0, 3, 500), (30, 4, 500), (61, 4, 500))
    assert moving.standing == "running"
    assert moving.moved_at == later(30)


def test_the_minute_counts_from_when_messages_began_to_wait() -> None:
    assert after((0, 5, 5), (600, 5, 5), (605, 5, 6), (664, 5, 6)).standing == "running"
    assert after((0, 5, 5), (600, 5, 5), (605, 5, 6), (666, 5, 6)).standing == "stuck"


def test_a_group_without_members_says_so_whatever_waits() -> None:
    pace = Pace()
    for second in (0, 100):
        known = pace.take(look(later(second), group("card", place(3, 5, AT), members=())))["card"]
    assert known.standing == "no_members"
    assert known.lag_s == 100
    back = pace.take(look(later(101), group("card", place(5, 5), members=[member()])))["card"]
    assert back.standing == "running"


def test_rates_are_of_the_last_minute() -> None:
    known = after((0, 0, 0), (30, 30, 60), (60, 60, 120))
    assert (known.rate_in, known.rate_out) == (2, 1)
    known = after((0, 0, 0), (1000, 500, 600), (1030, 590, 690))
    assert (known.rate_in, known.rate_out) == (3, 3)


def test_one_look_tells_no_rate_and_no_last_move() -> None:
    known = after((0, 3, 5))
    assert (known.rate_in, known.rate_out, known.moved_at) == (None, None, None)


@pytest.mark.parametrize("again", [0, 2])
def test_a_topic_made_anew_gives_no_negative_rate(again: int) -> None:
    known = after((0, 50, 90), (10, again, again))
    assert (known.rate_in, known.rate_out) == (0, 0)
    assert known.lag == 0
