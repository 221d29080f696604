-- Parked messages in an operator's hands. Filters that are NULL let everything pass.

-- name: list_parked
-- $5: how long ago at most. The newest first, the whole number with each.
SELECT parked_id, topic, partition, record_offset AS "offset", reason, field, detail, stage, consumer_group, message_id,
       message_type, order_id, parked_at, status, status_at, status_reason, earlier_parked_id,
       COALESCE(octet_length(value), 0) AS value_bytes, count(*) OVER () AS total
  FROM parked_messages
 WHERE ($1::text IS NULL OR status = $1)
   AND ($2::text IS NULL OR reason = $2)
   AND ($3::text[] IS NULL OR topic = ANY($3))
   AND ($5::interval IS NULL OR parked_at >= annul_now() - $5)
 ORDER BY parked_at DESC, topic, partition, record_offset DESC LIMIT $4

-- name: read_parked
-- Under one id lie two where a topic was made anew and counts its offsets from 0 again: the younger is meant.
SELECT parked_id, topic, partition, record_offset AS "offset", topic_id, consumer_group, reason, field, detail, stage,
       message_id, message_type, order_id, parked_at, status, status_at, status_reason, earlier_parked_id,
       key, value, headers
  FROM parked_messages WHERE parked_id = $1
 ORDER BY parked_at DESC LIMIT 1

-- name: read_parked_history
-- The times it was parked before it was put back, the latest first; bounded, in case somebody forged a circle.
WITH RECURSIVE history AS (
  SELECT parked_id, earlier_parked_id, reason, parked_at, status, status_at, 0 AS depth
    FROM parked_messages WHERE parked_id = $1
   UNION ALL
  SELECT p.parked_id, p.earlier_parked_id, p.reason, p.parked_at, p.status, p.status_at, h.depth + 1
    FROM history AS h JOIN parked_messages AS p ON p.parked_id = h.earlier_parked_id
   WHERE h.depth < 50
)
SELECT DISTINCT ON (depth, parked_id) parked_id, reason, parked_at, status, status_at
  FROM history WHERE depth > 0 ORDER BY depth, parked_id

-- name: read_parked_again
SELECT parked_id, reason, parked_at, status, status_at
  FROM parked_messages WHERE earlier_parked_id = $1 ORDER BY parked_at LIMIT 50

-- name: read_redrives
SELECT schedule_id, due_at, state, fired_at
  FROM scheduled_messages
 WHERE schedule_id >= 'redrive:' || $1 || ':' AND schedule_id < 'redrive:' || $1 || ';'
 ORDER BY due_at

-- name: count_parked
-- What an operator's command would act on, by reason and topic.
SELECT reason, topic, count(*) AS count
  FROM parked_messages
 WHERE status = 'parked'
   AND ($1::text[] IS NULL OR parked_id = ANY($1))
   AND ($2::text IS NULL OR reason = $2)
   AND ($3::text[] IS NULL OR topic = ANY($3))
   AND ($4::timestamptz IS NULL OR parked_at >= $4)
 GROUP BY reason, topic ORDER BY count DESC, reason, topic

-- name: find_unfit_parked
-- Those of them that can't be put back: not of one of Annul's topics ($5), or with no room under the topic's limit for
-- the mark that a redriven message carries ($6: most bytes). Both NULL where that doesn't matter.
SELECT CASE WHEN topic <> ALL($5::text[]) THEN 'unknown_topic' ELSE 'too_large' END AS unfit, topic, count(*) AS count
  FROM parked_messages
 WHERE status = 'parked'
   AND ($1::text[] IS NULL OR parked_id = ANY($1))
   AND ($2::text IS NULL OR reason = $2)
   AND ($3::text[] IS NULL OR topic = ANY($3))
   AND ($4::timestamptz IS NULL OR parked_at >= $4)
   AND (topic <> ALL($5::text[])
        OR COALESCE(octet_length(key), 0) + COALESCE(octet_length(value), 0) + octet_length(headers) > $6::bigint)
 GROUP BY 1, 2 ORDER BY 1, 2

-- name: choose_parked
-- The rows to act on, locked, the oldest first and each partition in its own order. Who comes second waits for the
-- first, and then finds them no longer parked. $5 and $6 as above.
SELECT parked_id, topic_id, reason, topic
  FROM parked_messages
 WHERE status = 'parked'
   AND ($1::text[] IS NULL OR parked_id = ANY($1))
   AND ($2::text IS NULL OR reason = $2)
   AND ($3::text[] IS NULL OR topic = ANY($3))
   AND ($4::timestamptz IS NULL OR parked_at >= $4)
   AND ($5::text[] IS NULL OR topic = ANY($5))
   AND ($6::bigint IS NULL
        OR COALESCE(octet_length(key), 0) + COALESCE(octet_length(value), 0) + octet_length(headers) <= $6)
 ORDER BY parked_at, topic, partition, record_offset LIMIT $7
   FOR NO KEY UPDATE

-- name: read_parked_records
-- In the order they were chosen in. `times` counts redrives under the same id, this one and those of a topic that was
-- made anew since.
SELECT p.parked_id, p.topic, p.key, p.value, p.headers,
       (SELECT count(*) FROM parked_messages AS e WHERE e.parked_id = p.parked_id AND e.status = 'redriven') AS times
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS c(parked_id, topic_id, place)
  JOIN parked_messages AS p USING (parked_id, topic_id)
 ORDER BY c.place

-- name: mark_parked
UPDATE parked_messages AS p
   SET status = $3, status_at = annul_now(), status_reason = $4
  FROM unnest($1::text[], $2::text[]) AS c(parked_id, topic_id)
 WHERE p.parked_id = c.parked_id AND p.topic_id = c.topic_id AND p.status = 'parked'

-- name: schedule_redrives
-- Due now, a microsecond apart, so that they go back in the order they came in; $5 went before them. A schedule_id
-- that is there already is an error: nothing is ever put back twice.
INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message)
SELECT b.schedule_id, b.parked_id, annul_now() + ($5::bigint + b.place) * interval '1 microsecond', b.revision, b.message
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) WITH ORDINALITY
    AS b(schedule_id, parked_id, revision, message, place)

-- name: read_parked_status
-- Of messages that were named: how they stand, and whether they could be put back ($2, $3 as above).
SELECT DISTINCT ON (parked_id) parked_id, status, status_at,
       CASE WHEN topic <> ALL($2::text[]) THEN 'unknown_topic'
            WHEN COALESCE(octet_length(key), 0) + COALESCE(octet_length(value), 0) + octet_length(headers) > $3::bigint
            THEN 'too_large' END AS unfit
  FROM parked_messages WHERE parked_id = ANY($1::text[])
 ORDER BY parked_id, status = 'parked' DESC, parked_at DESC
