-- The invariants of SPEC §8 as questions to the tables. Each gives (subject, detail) of what breaks one, at most $1 of
-- them; its name says which: verify_i<number>_<what it holds to>. All are asked in one snapshot, so that they are
-- right while workers run: what one transaction decided is there as a whole or not at all.

-- name: verify_i1_no_more_than_captured
-- Refunded is what went back or is on its way. A refund in another currency than the escrow's has nothing behind it.
WITH captured AS (
  SELECT o.order_id, o.currency, sum(t.captured_minor) AS captured, sum(t.refunded_minor) AS refunded_before
    FROM orders AS o
   CROSS JOIN LATERAL jsonb_to_recordset(convert_from(o.escrow, 'UTF8')::jsonb -> 'tenders')
         AS t(captured_minor bigint, refunded_minor bigint)
   WHERE o.escrow IS NOT NULL
   GROUP BY o.order_id
), refunded AS (
  SELECT order_id, currency, sum(amount_minor) AS refunded
    FROM refunds WHERE state IN ('succeeded', 'pending')
   GROUP BY order_id, currency
)
SELECT r.order_id AS subject,
       format('%s captured, %s refunded before and %s now (minor units of %s)', COALESCE(c.captured, 0),
              COALESCE(c.refunded_before, 0), r.refunded, r.currency) AS detail
  FROM refunded AS r LEFT JOIN captured AS c USING (order_id, currency)
 WHERE r.refunded + COALESCE(c.refunded_before, 0) > COALESCE(c.captured, 0)
 ORDER BY subject LIMIT $1

-- name: verify_i1_all_back_once_told
-- Once order.refunded is out, each tender's due is back, or a person paid it elsewhere. One that bounced since is
-- excepted: it had arrived.
SELECT o.order_id AS subject,
       format('order.refunded is out, but of tender %s %s is due and %s went back (minor units of %s)', t.tender_id,
              t.captured_minor - t.refunded_minor, b.back, o.currency) AS detail
  FROM orders AS o
 CROSS JOIN LATERAL jsonb_to_recordset(convert_from(o.escrow, 'UTF8')::jsonb -> 'tenders')
       AS t(tender_id text, captured_minor bigint, refunded_minor bigint)
  LEFT JOIN (
    SELECT r.order_id, r.tender_id,
           sum(r.amount_minor) FILTER (
             WHERE r.state = 'pending' OR r.settled_at IS NOT NULL
                OR EXISTS (SELECT FROM ledger_transfers AS l  -- it may be in review again since
                            WHERE l.order_id = r.order_id AND l.refund_id = r.refund_id
                              AND l.kind = 'settled_elsewhere')) AS back,
           bool_or(EXISTS (SELECT FROM ledger_transfers AS l
                            WHERE l.order_id = r.order_id AND l.refund_id = r.refund_id
                              AND l.kind = 'refund_bounced')) AS bounced
      FROM refunds AS r GROUP BY r.order_id, r.tender_id
  ) AS r ON r.order_id = o.order_id AND r.tender_id = t.tender_id
 CROSS JOIN LATERAL (SELECT COALESCE(r.back, 0) AS back) AS b
 WHERE o.refunded_at IS NOT NULL AND r.bounced IS NOT TRUE AND b.back <> t.captured_minor - t.refunded_minor
 ORDER BY subject LIMIT $1

-- name: verify_i1_told_once_all_is_back
-- The refund that comes last tells it in the same transaction; so does a cancellation with nothing due.
SELECT o.order_id AS subject, 'everything is back, but order.refunded was never told' AS detail
  FROM orders AS o
 WHERE o.cancelled_at IS NOT NULL AND o.refunded_at IS NULL
   AND NOT EXISTS (SELECT FROM refunds AS r
                    WHERE r.order_id = o.order_id AND r.state NOT IN ('succeeded', 'settled_elsewhere', 'redirected'))
 ORDER BY subject LIMIT $1

-- name: verify_i1_refunds_of_tenders
-- A refund belongs to a tender that the cancellation named; the first one of a tender goes the way it was paid.
SELECT r.order_id AS subject,
       CASE WHEN t.tender_id IS NULL THEN format('refund %s: the cancellation names no tender %s', r.refund_id, r.tender_id)
            ELSE format('refund %s of %s %s: tender %s was paid by %s %s in %s', r.refund_id, r.provider, r.reference,
                        r.tender_id, t.provider, t.reference, o.currency) END AS detail
  FROM refunds AS r
  JOIN orders AS o USING (order_id)
  LEFT JOIN LATERAL jsonb_to_recordset(convert_from(o.escrow, 'UTF8')::jsonb -> 'tenders')
       AS t(tender_id text, provider text, reference text) ON t.tender_id = r.tender_id
 WHERE t.tender_id IS NULL OR r.currency <> o.currency
    OR (r.redirected_from IS NULL AND (r.provider, r.reference) <> (t.provider, t.reference))
 ORDER BY subject LIMIT $1

-- name: verify_i2_one_live_refund
SELECT order_id AS subject,
       format('tender %s has %s live refunds: %s', tender_id, count(*), string_agg(refund_id, ', ')) AS detail
  FROM refunds WHERE state <> 'redirected'
 GROUP BY order_id, tender_id HAVING count(*) > 1
 ORDER BY subject LIMIT $1

-- name: verify_i3_transfers_sum_to_zero
-- A line takes from one account what it gives to another: never nothing, never the same one.
SELECT order_id AS subject,
       format('%s moves %s from %s to %s', transfer_id, amount_minor, debit_account, credit_account) AS detail
  FROM ledger_transfers WHERE amount_minor <= 0 OR debit_account = credit_account
 ORDER BY subject LIMIT $1

-- name: verify_i3_escrow
-- An order's escrow is never below zero, and empty once order.refunded is out.
WITH balances AS (
  SELECT m.account, l.currency, sum(m.amount_minor) AS balance
    FROM ledger_transfers AS l
   CROSS JOIN LATERAL (VALUES (l.credit_account, l.amount_minor), (l.debit_account, -l.amount_minor))
         AS m(account, amount_minor)
   WHERE m.account LIKE 'escrow:%'
   GROUP BY m.account, l.currency
)
SELECT b.account AS subject,
       format('holds %s (minor units of %s)%s', b.balance, b.currency,
              CASE WHEN o.refunded_at IS NOT NULL THEN ' though its order is refunded' END) AS detail
  FROM balances AS b LEFT JOIN orders AS o ON 'escrow:' || o.order_id = b.account
 WHERE b.balance < 0 OR (b.balance <> 0 AND o.refunded_at IS NOT NULL)
 ORDER BY subject LIMIT $1

-- name: verify_i3_lines_agree_with_state
-- What arrived and did not come back is what the refund says. The wallet's own line is its refund: it is there from the
-- claim on, before anyone has heard of it.
WITH posted AS (
  SELECT refund_id,
         count(*) FILTER (WHERE kind = 'refund_requested') AS requested,
         count(*) FILTER (WHERE kind = 'refund_redirected') AS redirected,
         count(*) FILTER (WHERE kind = 'redirect_withdrawn') AS withdrawn,
         count(*) FILTER (WHERE kind = 'refund_settled') AS settled,
         count(*) FILTER (WHERE kind = 'refund_bounced') AS bounced,
         count(*) FILTER (WHERE kind = 'settled_elsewhere') AS elsewhere
    FROM ledger_transfers WHERE refund_id IS NOT NULL
   GROUP BY refund_id
), compared AS (
  SELECT r.refund_id, r.state,
         COALESCE(p.requested, 0) AS requested, COALESCE(p.redirected, 0) AS redirected,
         COALESCE(p.withdrawn, 0) AS withdrawn, COALESCE(p.settled, 0) - COALESCE(p.bounced, 0) AS there,
         COALESCE(p.elsewhere, 0) AS elsewhere,
         (r.redirected_from IS NULL)::int AS is_first,
         (f.provider IS DISTINCT FROM r.provider AND f.refund_id IS NOT NULL)::int AS is_redirect,
         (r.redirected_to = r.redirected_from AND f.provider IS DISTINCT FROM r.provider)::int AS is_withdrawn,
         (r.settled_at IS NOT NULL AND r.state <> 'bounced')::int AS has_arrived,
         (r.provider = 'wallet' AND r.state IN ('requested', 'uncertain', 'needs_review')
           AND EXISTS (SELECT FROM refund_attempts AS a WHERE a.refund_id = r.refund_id))::int AS may_have_arrived,
         EXISTS (SELECT FROM refund_steps AS s
                  WHERE s.refund_id = r.refund_id AND s.state = 'settled_elsewhere')::int AS was_elsewhere
    FROM refunds AS r
    LEFT JOIN posted AS p USING (refund_id)
    LEFT JOIN refunds AS f ON f.refund_id = r.redirected_from
)
SELECT refund_id AS subject,
       format('%s, with %s line(s) refund_requested, %s refund_redirected, %s redirect_withdrawn, %s settled and still '
              'there, %s settled_elsewhere', state, requested, redirected, withdrawn, there, elsewhere) AS detail
  FROM compared
 WHERE requested <> is_first OR redirected <> is_redirect OR withdrawn <> COALESCE(is_withdrawn, 0)
    OR NOT there BETWEEN has_arrived AND GREATEST(has_arrived, may_have_arrived)
    OR elsewhere <> was_elsewhere
 ORDER BY subject LIMIT $1

-- name: verify_i3_under_way
-- What of an order is on its way back is what its live refunds have not settled: nothing is lost between two of them.
WITH balances AS (
  SELECT l.order_id, m.account, l.currency, sum(m.amount_minor) AS balance
    FROM ledger_transfers AS l
   CROSS JOIN LATERAL (VALUES (l.credit_account, l.amount_minor), (l.debit_account, -l.amount_minor))
         AS m(account, amount_minor)
   WHERE m.account LIKE 'refunding:%'
   GROUP BY l.order_id, m.account, l.currency
), owed AS (
  SELECT r.order_id, 'refunding:' || r.provider AS account, r.currency, sum(r.amount_minor) AS owed
    FROM refunds AS r
   WHERE r.settled_at IS NULL AND r.state NOT IN ('redirected')
     AND NOT EXISTS (SELECT FROM ledger_transfers AS l
                      WHERE l.order_id = r.order_id AND l.refund_id = r.refund_id
                        AND (l.kind = 'settled_elsewhere' OR (l.kind = 'refund_settled' AND r.provider = 'wallet')))
   GROUP BY r.order_id, r.provider, r.currency
)
SELECT order_id AS subject,
       format('%s holds %s of it (minor units of %s), and %s is under way', account, COALESCE(b.balance, 0), currency,
              COALESCE(o.owed, 0)) AS detail
  FROM balances AS b FULL JOIN owed AS o USING (order_id, account, currency)
 WHERE COALESCE(b.balance, 0) <> COALESCE(o.owed, 0)
 ORDER BY subject LIMIT $1

-- name: verify_i3_lines_agree_with_refund
-- A refund's lines are of its order and amount, between the accounts that its provider has.
SELECT l.order_id AS subject,
       format('%s: %s %s from %s to %s is not what refund %s says', l.transfer_id, l.amount_minor, l.currency,
              l.debit_account, l.credit_account, l.refund_id) AS detail
  FROM ledger_transfers AS l
  LEFT JOIN refunds AS r USING (refund_id)
  LEFT JOIN refunds AS f ON f.refund_id = r.redirected_from
 CROSS JOIN LATERAL (
   SELECT 'refunding:' || r.provider AS under_way, 'refunding:' || f.provider AS under_way_before,
          CASE r.provider WHEN 'wallet' THEN 'wallet:' || r.client_id ELSE 'provider:' || r.provider END AS payee
 ) AS a
  LEFT JOIN LATERAL (VALUES
    ('refund_requested', 'escrow:' || r.order_id, a.under_way),
    ('refund_settled', a.under_way, a.payee),
    ('refund_bounced', a.payee, a.under_way),
    ('refund_redirected', a.under_way_before, a.under_way),
    ('redirect_withdrawn', a.under_way, a.under_way_before),
    ('settled_elsewhere', a.under_way, 'suspense'),
    ('overpaid', 'suspense', a.payee),
    ('overpaid_returned', a.payee, 'suspense')
  ) AS e(kind, debit_account, credit_account) ON e.kind = l.kind
 WHERE l.refund_id IS NOT NULL
   AND (l.order_id, l.amount_minor, l.currency, l.debit_account, l.credit_account)
       IS DISTINCT FROM (r.order_id, r.amount_minor, r.currency, e.debit_account, e.credit_account)
 ORDER BY subject LIMIT $1

-- name: verify_i4_due_tenders_have_refunds
SELECT o.order_id AS subject,
       format('of tender %s %s is due (minor units of %s), and no refund of that amount is there', t.tender_id,
              t.captured_minor - t.refunded_minor, o.currency) AS detail
  FROM orders AS o
 CROSS JOIN LATERAL jsonb_to_recordset(convert_from(o.escrow, 'UTF8')::jsonb -> 'tenders')
       AS t(tender_id text, captured_minor bigint, refunded_minor bigint)
 WHERE o.escrow IS NOT NULL AND t.captured_minor > t.refunded_minor
   AND NOT EXISTS (
     SELECT FROM refunds AS r
      WHERE r.order_id = o.order_id AND r.tender_id = t.tender_id AND r.redirected_from IS NULL
        AND r.amount_minor = t.captured_minor - t.refunded_minor
   )
 ORDER BY subject LIMIT $1

-- name: verify_i4_escrow_is_opened
-- What was captured came into escrow, and what was refunded before left it again.
WITH expected AS (
  SELECT o.order_id, e.kind || ':' || o.order_id || ':' || t.tender_id AS transfer_id, e.amount_minor, o.currency,
         e.debit_account, e.credit_account
    FROM orders AS o
   CROSS JOIN LATERAL jsonb_to_recordset(convert_from(o.escrow, 'UTF8')::jsonb -> 'tenders')
         AS t(tender_id text, provider text, captured_minor bigint, refunded_minor bigint)
   CROSS JOIN LATERAL (VALUES
     ('captured', t.captured_minor, 'provider:' || t.provider, 'escrow:' || o.order_id),
     ('refunded_before', t.refunded_minor, 'escrow:' || o.order_id, 'provider:' || t.provider)
   ) AS e(kind, amount_minor, debit_account, credit_account)
   WHERE o.escrow IS NOT NULL AND e.amount_minor > 0
), posted AS (
  SELECT order_id, transfer_id, amount_minor, currency, debit_account, credit_account
    FROM ledger_transfers WHERE kind IN ('captured', 'refunded_before')
)
SELECT order_id AS subject,
       format('%s: %s posted, %s expected', transfer_id, COALESCE(p.amount_minor || ' ' || p.currency, 'nothing'),
              COALESCE(e.amount_minor || ' ' || e.currency, 'nothing')) AS detail
  FROM expected AS e FULL JOIN posted AS p USING (order_id, transfer_id)
 WHERE (p.amount_minor, p.currency, p.debit_account, p.credit_account)
       IS DISTINCT FROM (e.amount_minor, e.currency, e.debit_account, e.credit_account)
 ORDER BY subject LIMIT $1

-- name: verify_i6_never_early
-- The database's own clock is on both sides, so there is nothing to allow for.
SELECT schedule_id AS subject,
       format('due %s, fired %s', due_at, LEAST(fired_at, firing_since)) AS detail
  FROM scheduled_messages WHERE LEAST(fired_at, firing_since) < due_at
 ORDER BY subject LIMIT $1

-- name: verify_i6_close_is_scheduled
-- A cancelled conversation has its close, unless a newer order keeps the chat open. A close comes two revisions after
-- the word that scheduled it, and its revision is in its id. Where a person withdrew it, the chat stays open too.
WITH chats AS (
  SELECT conversation_id, revision, close_at,
         'chat.close:' || conversation_id || ':' || (scheduled_revision + 2) AS close_id,
         CASE WHEN placed_order = cancelled_order THEN other_placed_at ELSE placed_at END > cancelled_at AS outlived
    FROM conversations WHERE cancelled_order IS NOT NULL
), compared AS (
  SELECT c.conversation_id,
         CASE
           WHEN c.close_at IS NULL AND c.outlived IS NOT TRUE
            AND NOT EXISTS (SELECT FROM chat_interventions AS i
                             WHERE i.conversation_id = c.conversation_id AND i.revision = c.revision
                               AND i.what = 'withdrawn') THEN 'no close, and no newer order that keeps it open'
           WHEN c.close_at IS NULL THEN NULL
           WHEN c.outlived THEN format('a newer order keeps it open, yet it closes %s', c.close_at)
           WHEN s.schedule_id IS NULL THEN format('%s is not scheduled', c.close_id)
           WHEN s.state = 'withdrawn' THEN format('%s was withdrawn', c.close_id)
           WHEN s.due_at <> c.close_at THEN format('%s is due %s, not %s', c.close_id, s.due_at, c.close_at)
         END AS detail
    FROM chats AS c LEFT JOIN scheduled_messages AS s ON s.schedule_id = c.close_id
)
SELECT conversation_id AS subject, detail FROM compared WHERE detail IS NOT NULL
 ORDER BY subject LIMIT $1

-- name: verify_i6_one_close
-- Of a conversation's closes only the one that stands may still fire.
SELECT s.subject, format('%s would fire %s, and does not stand', s.schedule_id, s.due_at) AS detail
  FROM scheduled_messages AS s
  LEFT JOIN conversations AS c ON c.conversation_id = s.subject
 WHERE s.schedule_id LIKE 'chat.close:%' AND s.state IN ('waiting', 'firing')
   AND s.revision IS DISTINCT FROM c.scheduled_revision + 2
 ORDER BY s.subject LIMIT $1

-- name: verify_i6_cancellations_reach_chats
SELECT o.order_id AS subject,
       format('cancelled %s, of which conversation %s knows nothing', o.cancelled_at, o.conversation_id) AS detail
  FROM orders AS o LEFT JOIN conversations AS c USING (conversation_id)
 WHERE o.cancelled_at IS NOT NULL AND (c.cancelled_at IS NULL OR c.cancelled_at < o.cancelled_at)
 ORDER BY subject LIMIT $1

-- name: verify_i7_seq_gapless
WITH numbered AS (
  SELECT seller_id, count(*) AS outcomes, min(seq) AS first_seq, max(seq) AS last_seq
    FROM seller_outcomes GROUP BY seller_id
)
SELECT seller_id AS subject,
       format('%s outcomes from %s to %s, and the seller is at %s', COALESCE(n.outcomes, 0), n.first_seq, n.last_seq,
              s.seq) AS detail
  FROM numbered AS n FULL JOIN sellers AS s USING (seller_id)
 WHERE s.seq IS DISTINCT FROM COALESCE(n.last_seq, 0) OR n.first_seq <> 1 OR n.outcomes <> n.last_seq
 ORDER BY subject LIMIT $1

-- name: verify_i7_outcomes_agree_with_orders
-- What a seller's outcomes come to, corrections taken off, is what each order says it counts as: no more, no less.
WITH counted AS (
  SELECT seller_id, order_id, outcome, occurred_at, 1 AS n FROM seller_outcomes
   UNION ALL
  SELECT seller_id, order_id, replaces_outcome, replaces_occurred_at, -1
    FROM seller_outcomes WHERE replaces_outcome IS NOT NULL
   UNION ALL
  SELECT seller_id, order_id, 'accepted', counted_accepted_at, -1 FROM orders WHERE counted_accepted_at IS NOT NULL
   UNION ALL
  SELECT seller_id, order_id, counted_close, counted_close_at, -1 FROM orders WHERE counted_close IS NOT NULL
)
SELECT order_id AS subject,
       format('%s of %s counts %s more often for seller %s than the order says', outcome, occurred_at, sum(n),
              seller_id) AS detail
  FROM counted
 GROUP BY seller_id, order_id, outcome, occurred_at HAVING sum(n) <> 0
 ORDER BY subject LIMIT $1

-- name: verify_i7_every_end_counts
-- Whoever's fault: a cancellation counts before acceptance unless the order counts as accepted.
WITH ends AS (
  SELECT order_id, counted_close, counted_close_at,
         CASE WHEN completed_at IS NOT NULL THEN 'completed'
              WHEN cancelled_at IS NOT NULL AND counted_accepted_at IS NULL THEN 'cancelled_before_acceptance'
              WHEN cancelled_at IS NOT NULL THEN 'cancelled_after_acceptance' END AS close,
         COALESCE(completed_at, cancelled_at) AS close_at
    FROM orders
)
SELECT order_id AS subject,
       format('%s of %s counts as %s of %s', COALESCE(close, 'no end'), close_at, COALESCE(counted_close, 'none'),
              counted_close_at) AS detail
  FROM ends WHERE (counted_close, counted_close_at) IS DISTINCT FROM (close, close_at)
 ORDER BY subject LIMIT $1

-- name: verify_i8_transitions
-- Each step of a refund is one that the rules name ($2 from, $3 to), begins where the one before ended, and the last
-- one led to where the refund is.
WITH allowed AS (
  SELECT * FROM unnest($2::text[], $3::text[]) AS t(state_before, state)
), moves AS (
  SELECT refund_id, revision, state_before, state,
         COALESCE(lag(state) OVER (PARTITION BY refund_id ORDER BY revision), 'requested') AS ended
    FROM refund_steps
), last AS (
  SELECT DISTINCT ON (refund_id) refund_id, state FROM refund_steps ORDER BY refund_id, revision DESC
)
SELECT m.refund_id AS subject,
       format('%s became %s (revision %s), after it had become %s', m.state_before, m.state, m.revision, m.ended) AS detail
  FROM moves AS m LEFT JOIN allowed AS a USING (state_before, state)
 WHERE a.state IS NULL OR m.ended <> m.state_before
 UNION ALL
SELECT r.refund_id, format('is %s, and its last step led to %s', r.state, COALESCE(l.state, 'requested'))
  FROM refunds AS r LEFT JOIN last AS l USING (refund_id)
 WHERE r.state <> COALESCE(l.state, 'requested')
 ORDER BY subject LIMIT $1

-- name: verify_i9_uncertain_in_time
-- $2: how long a refund may be uncertain, the time until the next look at it included.
SELECT refund_id AS subject, format('uncertain since %s, and not in review', state_since) AS detail
  FROM refunds WHERE state = 'uncertain' AND state_since < annul_now() - $2::interval
 ORDER BY subject LIMIT $1

-- name: verify_i9_something_moves_it
-- Every waiting state has a due row that will move it; one that has fired is a message on its way. A success waits for
-- its audits, $2 is how long they go on; the row of the last one is given up after it. What the wallet has given stays
-- given.
SELECT r.refund_id AS subject,
       format('%s%s since %s, and %s', r.state, ' (gate: ' || r.gate || ')', r.state_since,
              CASE WHEN s.state IS NULL THEN 'nothing is due' ELSE 'what was due is withdrawn' END) AS detail
  FROM refunds AS r LEFT JOIN scheduled_messages AS s ON s.schedule_id = 'refund:' || r.refund_id
 WHERE (r.state IN ('requested', 'retrying', 'uncertain', 'pending', 'declined', 'bounced') OR r.gate <> 'frozen'
        OR (r.state = 'succeeded' AND r.provider <> 'wallet' AND r.settled_at > annul_now() - $2::interval
            AND COALESCE(s.due_at < r.settled_at + $2::interval, true)))
   AND (s.state IS NULL OR s.state = 'withdrawn')
 ORDER BY subject LIMIT $1

-- ---------------------------------------------------------------- beside the checks

-- name: count_everything
SELECT (SELECT count(*) FROM orders) AS orders,
       (SELECT count(*) FROM orders WHERE cancelled_at IS NOT NULL) AS cancellations,
       (SELECT COALESCE(jsonb_object_agg(state, n), '{}') FROM (SELECT state, count(*) AS n FROM refunds GROUP BY state) AS s)
         AS refunds,
       (SELECT count(*) FROM parked_messages WHERE status = 'parked') AS parked_open,
       (SELECT count(*) FROM scheduled_messages WHERE schedule_id LIKE 'chat.close:%' AND state = 'fired')
         AS chats_closed,
       (SELECT count(*) FROM sellers) AS sellers,
       (SELECT count(*) FROM ledger_transfers) AS transfers

-- name: read_offsets_of_topic
SELECT partition, topic_id, next_offset FROM consumer_offsets WHERE consumer_group = $1 AND topic = $2

-- name: find_unaccounted_cancellations
-- I4 with the topic at hand: a cancellation that was read is its order's, with this very money, or is parked as this
-- very record ($4 tells the topic from one of the same name before it). One that could not be read has no order.
SELECT b.parked_id, b.order_id
  FROM unnest($1::text[], $2::text[], $3::bytea[]) AS b(parked_id, order_id, escrow)
 WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = b.order_id AND o.escrow = b.escrow)
   AND NOT EXISTS (SELECT FROM parked_messages AS p WHERE p.parked_id = b.parked_id AND p.topic_id = $4)

-- name: read_sellers_seq
SELECT seller_id, seq FROM sellers WHERE seq > 0

-- name: read_provider_refunds
-- What the providers' books are compared with.
SELECT refund_id, provider, reference, amount_minor, currency, idempotency_key, state, provider_refund_id,
       EXISTS (SELECT FROM refund_attempts AS a WHERE a.refund_id = r.refund_id) AS claimed
  FROM refunds AS r WHERE provider IN ('card', 'paypal')

-- name: verify_i5_refunded_and_paid
-- Money went one way only: no payout is allowed of an order that was cancelled.
SELECT p.order_id AS subject, format('payout %s was allowed, and the order was cancelled', p.payout_id) AS detail
  FROM payouts AS p JOIN orders AS o USING (order_id)
 WHERE p.allowed AND (o.cancelled_at IS NOT NULL OR EXISTS (SELECT FROM refunds AS r WHERE r.order_id = p.order_id))
 ORDER BY subject LIMIT $1
