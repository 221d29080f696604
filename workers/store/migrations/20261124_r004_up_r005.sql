-- A session of the dashboard is over with the password that it began with, and at the issuer that signed it in.
-- Those from before can't tell how they began: people sign in again.
DELETE FROM ops_sessions;
ALTER TABLE ops_sessions
  ADD COLUMN proof    bytea NOT NULL,  -- of what they proved who they are by: with another password it is over
  ADD COLUMN id_token text CHECK (octet_length(id_token) <= 16384);  -- the issuer's, wanted back when they sign out
