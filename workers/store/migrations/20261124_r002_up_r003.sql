-- Seller statistics: what the processes that share the table tell each other, who was advised, and rebuilds.

-- What the sellers of each partition add to the others' average; its owner writes it, every process reads all.
CREATE TABLE seller_shares (
  partition  int PRIMARY KEY CHECK (partition >= 0),
  share      bytea NOT NULL,              -- MessagePack: [[closed orders, sellers, cancelled orders], …]
  sellers    bigint NOT NULL,             -- how many the table has in the partition, those without a closed order too
  caught_up  boolean NOT NULL,            -- every outcome on the topic is in it: nobody is judged by less
  process    text NOT NULL,
  updated_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Sellers that are, or were, above the others' average, and when they were advised of it.
CREATE TABLE seller_standings (
  seller_id  text COLLATE "C" PRIMARY KEY,
  above      boolean NOT NULL,
  since      timestamptz NOT NULL,        -- of the last crossing, either way
  advised    boolean NOT NULL,            -- of this crossing
  advised_at timestamptz,                 -- of any
  CHECK (NOT advised OR advised_at IS NOT NULL)
);
CREATE INDEX seller_standings_waiting ON seller_standings (advised_at, seller_id) WHERE above AND NOT advised;

-- A rebuild is asked for here; the owner of each partition answers once it has made its part again.
CREATE TABLE seller_rebuilds (
  rebuild_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  partitions   int NOT NULL CHECK (partitions > 0),
  requested_at timestamptz NOT NULL
);
CREATE TABLE seller_rebuild_parts (
  rebuild_id  bigint NOT NULL REFERENCES seller_rebuilds,
  partition   int NOT NULL,
  process     text NOT NULL,
  sellers     bigint NOT NULL,            -- made again
  differing   bigint NOT NULL,            -- of them, those that the live table had otherwise
  finished_at timestamptz NOT NULL,
  PRIMARY KEY (rebuild_id, partition)
);
