-- What the dashboard asks about parked messages. Each is read through an index, so many rows at most.

-- name: count_parked_by_reason
-- From the index alone: nothing of the messages themselves is read.
SELECT reason, topic, count(*) AS messages, min(parked_at) AS oldest_at, max(parked_at) AS newest_at
  FROM parked_messages WHERE status = 'parked'
 GROUP BY reason, topic ORDER BY messages DESC, reason, topic LIMIT $1

-- name: page_parked
-- Open ones, the newest first, after a place ($1, $2); at most $5 are looked through for a topic, and the last of them is
-- told with each row.
WITH looked AS MATERIALIZED (
  SELECT parked_id, topic_id, topic, parked_at FROM parked_messages
   WHERE status = 'parked' AND (parked_at, parked_id) < ($1::timestamptz, $2::text) AND parked_at >= $3::timestamptz
   ORDER BY parked_at DESC, parked_id DESC LIMIT $5
), found AS (
  SELECT parked_id, topic_id FROM looked
   WHERE $4::text[] IS NULL OR topic = ANY($4) ORDER BY parked_at DESC, parked_id DESC LIMIT $6
)
SELECT e.looked, e.last_at, e.last_id, p.*
  FROM (SELECT count(*) AS looked, min(parked_at) AS last_at,
               (SELECT parked_id FROM looked ORDER BY parked_at, parked_id LIMIT 1) AS last_id FROM looked) AS e
  LEFT JOIN (
    SELECT m.parked_id, m.topic, m.partition, m.record_offset AS "offset", m.reason, m.field, m.message_type, m.order_id,
           m.parked_at, m.status, m.status_at, m.earlier_parked_id, COALESCE(octet_length(m.value), 0) AS value_bytes
      FROM found JOIN parked_messages AS m USING (parked_id, topic_id)) AS p ON true
 ORDER BY p.parked_at DESC, p.parked_id DESC

-- name: page_parked_of_reason
-- The same of one reason ($7).
WITH looked AS MATERIALIZED (
  SELECT parked_id, topic_id, topic, parked_at FROM parked_messages
   WHERE status = 'parked' AND reason = $7
     AND (parked_at, parked_id) < ($1::timestamptz, $2::text) AND parked_at >= $3::timestamptz
   ORDER BY parked_at DESC, parked_id DESC LIMIT $5
), found AS (
  SELECT parked_id, topic_id FROM looked
   WHERE $4::text[] IS NULL OR topic = ANY($4) ORDER BY parked_at DESC, parked_id DESC LIMIT $6
)
SELECT e.looked, e.last_at, e.last_id, p.*
  FROM (SELECT count(*) AS looked, min(parked_at) AS last_at,
               (SELECT parked_id FROM looked ORDER BY parked_at, parked_id LIMIT 1) AS last_id FROM looked) AS e
  LEFT JOIN (
    SELECT m.parked_id, m.topic, m.partition, m.record_offset AS "offset", m.reason, m.field, m.message_type, m.order_id,
           m.parked_at, m.status, m.status_at, m.earlier_parked_id, COALESCE(octet_length(m.value), 0) AS value_bytes
      FROM found JOIN parked_messages AS m USING (parked_id, topic_id)) AS p ON true
 ORDER BY p.parked_at DESC, p.parked_id DESC

-- name: page_parked_done
-- The same of those that were put back or given up ($8), of one reason or of any.
WITH looked AS MATERIALIZED (
  SELECT parked_id, topic_id, topic, reason, parked_at FROM parked_messages
   WHERE status <> 'parked' AND status = $8
     AND (parked_at, parked_id) < ($1::timestamptz, $2::text) AND parked_at >= $3::timestamptz
   ORDER BY parked_at DESC, parked_id DESC LIMIT $5
), found AS (
  SELECT parked_id, topic_id FROM looked
   WHERE ($4::text[] IS NULL OR topic = ANY($4)) AND ($7::text IS NULL OR reason = $7)
   ORDER BY parked_at DESC, parked_id DESC LIMIT $6
)
SELECT e.looked, e.last_at, e.last_id, p.*
  FROM (SELECT count(*) AS looked, min(parked_at) AS last_at,
               (SELECT parked_id FROM looked ORDER BY parked_at, parked_id LIMIT 1) AS last_id FROM looked) AS e
  LEFT JOIN (
    SELECT m.parked_id, m.topic, m.partition, m.record_offset AS "offset", m.reason, m.field, m.message_type, m.order_id,
           m.parked_at, m.status, m.status_at, m.earlier_parked_id, COALESCE(octet_length(m.value), 0) AS value_bytes
      FROM found JOIN parked_messages AS m USING (parked_id, topic_id)) AS p ON true
 ORDER BY p.parked_at DESC, p.parked_id DESC

-- name: first_parked
-- What would be acted on first: the oldest.
SELECT parked_id, topic, reason, field, message_type, order_id, parked_at
  FROM parked_messages
 WHERE status = 'parked'
   AND ($1::text[] IS NULL OR parked_id = ANY($1))
   AND ($2::text IS NULL OR reason = $2)
   AND ($3::text[] IS NULL OR topic = ANY($3))
   AND ($4::timestamptz IS NULL OR parked_at >= $4)
 ORDER BY parked_at, topic, partition, record_offset LIMIT $5
