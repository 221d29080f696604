-- name: read_payouts
SELECT payout_id, order_id, seller_id, amount_minor, currency, requested_at, allowed, reason, decided_at
  FROM payouts WHERE payout_id = ANY($1::text[])
