-- name: read_pauses
-- Of every provider that was ever paused; `since` in seconds, so that nobody compares clocks.
SELECT provider, resumed_at IS NULL AS paused, code, detail, paused_at, probe_at, probes, resumed_at, by_person,
       EXTRACT(epoch FROM COALESCE(resumed_at, annul_now()) - paused_at)::float8 AS lasted_s
  FROM provider_pauses ORDER BY provider

-- name: read_pause
-- What a person paused is not probed.
SELECT by_person IS NULL AND probe_at <= annul_now() AS probe_due
  FROM provider_pauses WHERE provider = $1 AND resumed_at IS NULL

-- name: begin_pause
-- The first one wins. What was seen in calls that began before the last pause ended says nothing of the time after it.
INSERT INTO provider_pauses AS p (provider, paused_at, code, detail, probe_at)
VALUES ($1, annul_now(), $2, $3, annul_now() + $4::interval)
ON CONFLICT (provider) DO UPDATE
   SET paused_at = excluded.paused_at, code = excluded.code, detail = excluded.detail, probe_at = excluded.probe_at,
       probes = 0, resumed_at = NULL, by_person = NULL
 WHERE p.resumed_at < annul_now() - $5::interval
RETURNING paused_at

-- name: claim_probe
-- Who moves it on is who probes; who dies over it leaves it to the next.
UPDATE provider_pauses SET probe_at = annul_now() + $2::interval
 WHERE provider = $1 AND resumed_at IS NULL AND by_person IS NULL AND probe_at <= annul_now()
RETURNING paused_at, annul_now() AS claimed_at

-- name: note_probe
-- Counted from the probe's beginning: a provider that lets us wait is not asked more rarely.
UPDATE provider_pauses SET probes = probes + 1, probe_at = $3::timestamptz + $4::interval, code = $5, detail = $6
 WHERE provider = $1 AND paused_at = $2 AND resumed_at IS NULL AND by_person IS NULL

-- name: end_pause
-- Only the pause that was probed: a late answer says nothing of the next one, nor of what a person began.
UPDATE provider_pauses SET probes = probes + 1, resumed_at = annul_now()
 WHERE provider = $1 AND paused_at = $2 AND resumed_at IS NULL AND by_person IS NULL
RETURNING EXTRACT(epoch FROM annul_now() - paused_at)::float8 AS seconds

-- name: wake_refunds
-- What waited for the provider goes on, over a few seconds and never later than it would have; the rest, where there is
-- more, at its own time. A row that somebody holds is being decided anyhow. Who failed often, or was uncertain long
-- before the pause, keeps its own longer times: it may be what is wrong, and would pause everybody again.
WITH waiting AS (
  SELECT s.schedule_id
    FROM refunds AS r
    JOIN scheduled_messages AS s ON s.schedule_id = 'refund:' || r.refund_id AND s.revision = r.revision
   WHERE r.provider = $1 AND s.state = 'waiting' AND s.due_at > annul_now()
     AND ((r.state = 'retrying' AND r.attempt <= $3)
          OR (r.state = 'uncertain' AND r.state_since > $2::timestamptz - $4::interval))
   ORDER BY s.due_at
   LIMIT $5
     FOR NO KEY UPDATE OF s SKIP LOCKED
), spread AS (
  SELECT schedule_id,
         annul_now() + $6::interval * (row_number() OVER (ORDER BY schedule_id) - 1) / count(*) OVER () AS due_at
    FROM waiting
), woken AS (
  UPDATE scheduled_messages AS s SET due_at = t.due_at
    FROM spread AS t WHERE s.schedule_id = t.schedule_id AND t.due_at < s.due_at
  RETURNING 1
)
SELECT count(*) FROM woken
