"""Whatever messages, providers and people wrote into the database is text on every page: never a tag, never script."""

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import asyncpg
import pytest
from kit.ops_pages import Visit, visiting
from kit.population import settings_for

from workers.actions.asking import Wish, ask
from workers.actions.chats import withdraw_chat
from workers.actions.holds import hold_consumer, hold_provider
from workers.actions.rules import Rules
from workers.insight.parked import Which, discard
from workers.ops.following import Following

HOSTILE: Final = "\"'><svg/onload=alert(1)>{{7*7}}"
_RAW: Final = re.compile(r"<svg/onload|\"'>&lt;svg|={{7")
# What pages look up words by, or PostgreSQL rows: theirs are the workers' own words.
_WORDS: Final = (
    "state|status|kind|provider|currency|outcome|what|standing|gate|stage|cancelled_by|topic|topic_id|worker|via|about|"
    "client_locale|seller_locale|recipient_kind|replaces_outcome|counted_close|state_after|state_before|role|"
    "refund_id|order_id|tender_id|reference|client_id|idempotency_key|parked_id|action_id|conversation_id|schedule_id|subject|seller_id|placed_order|cancelled_order|"
    "redirected_from|redirected_to|earlier_parked_id|transfer_id|message_type"
)


async def poison(connection: asyncpg.Connection) -> list[str]:
    """Every other text there is; which columns hold it now."""
    columns = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'public' AND data_type = 'text'"
        f" AND table_type = 'BASE TABLE' AND column_name !~ '^({_WORDS})$' AND table_name !~ '^(consumer_offsets|ops_)'"
    )
    done = []
    await connection.execute("SET session_replication_role = replica")  # no trigger keeps anything from it
    for table, column in columns:
        try:
            changed = await connection.execute(f'UPDATE "{table}" SET "{column}" = "{column}" || $1', HOSTILE)
        except (asyncpg.CheckViolationError, asyncpg.UniqueViolationError):
            continue
        if changed != "UPDATE 0":
            done.append(f"{table}.{column}")
    value = f'{{"order_id": "{HOSTILE[2:]}", "{HOSTILE[2:]}": 1}}'.encode()
    await connection.execute("UPDATE parked_messages SET value = $1, key = $2", value, HOSTILE.encode())
    await connection.execute("RESET session_replication_role")
    return done


@pytest.fixture
async def visit(populated: str) -> AsyncIterator[Visit]:
    settings = settings_for(populated)
    async with visiting(settings) as made:
        made.become(role="approver", name=HOSTILE)
        made.app.state.following = Following(settings)
        yield made


async def paths_of(visit: Visit) -> list[str]:
    """One of each page, on rows that hold something."""
    settings = settings_for(visit.reader._url)
    async with visit.reader.transaction() as connection:
        refund = await connection.fetchval("SELECT refund_id FROM refunds WHERE state = 'needs_review' LIMIT 1")
        rules = Rules.of(settings)
        wish = Wish(refund_id=refund, kind="look_up", actor="Ada", reason="why", evidence="this")
        await ask(connection, rules, wish)
        await hold_consumer(connection, "refunds", "Ada", "why", paused=True)
        await hold_provider(connection, "paypal", "Ada", "why", paused=True)
        chat = await connection.fetchval("SELECT conversation_id FROM conversations WHERE close_at > now() LIMIT 1")
        await withdraw_chat(connection, chat, "Ada", "why")
        parked = await connection.fetchval("SELECT parked_id FROM parked_messages WHERE status = 'parked' LIMIT 1")
        action = await connection.fetchval("SELECT action_id FROM manual_actions LIMIT 1")
        orders = [row[0] for row in await connection.fetch("SELECT order_id FROM orders")]
        sellers = [row[0] for row in await connection.fetch("SELECT seller_id FROM sellers")]
    await discard(settings, Which(ids=(parked,)), why="why", limit=1, dry_run=False, by="Ada")
    named = [f"/orders/{quote(one)}" for one in orders] + [f"/sellers/{quote(one)}" for one in sellers]
    plain = ["/", "/consumers", "/refunds", "/parked", "/parked?status=discarded", "/sellers", "/chats", "/timers"]
    acted = [f"/chats/{chat}", f"/parked/{parked}", f"/actions/{action}", f"/refunds/{refund}/actions"]
    asked = ["/audit", "/audit?verify=1", "/consumers/refunds", "/providers/paypal", "/parked-act?action=redriven"]
    typed = [f"/{page}{quote(HOSTILE)}" for page in ("find?q=", "audit?actor=", "sellers?id=", "refunds?code=")]
    return [*plain, *acted, *asked, *typed, *named]


async def test_no_text_is_ever_a_tag(visit: Visit) -> None:
    paths = await paths_of(visit)
    async with visit.reader.transaction() as connection:
        done = await poison(connection)
    assert len(done) > 30, done
    shown = 0
    for path in paths:
        answer = await visit.get(path)
        assert answer.status == 200, path
        assert not _RAW.search(answer.text), path
        shown += answer.text.count("&lt;svg/onload")
    assert shown > 100


async def test_what_people_wrote_about_people_is_for_those_who_act_alone(visit: Visit) -> None:
    paths = [path for path in await paths_of(visit) if path.startswith(("/chats/", "/parked/", "/actions/", "/audit"))]
    async with visit.reader.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE parked_messages SET status_reason = 'Jane Doe asked' WHERE status = 'discarded'"
        )
        await connection.execute("UPDATE chat_interventions SET reason = 'Jane Doe asked'")
        await connection.execute("UPDATE manual_actions SET reason = 'Jane Doe asked', evidence = 'Jane Doe'")
        await connection.execute("""UPDATE audit_entries SET detail = '{"reason":"Jane Doe asked"}'""")
    for path in [path for path in paths if "?actor" not in path]:
        visit.as_("operator")
        assert "Jane Doe" in (await visit.get(path)).text, path
        visit.as_("viewer")
        text = (await visit.get(path)).text
        assert "Jane Doe" not in text, path
        assert "*** 14 characters" in text, path
