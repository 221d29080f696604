-- name: read_seller_days
-- What each seller's outcomes come to, up to one of them ($2), by UTC day; the first day ($3) gathers all before it.
-- A correction counts its outcome and takes the replaced one back, each on its own day.
SELECT o.seller_id, GREATEST((c.at AT TIME ZONE 'UTC')::date, $3::date) AS day, max(o.seq) AS seq,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'accepted'), 0)::bigint AS accepted,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'cancelled_before_acceptance'), 0)::bigint
         AS cancelled_before_acceptance,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'completed'), 0)::bigint AS completed,
       COALESCE(sum(c.n) FILTER (WHERE c.kind = 'cancelled_after_acceptance'), 0)::bigint AS cancelled_after_acceptance
  FROM unnest($1::text[], $2::bigint[]) AS a(seller_id, up_to)
  JOIN seller_outcomes AS o ON o.seller_id = a.seller_id AND o.seq <= a.up_to
 CROSS JOIN LATERAL (VALUES (o.outcome, o.occurred_at, 1), (o.replaces_outcome, o.replaces_occurred_at, -1))
    AS c(kind, at, n)
 WHERE c.kind IS NOT NULL
 GROUP BY o.seller_id, 2

-- name: read_sellers_after
-- Sellers in order of their ids, from one on: so that a pass over all of them holds no cursor open.
SELECT seller_id, seq FROM sellers WHERE seller_id > $1 ORDER BY seller_id LIMIT $2

-- name: write_shares
-- The owners' word on their partitions; who heard of a newer one in the meantime writes it again.
INSERT INTO seller_shares (partition, share, sellers, caught_up, process, updated_at)
SELECT b.partition, b.share, b.sellers, b.caught_up, $5, annul_now()
  FROM unnest($1::int[], $2::bytea[], $3::bigint[], $4::boolean[]) AS b(partition, share, sellers, caught_up)
ON CONFLICT (partition) DO UPDATE
   SET share = excluded.share, sellers = excluded.sellers, caught_up = excluded.caught_up, process = excluded.process,
       updated_at = excluded.updated_at

-- name: read_shares
SELECT partition, share, sellers, caught_up, process, updated_at
  FROM seller_shares WHERE partition < $1 ORDER BY partition

-- name: ask_for_rebuild
INSERT INTO seller_rebuilds (partitions, requested_at)
SELECT count(*), annul_now() FROM seller_shares HAVING count(*) > 0
RETURNING rebuild_id, partitions

-- name: read_rebuild_wanted
-- The latest rebuild, and which of these partitions haven't answered it. Earlier ones it takes the place of.
SELECT r.rebuild_id, b.partition
  FROM (SELECT rebuild_id, partitions FROM seller_rebuilds ORDER BY rebuild_id DESC LIMIT 1) AS r
 CROSS JOIN unnest($1::int[]) AS b(partition)
 WHERE b.partition < r.partitions
   AND NOT EXISTS (SELECT FROM seller_rebuild_parts AS p
                    WHERE p.rebuild_id = r.rebuild_id AND p.partition = b.partition)

-- name: answer_rebuild
INSERT INTO seller_rebuild_parts (rebuild_id, partition, process, sellers, differing, finished_at)
VALUES ($1, $2, $3, $4, $5, annul_now()) ON CONFLICT DO NOTHING

-- name: read_rebuild_parts
SELECT partition, process, sellers, differing, finished_at
  FROM seller_rebuild_parts WHERE rebuild_id = $1 ORDER BY partition
