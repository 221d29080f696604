-- Who is signed in to the dashboard.

-- name: insert_session
INSERT INTO ops_sessions (token_hash, name, role, proof, id_token, begun_at, seen_at)
VALUES ($1, $2, $3, $4, $5, annul_now(), annul_now())

-- name: touch_session
-- Whose session it is, if its time isn't over. Where somebody was there ($4) it is written down once a minute, not each
-- time.
WITH found AS (
  SELECT token_hash, name, role, proof, seen_at FROM ops_sessions
   WHERE token_hash = $1 AND seen_at > annul_now() - $2::interval AND begun_at > annul_now() - $3::interval
), touched AS (
  UPDATE ops_sessions AS s SET seen_at = annul_now() FROM found AS f
   WHERE $4::boolean AND s.token_hash = f.token_hash AND f.seen_at < annul_now() - interval '1 minute'
)
SELECT name, role, proof FROM found

-- name: delete_session
DELETE FROM ops_sessions WHERE token_hash = $1 RETURNING name, id_token

-- name: delete_old_sessions
DELETE FROM ops_sessions WHERE seen_at <= annul_now() - $1::interval OR begun_at <= annul_now() - $2::interval
