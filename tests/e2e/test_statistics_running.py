"""Sellers' statistics from end to end: order events in, rows and answers out."""

from typing import Any

import aiohttp
from kit.client import ForeignClient, Seen, cancellation, fresh, tender

from workers.demo.running import RunningAnnul


async def _get(port: int, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.json()


async def test_the_row_on_the_topic_is_the_answer_over_http(annul: RunningAnnul, client: ForeignClient) -> None:
    seller_id = fresh("sel")
    orders = [{**cancellation(tender("wallet", "wal_1")), "seller_id": seller_id} for _ in range(3)]
    for order in orders:
        await client.publish("order.cancelled", order)

    def is_last(record: Seen) -> bool:
        of_seller = record.topic == "sellers.statistics.v1" and record.key == seller_id.encode()
        # An order that is cancelled in progress was accepted before: two outcomes.
        return of_seller and record.value is not None and record.data["seq"] == 2 * len(orders)

    row = (await client.wait_for(is_last, "the seller's row")).data
    assert row["lifetime"]["cancelled_after_acceptance"] == len(orders)
    port = annul.health["sellers"]
    status, answer = await _get(port, f"/api/sellers/{seller_id}/statistics")
    assert status == 200
    assert {name: answer[name] for name in ("seller_id", "seq", "lifetime", "windows")} == {
        name: row[name] for name in ("seller_id", "seq", "lifetime", "windows")
    }
    status, told = await _get(port, f"/api/sellers/{seller_id}/explanation?order={orders[0]['order_id']}")
    assert status == 200
    assert told["order"]["order_id"] == orders[0]["order_id"]
    status, _ = await _get(port, f"/api/sellers/{fresh('sel')}/statistics")
    assert status == 404
