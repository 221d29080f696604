-- What a notice says is read as it is now, without locks: the rules hold every fact against it.

-- name: read_told_orders
SELECT order_id, conversation_id, client_id, seller_id, client_locale, seller_locale, cancelled_at, cancelled_by,
       stage, currency, refunded_at, counted_close
  FROM orders WHERE order_id = ANY($1::text[])

-- name: read_told_refunds
-- In two parts, as the indexes are.
SELECT refund_id, order_id, provider, amount_minor, currency, state, settled_at, visible_by, redirected_to, revision
  FROM refunds
 WHERE refund_id IN (
   SELECT refund_id FROM refunds WHERE order_id = ANY($1::text[]) AND state <> 'redirected'
    UNION ALL
   SELECT refund_id FROM refunds WHERE order_id = ANY($1::text[]) AND state = 'redirected')
 ORDER BY order_id, tender_id, first_issued_at

-- name: read_told_bounces
SELECT refund_id, revision FROM refund_steps
 WHERE refund_id = ANY($1::text[]) AND state = 'bounced'
 ORDER BY refund_id, revision

-- name: read_told_conversations
SELECT conversation_id, cancelled_order, cancelled_at, close_at, scheduled_revision, revision
  FROM conversations WHERE conversation_id = ANY($1::text[])

-- name: read_seller_locales
-- The last that is known of each seller. It comes with cancellations; a seller who is advised had some lately.
SELECT s.seller_id, l.seller_locale
  FROM unnest($1::text[]) AS s(seller_id)
 CROSS JOIN LATERAL (
   SELECT o.seller_locale
     FROM (SELECT order_id, outcome, seq FROM seller_outcomes WHERE seller_id = s.seller_id
            ORDER BY seq DESC LIMIT 500) AS lately
     JOIN orders AS o USING (order_id)
    WHERE lately.outcome IN ('cancelled_before_acceptance', 'cancelled_after_acceptance')
      AND o.seller_locale IS NOT NULL
    ORDER BY lately.seq DESC LIMIT 1) AS l

-- name: read_notices
SELECT notification_id, order_id, decided_at FROM notices WHERE order_id = ANY($1::text[])

-- name: insert_notices
-- Once a fact and person: who comes second with it finds it told, whatever brought it and whoever decides just now.
INSERT INTO notices (notification_id, order_id, recipient_kind, about, decided_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT DO NOTHING
RETURNING notification_id
