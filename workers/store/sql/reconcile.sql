-- Holding the providers' word against ours. Nothing here changes a refund.

-- name: reconcile_named
-- Ours that a chunk of a provider's list may be about: by our mark, by the provider's id, by the payment.
WITH named AS (
  SELECT refund_id FROM refunds WHERE refund_id = ANY($2::text[])
   UNION
  SELECT refund_id FROM refund_facts WHERE provider_refund_id = ANY($3::text[])
   UNION
  SELECT refund_id FROM refunds WHERE reference = ANY($4::text[]) AND provider <> 'wallet'
)
SELECT r.refund_id, r.order_id, r.tender_id, r.provider, r.reference, r.amount_minor, r.currency, r.idempotency_key,
       r.state, r.attempt, r.look_up_no, r.first_issued_at, r.issued_at, r.state_since, r.provider_refund_id, o.escrow,
       known.facts, first.asked_at
  FROM named JOIN refunds AS r USING (refund_id) JOIN orders AS o USING (order_id)
 CROSS JOIN LATERAL (
   SELECT json_agg(f ORDER BY f.heard_at, f.provider_refund_id) AS facts
     FROM refund_facts AS f WHERE f.refund_id = r.refund_id
 ) AS known
 CROSS JOIN LATERAL (
   SELECT min(e.first_issued_at) AS asked_at FROM refunds AS e
    WHERE e.order_id = r.order_id AND e.tender_id = r.tender_id
 ) AS first
 WHERE r.provider = $1

-- name: reconcile_expected
-- Ours that the provider's list of $2 to $3 has to hold: made after $2, for they were not asked for before, and
-- before $3, for they were known by then.
SELECT f.refund_id, f.provider_refund_id
  FROM refunds AS r JOIN refund_facts AS f USING (refund_id)
 CROSS JOIN LATERAL (
   SELECT min(v.recorded_at) AS recorded_at FROM refund_observations AS v
    WHERE v.refund_id = f.refund_id AND v.provider_refund_id = f.provider_refund_id
 ) AS first
 WHERE r.provider = $1 AND f.standing <> 'failed' AND r.first_issued_at >= $2
   AND LEAST(f.heard_at, first.recorded_at) < $3

-- name: reconcile_sample
-- Other ones each day: their order is a hash of their ids and the seed.
SELECT refund_id FROM refunds
 WHERE provider = $1 AND state = 'succeeded' AND settled_at >= $2
 ORDER BY hashtextextended(refund_id, $3) LIMIT $4

-- name: reconcile_redirected
SELECT refund_id FROM refunds
 WHERE provider = $1 AND state = 'redirected' AND state_since >= $2
 ORDER BY state_since DESC LIMIT $3

-- name: reconcile_count_overdue
SELECT count(*) FROM refunds AS r JOIN scheduled_messages AS s ON s.schedule_id = 'refund:' || r.refund_id
 WHERE r.provider = $1 AND s.state = 'waiting' AND s.due_at > annul_now()
   AND ((r.state = 'uncertain' AND r.state_since < $2) OR (r.state = 'pending' AND r.state_since < $3))

-- name: reconcile_wake
-- Refunds that have waited long for their provider's word are asked about now: by their own due row, under their own
-- number. A row that somebody holds just now is being seen to.
WITH overdue AS (
  SELECT s.schedule_id
    FROM refunds AS r JOIN scheduled_messages AS s ON s.schedule_id = 'refund:' || r.refund_id
   WHERE r.provider = $1 AND s.state = 'waiting' AND s.due_at > annul_now()
     AND ((r.state = 'uncertain' AND r.state_since < $2) OR (r.state = 'pending' AND r.state_since < $3))
   ORDER BY r.state_since LIMIT $4
     FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE scheduled_messages AS s SET due_at = LEAST(s.due_at, annul_now())
  FROM overdue WHERE s.schedule_id = overdue.schedule_id
RETURNING s.schedule_id

-- name: reconcile_tell
-- Each word once for good, however often it is found: its row stays when it was sent.
INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message)
SELECT w.schedule_id, w.subject, annul_now(), 1, w.message
  FROM unnest($1::text[], $2::text[], $3::bytea[]) AS w(schedule_id, subject, message)
 ORDER BY w.schedule_id
ON CONFLICT (schedule_id) DO NOTHING
RETURNING schedule_id

-- name: reconcile_told_before
SELECT schedule_id FROM scheduled_messages WHERE schedule_id = ANY($1::text[])

-- name: record_reconciliation
INSERT INTO reconciliations (run_id, started_at, finished_at, period_from, period_to, differences, report)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)

-- name: lock_reconciliation
-- Held by the one process that reconciles by itself, as long as its transaction is open.
SELECT pg_try_advisory_xact_lock($1)

-- name: read_last_reconciliation
-- By the timer alone: a person's run may be of one provider, or of any period.
SELECT finished_at, report FROM reconciliations WHERE report ->> 'by' = 'timer' ORDER BY finished_at DESC LIMIT 1

-- name: read_last_reconciled
-- Up to when each provider's list was read and compared.
SELECT one.provider,
       (SELECT max(r.period_to) FROM reconciliations AS r
         WHERE r.report ->> 'by' = 'timer'
           AND r.report -> 'providers' @> jsonb_build_array(jsonb_build_object('provider', one.provider, 'failed', NULL))
       ) AS period_to
  FROM unnest($1::text[]) AS one(provider)
