-- +goose Up
-- What is known of send requests and their deliveries, beside the inbox: a row of
-- the inbox says by itself that it was delivered there. Identifiers of requests
-- begin with their time, so that what is old is the beginning of both keys.
CREATE TABLE requests (
    id         uuid PRIMARY KEY,
    origin     text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL,
    recipients integer NOT NULL,
    -- A JSON array of references that the directory does not know.
    unknown    text NOT NULL,
    stage      text NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    created    timestamptz NOT NULL,
    updated    timestamptz NOT NULL
);

CREATE TABLE deliveries (
    request_id      uuid NOT NULL,
    -- A user's reference, another entity's, '*' for everyone, '' for a direct target.
    audience        text COLLATE "C" NOT NULL,
    channel         text COLLATE "C" NOT NULL,
    target          text COLLATE "C" NOT NULL,
    notification_id uuid NOT NULL,
    origin          text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL,
    rule            text NOT NULL,
    address         text NOT NULL,
    detail          text NOT NULL,
    provider_id     text NOT NULL,
    attempts        integer NOT NULL,
    next_attempt    timestamptz,
    created         timestamptz NOT NULL,
    updated         timestamptz NOT NULL,
    PRIMARY KEY (request_id, audience, channel, target)
) WITH (fillfactor = 80);

-- The last revision of a scoped notification that a target saw, and which delivery
-- is writing there now.
CREATE TABLE delivery_threads (
    channel       text COLLATE "C" NOT NULL,
    address       text COLLATE "C" NOT NULL,
    origin        text COLLATE "C" NOT NULL,
    scope         text COLLATE "C" NOT NULL,
    revision      bigint NOT NULL DEFAULT 0,
    state         text NOT NULL DEFAULT '',
    claimed_by    text COLLATE "C",
    claimed_until timestamptz,
    updated       timestamptz NOT NULL,
    PRIMARY KEY (channel, address, origin, scope)
);
CREATE INDEX delivery_threads_updated ON delivery_threads (updated);

-- Whose delivery it was that was given up, and how it failed before.
ALTER TABLE dead_letters
    ADD COLUMN audience text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN channel  text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN target   text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN history  text NOT NULL DEFAULT '[]';

-- +goose Down
ALTER TABLE dead_letters
    DROP COLUMN audience,
    DROP COLUMN channel,
    DROP COLUMN target,
    DROP COLUMN history;
DROP TABLE delivery_threads;
DROP TABLE deliveries;
DROP TABLE requests;
