-- Fills a database for `annul bench ops`, one set a table, in the order of their numbers. Sizes come as settings of the
-- session: bench.orders, bench.sellers, bench.parked. The rows look like those of the workers, spread over 90 days.

-- name: bench_ops_01_plan
-- Six in ten orders are cancelled; of 1,000 of these about 20 refunds are not settled.
CREATE TEMP TABLE planned AS
SELECT n, 'ord_' || n AS order_id, 'cnv_' || n AS conversation_id, 'cli_' || n % 200000 AS client_id,
       'sel_' || n % current_setting('bench.sellers')::bigint AS seller_id,
       closed_at, n % 10 < 6 AS cancelled, n % 3 > 0 AS was_accepted, 1000 + n % 9000 AS amount_minor,
       CASE n % 4 WHEN 0 THEN 'wallet' WHEN 1 THEN 'paypal' ELSE 'card' END AS provider,
       'rfd_' || md5(n::text) AS refund_id,
       CASE WHEN n % 1000 = 0 THEN 'needs_review' WHEN n % 1000 = 110 THEN 'uncertain'
            WHEN n % 1000 = 121 THEN 'retrying' WHEN n % 1000 = 131 THEN 'requested'
            WHEN n % 100 = 42 THEN 'pending' ELSE 'succeeded' END AS state
  FROM (SELECT n, annul_now() - interval '2 minutes'
                  - interval '90 days' * (1 - n::float8 / current_setting('bench.orders')::bigint) AS closed_at
          FROM generate_series(1, current_setting('bench.orders')::bigint) AS n) AS numbers

-- name: bench_ops_02_orders
INSERT INTO orders (order_id, conversation_id, client_id, seller_id, client_locale, seller_locale, placed_at, accepted_at,
  completed_at, cancelled_at, cancelled_by, stage, currency, escrow, refunded_at, payout_allowed_at,
  counted_accepted_at, counted_close, counted_close_at, revision)
SELECT order_id, conversation_id, client_id, seller_id, 'fr-FR', 'en-GB', closed_at - interval '3 days',
       CASE WHEN was_accepted OR NOT cancelled THEN closed_at - interval '2 days' END,
       CASE WHEN NOT cancelled THEN closed_at END, CASE WHEN cancelled THEN closed_at END,
       CASE WHEN cancelled THEN 'client' END,
       CASE WHEN cancelled THEN CASE WHEN was_accepted THEN 'in_progress' ELSE 'awaiting_acceptance' END END,
       CASE WHEN cancelled THEN 'EUR' END,
       CASE WHEN cancelled THEN convert_to('{"currency":"EUR","tenders":[{"tender_id":"tnd_1","provider":"' || provider
         || '","reference":"pi_' || n || '","captured_minor":' || amount_minor || ',"refunded_minor":0}]}', 'UTF8') END,
       CASE WHEN cancelled AND state = 'succeeded' THEN closed_at + interval '2 seconds' END,
       CASE WHEN NOT cancelled THEN closed_at + interval '1 hour' END,
       CASE WHEN was_accepted OR NOT cancelled THEN closed_at - interval '2 days' END,
       CASE WHEN NOT cancelled THEN 'completed' WHEN was_accepted THEN 'cancelled_after_acceptance'
            ELSE 'cancelled_before_acceptance' END, closed_at, 3
  FROM planned

-- name: bench_ops_03_conversations
INSERT INTO conversations (conversation_id, placed_order, placed_at, cancelled_order, cancelled_at, close_at,
  scheduled_revision, revision)
SELECT conversation_id, order_id, closed_at - interval '3 days', CASE WHEN cancelled THEN order_id END,
       CASE WHEN cancelled THEN closed_at END, CASE WHEN cancelled THEN closed_at + interval '7 days' END,
       CASE WHEN cancelled THEN 1 END, 4
  FROM planned

-- name: bench_ops_04_refunds
INSERT INTO refunds (refund_id, order_id, tender_id, client_id, provider, reference, amount_minor, currency,
  idempotency_key, state, attempt, look_up_no, first_issued_at, issued_at, state_since, settled_at, provider_refund_id,
  code, visible_by, revision, give_up_at)
SELECT refund_id, order_id, 'tnd_1', client_id, provider, 'pi_' || n, amount_minor, 'EUR', 'annul:' || refund_id, state,
       1, 1, closed_at, closed_at, closed_at + interval '1 second',
       CASE WHEN state = 'succeeded' THEN closed_at + interval '1 second' END,
       CASE WHEN state IN ('succeeded', 'pending') THEN 're_' || n END,
       CASE state WHEN 'needs_review' THEN (ARRAY['charge_disputed', 'key_retention_passed', 'pending_too_long'])[1 + n / 1000 % 3]
                  WHEN 'uncertain' THEN 'timeout' WHEN 'retrying' THEN 'http_503' END,
       (closed_at + interval '5 days')::date, 2, closed_at + interval '5 days'
  FROM planned WHERE cancelled

-- name: bench_ops_05_attempts
INSERT INTO refund_attempts (refund_id, attempt, claimed_by, claimed_at, lease_until)
SELECT refund_id, 1, 'card-' || n % 4, closed_at, closed_at + interval '30 seconds'
  FROM planned WHERE cancelled AND state <> 'requested'

-- name: bench_ops_06_observations
INSERT INTO refund_observations (refund_id, message_id, attempt, outcome, via, provider_refund_id, provider_code, message,
  observed_at, recorded_at, state_after, revision_after)
SELECT refund_id, md5('m' || n), 1,
       CASE state WHEN 'needs_review' THEN 'rejected' WHEN 'retrying' THEN 'retryable' ELSE state END, 'call',
       CASE WHEN state IN ('succeeded', 'pending') THEN 're_' || n END, NULL, 'request=req_' || n,
       closed_at + interval '1 second', closed_at + interval '1 second', state, 2
  FROM planned WHERE cancelled AND state <> 'requested'

-- name: bench_ops_07_facts
INSERT INTO refund_facts (refund_id, provider_refund_id, standing, code, heard_at)
SELECT refund_id, 're_' || n, state, NULL, closed_at + interval '1 second'
  FROM planned WHERE cancelled AND state IN ('succeeded', 'pending') AND provider <> 'wallet'

-- name: bench_ops_08_steps
INSERT INTO refund_steps (refund_id, revision, state_before, state, code, stepped_at, message_id)
SELECT refund_id, 2, 'requested', state, NULL, closed_at + interval '1 second', md5('m' || n)
  FROM planned WHERE cancelled AND state <> 'requested'

-- name: bench_ops_09_ledger
INSERT INTO ledger_transfers (order_id, transfer_id, refund_id, kind, debit_account, credit_account, amount_minor, currency,
  posted_at)
SELECT order_id, kind || ':' || CASE kind WHEN 'captured' THEN order_id || ':tnd_1' ELSE refund_id END,
       CASE WHEN kind <> 'captured' THEN refund_id END, kind, debit, credit, amount_minor, 'EUR', closed_at
  FROM planned CROSS JOIN LATERAL (VALUES
    ('captured', 'provider:' || provider, 'escrow:' || order_id),
    ('refund_requested', 'escrow:' || order_id, 'refunding:' || provider),
    ('refund_settled', 'refunding:' || provider,
     CASE provider WHEN 'wallet' THEN 'wallet:' || client_id ELSE 'provider:' || provider END)) AS lines(kind, debit, credit)
 WHERE cancelled AND (kind <> 'refund_settled' OR state = 'succeeded')

-- name: bench_ops_10_scheduled
-- What closes a chat, and what wakes the refunds that are not settled. $1: a message as it is kept.
INSERT INTO scheduled_messages (schedule_id, subject, due_at, revision, message, state, firing_since, fired_at)
SELECT schedule_id, subject, due_at, 3, $1::bytea, CASE WHEN due_at < annul_now() THEN 'fired' ELSE 'waiting' END, NULL,
       CASE WHEN due_at < annul_now() THEN due_at + interval '100 milliseconds' END
  FROM planned CROSS JOIN LATERAL (VALUES
    ('chat.closing_soon:' || conversation_id || ':2', conversation_id, closed_at + interval '6 days'),
    ('chat.close:' || conversation_id || ':3', conversation_id, closed_at + interval '7 days'),
    ('refund:' || refund_id, refund_id, CASE WHEN state <> 'succeeded' THEN annul_now() + interval '1 hour' + n * interval '1 millisecond' END)
  ) AS later(schedule_id, subject, due_at)
 WHERE cancelled AND due_at IS NOT NULL

-- name: bench_ops_11_outcomes
INSERT INTO seller_outcomes (seller_id, seq, order_id, outcome, occurred_at)
SELECT seller_id, row_number() OVER (PARTITION BY seller_id ORDER BY occurred_at, order_id, outcome), order_id, outcome,
       occurred_at
  FROM (SELECT seller_id, order_id, 'accepted' AS outcome, closed_at - interval '2 days' AS occurred_at
          FROM planned WHERE was_accepted OR NOT cancelled
         UNION ALL
        SELECT seller_id, order_id, CASE WHEN NOT cancelled THEN 'completed' WHEN was_accepted
               THEN 'cancelled_after_acceptance' ELSE 'cancelled_before_acceptance' END, closed_at
          FROM planned) AS outcomes

-- name: bench_ops_12_sellers
INSERT INTO sellers (seller_id, seq) SELECT seller_id, max(seq) FROM seller_outcomes GROUP BY seller_id

-- name: bench_ops_13_standings
INSERT INTO seller_standings (seller_id, above, since, advised, advised_at)
SELECT seller_id, substr(md5(seller_id), 1, 1) < '4', annul_now() - interval '5 days', substr(md5(seller_id), 1, 1) < '3',
       CASE WHEN substr(md5(seller_id), 1, 1) < '3' THEN annul_now() - interval '5 days' END
  FROM sellers

-- name: bench_ops_14_notices
INSERT INTO notices (notification_id, order_id, recipient_kind, about, decided_at)
SELECT md5(kind || n), order_id, kind, 'cancellation', closed_at
  FROM planned CROSS JOIN (VALUES ('client'), ('seller')) AS kinds(kind) WHERE cancelled

-- name: bench_ops_15_payouts
INSERT INTO payouts (payout_id, order_id, seller_id, amount_minor, currency, requested_at, allowed, reason, decided_at)
SELECT 'pay_' || n, order_id, seller_id, amount_minor, 'EUR', closed_at, NOT cancelled,
       CASE WHEN cancelled THEN 'order_cancelled' ELSE 'completed' END, closed_at + interval '1 hour'
  FROM planned WHERE NOT cancelled OR n % 20 = 0

-- name: bench_ops_16_parked
-- As many again were put back or discarded before.
INSERT INTO parked_messages (parked_id, topic_id, consumer_group, topic, partition, record_offset, key, value, headers,
  reason, field, detail, stage, message_id, message_type, order_id, parked_at, status, status_at, status_reason)
SELECT 'orders.events.v1:' || n % 8 || ':' || n, 'bench', 'annul.cancellations', 'orders.events.v1', n % 8, n,
       convert_to('ord_' || n, 'UTF8'), convert_to('{"order_id":"ord_' || n || '","reason":"' || repeat('words ', 40) || '"}', 'UTF8'),
       '\x90', (ARRAY['malformed_json', 'missing_field', 'invalid_field', 'unknown_type', 'contradicts_recorded',
         'order_completed', 'too_large', 'internal_error'])[1 + (sqrt(n)::bigint % 8)], 'order_id', 'at $.order_id', 'decode',
       md5('p' || n), 'order.cancelled', 'ord_' || n,
       annul_now() - interval '3 days' * (1 - n::float8 / (2 * parked)),
       CASE WHEN n % 2 = 0 THEN 'parked' WHEN n % 4 = 1 THEN 'redriven' ELSE 'discarded' END, annul_now(),
       CASE WHEN n % 4 = 3 THEN 'the sender published it right' END
  FROM (SELECT current_setting('bench.parked')::bigint AS parked) AS sizes
 CROSS JOIN LATERAL generate_series(1, 2 * parked) AS n

-- name: bench_ops_17_actions
INSERT INTO manual_actions (action_id, refund_id, order_id, kind, revision, actor, reason, asked_at, needs_second,
  approved_by, approved_at, decided_at, outcome)
SELECT 'act_' || n, refund_id, order_id, 'release', 2, 'ada', 'the provider says that it is done', annul_now() - interval '1 hour',
       n % 2000 = 0, NULL, NULL, CASE WHEN n % 2000 > 0 THEN annul_now() END, CASE WHEN n % 2000 > 0 THEN 'applied' END
  FROM planned WHERE cancelled AND state = 'needs_review'

-- name: bench_ops_18_samples
INSERT INTO ops_samples (at, cancellations, lag_s, waiting, waiting_minor, parked)
SELECT date_trunc('minute', annul_now()) - n * interval '1 minute', 1000000 - 100 * n, '{"cancellations": 0.5}', 12000,
       '{"EUR": 5000000}', 50000
  FROM generate_series(1, 2880) AS n

-- name: bench_settle
UPDATE refunds SET state = 'succeeded', state_since = annul_now(), settled_at = annul_now() WHERE state = 'requested'
