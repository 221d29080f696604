-- One order's whole story, read in one snapshot. Each part is bounded: a refund that is looked up every few minutes
-- for days has thousands of answers, and the first ones tell as much as all.

-- name: read_order
SELECT order_id, conversation_id, client_id, seller_id, client_locale, seller_locale, placed_at, accepted_at,
       delivered_at, completed_at, cancelled_at, cancelled_by, stage, currency, escrow, reactivation_at, refunded_at,
       counted_accepted_at, counted_close, counted_close_at, revision
  FROM orders WHERE order_id = $1

-- name: read_order_refunds
-- In two halves, as the indexes are: the live ones and those that were given up.
SELECT refund_id, order_id, tender_id, client_id, provider, reference, amount_minor, currency, idempotency_key, state,
       attempt, look_up_no, first_issued_at, issued_at, state_since, give_up_at, settled_at, provider_refund_id, code,
       visible_by, redirected_from, redirected_to, gate, gate_look_up, gate_action, revision
  FROM (SELECT * FROM refunds WHERE order_id = $1 AND state <> 'redirected'
         UNION ALL
        SELECT * FROM refunds WHERE order_id = $1 AND state = 'redirected') AS r
 ORDER BY first_issued_at, tender_id, refund_id

-- name: read_refunds_attempts
SELECT refund_id, attempt, claimed_by, claimed_at, lease_until
  FROM refund_attempts WHERE refund_id = ANY($1::text[])
 ORDER BY claimed_at, refund_id, attempt LIMIT $2

-- name: read_refunds_observations
SELECT refund_id, message_id, attempt, outcome, via, provider_refund_id, provider_code, message, look_up_no,
       observed_at, recorded_at, state_after, revision_after
  FROM refund_observations WHERE refund_id = ANY($1::text[])
 ORDER BY observation_id LIMIT $2

-- name: read_refunds_steps
SELECT refund_id, revision, state_before, state, code, stepped_at, message_id
  FROM refund_steps WHERE refund_id = ANY($1::text[])
 ORDER BY stepped_at, refund_id, revision LIMIT $2

-- name: read_refunds_facts
SELECT refund_id, provider_refund_id, standing, code, heard_at
  FROM refund_facts WHERE refund_id = ANY($1::text[])
 ORDER BY heard_at, refund_id, provider_refund_id LIMIT $2

-- name: read_refunds_actions
-- Without reasons and evidence, which may be personal: `annul refund actions` shows them to who asks.
SELECT action_id, refund_id, kind, revision, actor, asked_at, needs_second, approved_by, approved_at, decided_at, outcome,
       CASE WHEN outcome = 'refused' THEN detail END AS code
  FROM manual_actions WHERE refund_id = ANY($1::text[])
 ORDER BY asked_at, action_id LIMIT $2

-- name: read_payments_disputes
SELECT provider, dispute_id, reference, status, is_open, heard_at
  FROM disputes WHERE reference = ANY($1::text[])
 ORDER BY heard_at, dispute_id LIMIT $2

-- name: read_order_notices
SELECT notification_id, recipient_kind, about, decided_at
  FROM notices WHERE order_id = $1
 ORDER BY decided_at, notification_id LIMIT $2

-- name: read_order_transfers
SELECT transfer_id, refund_id, kind, debit_account, credit_account, amount_minor, currency, posted_at
  FROM ledger_transfers WHERE order_id = $1
 ORDER BY posted_at, transfer_id LIMIT $2

-- name: read_conversation
SELECT conversation_id, placed_order, placed_at, other_placed_at, cancelled_order, cancelled_at, close_at,
       scheduled_revision, revision
  FROM conversations WHERE conversation_id = $1

-- name: read_chat_schedule
-- By the ids' beginning, which the primary key serves: "chat.close:<conversation>:" and the reminder's. An id may hold
-- a colon itself, so the subject has the last word.
SELECT schedule_id, due_at, revision, message, state, firing_since, fired_at
  FROM scheduled_messages
 WHERE ((schedule_id >= 'chat.close:' || $1 || ':' AND schedule_id < 'chat.close:' || $1 || ';')
     OR (schedule_id >= 'chat.closing_soon:' || $1 || ':' AND schedule_id < 'chat.closing_soon:' || $1 || ';'))
   AND subject = $1
 ORDER BY due_at LIMIT $2

-- name: read_refunds_schedule
SELECT subject AS refund_id, due_at, message, state
  FROM scheduled_messages
 WHERE schedule_id IN (SELECT 'refund:' || refund_id FROM unnest($1::text[]) AS r(refund_id))

-- name: read_order_outcomes
SELECT seller_id, seq, outcome, occurred_at, replaces_outcome, replaces_occurred_at
  FROM seller_outcomes WHERE seller_id = $1 AND order_id = $2
 ORDER BY seq

-- name: read_order_parked
-- One that could not be read says of no order, but its key does.
SELECT parked_id, topic, reason, field, detail, stage, message_id, message_type, parked_at, status, status_at,
       earlier_parked_id
  FROM parked_messages
 WHERE order_id = $1 OR (order_id IS NULL AND key = convert_to($1, 'UTF8'))
 ORDER BY parked_at, topic, partition, record_offset LIMIT $2
