-- name: lock_refunds
-- Of whole orders: whether an order is refunded depends on all of its refunds.
WITH wanted AS (
  SELECT refund_id FROM refunds WHERE order_id = ANY($1::text[]) AND state <> 'redirected'
   UNION ALL
  SELECT refund_id FROM refunds WHERE order_id = ANY($1::text[]) AND state = 'redirected'
)
SELECT refund_id, order_id, tender_id, client_id, provider, reference, amount_minor, currency, idempotency_key, state,
       attempt, look_up_no, first_issued_at, issued_at, state_since, give_up_at, settled_at, provider_refund_id, code,
       visible_by, redirected_from, redirected_to, gate, gate_look_up, gate_action, revision
  FROM refunds WHERE refund_id IN (SELECT refund_id FROM wanted)
 ORDER BY refund_id FOR NO KEY UPDATE

-- name: read_claims
SELECT refund_id, attempt, claimed_at, lease_until FROM refund_attempts WHERE refund_id = ANY($1::text[])

-- name: read_answered
-- Attempts whose call ended with a definite answer. A time-out is none: the provider may still be at it.
SELECT DISTINCT refund_id, attempt FROM refund_observations
 WHERE refund_id = ANY($1::text[]) AND via = 'call' AND outcome <> 'uncertain'

-- name: read_facts
SELECT refund_id, provider_refund_id, standing, code, heard_at FROM refund_facts WHERE refund_id = ANY($1::text[])

-- name: read_paid_elsewhere
-- Marked by a person once, whatever has happened to them since.
SELECT DISTINCT refund_id FROM refund_steps WHERE refund_id = ANY($1::text[]) AND state = 'settled_elsewhere'

-- name: store_facts
INSERT INTO refund_facts AS f (refund_id, provider_refund_id, standing, code, heard_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (refund_id, provider_refund_id) DO UPDATE
   SET standing = excluded.standing, code = excluded.code, heard_at = excluded.heard_at

-- name: lock_actions
-- What people asked for, and nobody has decided yet.
SELECT action_id, refund_id, kind, revision, evidence, needs_second AND approved_by IS NULL AS unapproved
  FROM manual_actions WHERE action_id = ANY($1::text[]) AND outcome IS NULL
 ORDER BY action_id FOR NO KEY UPDATE

-- name: decide_actions
UPDATE manual_actions AS a SET outcome = b.outcome, detail = b.detail, decided_at = $4
  FROM unnest($1::text[], $2::text[], $3::text[]) AS b(action_id, outcome, detail)
 WHERE a.action_id = b.action_id

-- name: update_refunds
UPDATE refunds AS r
   SET state = b.state, attempt = b.attempt, look_up_no = b.look_up_no, issued_at = b.issued_at,
       state_since = b.state_since, give_up_at = b.give_up_at, settled_at = b.settled_at,
       provider_refund_id = b.provider_refund_id, code = b.code, visible_by = b.visible_by,
       redirected_to = b.redirected_to, gate = b.gate, gate_look_up = b.gate_look_up, gate_action = b.gate_action,
       revision = b.revision
  FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
              $8::timestamptz[], $9::text[], $10::text[], $11::date[], $12::text[], $13::text[], $14::int[],
              $15::text[], $16::bigint[])
    AS b(refund_id, state, attempt, look_up_no, issued_at, state_since, give_up_at, settled_at, provider_refund_id,
         code, visible_by, redirected_to, gate, gate_look_up, gate_action, revision)
 WHERE r.refund_id = b.refund_id

-- name: insert_observations
INSERT INTO refund_observations (refund_id, message_id, attempt, outcome, via, provider_refund_id, provider_code,
  message, look_up_no, observed_at, recorded_at, state_after, revision_after)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::int[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bigint[])

-- name: credit_wallets
-- The wallet is this ledger: a credit that is already here was given by an earlier attempt.
INSERT INTO ledger_transfers (order_id, transfer_id, refund_id, kind, debit_account, credit_account, amount_minor,
  currency, posted_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
  $9::timestamptz[])
ON CONFLICT DO NOTHING

-- name: lock_to_claim
-- In a statement of its own: what the next one reads was committed before these locks were had.
SELECT refund_id FROM refunds WHERE refund_id = ANY($1::text[]) ORDER BY refund_id FOR NO KEY UPDATE

-- name: claim_attempts
-- One claim an attempt, and only of the attempt that is live now, as it was issued. The refund is locked, so whoever
-- decides refunds and whoever claims see each other's work. What can't be claimed comes back with what is known.
-- $11: how long the provider keeps a key, less the longest stall, counted from the first claim (null: for ever).
WITH wanted AS (
  SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[])
  WITH ORDINALITY AS t(refund_id, attempt, provider, reference, amount_minor, currency, idempotency_key, order_id, place)
), locked AS MATERIALIZED (
  SELECT r.refund_id, r.state, r.attempt, r.provider, r.reference, r.amount_minor, r.currency, r.idempotency_key,
         r.order_id, r.client_id, r.tender_id, r.redirected_from
    FROM refunds AS r
   WHERE r.refund_id IN (SELECT refund_id FROM wanted)
   ORDER BY r.refund_id
     FOR NO KEY UPDATE
), matched AS (
  SELECT w.place, w.refund_id, w.attempt, l.client_id, l.refund_id IS NOT NULL AS known,
         (w.provider, w.reference, w.amount_minor, w.currency, w.idempotency_key, w.order_id)
         IS NOT DISTINCT FROM
         (l.provider, l.reference, l.amount_minor, l.currency, l.idempotency_key, l.order_id) AS agrees,
         l.state = 'requested' AND l.attempt = w.attempt
           AND NOT EXISTS (SELECT FROM refund_attempts AS a WHERE a.refund_id = l.refund_id AND a.attempt = w.attempt)
           AS live,
         annul_now() + $10::interval
           > (SELECT min(a.claimed_at) FROM refund_attempts AS a WHERE a.refund_id = l.refund_id) + $11::interval
           AS forgotten,
         EXISTS (SELECT FROM disputes AS d WHERE d.reference = l.reference AND d.is_open AND l.provider <> 'wallet')
           -- What a redirect sends to the wallet was paid otherwise; a person may have weighed that.
           OR (l.redirected_from IS NOT NULL
               AND EXISTS (SELECT FROM refunds AS f JOIN disputes AS d ON d.reference = f.reference AND d.is_open
                            WHERE f.order_id = l.order_id AND f.tender_id = l.tender_id AND f.provider <> 'wallet')
               AND NOT EXISTS (SELECT FROM manual_actions AS a
                                WHERE a.refund_id = l.redirected_from AND a.kind = 'redirect'
                                  AND a.outcome = 'applied')) AS disputed
    FROM wanted AS w LEFT JOIN locked AS l USING (refund_id)
), claimed AS (
  INSERT INTO refund_attempts (refund_id, attempt, claimed_by, claimed_at, lease_until)
  SELECT DISTINCT m.refund_id, m.attempt, $9::text, annul_now(), annul_now() + $10::interval
    FROM matched AS m
   WHERE m.agrees AND m.live AND NOT m.disputed AND m.forgotten IS NOT TRUE
  ON CONFLICT DO NOTHING
  RETURNING refund_id, attempt
)
SELECT m.known, m.agrees, m.client_id, m.live AND m.disputed AS disputed,
       m.live AND m.forgotten IS TRUE AS forgotten, c.refund_id IS NOT NULL AS claimed
  FROM matched AS m
  LEFT JOIN claimed AS c ON c.refund_id = m.refund_id AND c.attempt = m.attempt
 ORDER BY m.place

-- name: read_wallet_credits
SELECT refund_id FROM ledger_transfers
 WHERE (order_id, transfer_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
