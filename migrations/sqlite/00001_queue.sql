-- +goose Up
-- One table for all topics: a lease is "visible_at in the future", so retry,
-- delay and crash recovery are the same index range.
-- Times are microseconds since 1970, UTC.
CREATE TABLE queue_messages (
    id         integer PRIMARY KEY AUTOINCREMENT,
    topic      text NOT NULL,
    uuid       text NOT NULL,
    payload    blob NOT NULL,
    metadata   text NOT NULL DEFAULT '{}',
    leases     integer NOT NULL DEFAULT 0,
    -- When the message may be handled first; a lease that is given back restores
    -- it, so that the message keeps its place.
    due_at     integer NOT NULL,
    visible_at integer NOT NULL
);
CREATE INDEX queue_messages_due ON queue_messages (topic, visible_at, id);

CREATE TABLE dead_letters (
    id         text PRIMARY KEY,
    topic      text NOT NULL,
    payload    blob NOT NULL,
    stage      text NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    request_id text NOT NULL,
    origin     text NOT NULL,
    created    integer NOT NULL,
    died       integer NOT NULL
);
CREATE INDEX dead_letters_died ON dead_letters (died, id);

CREATE TABLE idempotency_keys (
    origin      text NOT NULL,
    key         text NOT NULL,
    fingerprint text NOT NULL,
    receipt     blob NOT NULL,
    created     integer NOT NULL,
    PRIMARY KEY (origin, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created);

-- Keys of effects that must happen once although they leave no row of their own.
CREATE TABLE once_keys (
    key     text PRIMARY KEY,
    created integer NOT NULL
);
CREATE INDEX once_keys_created ON once_keys (created);

-- +goose Down
DROP TABLE once_keys;
DROP TABLE idempotency_keys;
DROP TABLE dead_letters;
DROP TABLE queue_messages;
