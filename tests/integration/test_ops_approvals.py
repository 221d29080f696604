"""Two people on the dashboard: who may ask, who may agree, who may say no, and what each of them sees."""

from collections.abc import AsyncIterator

import pytest
from kit.ops_pages import Visit, visiting
from kit.reviewing import REASON, Review

from workers.actions.rules import WHY


@pytest.fixture
async def large(database_url: str) -> AsyncIterator[Review]:
    """Above the amount from which on two people decide; `ann` has asked for a redirect."""
    async with Review(database_url) as made:
        await made.begin(captured_minor=50_001)
        yield made


@pytest.fixture
async def visit(database_url: str) -> AsyncIterator[Visit]:
    async with visiting(Review(database_url).settings) as made:
        made.become(name="bob", role="approver")
        yield made


async def asked(review: Review) -> str:
    """An action of `ann` that waits; its page."""
    return f"/actions/{(await review.ask('redirect')).action.action_id}"


async def outcome(review: Review) -> str | None:
    """What became of it."""
    (row,) = await review.rows("SELECT outcome FROM manual_actions WHERE true")
    found: str | None = row["outcome"]
    return found


async def test_another_person_sees_what_it_does_agrees_and_it_is_carried_out_once(large: Review, visit: Visit) -> None:
    page = await asked(large)
    text = (await visit.get(page)).text
    assert REASON in text
    assert "refunding:wallet" in text
    assert f'action="{page}/approve"' in text
    answer = await visit.post(f"{page}/approve")
    assert (answer.status, answer.headers["location"]) == (303, page)
    assert (await visit.post(f"{page}/approve")).status == 303, "sent twice"
    await large.feed.fire()
    assert await outcome(large) == "applied"
    assert (await visit.post(f"{page}/approve")).status == 303, "and once more afterwards"
    entries = await large.rows("SELECT actor FROM audit_entries WHERE what = 'action.approved'")
    assert [one["actor"] for one in entries] == ["bob"]
    assert await large.violations() == []


@pytest.mark.parametrize("name", ["ann", "ANN "])
async def test_who_asked_can_t_agree_whatever_their_role(large: Review, visit: Visit, name: str) -> None:
    page = await asked(large)
    visit.become(name=name)
    text = (await visit.get(page)).text
    assert "another person has to approve it" in text
    assert f'action="{page}/approve"' not in text
    answer = await visit.post(f"{page}/approve")
    assert answer.status == 403
    assert WHY["same_person"] in answer.text.replace("&#39;", "'")
    await large.feed.fire()
    assert await outcome(large) is None


async def test_what_moved_since_it_was_asked_for_can_t_be_agreed_to(large: Review, visit: Visit) -> None:
    page = await asked(large)
    await large.flag("disputed")
    text = (await visit.get(page)).text
    assert "can\u2019t be approved any more" in text
    assert f'action="{page}/approve"' not in text
    answer = await visit.post(f"{page}/approve")
    assert answer.status == 409
    assert f'href="{page}"' in answer.text
    assert await large.rows("SELECT seq FROM audit_entries WHERE what = 'action.approved'") == []


async def test_a_viewer_asks_for_nothing_agrees_to_nothing_and_reads_no_reasons(large: Review, visit: Visit) -> None:
    page = await asked(large)
    visit.become(name="eve", role="viewer")
    text = (await visit.get(page)).text
    assert REASON not in text
    assert f"*** {len(REASON)} characters" in text
    assert "<form" not in text[text.index("<main") :]
    base = f"/refunds/{large.refund_id}/actions"
    given = {"reason": REASON, "revision": "2", "key": "k" * 24}
    for path in (base, f"{base}/look-up"):
        assert (await visit.get(path)).status == 403, path
    for path in (f"{base}/look-up", f"{base}/look-up/preview", f"{page}/approve", f"{page}/reject"):
        assert (await visit.post(path, **given)).status == 403, path
    assert len(await large.rows("SELECT action_id FROM manual_actions WHERE true")) == 1


async def test_an_operator_is_no_approver_but_takes_back_what_is_their_own(large: Review, visit: Visit) -> None:
    page = await asked(large)
    visit.become(name="carl", role="operator")
    assert (await visit.post(f"{page}/approve")).status == 403
    assert (await visit.post(f"{page}/reject", reason="no")).status == 403
    visit.become(name="ann")
    assert (await visit.post(f"{page}/reject", reason="a mistake")).status == 303
    assert (await visit.post(f"{page}/reject", reason="a mistake")).status == 303, "sent twice"
    assert await outcome(large) == "rejected"
    assert "was rejected" in (await visit.get(page)).text


async def test_an_approver_says_no_with_a_reason_and_nothing_happens(large: Review, visit: Visit) -> None:
    page = await asked(large)
    assert (await visit.post(f"{page}/reject", reason=" ")).status == 400
    assert (await visit.post(f"{page}/reject", reason="the client was called")).status == 303
    await large.feed.fire()
    assert await outcome(large) == "rejected"
    assert (await visit.post(f"{page}/approve")).status == 409
    (entry,) = await large.rows("SELECT actor FROM audit_entries WHERE what = 'action.rejected'")
    assert entry["actor"] == "bob"
    visit.become(role="viewer")
    assert "the client was called" not in (await visit.get(page)).text


async def test_to_ask_the_provider_takes_no_second_person(large: Review, visit: Visit) -> None:
    page = f"/actions/{(await large.ask('look_up')).action.action_id}"
    assert f'action="{page}/approve"' not in (await visit.get(page)).text
    assert (await visit.post(f"{page}/approve")).status == 409
