-- The whole life of a refund: facts, gates, redirects, disputes, webhooks, pauses, people's actions and their audit.

-- ---------------------------------------------------------------- refunds

ALTER TABLE refunds DISABLE TRIGGER refunds_kept;
ALTER TABLE refunds
  ADD COLUMN give_up_at     timestamptz,          -- no attempt begins after it; a renewed refund keeps its first one's
  ADD COLUMN gate           text CHECK (gate IN ('redirect', 'renew', 'settle', 'frozen')),
  ADD COLUMN gate_look_up   int,                  -- the look-up whose empty answer opens the gate
  ADD COLUMN gate_action    text COLLATE "C";     -- the person's action that asked for it; null: a rule did
UPDATE refunds SET give_up_at = first_issued_at + interval '5 days';
ALTER TABLE refunds ALTER COLUMN give_up_at SET NOT NULL;
ALTER TABLE refunds ENABLE TRIGGER refunds_kept;
ALTER TABLE refunds DROP CONSTRAINT refunds_state_check, ADD CONSTRAINT refunds_state_check CHECK (state IN (
  'requested', 'pending', 'succeeded', 'declined', 'retrying', 'uncertain', 'bounced', 'redirected', 'needs_review',
  'settled_elsewhere'));
ALTER TABLE refunds ADD CONSTRAINT refunds_gate_of_state CHECK (
  gate IS NULL OR state IN ('declined', 'bounced', 'retrying', 'needs_review'));
-- A refund names the one that takes its place in the statement before that one is there.
ALTER TABLE refunds ALTER CONSTRAINT refunds_redirected_to_fkey DEFERRABLE INITIALLY DEFERRED;
-- A dispute names the payment and nothing else.
CREATE INDEX refunds_reference ON refunds (reference) WHERE provider <> 'wallet';

-- What a provider made of a refund, by the provider's own id. It only ever moves forward: pending, succeeded, failed.
CREATE TABLE refund_facts (
  refund_id          text COLLATE "C" NOT NULL REFERENCES refunds,
  provider_refund_id text COLLATE "C" NOT NULL,
  standing           text NOT NULL CHECK (standing IN ('pending', 'succeeded', 'failed')),
  code               text,
  heard_at           timestamptz NOT NULL,        -- when this standing was first heard
  PRIMARY KEY (refund_id, provider_refund_id)
);
CREATE INDEX refund_facts_provider ON refund_facts (provider_refund_id);

CREATE FUNCTION keep_fact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR array_position(ARRAY['pending', 'succeeded', 'failed'], NEW.standing)
                         <= array_position(ARRAY['pending', 'succeeded', 'failed'], OLD.standing) THEN
    RAISE EXCEPTION 'what is known of % only moves forward', OLD.provider_refund_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refund_facts_kept BEFORE UPDATE OR DELETE ON refund_facts FOR EACH ROW EXECUTE FUNCTION keep_fact();

-- Every step of a refund after its request, and what caused it.
CREATE TABLE refund_steps (
  refund_id    text COLLATE "C" NOT NULL REFERENCES refunds,
  revision     bigint NOT NULL,
  state_before text NOT NULL,
  state        text NOT NULL,
  code         text,
  stepped_at   timestamptz NOT NULL,
  message_id   text NOT NULL,
  PRIMARY KEY (refund_id, revision)
);
CREATE TRIGGER refund_steps_append_only BEFORE UPDATE OR DELETE ON refund_steps
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What is known from before. A bounced refund was sent straight to review, and counted as settled all the same.
ALTER TABLE refunds DISABLE TRIGGER refunds_kept;
UPDATE refunds AS r SET settled_at = NULL
 WHERE EXISTS (SELECT FROM ledger_transfers AS l
                WHERE l.order_id = r.order_id AND l.refund_id = r.refund_id AND l.kind = 'refund_bounced');
ALTER TABLE refunds ENABLE TRIGGER refunds_kept;
INSERT INTO refund_facts (refund_id, provider_refund_id, standing, code, heard_at)
SELECT refund_id, provider_refund_id,
       CASE WHEN settled_at IS NOT NULL THEN 'succeeded' WHEN state = 'pending' THEN 'pending' ELSE 'failed' END,
       code, state_since
  FROM refunds WHERE provider_refund_id IS NOT NULL;
INSERT INTO refund_steps (refund_id, revision, state_before, state, code, stepped_at, message_id)
SELECT refund_id, revision, 'requested', state, code, state_since, 'migration' FROM refunds WHERE state <> 'requested';

-- ---------------------------------------------------------------- what providers say by themselves

-- Every event that a provider sent, once: a replay within the signature's tolerance is known by its id.
CREATE TABLE provider_events (
  provider    text NOT NULL,
  event_id    text COLLATE "C" NOT NULL,
  kind        text NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (provider, event_id)
);

-- A payment that the client's bank took back, or may: nothing of it is refunded meanwhile, lest it be paid twice.
CREATE TABLE disputes (
  provider   text NOT NULL,
  dispute_id text COLLATE "C" NOT NULL,
  reference  text COLLATE "C" NOT NULL,
  status     text NOT NULL,
  is_open    boolean NOT NULL,
  heard_at   timestamptz NOT NULL,
  PRIMARY KEY (provider, dispute_id, reference)
);
CREATE INDEX disputes_reference ON disputes (reference);

-- A provider that is down, or that refuses our credentials: nobody calls it until a probe went through.
CREATE TABLE provider_pauses (
  provider   text PRIMARY KEY,
  paused_at  timestamptz NOT NULL,
  code       text NOT NULL,
  detail     text,
  probe_at   timestamptz NOT NULL,      -- the next probe; who moves it on is who probes
  probes     int NOT NULL DEFAULT 0,
  resumed_at timestamptz                -- null while it is paused
);

-- What was found where the providers' lists and ours were compared.
CREATE TABLE reconciliations (
  run_id      text COLLATE "C" PRIMARY KEY,
  started_at  timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  period_from timestamptz NOT NULL,
  period_to   timestamptz NOT NULL,
  differences int NOT NULL,
  report      jsonb NOT NULL
);
CREATE TRIGGER reconciliations_append_only BEFORE UPDATE OR DELETE ON reconciliations
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- ---------------------------------------------------------------- people

-- What a person was told, once a fact: who has the id was told.
CREATE TABLE notices (
  notification_id text COLLATE "C" PRIMARY KEY,
  order_id        text COLLATE "C",
  recipient_kind  text NOT NULL,
  about           text NOT NULL,
  decided_at      timestamptz NOT NULL
);
CREATE INDEX notices_order ON notices (order_id);

-- What a person asked to be done with a refund. Who decides refunds carries it out, if the refund is still as seen.
CREATE TABLE manual_actions (
  action_id    text COLLATE "C" PRIMARY KEY,
  refund_id    text COLLATE "C" NOT NULL REFERENCES refunds,
  order_id     text COLLATE "C" NOT NULL,
  kind         text NOT NULL CHECK (kind IN (
                 'retry', 'look_up', 'redirect', 'settle', 'mark_settled', 'mark_failed', 'release')),
  revision     bigint NOT NULL,         -- the refund's, as the person saw it
  actor        text NOT NULL,
  reason       text NOT NULL,
  evidence     text,
  asked_at     timestamptz NOT NULL,
  needs_second boolean NOT NULL,
  approved_by  text,
  approved_at  timestamptz,
  decided_at   timestamptz,
  outcome      text CHECK (outcome IN ('applied', 'refused', 'rejected')),
  detail       text,
  CHECK (approved_by IS NULL OR approved_by <> actor),
  CHECK ((decided_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX manual_actions_refund ON manual_actions (refund_id);
CREATE INDEX manual_actions_open ON manual_actions (asked_at) WHERE outcome IS NULL;

-- What was asked for and decided stays as it is.
CREATE FUNCTION keep_action() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR OLD.outcome IS NOT NULL
     OR (OLD.action_id, OLD.refund_id, OLD.order_id, OLD.kind, OLD.revision, OLD.actor, OLD.reason, OLD.evidence,
         OLD.asked_at, OLD.needs_second)
     IS DISTINCT FROM (NEW.action_id, NEW.refund_id, NEW.order_id, NEW.kind, NEW.revision, NEW.actor, NEW.reason,
         NEW.evidence, NEW.asked_at, NEW.needs_second)
     OR (OLD.approved_by IS NOT NULL AND NEW.approved_by IS DISTINCT FROM OLD.approved_by) THEN
    RAISE EXCEPTION 'action % may not be taken away, nor what was asked for or decided', OLD.action_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER manual_actions_kept BEFORE UPDATE OR DELETE ON manual_actions FOR EACH ROW EXECUTE FUNCTION keep_action();

-- Who did what and when, each entry bound to the one before by its hash.
CREATE TABLE audit_entries (
  seq       bigint PRIMARY KEY CHECK (seq >= 1),
  at        timestamptz NOT NULL,
  actor     text NOT NULL,
  what      text NOT NULL,
  subject   text NOT NULL,
  detail    text NOT NULL,              -- canonical JSON
  prev_hash bytea NOT NULL,
  hash      bytea NOT NULL
);
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
