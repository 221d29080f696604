-- name: begin_reading
-- The first word in a transaction that answers a question beside the money path: one snapshot, no writes, not for long.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = '10s'

-- name: read_now
SELECT annul_now()

-- name: read_seller_parts
-- A seller's counts by UTC day, in parts: the outcomes before each of some numbers ($2, ascending), then the rest. The
-- first day ($3) gathers all before it, the last one ($4) all after it. A correction counts its outcome and takes the
-- replaced one back, each on its own day.
SELECT width_bucket(o.seq, $2::bigint[]) AS part,
       LEAST(GREATEST((c.at AT TIME ZONE 'UTC')::date, $3::date), $4::date) AS day, max(o.seq) AS seq,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'accepted'), 0)::bigint AS accepted,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'cancelled_before_acceptance'), 0)::bigint
         AS cancelled_before_acceptance,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'completed'), 0)::bigint AS completed,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'cancelled_after_acceptance'), 0)::bigint AS cancelled_after_acceptance
  FROM seller_outcomes AS o
 CROSS JOIN LATERAL (VALUES (o.outcome, o.occurred_at, 1), (o.replaces_outcome, o.replaces_occurred_at, -1))
    AS c(kind, at, n)
 WHERE o.seller_id = $1 AND c.kind IS NOT NULL
 GROUP BY 1, 2

-- name: read_outcomes_before
-- The latest outcomes before number $2, each with the time of the one that was counted just before it.
SELECT o.seq, o.order_id, o.outcome, o.occurred_at, o.replaces_outcome, o.replaces_occurred_at,
       p.occurred_at AS previous_at
  FROM seller_outcomes AS o
  LEFT JOIN seller_outcomes AS p ON p.seller_id = o.seller_id AND p.seq = o.seq - 1
 WHERE o.seller_id = $1 AND o.seq < $2
 ORDER BY o.seq DESC LIMIT $3

-- name: read_outcomes_of_orders
-- All outcomes of some orders of a seller: what one took back, and what took it back, are among those of its order. The
-- rules give an order a handful at most.
SELECT o.seq, o.order_id, o.outcome, o.occurred_at, o.replaces_outcome, o.replaces_occurred_at,
       p.occurred_at AS previous_at
  FROM seller_outcomes AS o
  LEFT JOIN seller_outcomes AS p ON p.seller_id = o.seller_id AND p.seq = o.seq - 1
 WHERE o.seller_id = $1 AND o.order_id = ANY($2::text[])
 ORDER BY o.seq
