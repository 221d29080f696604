-- What the worker `ops` tells Prometheus of what stands open, beside what the overview asks for. Each reads an index
-- that holds nothing else.

-- name: standing_parked
SELECT reason, count(*) AS messages, min(parked_at) AS since
  FROM (SELECT reason, parked_at FROM parked_messages WHERE status = 'parked' ORDER BY parked_at LIMIT $1) AS open
 GROUP BY reason

-- name: standing_timers
-- Rows whose time has come and that nobody has taken.
SELECT count(*) AS timers, min(due_at) AS since
  FROM (SELECT due_at FROM scheduled_messages
         WHERE state = 'waiting' AND due_at <= (SELECT annul_now()) ORDER BY due_at LIMIT $1) AS due

-- name: standing_actions
-- What people asked for and what waits for a second person or for the worker `refunds`.
SELECT count(*) AS actions, min(asked_at) AS since FROM manual_actions WHERE outcome IS NULL

-- name: standing_sellers
SELECT COALESCE(sum(sellers), 0)::bigint AS sellers, COALESCE(bool_and(caught_up), true) AS caught_up FROM seller_shares
