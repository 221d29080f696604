-- name: schedule_messages
-- The latest under a schedule_id stands; one that fires just now is replaced too, and its mark will find no row.
INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bytea[])
ON CONFLICT (schedule_id) DO UPDATE
   SET due_at = excluded.due_at, revision = excluded.revision, message = excluded.message, state = 'waiting',
       firing_since = NULL, fired_at = NULL

-- name: withdraw_messages
UPDATE scheduled_messages SET state = 'withdrawn'
 WHERE schedule_id = ANY($1::text[]) AND state IN ('waiting', 'firing')

-- name: claim_due
-- What is due, and what another process claimed and never marked. Never early: the database's clock alone decides. It
-- is asked once, in a query of its own: asked for each row it could not bound the index, and all that waits is read.
WITH due AS (
  SELECT schedule_id FROM scheduled_messages
   WHERE state = 'waiting' AND due_at <= (SELECT annul_now())
   ORDER BY due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), unmarked AS (
  SELECT schedule_id FROM scheduled_messages
   WHERE state = 'firing' AND firing_since < (SELECT annul_now()) - $2::interval
   ORDER BY firing_since LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE scheduled_messages AS s
   SET state = 'firing', firing_since = annul_now()
 WHERE s.schedule_id IN (SELECT schedule_id FROM due UNION ALL SELECT schedule_id FROM unmarked)
RETURNING s.schedule_id, s.revision, s.due_at, s.message

-- name: mark_fired
UPDATE scheduled_messages AS s
   SET state = 'fired', fired_at = annul_now()
  FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS b(schedule_id, revision, due_at)
 WHERE s.schedule_id = b.schedule_id AND s.revision = b.revision AND s.due_at = b.due_at AND s.state = 'firing'

-- name: next_due
-- How long until the next is due, in seconds; negative when overdue.
SELECT EXTRACT(epoch FROM min(due_at) - annul_now())::float8 FROM scheduled_messages WHERE state = 'waiting'
