-- Chats that will close, timers, and what a person decides about a close.

-- name: page_closes
-- Closes to come, the next first, after a place ($1, $2).
SELECT s.schedule_id, s.subject AS conversation_id, s.due_at, c.cancelled_order, c.revision
  FROM (SELECT schedule_id, subject, due_at FROM scheduled_messages
         WHERE state = 'waiting' AND schedule_id LIKE 'chat.close:%' AND (due_at, schedule_id) > ($1::timestamptz, $2::text)
         ORDER BY due_at, schedule_id LIMIT $3) AS s
  LEFT JOIN conversations AS c ON c.conversation_id = s.subject
 ORDER BY s.due_at, s.schedule_id

-- name: count_timers
-- What waits, by kind, of the next $3: due now, late by more than $1, within $2.
SELECT split_part(schedule_id, ':', 1) AS kind, count(*) AS waiting,
       count(*) FILTER (WHERE due_at <= annul_now()) AS due,
       count(*) FILTER (WHERE due_at < annul_now() - $1::interval) AS late,
       count(*) FILTER (WHERE due_at <= annul_now() + $2::interval) AS soon, min(due_at) AS next_at
  FROM (SELECT schedule_id, due_at FROM scheduled_messages WHERE state = 'waiting' ORDER BY due_at LIMIT $3) AS next
 GROUP BY 1 ORDER BY next_at, kind

-- name: count_firing
SELECT split_part(schedule_id, ':', 1) AS kind, count(*) AS firing, min(firing_since) AS since
  FROM (SELECT schedule_id, firing_since FROM scheduled_messages
         WHERE state = 'firing' ORDER BY firing_since LIMIT $1) AS firing
 GROUP BY 1 ORDER BY kind

-- name: page_timers
-- What waits, the next first, after a place ($1, $2); at most $4 are looked through for a kind ($3), and the last of them
-- is told with each row.
WITH looked AS MATERIALIZED (
  SELECT schedule_id, subject, due_at FROM scheduled_messages
   WHERE state = 'waiting' AND due_at >= $1::timestamptz AND (due_at, schedule_id) > ($1::timestamptz, $2::text)
   ORDER BY due_at, schedule_id LIMIT $4
)
SELECT e.looked, e.last_at, e.last_id, f.*
  FROM (SELECT count(*) AS looked, max(due_at) AS last_at,
               (SELECT schedule_id FROM looked ORDER BY due_at DESC, schedule_id DESC LIMIT 1) AS last_id
          FROM looked) AS e
  LEFT JOIN (SELECT * FROM looked WHERE $3::text IS NULL OR split_part(schedule_id, ':', 1) = $3
              ORDER BY due_at, schedule_id LIMIT $5) AS f ON true
 ORDER BY f.due_at, f.schedule_id

-- name: read_chat
SELECT conversation_id, placed_order, placed_at, other_placed_at, cancelled_order, cancelled_at, close_at,
       scheduled_revision, revision
  FROM conversations WHERE conversation_id = $1

-- name: read_chat_timers
-- By the ids' beginning, which the primary key serves; an id may hold a colon itself, so the subject has the last word.
SELECT s.schedule_id, s.due_at, s.revision, s.state, s.firing_since, s.fired_at
  FROM unnest(ARRAY['chat.close', 'chat.closing_soon', 'chat.close_scheduled', 'chat.close_withdrawn']) AS k(kind)
 CROSS JOIN LATERAL (
   SELECT * FROM scheduled_messages AS one
    WHERE one.schedule_id >= k.kind || ':' || $1 || ':' AND one.schedule_id < k.kind || ':' || $1 || ';'
    ORDER BY one.schedule_id LIMIT $2
 ) AS s
 WHERE s.subject = $1
 ORDER BY s.due_at DESC, s.schedule_id LIMIT $2

-- name: lock_close
-- The close that stands, so that nobody sends it meanwhile; who sends it already has it, and then it is too late.
SELECT state FROM scheduled_messages WHERE schedule_id = $1 FOR NO KEY UPDATE

-- name: add_chat_intervention
INSERT INTO chat_interventions (conversation_id, revision, what, order_id, close_before, close_after, by_person, reason, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: read_chat_interventions
SELECT revision, what, order_id, close_before, close_after, by_person, reason, at
  FROM chat_interventions WHERE conversation_id = $1 ORDER BY revision DESC LIMIT $2
