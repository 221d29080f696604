-- What the overview of the dashboard asks. Each reads only what is open, through an index. The time comes from a
-- subquery: annul_now() is volatile, and PostgreSQL would call it for each row instead of looking it up in the index.

-- name: count_cancellations
-- As many more; what a transaction counted that rolled back stays counted.
SELECT count(nextval('cancellations_counted')) FROM generate_series(1, $1::int)

-- name: read_cancellations_counted
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM cancellations_counted

-- name: read_unsettled
-- The sums of what is not settled, by state, provider and currency, and since when the oldest of each is.
SELECT state, provider, currency, count(*) AS refunds, sum(amount_minor)::bigint AS amount_minor,
       min(first_issued_at) AS issued_at, min(state_since) AS state_since
  FROM refunds
 WHERE state IN ('requested', 'pending', 'declined', 'retrying', 'uncertain', 'bounced', 'needs_review')
 GROUP BY state, provider, currency

-- name: read_parked_open
SELECT count(*) AS messages, min(parked_at) AS oldest_at
  FROM (SELECT parked_at FROM parked_messages WHERE status = 'parked' ORDER BY parked_at LIMIT $1) AS open

-- name: read_chats_due
-- Chats that close within a span; `overdue`: their time has come, and nobody sent it yet.
SELECT count(*) AS chats, count(*) FILTER (WHERE due_at <= (SELECT annul_now())) AS overdue, min(due_at) AS next_at
  FROM (SELECT due_at FROM scheduled_messages
         WHERE state = 'waiting' AND due_at < (SELECT annul_now() + $1::interval) AND schedule_id LIKE 'chat.close:%'
         ORDER BY due_at LIMIT $2) AS due

-- name: read_timers_late
-- The first row that is due and that nobody took.
SELECT min(due_at) FROM scheduled_messages WHERE state = 'waiting' AND due_at < (SELECT annul_now() - $1::interval)

-- name: add_sample
-- One a minute, whoever comes first.
INSERT INTO ops_samples (at, cancellations, lag_s, waiting, waiting_minor, parked)
VALUES (date_trunc('minute', annul_now()), $1, $2::jsonb, $3, $4::jsonb, $5)
ON CONFLICT (at) DO NOTHING

-- name: prune_samples
DELETE FROM ops_samples WHERE at < (SELECT annul_now() - $1::interval)

-- name: read_samples
SELECT at, cancellations, lag_s, waiting, waiting_minor, parked
  FROM ops_samples WHERE at >= (SELECT annul_now() - $1::interval) ORDER BY at
