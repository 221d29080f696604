"""Two thousand malformed messages of many kinds, good ones between them: each parked by name, nothing held up."""

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime

from kit.client import ForeignClient, Seen, cancellation, fresh, tender
from kit.command import run_annul

from workers.demo.poison import KINDS, field_of, poison
from workers.demo.running import RunningAnnul
from workers.pipeline.ports import Outgoing

BAD = 2_000
GOOD_EVERY = 40


async def test_each_bad_message_is_parked_with_its_field_and_the_good_ones_between_go_through(
    client: ForeignClient,
) -> None:
    assert len(KINDS) >= 30
    rng, now, run = random.Random(7), datetime.now(UTC), fresh("run")
    sent: dict[bytes, tuple[str, Outgoing]] = {}
    good = []
    pending = []
    for number in range(BAD):
        record = poison(number, rng, now)
        key = f"{run}.{number}".encode()
        sent[key] = (KINDS[number % len(KINDS)], record)
        pending.append(await client.send_soon(key, record.value, list(record.headers)))
        if number % GOOD_EVERY == 0:
            good.append(cancellation(tender("wallet", "wal_1", 300 + number)))
            await client.publish("order.cancelled", good[-1])
    places = await asyncio.gather(*pending)
    where = {key: (place.partition, place.offset) for key, place in zip(sent, places, strict=True)}

    parked = await client.wait_for_all(lambda seen: _is_ours(seen, run), BAD, "parked copies", 90)
    for seen in parked:
        assert seen.key is not None
        kind, record = sent[seen.key]
        assert seen.headers["annul_field"].decode() == field_of(kind), kind
        assert seen.value == record.value, kind
        assert dict(record.headers).items() <= seen.headers.items(), kind
        assert (int(seen.headers["annul_partition"]), int(seen.headers["annul_offset"])) == where[seen.key]
        assert seen.headers["annul_topic"] == b"orders.events.v1"
        assert {"annul_parked_id", "annul_reason", "annul_detail", "annul_stage", "annul_parked_at"} <= (
            seen.headers.keys()
        )
    assert Counter(seen.key for seen in parked).most_common(1)[0][1] == 1
    for cancelled in good:
        await client.event(cancelled["order_id"], "order.refunded")


def _is_ours(seen: Seen, run: str) -> bool:
    return seen.topic == "annul.parked.v1" and seen.key is not None and seen.key.startswith(run.encode())


async def test_a_parked_message_is_listed_put_back_and_parked_again_with_its_history(
    annul: RunningAnnul, client: ForeignClient
) -> None:
    broken = cancellation(tender("wallet", "wal_1", -5))
    await client.publish("order.cancelled", broken)
    key = broken["order_id"].encode()
    first = await client.wait_for(lambda seen: seen.topic == "annul.parked.v1" and seen.key == key, "the parked copy")
    parked_id = first.headers["annul_parked_id"].decode()

    code, output = await run_annul(annul, "parked", "redrive", parked_id, "--dry-run")
    assert code == 0
    code, output = await run_annul(annul, "parked", "redrive", parked_id)
    assert code == 0
    again = await client.wait_for_all(
        lambda seen: seen.topic == "annul.parked.v1" and seen.key == key, 2, "parked again"
    )
    assert again[1].value == first.value
    second_id = again[1].headers["annul_parked_id"].decode()
    assert second_id != parked_id
    code, output = await run_annul(annul, "parked", "show", second_id, "--json")
    assert code == 0
    assert parked_id in output
    assert json.loads(output)


async def test_a_very_large_record_is_parked_and_the_partition_goes_on(client: ForeignClient) -> None:
    order = cancellation(tender("wallet", "wal_1"))
    key = order["order_id"].encode()
    large = b'{"reason":"' + b"x" * 1_000_000 + b'"}'
    await client.send(key, large, [("content-type", b"application/json")])
    await client.send(None, b"no key, no headers", [])
    await client.publish("order.cancelled", order)
    copy = await client.wait_for(lambda seen: seen.topic == "annul.parked.v1" and seen.key == key, "the parked copy")
    assert copy.value == large
    assert copy.headers["annul_reason"] == b"too_large"
    await client.wait_for(lambda seen: seen.topic == "annul.parked.v1" and seen.key is None, "the one without a key")
    await client.event(order["order_id"], "order.refunded")
