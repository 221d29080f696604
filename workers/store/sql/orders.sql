-- Locks are taken in one order by everyone: orders, conversations, sellers, refunds; each sorted by its key.

-- name: lock_orders
SELECT order_id, conversation_id, client_id, seller_id, client_locale, seller_locale, placed_at, accepted_at,
       delivered_at, completed_at, cancelled_at, cancelled_by, stage, currency, escrow, reactivation_at, refunded_at,
       payout_allowed_at, payout_held_at, counted_accepted_at, counted_close, counted_close_at, revision
  FROM orders WHERE order_id = ANY($1::text[])
 ORDER BY order_id FOR NO KEY UPDATE

-- name: update_orders
UPDATE orders AS o
   SET conversation_id = b.conversation_id, client_id = b.client_id, seller_id = b.seller_id,
       client_locale = b.client_locale, seller_locale = b.seller_locale, placed_at = b.placed_at,
       accepted_at = b.accepted_at, delivered_at = b.delivered_at, completed_at = b.completed_at,
       cancelled_at = b.cancelled_at, cancelled_by = b.cancelled_by, stage = b.stage, currency = b.currency,
       escrow = b.escrow, reactivation_at = b.reactivation_at, refunded_at = b.refunded_at,
       payout_allowed_at = b.payout_allowed_at, payout_held_at = b.payout_held_at,
       counted_accepted_at = b.counted_accepted_at, counted_close = b.counted_close,
       counted_close_at = b.counted_close_at, revision = b.revision
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
  $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[],
  $15::bytea[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[],
  $21::text[], $22::timestamptz[], $23::bigint[])
    AS b(order_id, conversation_id, client_id, seller_id, client_locale, seller_locale, placed_at, accepted_at,
         delivered_at, completed_at, cancelled_at, cancelled_by, stage, currency, escrow, reactivation_at, refunded_at,
         payout_allowed_at, payout_held_at, counted_accepted_at, counted_close, counted_close_at, revision)
 WHERE o.order_id = b.order_id

-- name: lock_conversations
SELECT conversation_id, placed_order, placed_at, other_placed_at, cancelled_order, cancelled_at, close_at,
       scheduled_revision, revision
  FROM conversations WHERE conversation_id = ANY($1::text[])
 ORDER BY conversation_id FOR NO KEY UPDATE

-- name: update_conversations
UPDATE conversations AS c
   SET placed_order = b.placed_order, placed_at = b.placed_at, other_placed_at = b.other_placed_at,
       cancelled_order = b.cancelled_order, cancelled_at = b.cancelled_at, close_at = b.close_at,
       scheduled_revision = b.scheduled_revision, revision = b.revision
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::timestamptz[],
  $7::timestamptz[], $8::bigint[], $9::bigint[])
    AS b(conversation_id, placed_order, placed_at, other_placed_at, cancelled_order, cancelled_at, close_at,
         scheduled_revision, revision)
 WHERE c.conversation_id = b.conversation_id

-- name: add_sellers
-- A seller that another transaction adds just now is waited for, and locked with the others afterwards.
INSERT INTO sellers (seller_id) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING

-- name: lock_sellers
SELECT seller_id, seq FROM sellers WHERE seller_id = ANY($1::text[]) ORDER BY seller_id FOR NO KEY UPDATE

-- name: update_sellers
UPDATE sellers AS s SET seq = b.seq FROM unnest($1::text[], $2::bigint[]) AS b(seller_id, seq)
 WHERE s.seller_id = b.seller_id
