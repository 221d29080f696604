"""What people do with refunds on the dashboard: shown first, done once, agreed to by another, refused when it moved."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
from kit.ops_pages import Answer, Visit, visiting
from kit.reviewing import REASON, Review

from workers.actions.rules import KINDS, WHY
from workers.ops.language import Language
from workers.providers.port import Answer as Provided

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_FORM = re.compile(r'<form method="post" action="(/(?:refunds|actions)/[^"]+)">')


@pytest.fixture
async def visit(database_url: str) -> AsyncIterator[Visit]:
    async with visiting(Review(database_url).settings) as made:
        made.become(name="ann", role="operator")
        yield made


def fields_of(answer: Answer) -> dict[str, str]:
    """What a page's last form brings by itself."""
    form = answer.text[answer.text.rindex('<form method="post" action="/refunds/') :]
    return {name: unescape(value) for name, value in _HIDDEN.findall(form) if name != "csrf"}


async def previewed(visit: Visit, review: Review, kind: str, **said: str) -> Answer:
    """From the form to what the action would do."""
    path = f"/refunds/{review.refund_id}/actions/{kind.replace('_', '-')}"
    form = await visit.get(path)
    assert form.status == 200
    answer = await visit.post(f"{path}/preview", **{"reason": REASON, **fields_of(form), **said})
    assert answer.status == 200, answer.text
    return answer


async def confirm(visit: Visit, shown: Answer) -> Answer:
    """Send the preview's form."""
    form = _FORM.findall(shown.text)[-1]
    return await visit.post(form, **fields_of(shown))


async def act(visit: Visit, review: Review, kind: str, **said: str) -> str:
    """All the way; where the action stands."""
    answer = await confirm(visit, await previewed(visit, review, kind, **said))
    assert answer.status == 303, answer.text
    return answer.headers["location"]


async def outcomes(review: Review) -> list[tuple[str, str | None]]:
    """What was asked for, and what became of it."""
    rows = await review.rows("SELECT kind, outcome FROM manual_actions ORDER BY asked_at")
    return [(row["kind"], row["outcome"]) for row in rows]


# ---------------------------------------------------------------- each kind


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        ("retry", "refund.issue"),
        ("look_up", "refund.look_up"),
        ("redirect", "refund.redirected"),
        ("settle", "frozen: a person pays"),
        ("release", "Looked at again"),
    ],
)
async def test_an_action_is_shown_then_asked_for_and_the_worker_carries_it_out(
    review: Review, visit: Visit, kind: str, effect: str
) -> None:
    shown = await previewed(visit, review, kind)
    assert await outcomes(review) == [], "to show it does nothing"
    assert effect in shown.text
    page = (await confirm(visit, shown)).headers["location"]
    assert "is on its way" in (await visit.get(page)).text
    await review.feed.fire()
    assert await outcomes(review) == [(kind, "applied")]
    assert "was carried out" in (await visit.get(page)).text
    (entry,) = await review.rows("SELECT actor, detail FROM audit_entries WHERE what = 'action.asked'")
    assert entry["actor"] == "ann"
    assert REASON in entry["detail"]
    assert await review.violations() == []


async def test_a_redirect_shows_each_line_command_and_event_up_to_the_money(review: Review, visit: Visit) -> None:
    text = (await previewed(visit, review, "redirect")).text
    for word in ("45.00 EUR", "refunding:wallet", "wallet:cli_one", "refund.redirected", "order.refunded"):
        assert word in text
    assert "If something of it is alive, nothing of this happens" in text


async def test_what_a_person_paid_is_marked_with_evidence_alone(review: Review, visit: Visit) -> None:
    await act(visit, review, "settle")
    await review.feed.fire()
    path = f"/refunds/{review.refund_id}/actions/mark-settled"
    without = await visit.post(f"{path}/preview", reason=REASON, evidence=" ")
    assert without.status == 400
    assert WHY["no_evidence"] in unescape(without.text)
    assert f">{REASON}</textarea>" in without.text, "what was said stays in the form"
    await act(visit, review, "mark_settled", evidence="transfer 77")
    await review.feed.fire()
    assert (await review.refund())["state"] == "settled_elsewhere"


async def test_what_never_reached_the_client_is_marked_as_failed(database_url: str, visit: Visit) -> None:
    async with Review(database_url) as review:
        review.answer = Provided(outcome="succeeded", provider_refund_id="re_1")
        await review.begin()
        await review.flag("disputed")
        await act(visit, review, "mark_failed", evidence="the bank says so")
        await review.feed.fire()
        assert await outcomes(review) == [("mark_failed", "applied")]


async def test_a_reason_is_mandatory(review: Review, visit: Visit) -> None:
    path = f"/refunds/{review.refund_id}/actions/redirect"
    for reason, code in (("  ", "no_reason"), ("x" * 501, "bad_reason"), ("a\x1b[2J", "bad_reason")):
        answer = await visit.post(f"{path}/preview", reason=reason)
        assert answer.status == 400
        assert WHY[code] in unescape(answer.text)
    given = {"revision": "2", "key": "k" * 24, "reason": ""}
    assert (await visit.post(path, **given)).status == 400
    assert await outcomes(review) == []


async def test_all_actions_are_listed_with_what_can_be_done_in_both_languages(review: Review, visit: Visit) -> None:
    languages: tuple[Language, ...] = ("en", "fr")
    for language in languages:
        visit.become(language=language)
        text = (await visit.get(f"/refunds/{review.refund_id}/actions")).text
        assert f"/refunds/{review.refund_id}/actions/redirect" in text
        assert f"/refunds/{review.refund_id}/actions/mark-settled" not in text, "it isn't frozen"
        for kind in KINDS:
            answer = await visit.get(f"/refunds/{review.refund_id}/actions/{kind.replace('_', '-')}")
            assert answer.status == 200
    text = (await previewed(visit, review, "redirect")).text
    assert "Dès que la réponse du prestataire" in text
    assert "l\u2019argent va au portefeuille du client" in text
    assert "once " not in text.lower()


# ---------------------------------------------------------------- moved meanwhile, twice


async def test_what_moved_between_form_and_preview_is_refused(review: Review, visit: Visit) -> None:
    path = f"/refunds/{review.refund_id}/actions/redirect"
    form = await visit.get(path)
    await review.act("look_up")
    answer = await visit.post(f"{path}/preview", **fields_of(form), reason=REASON)
    assert answer.status == 409
    assert "not any more what was seen" in answer.text


async def test_what_moved_between_preview_and_confirmation_is_refused_and_leads_back(
    review: Review, visit: Visit
) -> None:
    shown = await previewed(visit, review, "redirect")
    await review.act("look_up")
    answer = await confirm(visit, shown)
    assert answer.status == 409
    assert "not any more what was seen" in answer.text
    assert f'href="/refunds/{review.refund_id}/actions"' in answer.text
    assert await outcomes(review) == [("look_up", "applied")]


async def test_a_form_that_is_sent_twice_asks_once_even_once_it_is_carried_out(review: Review, visit: Visit) -> None:
    shown = await previewed(visit, review, "redirect")
    first, second = await confirm(visit, shown), await confirm(visit, shown)
    await review.feed.fire()
    third = await confirm(visit, shown)
    assert first.status == second.status == third.status == 303
    assert {first.headers["location"], second.headers["location"]} == {third.headers["location"]}
    assert await outcomes(review) == [("redirect", "applied")]
    assert len(await review.rows("SELECT seq FROM audit_entries WHERE what = 'action.asked'")) == 1


async def test_another_form_for_the_same_is_told_that_it_was_asked_already(review: Review, visit: Visit) -> None:
    shown, again = await previewed(visit, review, "redirect"), await previewed(visit, review, "redirect")
    await confirm(visit, shown)
    answer = await confirm(visit, again)
    assert answer.status == 409
    assert WHY["already_asked"] in answer.text


async def test_another_person_s_copy_of_a_form_is_not_taken_for_the_first_one(review: Review, visit: Visit) -> None:
    shown = await previewed(visit, review, "redirect")
    await confirm(visit, shown)
    visit.become(name="bob")
    assert (await confirm(visit, shown)).status == 409


@pytest.mark.parametrize(
    "wrong", [{"revision": "x"}, {"revision": ""}, {"key": ""}, {"key": "short"}, {"key": "%" * 20}]
)
async def test_a_form_without_its_revision_or_key_is_no_form(
    review: Review, visit: Visit, wrong: dict[str, str]
) -> None:
    given = {"reason": REASON, "revision": "2", "key": "k" * 24, **wrong}
    assert (await visit.post(f"/refunds/{review.refund_id}/actions/redirect", **given)).status == 400


async def test_an_action_that_isn_t_one_and_a_refund_that_isn_t_there_have_no_page(
    review: Review, visit: Visit
) -> None:
    for path in (
        f"/refunds/{review.refund_id}/actions/delete",
        "/refunds/rfd_none/actions/redirect",
        "/refunds/rfd_none/actions",
        "/refunds/\x00/actions",
        "/actions/act_none",
    ):
        assert (await visit.get(path)).status == 404, path
