"""A member of a group that takes nothing for long, because its provider is paused or it is a spare, stays a member."""

import asyncio

from kit.kafka import World

from workers.pipeline.kafka import KafkaConsumer


async def test_who_waits_without_taking_anything_keeps_its_partitions(world: World) -> None:
    await world.create("one", partitions=1)
    consumer = KafkaConsumer(world.settings, "group", ["one"])
    await consumer.start()
    try:
        consumer._consumer._coordinator._max_poll_interval = 0.2  # ten minutes otherwise
        loop = asyncio.get_running_loop()
        until = loop.time() + world.settings.session_timeout_s / 4 + 1  # a heartbeat is when it would leave
        while loop.time() < until:
            assert await consumer.poll(1, 0.05, frozenset()) == []
        assert consumer._consumer._coordinator.member_id, "still a member"
    finally:
        await consumer.stop()
