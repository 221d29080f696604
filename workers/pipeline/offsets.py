"""Where a partition is taken up: PostgreSQL knows how far it was decided, Kafka only how far that was told.

Between the two lie messages that were decided and perhaps never sent. Who takes a partition over sends them
first, as they were recorded, and reads on from PostgreSQL's offset.
"""

from workers.pipeline.emit import Emitter
from workers.pipeline.messages import unpack_many
from workers.pipeline.ports import BrokerError, Consumer, Partition
from workers.store.database import Database


class StartRefusedError(Exception):
    """Reading on would skip or repeat money in silence; says what is wrong and what to do."""


async def take_over(partition: Partition, group: str, database: Database, consumer: Consumer, emitter: Emitter) -> int:
    """Finish what the last owner of the partition left, and give the offset to read on from.

    Raises StartRefusedError where Kafka is ahead of PostgreSQL, or the topic was made anew.
    """
    topic, number = partition
    topic_id = await consumer.topic_id(topic)
    committed = await consumer.committed(partition)
    where = f"{group} on {topic}/{number}"
    rows = await database.fetch("read_offset", group, topic, number)
    if not rows:
        # The group never read here, or a partition was added: the beginning skips nothing.
        beginning = await consumer.beginning(partition)
        if committed is not None and committed > beginning:
            raise StartRefusedError(
                f"{where}: Kafka is at offset {committed}, the database knows of none; was it restored? "
                "`annul topics --rewind-to-database` reads again from where the database is"
            )
        first = beginning if committed is None else committed
        await database.execute("add_offset", group, topic, number, topic_id, first)
        rows = await database.fetch("read_offset", group, topic, number)
    next_offset, known_id = rows[0]
    if known_id != topic_id:
        raise StartRefusedError(
            f"{where}: the topic was made anew since; `annul topics --accept-new {topic}` starts at its beginning"
        )
    if committed is not None and committed > next_offset:
        raise StartRefusedError(
            f"{where}: Kafka is at offset {committed}, the database at {next_offset}; was it restored? "
            "`annul topics --rewind-to-database` reads again from where the database is"
        )
    left = await database.fetch("read_emissions", group, topic, number)
    for row in left:
        await emitter.emit(unpack_many(row["messages"]))
    if committed != next_offset or left:
        if not await consumer.commit({partition: next_offset}):
            # Without any offset in Kafka the next rebalance would leave this member without a position, and silent;
            # with an old one the group would seem to lag until the next message.
            raise BrokerError(f"{where}: it went to another member before its offset was committed")
        await database.execute("prune_emissions", group, [topic], [number], [next_offset])
    return int(next_offset)
