-- Where sellers stand against the others' average, and when they were advised of it.

-- name: read_standings
SELECT seller_id, above, since, advised, advised_at FROM seller_standings WHERE seller_id = ANY($1::text[])

-- name: lock_standings
SELECT seller_id, above, since, advised, advised_at FROM seller_standings
 WHERE seller_id = ANY($1::text[]) ORDER BY seller_id FOR NO KEY UPDATE

-- name: update_seller_standings
UPDATE seller_standings AS s
   SET above = b.above, since = b.since, advised = b.advised, advised_at = b.advised_at
  FROM unnest($1::text[], $2::boolean[], $3::timestamptz[], $4::boolean[], $5::timestamptz[])
    AS b(seller_id, above, since, advised, advised_at)
 WHERE s.seller_id = b.seller_id

-- name: read_waiting_standings
-- Crossed, and not advised because of an earlier advice, which is old enough now ($1); a page after a row ($2, $3).
SELECT seller_id, advised_at FROM seller_standings
 WHERE above AND NOT advised AND advised_at <= $1
   AND ($2::timestamptz IS NULL OR (advised_at, seller_id) > ($2, $3::text))
 ORDER BY advised_at, seller_id LIMIT $4

-- name: read_above_standings
SELECT seller_id FROM seller_standings WHERE above AND seller_id > $1 ORDER BY seller_id LIMIT $2
