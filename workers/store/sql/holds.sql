-- What a person paused: consumers, and providers.

-- name: read_consumer_pause
SELECT paused FROM consumer_pauses WHERE worker = $1

-- name: read_consumer_pauses
-- Of every consumer that a person ever paused, the latest word.
SELECT worker, paused, reason, by_person, since FROM consumer_pauses ORDER BY worker

-- name: set_consumer_pause
-- No row where it stands so already.
INSERT INTO consumer_pauses AS p (worker, paused, reason, by_person, since)
SELECT $1::text, $2::boolean, $3::text, $4::text, annul_now()
 WHERE $2 OR EXISTS (SELECT FROM consumer_pauses WHERE worker = $1)
ON CONFLICT (worker) DO UPDATE
   SET paused = excluded.paused, reason = excluded.reason, by_person = excluded.by_person, since = excluded.since
 WHERE p.paused <> excluded.paused
RETURNING since

-- name: hold_provider
-- Over a pause that nobody asked for, too: no probe ends it from then on. No row where a person paused it already.
INSERT INTO provider_pauses AS p (provider, paused_at, code, detail, probe_at, by_person)
VALUES ($1, annul_now(), 'by_person', $2, annul_now(), $3)
ON CONFLICT (provider) DO UPDATE
   SET paused_at = excluded.paused_at, code = excluded.code, detail = excluded.detail, probe_at = excluded.probe_at,
       probes = 0, resumed_at = NULL, by_person = excluded.by_person
 WHERE p.resumed_at IS NOT NULL OR p.by_person IS NULL
RETURNING paused_at

-- name: release_provider
-- Whoever began it. Where it is still down it is paused again by the next failures.
UPDATE provider_pauses SET resumed_at = annul_now()
 WHERE provider = $1 AND resumed_at IS NULL
RETURNING paused_at
