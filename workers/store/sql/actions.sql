-- What people ask to be done with refunds.

-- name: read_order_of_refund
SELECT order_id FROM refunds WHERE refund_id = $1

-- name: read_like_actions
-- The same wish on the same refund as it was seen: a second click is no second action.
SELECT action_id, outcome FROM manual_actions
 WHERE refund_id = $1 AND revision = $2 AND kind = $3 ORDER BY asked_at, action_id

-- name: add_action
INSERT INTO manual_actions (action_id, refund_id, order_id, kind, revision, actor, reason, evidence, asked_at,
  needs_second)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: lock_action
SELECT action_id, refund_id, order_id, kind, revision, actor, reason, evidence, asked_at, needs_second, approved_by,
       approved_at, decided_at, outcome, detail
  FROM manual_actions WHERE action_id = $1
   FOR NO KEY UPDATE

-- name: read_action
SELECT action_id, refund_id, order_id, kind, revision, actor, reason, evidence, asked_at, needs_second, approved_by,
       approved_at, decided_at, outcome, detail
  FROM manual_actions WHERE action_id = $1

-- name: approve_action
UPDATE manual_actions SET approved_by = $2, approved_at = $3 WHERE action_id = $1

-- name: reject_action
UPDATE manual_actions SET outcome = 'rejected', detail = $2, decided_at = $3 WHERE action_id = $1

-- name: list_actions
-- The newest first; filters that are NULL let everything pass.
SELECT a.action_id, a.refund_id, a.order_id, a.kind, a.revision, a.actor, a.reason, a.evidence, a.asked_at,
       a.needs_second, a.approved_by, a.approved_at, a.decided_at, a.outcome, a.detail,
       r.provider, r.amount_minor, r.currency, r.state, r.revision AS revision_now,
       a.outcome IS NULL AND a.needs_second AND a.approved_by IS NULL AS waits_for_approval
  FROM manual_actions AS a JOIN refunds AS r USING (refund_id)
 WHERE (NOT $1::boolean OR a.outcome IS NULL) AND ($2::text IS NULL OR a.refund_id = $2)
 ORDER BY a.asked_at DESC, a.action_id LIMIT $3

-- name: read_hindrances
-- What keeps a provider's commands from being carried out: a dispute about the payment, a provider that is paused.
SELECT EXISTS (SELECT FROM disputes AS d WHERE d.reference = $1 AND d.is_open) AS disputed,
       (SELECT code FROM provider_pauses WHERE provider = $2 AND resumed_at IS NULL) AS paused

-- name: read_refund_history
SELECT revision, state_before, state, code, stepped_at, message_id
  FROM refund_steps WHERE refund_id = $1 ORDER BY revision DESC LIMIT $2

-- name: read_refund_due
SELECT due_at FROM scheduled_messages WHERE schedule_id = 'refund:' || $1 AND state IN ('waiting', 'firing')

-- name: read_refund
SELECT refund_id, order_id, tender_id, client_id, provider, reference, amount_minor, currency, idempotency_key, state,
       attempt, look_up_no, first_issued_at, issued_at, state_since, give_up_at, settled_at, provider_refund_id, code,
       visible_by, redirected_from, redirected_to, gate, gate_look_up, gate_action, revision
  FROM refunds WHERE refund_id = $1

-- name: list_refunds
SELECT refund_id, order_id, tender_id, provider, reference, amount_minor, currency, state, code, state_since AS since,
       gate, provider_refund_id, revision
  FROM refunds WHERE state = $1 AND ($2::text IS NULL OR code = $2)
 ORDER BY state_since, refund_id LIMIT $3
