-- What the dashboard asks about refunds: lists by state, the order behind an id.

-- name: search_refunds_oldest
-- Refunds in some states ($1), those that are longest in theirs first, after a place in that order ($2, $3). At most $11
-- are looked through, lest a filter that fits nothing reads them all: the last of them is told with every row, so that
-- one may go on from there. Filters that are NULL let everything pass.
WITH looked AS MATERIALIZED (
  SELECT r.* FROM unnest($1::text[]) AS s(wanted)
   CROSS JOIN LATERAL (
     SELECT refund_id, order_id, provider, reference, amount_minor, currency, state, code, state_since, gate, attempt,
            provider_refund_id
       FROM refunds
      WHERE state = s.wanted AND (state_since, refund_id) > ($2::timestamptz, $3::text)
        AND state_since <= $4::timestamptz
      ORDER BY state_since, refund_id LIMIT $11) AS r
   ORDER BY r.state_since, r.refund_id LIMIT $11
), found AS (
  SELECT * FROM looked
   WHERE ($5::text IS NULL OR provider = $5) AND ($6::text IS NULL OR code = $6)
     AND ($7::text IS NULL OR currency = $7)
     AND ($8::bigint IS NULL OR amount_minor >= $8) AND ($9::bigint IS NULL OR amount_minor <= $9)
   ORDER BY state_since, refund_id LIMIT $10
)
SELECT e.looked, e.last_since, e.last_id, f.*
  FROM (SELECT count(*) AS looked, max(state_since) AS last_since,
               (SELECT refund_id FROM looked ORDER BY state_since DESC, refund_id DESC LIMIT 1) AS last_id
          FROM looked) AS e
  LEFT JOIN found AS f ON true
 ORDER BY f.state_since, f.refund_id

-- name: search_refunds_newest
-- The same the other way round: of what is settled the latest is asked for.
WITH looked AS MATERIALIZED (
  SELECT r.* FROM unnest($1::text[]) AS s(wanted)
   CROSS JOIN LATERAL (
     SELECT refund_id, order_id, provider, reference, amount_minor, currency, state, code, state_since, gate, attempt,
            provider_refund_id
       FROM refunds
      WHERE state = s.wanted AND (state_since, refund_id) < ($2::timestamptz, $3::text)
        AND state_since <= $4::timestamptz
      ORDER BY state_since DESC, refund_id DESC LIMIT $11) AS r
   ORDER BY r.state_since DESC, r.refund_id DESC LIMIT $11
), found AS (
  SELECT * FROM looked
   WHERE ($5::text IS NULL OR provider = $5) AND ($6::text IS NULL OR code = $6)
     AND ($7::text IS NULL OR currency = $7)
     AND ($8::bigint IS NULL OR amount_minor >= $8) AND ($9::bigint IS NULL OR amount_minor <= $9)
   ORDER BY state_since DESC, refund_id DESC LIMIT $10
)
SELECT e.looked, e.last_since, e.last_id, f.*
  FROM (SELECT count(*) AS looked, min(state_since) AS last_since,
               (SELECT refund_id FROM looked ORDER BY state_since, refund_id LIMIT 1) AS last_id
          FROM looked) AS e
  LEFT JOIN found AS f ON true
 ORDER BY f.state_since DESC, f.refund_id DESC

-- name: count_refunds_in
-- How many are in each of some states, counted up to $2: more than that is "many", and would take longer to count.
SELECT s.wanted AS state, n.many AS count
  FROM unnest($1::text[]) AS s(wanted)
 CROSS JOIN LATERAL (
   SELECT count(*) AS many FROM (SELECT FROM refunds WHERE state = s.wanted LIMIT $2) AS counted) AS n
 WHERE n.many > 0

-- name: read_waiting_actions
-- What waits for a second person, the oldest first.
SELECT a.action_id, a.refund_id, a.order_id, a.kind, a.actor, a.asked_at, a.revision,
       r.provider, r.amount_minor, r.currency, r.state, r.revision AS revision_now
  FROM manual_actions AS a JOIN refunds AS r USING (refund_id)
 WHERE a.outcome IS NULL AND a.needs_second AND a.approved_by IS NULL
 ORDER BY a.asked_at, a.action_id LIMIT $1

-- name: read_order_payouts
SELECT payout_id, seller_id, amount_minor, currency, requested_at, allowed, reason, decided_at
  FROM (SELECT * FROM payouts WHERE order_id = $1 AND allowed
         UNION ALL
        SELECT * FROM payouts WHERE order_id = $1 AND NOT allowed) AS p
 ORDER BY decided_at, payout_id LIMIT $2

-- name: find_by_id
-- Everything that an id may be the id of, each by an index of its own. The reference of a wallet is no payment's: it has
-- as many refunds as its client.
SELECT found.* FROM (
  (SELECT 'order' AS kind, order_id AS id, order_id, NULL::text AS refund_id FROM orders WHERE order_id = $1)
   UNION ALL
  (SELECT 'unread_order', order_id, order_id, NULL FROM parked_messages
    WHERE order_id = $1 AND NOT EXISTS (SELECT FROM orders WHERE order_id = $1) LIMIT 1)
   UNION ALL
  (SELECT 'refund', refund_id, order_id, refund_id FROM refunds WHERE refund_id = $1)
   UNION ALL
  (SELECT 'provider_refund', f.provider_refund_id, r.order_id, r.refund_id
     FROM refund_facts AS f JOIN refunds AS r USING (refund_id) WHERE f.provider_refund_id = $1
    ORDER BY r.refund_id LIMIT $2)
   UNION ALL
  (SELECT 'payment', reference, order_id, refund_id FROM refunds
    WHERE reference = $1 AND provider <> 'wallet' ORDER BY refund_id LIMIT $2)
   UNION ALL
  (SELECT 'arn', $1, r.order_id, r.refund_id
     FROM (SELECT DISTINCT refund_id FROM refund_observations
            WHERE substring(message FROM 'arn=([0-9A-Za-z]+)') = $1 AND message LIKE '%arn=%' LIMIT $2) AS o
     JOIN refunds AS r USING (refund_id))
   UNION ALL
  (SELECT DISTINCT 'conversation', c.conversation_id, named.order_id, NULL::text
     FROM conversations AS c
    CROSS JOIN LATERAL (VALUES (c.placed_order), (c.cancelled_order)) AS named(order_id)
    WHERE c.conversation_id = $1 AND named.order_id IS NOT NULL)
   UNION ALL
  (SELECT 'payout', payout_id, order_id, NULL FROM payouts WHERE payout_id = $1)
   UNION ALL
  (SELECT 'dispute', d.dispute_id, r.order_id, r.refund_id
     FROM disputes AS d JOIN refunds AS r ON r.reference = d.reference AND r.provider <> 'wallet'
    WHERE d.provider = ANY(ARRAY['card', 'paypal', 'wallet']) AND d.dispute_id = $1 LIMIT $2)
   UNION ALL
  (SELECT 'action', action_id, order_id, refund_id FROM manual_actions WHERE action_id = $1)
   UNION ALL
  (SELECT 'seller', seller_id, NULL, NULL FROM sellers WHERE seller_id = $1)
   UNION ALL
  (SELECT 'parked', parked_id, order_id, NULL FROM parked_messages WHERE parked_id = $1 LIMIT 1)
) AS found LIMIT $2
