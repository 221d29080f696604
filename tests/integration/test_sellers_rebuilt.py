"""`annul sellers rebuild`, and `annul topics` with more partitions than before."""

import json
from typing import Any

import pytest
from kit.kafka import World
from kit.population import settings_for
from kit.sellers_ground import SellersGround

from schemas.topics import SELLERS_OUTCOMES, SELLERS_STATISTICS
from workers.commands import sellers_rebuild
from workers.domain.statistics import Told, Totals
from workers.sellers.shard import pack
from workers.topics import prepare_topics


def _settings(arena: SellersGround, **changes: Any) -> Any:
    world = arena.world
    return settings_for(
        arena.url,
        kafka_bootstrap_servers=world.kafka.bootstrap,
        topic_prefix=world.prefix,
        topic_replication_factor=1,
        **changes,
    )


async def test_a_rebuild_makes_every_row_again(arena: SellersGround, capsys: pytest.CaptureFixture[str]) -> None:
    today = arena.clock.now().toordinal()
    sellers = [arena.seller_in(partition, n) for partition in (0, 1) for n in range(3)]
    await arena.start()
    await arena.tell(*(line for n, one in enumerate(sellers) for line in arena.some(one, n, 7 - n)))
    await arena.right()
    await arena.stop()
    wrong = Totals(7, [0, 7, 0, 0], {today: [0, 7, 0, 0]}, Told(7, today, 7, 7, 0.25, above=True))
    await arena.put(arena.changelog, sellers[0], pack(wrong))
    lost = arena.outcome(sellers[1])
    running = await arena.start()
    await arena.record(lost)
    await arena.until(lambda: len(running.holds) == 2 and running.database.asked["read_sellers_after"], "it is held")
    told = len(arena.told)
    capsys.readouterr()

    assert await sellers_rebuild.run(_settings(arena), timeout_s=30, as_json=True) is True
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])  # behind what the worker in here says
    assert (answer["finished"], answer["partitions"], answer["differing"]) == (True, 2, 1)
    assert answer["sellers"] == len(sellers)
    assert sorted(part["partition"] for part in answer["parts"]) == [0, 1]
    await arena.right()
    assert {row.seller_id for row in arena.told[told:] if not isinstance(row, str)} == set(sellers)
    assert not any(isinstance(row, str) for row in arena.told)

    # Another one is another one, and finds nothing any more; every row is told again all the same.
    told = len(arena.told)
    assert await sellers_rebuild.run(_settings(arena), timeout_s=30, as_json=False) is True
    assert "6 sellers made again from PostgreSQL; 0 differed." in capsys.readouterr().out
    await arena.until(lambda: len(arena.told) >= told + 6, "rows are told")
    assert {row.seller_id for row in arena.told[told:] if not isinstance(row, str)} == set(sellers)


async def test_a_rebuild_that_nobody_does_says_so(arena: SellersGround, capsys: pytest.CaptureFixture[str]) -> None:
    assert await sellers_rebuild.run(_settings(arena), timeout_s=1, as_json=False) is False
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "no worker `sellers` has ever had the table" in said.err

    running = await arena.start()
    await arena.until_rows("SELECT * FROM seller_shares", 2)
    await arena.stop(running)
    capsys.readouterr()
    assert await sellers_rebuild.run(_settings(arena), timeout_s=1, as_json=False) is False
    later = capsys.readouterr().err
    assert later.count("\n") == 1
    assert "0 of 2 partitions were made again within 1 s" in later
    # They do it once they run.
    await arena.start()
    await arena.until_rows("SELECT * FROM seller_rebuild_parts", 2)


async def test_more_partitions_than_before(arena: SellersGround, world: World) -> None:
    await arena.start()
    sellers = [arena.seller_in(n % 2, n) for n in range(12)]
    await arena.tell(*(line for n, one in enumerate(sellers) for line in arena.some(one, n, 12 - n)))
    await arena.right()
    await arena.stop()

    changes = await prepare_topics(_settings(arena, topic_partitions=5))
    prefix = world.prefix
    for name in (SELLERS_OUTCOMES.name, SELLERS_STATISTICS.name, arena.changelog):
        assert f"added partitions to {prefix}{name}" in changes
    (changelog,) = await world.admin.describe_topics([prefix + arena.changelog])
    assert len(changelog["partitions"]) == 5

    # Two processes: what one lets go of in silence another takes up.
    one, other = await arena.start("one", partitions=5), await arena.start("two", partitions=5)
    await arena.until(lambda: one.holds | other.holds == set(range(5)) and one.holds and other.holds, "all are held")
    await arena.until_rows("SELECT * FROM seller_shares WHERE caught_up", 5)
    await arena.tell(*(arena.outcome(seller_id, "cancelled_after_acceptance") for seller_id in sellers))
    await arena.right()
    counted = await arena.until_rows("SELECT * FROM seller_shares", 5)
    assert sum(row["sellers"] for row in counted) == len(sellers)
    assert not any(isinstance(row, str) for row in arena.told)
    assert await arena.parked() == []

    # And once more, from what the changelog holds by now.
    await arena.stop()
    await arena.start("three", partitions=5)
    await arena.tell(*(arena.outcome(seller_id) for seller_id in sellers))
    await arena.right()
    assert not any(isinstance(row, str) for row in arena.told)
