-- name: read_clock
SELECT annul_now()

-- name: advance_offsets
-- Moves each partition from where the batch expects it. Fewer rows than partitions: another process was here.
UPDATE consumer_offsets AS o
   SET next_offset = b.next_offset
  FROM (SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
          AS t(topic, partition, expected, next_offset) ORDER BY topic, partition) AS b
 WHERE o.consumer_group = $1 AND o.topic = b.topic AND o.partition = b.partition AND o.next_offset = b.expected
RETURNING annul_now()

-- name: read_offset
SELECT next_offset, topic_id FROM consumer_offsets WHERE consumer_group = $1 AND topic = $2 AND partition = $3

-- name: add_offset
INSERT INTO consumer_offsets (consumer_group, topic, partition, topic_id, next_offset)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING

-- name: prune_emissions
DELETE FROM emissions AS e
 USING unnest($2::text[], $3::int[], $4::bigint[]) AS b(topic, partition, committed)
 WHERE e.consumer_group = $1 AND e.topic = b.topic AND e.partition = b.partition AND e.next_offset <= b.committed

-- name: read_emissions
SELECT messages FROM emissions
 WHERE consumer_group = $1 AND topic = $2 AND partition = $3
 ORDER BY next_offset

-- name: add_parked
INSERT INTO parked_messages (parked_id, topic_id, consumer_group, topic, partition, record_offset, key, value, headers,
  reason, field, detail, stage, message_id, message_type, order_id, parked_at, status_at, earlier_parked_id)
SELECT b.parked_id, o.topic_id, $1, b.topic, b.partition, b.record_offset, b.key, b.value, b.headers,
       b.reason, b.field, b.detail, b.stage, b.message_id, b.message_type, b.order_id, $2, $2, b.earlier_parked_id
  FROM unnest($3::text[], $4::text[], $5::int[], $6::bigint[], $7::bytea[], $8::bytea[], $9::bytea[], $10::text[],
              $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
    AS b(parked_id, topic, partition, record_offset, key, value, headers, reason, field, detail, stage,
         message_id, message_type, order_id, earlier_parked_id)
  JOIN consumer_offsets AS o ON o.consumer_group = $1 AND o.topic = b.topic AND o.partition = b.partition

-- name: is_parked
SELECT EXISTS (SELECT FROM parked_messages WHERE parked_id = $1)
