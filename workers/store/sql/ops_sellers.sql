-- What the dashboard asks about one seller.

-- name: read_seller_rates
-- The cancellation rate of each of the last days ($2: how many, the last is $3), in the window of $4 days that ends with
-- it. A correction takes the replaced outcome back on that one's own day.
WITH days AS (
  SELECT $3::date - n AS day FROM generate_series(0, $2::int + $4::int - 2) AS n
), counted AS (
  SELECT (c.at AT TIME ZONE 'UTC')::date AS day,
         sum(c.n) FILTER (WHERE c.kind LIKE 'cancelled%') AS cancelled,
         sum(c.n) FILTER (WHERE c.kind <> 'accepted') AS closed
    FROM seller_outcomes AS o
   CROSS JOIN LATERAL (VALUES (o.outcome, o.occurred_at, 1), (o.replaces_outcome, o.replaces_occurred_at, -1))
      AS c(kind, at, n)
   WHERE o.seller_id = $1 AND c.kind IS NOT NULL
   GROUP BY 1
), rolled AS (
  SELECT day, sum(COALESCE(cancelled, 0)) OVER back AS cancelled, sum(COALESCE(closed, 0)) OVER back AS closed
    FROM days LEFT JOIN counted USING (day)
  WINDOW back AS (ORDER BY day RANGE BETWEEN ($4::int - 1) * interval '1 day' PRECEDING AND CURRENT ROW)
)
SELECT day, cancelled::bigint AS cancelled, closed::bigint AS closed
  FROM rolled WHERE day > $3::date - $2::int ORDER BY day

-- name: read_seller_standing
SELECT above, since, advised, advised_at FROM seller_standings WHERE seller_id = $1
