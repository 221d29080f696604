-- Disputes as people see and close them; webhooks.sql has what providers tell of them.

-- name: list_disputes
-- The ones that stand open longest first, then the others, what was heard last first; with the refunds of the payment.
SELECT d.provider, d.dispute_id, d.reference, d.status, d.is_open, d.heard_at,
       ARRAY(SELECT r.refund_id FROM refunds AS r WHERE r.reference = d.reference AND r.provider = d.provider
              ORDER BY r.refund_id) AS refunds
  FROM disputes AS d
 WHERE NOT $1::boolean OR d.is_open
 ORDER BY d.is_open DESC, CASE WHEN d.is_open THEN d.heard_at END, d.heard_at DESC, d.dispute_id, d.reference
 LIMIT $2

-- name: read_open_disputes
-- About the payment of a refund; of one that was redirected, about the payment that it goes back to.
SELECT d.provider, d.dispute_id, d.reference, d.status, d.heard_at
  FROM disputes AS d
 WHERE d.is_open AND d.reference IN (
         SELECT p.reference FROM refunds AS r JOIN refunds AS p USING (order_id, tender_id)
          WHERE r.refund_id = $1 AND p.provider <> 'wallet')
 ORDER BY d.heard_at, d.dispute_id

-- name: lock_dispute
-- A dispute may be about several payments.
SELECT provider, dispute_id, reference, status, is_open, heard_at
  FROM disputes WHERE dispute_id = $1
 ORDER BY provider, dispute_id, reference FOR NO KEY UPDATE

-- name: close_dispute
-- Heard now: what its provider told before, and comes late, doesn't open it again.
UPDATE disputes SET status = 'closed_by_hand', is_open = false, heard_at = GREATEST(heard_at, annul_now())
 WHERE dispute_id = $1 AND is_open
RETURNING provider, dispute_id, reference, status, is_open, heard_at
