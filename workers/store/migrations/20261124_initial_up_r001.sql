-- The first form of the store. PostgreSQL decides: what a message caused is here before Kafka's offset moves.

-- One clock for every decision and every timer. A simulation sets annul.now; otherwise it is the server's clock.
CREATE FUNCTION annul_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT COALESCE(NULLIF(current_setting('annul.now', true), '')::timestamptz, clock_timestamp())
$$;

CREATE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- ---------------------------------------------------------------- the way of a message

-- How far each group has decided, committed with the decisions themselves. Ahead of Kafka's own offset after a
-- crash, never behind it; a batch moves it from where it expects it to be, so of two processes one gives up.
CREATE TABLE consumer_offsets (
  consumer_group text COLLATE "C" NOT NULL,
  topic          text COLLATE "C" NOT NULL,
  partition      int  NOT NULL,
  topic_id       text NOT NULL,
  next_offset    bigint NOT NULL CHECK (next_offset >= 0),
  PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 50);

-- What the decided messages of a partition caused, as bytes, until Kafka's offset has moved past them. A process
-- that takes the partition over sends these again: the same messages under the same ids.
CREATE TABLE emissions (
  consumer_group text COLLATE "C" NOT NULL,
  topic          text COLLATE "C" NOT NULL,
  partition      int  NOT NULL,
  next_offset    bigint NOT NULL,
  messages       bytea NOT NULL,
  PRIMARY KEY (consumer_group, topic, partition, next_offset)
);
ALTER TABLE emissions ALTER COLUMN messages SET STORAGE EXTERNAL;  -- lives for moments: not worth compressing

CREATE TABLE parked_messages (
  parked_id      text COLLATE "C" NOT NULL,   -- topic:partition:offset
  topic_id       text NOT NULL,               -- a topic made anew counts its offsets from 0 again
  consumer_group text NOT NULL,
  topic          text COLLATE "C" NOT NULL,
  partition      int NOT NULL,
  record_offset  bigint NOT NULL,
  key            bytea,
  value          bytea,
  headers        bytea NOT NULL,              -- MessagePack: [[name, bytes], …]
  reason         text NOT NULL,
  field          text NOT NULL,
  detail         text NOT NULL,
  stage          text NOT NULL,
  message_id     text,
  message_type   text,
  order_id       text COLLATE "C",
  parked_at      timestamptz NOT NULL,
  status         text NOT NULL DEFAULT 'parked' CHECK (status IN ('parked', 'redriven', 'discarded')),
  status_at      timestamptz NOT NULL,
  status_reason  text,
  earlier_parked_id text,                     -- it was redriven before, from this one
  PRIMARY KEY (parked_id, topic_id)
);
CREATE INDEX parked_open ON parked_messages (parked_at, parked_id) WHERE status = 'parked';
CREATE INDEX parked_order ON parked_messages (order_id) WHERE order_id IS NOT NULL;
-- One that could not be read is found by its key, which may be of any length: so by its hash.
CREATE INDEX parked_unread ON parked_messages USING hash (key) WHERE order_id IS NULL;
CREATE INDEX parked_again ON parked_messages (earlier_parked_id) WHERE earlier_parked_id IS NOT NULL;

-- The one mechanism for "later": chat closes, reminders, refunds that wait, redrives.
CREATE TABLE scheduled_messages (
  schedule_id  text COLLATE "C" PRIMARY KEY,
  subject      text COLLATE "C" NOT NULL,
  due_at       timestamptz NOT NULL,
  revision     bigint NOT NULL,
  message      bytea NOT NULL,                -- MessagePack: topic, key, value, headers
  state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'firing', 'fired', 'withdrawn')),
  firing_since timestamptz,
  fired_at     timestamptz,
  CHECK (fired_at IS NULL OR fired_at >= due_at)     -- never early
) WITH (fillfactor = 80);
CREATE INDEX scheduled_due ON scheduled_messages (due_at) WHERE state = 'waiting';
CREATE INDEX scheduled_firing ON scheduled_messages (firing_since) WHERE state = 'firing';

-- ---------------------------------------------------------------- orders, chats, sellers

CREATE TABLE orders (
  order_id            text COLLATE "C" PRIMARY KEY,
  conversation_id     text COLLATE "C",
  client_id           text COLLATE "C",
  seller_id           text COLLATE "C",
  client_locale       text,
  seller_locale       text,
  placed_at           timestamptz,
  accepted_at         timestamptz,
  delivered_at        timestamptz,
  completed_at        timestamptz,
  cancelled_at        timestamptz,
  cancelled_by        text,
  stage               text,
  currency            text,
  escrow              bytea,                  -- canonical JSON of the cancellation's money
  reactivation_at     timestamptz,
  refunded_at         timestamptz,
  payout_allowed_at   timestamptz,
  payout_held_at      timestamptz,
  counted_accepted_at timestamptz,
  counted_close       text,
  counted_close_at    timestamptz,
  revision            bigint NOT NULL DEFAULT 0,
  CHECK ((cancelled_at IS NULL) = (escrow IS NULL)),
  CHECK (cancelled_at IS NULL OR completed_at IS NULL),      -- paid out or given back, never both
  CHECK (refunded_at IS NULL OR cancelled_at IS NOT NULL),
  CHECK (payout_allowed_at IS NULL OR completed_at IS NOT NULL)
) WITH (fillfactor = 60);

CREATE TABLE conversations (
  conversation_id    text COLLATE "C" PRIMARY KEY,
  placed_order       text,
  placed_at          timestamptz,
  other_placed_at    timestamptz,
  cancelled_order    text,
  cancelled_at       timestamptz,
  close_at           timestamptz,
  scheduled_revision bigint,
  revision           bigint NOT NULL DEFAULT 0,
  CHECK ((close_at IS NULL) = (scheduled_revision IS NULL))
) WITH (fillfactor = 60);

CREATE TABLE sellers (
  seller_id text COLLATE "C" PRIMARY KEY,
  seq       bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE seller_outcomes (
  seller_id            text COLLATE "C" NOT NULL,
  seq                  bigint NOT NULL CHECK (seq >= 1),
  order_id             text COLLATE "C" NOT NULL,
  outcome              text NOT NULL,
  occurred_at          timestamptz NOT NULL,
  replaces_outcome     text,
  replaces_occurred_at timestamptz,
  PRIMARY KEY (seller_id, seq)
);

-- ---------------------------------------------------------------- money

CREATE TABLE refunds (
  refund_id          text COLLATE "C" PRIMARY KEY,
  order_id           text COLLATE "C" NOT NULL REFERENCES orders,
  tender_id          text COLLATE "C" NOT NULL,
  client_id          text COLLATE "C" NOT NULL,
  provider           text NOT NULL,
  reference          text COLLATE "C" NOT NULL,
  amount_minor       bigint NOT NULL CHECK (amount_minor > 0),
  currency           text NOT NULL,
  idempotency_key    text COLLATE "C" NOT NULL,
  state              text NOT NULL CHECK (state IN ('requested', 'pending', 'succeeded', 'declined', 'retrying',
                                                    'uncertain', 'bounced', 'redirected', 'needs_review')),
  attempt            int NOT NULL CHECK (attempt >= 1),
  look_up_no         int NOT NULL CHECK (look_up_no >= 1),
  first_issued_at    timestamptz NOT NULL,
  issued_at          timestamptz NOT NULL,
  state_since        timestamptz NOT NULL,
  settled_at         timestamptz,
  provider_refund_id text COLLATE "C",
  code               text,
  visible_by         date,
  redirected_from    text COLLATE "C" REFERENCES refunds,
  redirected_to      text COLLATE "C" REFERENCES refunds,
  revision           bigint NOT NULL,
  CHECK (state <> 'succeeded' OR settled_at IS NOT NULL)
) WITH (fillfactor = 60);
-- At most one live refund a tender (I2); a redirect gives up the old one in the statement that makes the new one.
CREATE UNIQUE INDEX refunds_one_live ON refunds (order_id, tender_id) WHERE state <> 'redirected';
CREATE INDEX refunds_redirected ON refunds (order_id) WHERE state = 'redirected';
-- What people look for; the good way, requested and succeeded, pays nothing for it.
CREATE INDEX refunds_waiting ON refunds (state, state_since) WHERE state NOT IN ('requested', 'succeeded');

-- A refund and its key are never taken away again, nor what it is for.
CREATE FUNCTION keep_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (OLD.order_id, OLD.tender_id, OLD.provider, OLD.reference, OLD.amount_minor, OLD.currency,
      OLD.idempotency_key, OLD.first_issued_at)
     IS DISTINCT FROM (NEW.order_id, NEW.tender_id, NEW.provider, NEW.reference, NEW.amount_minor, NEW.currency,
      NEW.idempotency_key, NEW.first_issued_at) OR NEW.revision <= OLD.revision THEN
    RAISE EXCEPTION 'refund % may not lose or change what it is for', OLD.refund_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refunds_kept BEFORE UPDATE OR DELETE ON refunds FOR EACH ROW EXECUTE FUNCTION keep_refund();

-- Who may call the provider for an attempt, and until when. One claim an attempt, for good.
CREATE TABLE refund_attempts (
  refund_id   text COLLATE "C" NOT NULL REFERENCES refunds,
  attempt     int NOT NULL,
  claimed_by  text NOT NULL,
  claimed_at  timestamptz NOT NULL,
  lease_until timestamptz NOT NULL,
  PRIMARY KEY (refund_id, attempt)
);
CREATE TRIGGER refund_attempts_append_only BEFORE UPDATE OR DELETE ON refund_attempts
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Everything ever heard of a refund, also what changed nothing.
CREATE TABLE refund_observations (
  observation_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  refund_id          text COLLATE "C" NOT NULL REFERENCES refunds,
  message_id         text NOT NULL,
  attempt            int NOT NULL,
  outcome            text NOT NULL,
  via                text NOT NULL,
  provider_refund_id text,
  provider_code      text,
  message            text,
  look_up_no         int,
  observed_at        timestamptz NOT NULL,
  recorded_at        timestamptz NOT NULL,
  state_after        text NOT NULL,
  revision_after     bigint NOT NULL
);
CREATE INDEX refund_observations_refund ON refund_observations (refund_id, observation_id);
CREATE TRIGGER refund_observations_append_only BEFORE UPDATE OR DELETE ON refund_observations
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- What was decided of each payout that was asked for, once and for all.
CREATE TABLE payouts (
  payout_id    text COLLATE "C" PRIMARY KEY,
  order_id     text COLLATE "C" NOT NULL REFERENCES orders,
  seller_id    text COLLATE "C" NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency     text NOT NULL,
  requested_at timestamptz NOT NULL,
  allowed      boolean NOT NULL,
  reason       text NOT NULL,
  decided_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX payouts_one_allowed ON payouts (order_id) WHERE allowed;
CREATE TRIGGER payouts_append_only BEFORE UPDATE OR DELETE ON payouts
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- Double entry, one line a transfer: what leaves one account arrives in another, so each sums to zero.
CREATE TABLE ledger_transfers (
  order_id       text COLLATE "C" NOT NULL,
  transfer_id    text COLLATE "C" NOT NULL,
  refund_id      text COLLATE "C",
  kind           text NOT NULL,
  debit_account  text COLLATE "C" NOT NULL,
  credit_account text COLLATE "C" NOT NULL,
  amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
  currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  posted_at      timestamptz NOT NULL,
  PRIMARY KEY (order_id, transfer_id),        -- one posting of each kind; an order's lines lie together
  CHECK (debit_account <> credit_account)
);
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

-- No escrow below zero, in whatever order the lines of a statement come. A few lines of a large table are looked at,
-- so the index is the only sensible way; without statistics the planner would not know.
CREATE FUNCTION check_escrow() RETURNS trigger LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE overdrawn text;
BEGIN
  SELECT touched.order_id INTO overdrawn
    FROM (SELECT DISTINCT order_id FROM posted WHERE debit_account LIKE 'escrow:%') AS touched
   CROSS JOIN LATERAL (
     SELECT SUM(CASE WHEN t.credit_account LIKE 'escrow:%' THEN t.amount_minor ELSE -t.amount_minor END) AS balance
       FROM ledger_transfers AS t
      WHERE t.order_id = touched.order_id AND (t.debit_account LIKE 'escrow:%' OR t.credit_account LIKE 'escrow:%')
      GROUP BY t.currency
   ) AS held
   WHERE held.balance < 0
   LIMIT 1;
  IF overdrawn IS NOT NULL THEN
    RAISE EXCEPTION 'escrow of order % would fall below zero', overdrawn
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_escrow AFTER INSERT ON ledger_transfers
  REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION check_escrow();
