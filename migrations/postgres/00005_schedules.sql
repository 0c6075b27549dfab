-- +goose Up
-- When users want what is sent to channels outside.
CREATE TABLE schedules (
    user_ref text COLLATE "C" PRIMARY KEY,
    -- JSON.
    schedule text NOT NULL,
    updated  timestamptz NOT NULL
);

-- Deliveries that wait for a digest. Their messages come back when they are due; the
-- first one to do so takes the others along.
CREATE TABLE held_deliveries (
    request_id uuid NOT NULL,
    audience   text COLLATE "C" NOT NULL,
    channel    text COLLATE "C" NOT NULL,
    target     text COLLATE "C" NOT NULL,
    due        timestamptz NOT NULL,
    -- The identifier of the delivery that takes it along; null before.
    digest     text COLLATE "C",
    payload    bytea NOT NULL,
    PRIMARY KEY (request_id, audience, channel, target)
);
CREATE INDEX held_deliveries_due ON held_deliveries (audience, channel, due) WHERE digest IS NULL;
CREATE INDEX held_deliveries_digest ON held_deliveries (digest) WHERE digest IS NOT NULL;

-- The windows that have had their digest.
CREATE TABLE digests (
    audience text COLLATE "C" NOT NULL,
    channel  text COLLATE "C" NOT NULL,
    due      timestamptz NOT NULL,
    PRIMARY KEY (audience, channel, due)
);
CREATE INDEX digests_due ON digests (due);

-- +goose Down
DROP TABLE digests;
DROP TABLE held_deliveries;
DROP TABLE schedules;
