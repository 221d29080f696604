-- name: demo_progress
-- How far everything is: what still waits for a provider, for a chat's close, for an answer.
SELECT (SELECT count(*) FROM orders WHERE cancelled_at IS NOT NULL) AS cancelled,
       (SELECT count(*) FROM refunds) AS refunds,
       (SELECT count(*) FROM refunds WHERE state IN ('requested', 'retrying', 'uncertain', 'pending', 'declined', 'bounced')
           OR gate <> 'frozen') AS moving,
       (SELECT count(*) FROM scheduled_messages
         WHERE schedule_id LIKE 'chat.close:%' AND state IN ('waiting', 'firing')) AS chats_waiting,
       (SELECT count(*) FROM scheduled_messages WHERE schedule_id LIKE 'chat.close:%' AND state = 'fired') AS chats_closed,
       (SELECT count(*) FROM parked_messages WHERE status = 'parked') AS parked

-- name: demo_refunds
SELECT provider, state, count(*) AS refunds,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY EXTRACT(epoch FROM r.settled_at - o.cancelled_at)) AS p50_s,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY EXTRACT(epoch FROM r.settled_at - o.cancelled_at)) AS p99_s
  FROM refunds AS r JOIN orders AS o USING (order_id)
 GROUP BY provider, state ORDER BY provider, state

-- name: demo_amounts
SELECT currency, sum(amount_minor)::bigint AS amount_minor, count(*) AS refunds
  FROM refunds WHERE state = 'succeeded' GROUP BY currency ORDER BY currency

-- name: demo_outcomes
-- What refunds went through on their way: the last word of each provider and how it came.
SELECT via, outcome, count(*) AS observations FROM refund_observations GROUP BY via, outcome ORDER BY via, outcome

-- name: demo_review
SELECT provider, code, count(*) AS refunds FROM refunds WHERE state = 'needs_review'
 GROUP BY provider, code ORDER BY count(*) DESC, provider, code

-- name: demo_payouts
SELECT reason, count(*) AS payouts FROM payouts GROUP BY reason ORDER BY count(*) DESC, reason

-- name: demo_chats
SELECT count(*) FILTER (WHERE state = 'fired') AS closed,
       count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
       max(EXTRACT(epoch FROM fired_at - due_at)) FILTER (WHERE state = 'fired') AS latest_s
  FROM scheduled_messages WHERE schedule_id LIKE 'chat.close:%'

-- name: demo_parked
SELECT reason, string_agg(DISTINCT field, ', ' ORDER BY field) AS fields, count(*) AS messages
  FROM parked_messages GROUP BY reason ORDER BY count(*) DESC, reason

-- name: demo_sellers
SELECT seller_id,
       count(*) FILTER (WHERE outcome = 'accepted') - count(*) FILTER (WHERE replaces_outcome = 'accepted') AS accepted,
       count(*) FILTER (WHERE outcome = 'cancelled_before_acceptance')
         - count(*) FILTER (WHERE replaces_outcome = 'cancelled_before_acceptance') AS cancelled_before_acceptance,
       count(*) FILTER (WHERE outcome = 'completed')
         - count(*) FILTER (WHERE replaces_outcome = 'completed') AS completed,
       count(*) FILTER (WHERE outcome = 'cancelled_after_acceptance')
         - count(*) FILTER (WHERE replaces_outcome = 'cancelled_after_acceptance') AS cancelled_after_acceptance,
       max(seq) AS seq
  FROM seller_outcomes GROUP BY seller_id ORDER BY count(*) DESC, seller_id LIMIT $1

-- name: demo_cases
-- The states that each order's refunds went through, the ones that took another's place after those, and who was told
-- of a refusal.
SELECT order_id, array_agg(state ORDER BY place, revision) AS states,
       (SELECT count(*) FROM notices AS n WHERE n.order_id = s.order_id AND n.about = 'refused') AS refusals
  FROM (
    SELECT r.order_id, (r.redirected_from IS NOT NULL)::int AS place, 0 AS revision, 'requested' AS state
      FROM refunds AS r WHERE starts_with(r.order_id, $1)
     UNION ALL
    SELECT r.order_id, (r.redirected_from IS NOT NULL)::int, t.revision, t.state
      FROM refunds AS r JOIN refund_steps AS t USING (refund_id) WHERE starts_with(r.order_id, $1)
  ) AS s
 GROUP BY order_id
