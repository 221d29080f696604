-- Who did what and when: entries that are bound to each other by their hashes.

-- name: lock_audit
-- Held until the transaction ends: entries are numbered one after the other, without gaps.
SELECT pg_advisory_xact_lock($1)

-- name: read_audit_head
SELECT seq, hash FROM audit_entries ORDER BY seq DESC LIMIT 1

-- name: read_audit_chain
SELECT seq, at, actor, what, subject, detail, prev_hash, hash FROM audit_entries ORDER BY seq

-- name: read_audit_chain_after
SELECT seq, at, actor, what, subject, detail, prev_hash, hash FROM audit_entries WHERE seq > $1 ORDER BY seq

-- name: read_audit_hash
SELECT hash FROM audit_entries WHERE seq = $1

-- name: list_audit
-- The newest first; filters that are NULL let everything pass.
SELECT seq, at, actor, what, subject, detail, encode(hash, 'hex') AS hash
  FROM audit_entries
 WHERE ($1::text IS NULL OR subject = $1) AND ($2::text IS NULL OR actor = $2)
 ORDER BY seq DESC LIMIT $3

-- name: read_all_actions
-- What people asked for, beside what the entries say of it.
SELECT action_id, refund_id, order_id, kind, revision, actor, reason, evidence, asked_at, needs_second, approved_by,
       approved_at, decided_at, outcome, detail
  FROM manual_actions ORDER BY action_id

-- name: list_audit_page
-- The entries before one, the newest first.
SELECT seq, at, actor, what, subject, detail
  FROM audit_entries
 WHERE seq < $1 AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR subject = $3)
   AND ($4::text IS NULL OR what = $4)
 ORDER BY seq DESC LIMIT $5
