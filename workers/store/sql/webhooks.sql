-- name: add_provider_events
-- Gives back those that are new. Who brings the same event at the same time waits here for the other.
INSERT INTO provider_events (provider, event_id, kind, recorded_at)
SELECT t.provider, t.event_id, t.kind, $4 FROM unnest($1::text[], $2::text[], $3::text[]) AS t(provider, event_id, kind)
 ORDER BY t.provider, t.event_id
ON CONFLICT DO NOTHING
RETURNING provider, event_id

-- name: forget_provider_events
-- Of events that are parked in the same transaction: put back, they must not be taken for repetitions.
DELETE FROM provider_events WHERE (provider, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- name: read_refunds_heard_of
-- Refunds that news may be about: by our id, by the provider's id as it was heard before, by the payment.
WITH heard AS (
  SELECT refund_id, provider_refund_id FROM refund_facts WHERE provider_refund_id = ANY($2::text[])
), wanted AS (
  SELECT unnest($1::text[]) AS refund_id
   UNION
  SELECT refund_id FROM heard
   UNION
  SELECT refund_id FROM refunds WHERE reference = ANY($3::text[]) AND provider <> 'wallet'
)
SELECT r.refund_id, r.order_id, r.provider, r.reference, r.attempt, r.provider_refund_id, r.tender_id, r.currency,
       o.escrow, (SELECT min(p.first_issued_at) FROM refunds AS p
                   WHERE p.order_id = r.order_id AND p.tender_id = r.tender_id) AS asked_at,
       ARRAY(SELECT h.provider_refund_id FROM heard AS h WHERE h.refund_id = r.refund_id) AS heard
  FROM refunds AS r JOIN orders AS o USING (order_id) WHERE r.refund_id IN (SELECT refund_id FROM wanted)
 ORDER BY r.refund_id

-- name: upsert_disputes
-- An older event never reopens what a later one closed; of two of one second the one that closes holds.
WITH told AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[])
      AS t(provider, dispute_id, reference, status, is_open, heard_at)
), known AS MATERIALIZED (
  SELECT d.provider, d.dispute_id, d.reference, d.is_open
    FROM disputes AS d JOIN told USING (provider, dispute_id, reference)
   ORDER BY 1, 2, 3 FOR NO KEY UPDATE OF d
), moved AS (
  INSERT INTO disputes AS d (provider, dispute_id, reference, status, is_open, heard_at)
  SELECT told.* FROM told LEFT JOIN known USING (provider, dispute_id, reference)
  ON CONFLICT (provider, dispute_id, reference) DO UPDATE
     SET status = excluded.status, is_open = excluded.is_open, heard_at = excluded.heard_at
   WHERE excluded.heard_at > d.heard_at OR (excluded.heard_at = d.heard_at AND NOT excluded.is_open)
  RETURNING d.provider, d.dispute_id, d.reference, d.is_open
)
SELECT m.provider, m.dispute_id, m.reference, m.is_open AND k.is_open IS NOT TRUE AS opened
  FROM moved AS m LEFT JOIN known AS k USING (provider, dispute_id, reference)

-- name: read_disputed_refunds
-- All refunds of a payment that is disputed, and of their orders whatever isn't settled yet.
WITH payments AS (
  SELECT DISTINCT r.provider, r.reference, r.order_id
    FROM unnest($1::text[], $2::text[]) AS b(provider, reference)
    JOIN refunds AS r ON r.reference = b.reference AND r.provider = b.provider AND r.provider <> 'wallet'
)
SELECT p.provider, p.reference, r.refund_id, r.order_id
  FROM payments AS p JOIN refunds AS r ON r.order_id = p.order_id
 WHERE (r.provider = p.provider AND r.reference = p.reference)
    OR r.state NOT IN ('succeeded', 'redirected', 'settled_elsewhere')
 ORDER BY p.provider, p.reference, r.refund_id
