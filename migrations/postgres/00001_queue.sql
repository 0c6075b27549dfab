-- +goose Up
-- One table for all topics: a lease is "visible_at in the future", so retry,
-- delay and crash recovery are the same index range.
CREATE TABLE queue_messages (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text COLLATE "C" NOT NULL,
    uuid       text NOT NULL,
    payload    bytea NOT NULL,
    metadata   text NOT NULL DEFAULT '{}',
    leases     integer NOT NULL DEFAULT 0,
    -- When the message may be handled first; a lease that is given back restores
    -- it, so that the message keeps its place.
    due_at     timestamptz NOT NULL,
    visible_at timestamptz NOT NULL
) WITH (
    -- The table is small and churns: dead rows must go by their number, not by
    -- their share.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 50000
);
CREATE INDEX queue_messages_due ON queue_messages (topic, visible_at, id);

CREATE TABLE dead_letters (
    id         text COLLATE "C" PRIMARY KEY,
    topic      text COLLATE "C" NOT NULL,
    payload    bytea NOT NULL,
    stage      text NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    request_id text NOT NULL,
    origin     text NOT NULL,
    created    timestamptz NOT NULL,
    died       timestamptz NOT NULL
);
CREATE INDEX dead_letters_died ON dead_letters (died, id);

CREATE TABLE idempotency_keys (
    origin      text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    receipt     bytea NOT NULL,
    created     timestamptz NOT NULL,
    PRIMARY KEY (origin, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created);

-- Keys of effects that must happen once although they leave no row of their own.
CREATE TABLE once_keys (
    key     text COLLATE "C" PRIMARY KEY,
    created timestamptz NOT NULL
);
CREATE INDEX once_keys_created ON once_keys (created);

-- +goose Down
DROP TABLE once_keys;
DROP TABLE idempotency_keys;
DROP TABLE dead_letters;
DROP TABLE queue_messages;
