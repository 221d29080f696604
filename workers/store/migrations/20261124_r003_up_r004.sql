-- The ops dashboard: what it keeps of its own, and indexes for what its pages ask.

-- ---------------------------------------------------------------- overview, consumers

-- Consumers that a person paused, by the worker's name: it takes nothing until they let it go on.
CREATE TABLE consumer_pauses (
  worker    text PRIMARY KEY,
  paused    boolean NOT NULL,
  reason    text NOT NULL,              -- of the last pause or its end
  by_person text NOT NULL,
  since     timestamptz NOT NULL
);

-- A provider's pause that a person began is not probed: a person ends it.
ALTER TABLE provider_pauses ADD COLUMN by_person text;

-- How many orders were ever cancelled: counted as it is decided, a few too many where a transaction rolled back. To
-- count the orders themselves would mean to read them all.
CREATE SEQUENCE cancellations_counted;

-- What the overview knew at each minute, for a while. Of several dashboards one writes a minute.
CREATE TABLE ops_samples (
  at            timestamptz PRIMARY KEY,
  cancellations bigint NOT NULL,        -- ever
  lag_s         jsonb,                  -- by worker, null where not known; null as a whole: Kafka was away
  waiting       bigint NOT NULL,        -- refunds that are not settled
  waiting_minor jsonb NOT NULL,         -- their money by currency
  parked        bigint NOT NULL
);

-- Refunds that are not settled, the oldest first.
CREATE INDEX refunds_unsettled ON refunds (first_issued_at, refund_id)
  WHERE state NOT IN ('succeeded', 'redirected', 'settled_elsewhere');

-- ---------------------------------------------------------------- refunds, orders, find

-- Refunds by state and how long they are in it, settled ones too: what took the place of refunds_waiting, which left the
-- good way out and so couldn't list it. It costs each refund two entries, when it is asked for and when it succeeds.
CREATE INDEX refunds_in_state ON refunds (state, state_since, refund_id);
DROP INDEX refunds_waiting;

-- An order's refused payouts; payouts_one_allowed has the others.
CREATE INDEX payouts_refused ON payouts (order_id) WHERE NOT allowed;

-- A client's bank names a refund by the reference of the acquirer, which providers tell in the text of an answer.
CREATE INDEX refund_observations_arn ON refund_observations (substring(message FROM 'arn=([0-9A-Za-z]+)'))
  WHERE message LIKE '%arn=%';

-- ---------------------------------------------------------------- parked, chats

-- Open parked messages by reason: counted and listed from here alone, without their bytes.
CREATE INDEX parked_by_reason ON parked_messages (reason, parked_at, parked_id) INCLUDE (topic) WHERE status = 'parked';
-- Those that were put back or given up.
CREATE INDEX parked_done ON parked_messages (status, parked_at, parked_id) WHERE status <> 'parked';

-- Closes of chats that are to come: among all that waits they are few.
CREATE INDEX scheduled_closes ON scheduled_messages (due_at, schedule_id)
  WHERE state = 'waiting' AND schedule_id LIKE 'chat.close:%';

-- What a person decided about a chat's close. With a withdrawal the chat stays open until another order is cancelled.
CREATE TABLE chat_interventions (
  conversation_id text COLLATE "C" NOT NULL,
  revision        bigint NOT NULL,      -- of the conversation, afterwards
  what            text NOT NULL CHECK (what IN ('extended', 'withdrawn')),
  order_id        text COLLATE "C" NOT NULL,
  close_before    timestamptz NOT NULL,
  close_after     timestamptz,
  by_person       text NOT NULL,
  reason          text NOT NULL,
  at              timestamptz NOT NULL,
  PRIMARY KEY (conversation_id, revision),
  CHECK ((what = 'extended') = (close_after IS NOT NULL) AND (close_after IS NULL OR close_after > close_before))
);

-- ---------------------------------------------------------------- who is signed in

-- What one person did, what was done to one thing, one kind of deed: the newest first.
CREATE INDEX audit_entries_actor ON audit_entries (actor, seq);
CREATE INDEX audit_entries_subject ON audit_entries (subject, seq);
CREATE INDEX audit_entries_what ON audit_entries (what, seq);

-- The token itself is the browser's alone.
CREATE TABLE ops_sessions (
  token_hash bytea PRIMARY KEY,
  name       text NOT NULL,
  role       text CHECK (role IN ('viewer', 'operator', 'approver')),  -- as the issuer said; null: the file of users says
  begun_at   timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL
);
