-- +goose Up
-- Times are microseconds since 1970, UTC; booleans are 0 and 1.

-- What is known of send requests and their deliveries, beside the inbox: a row of
-- the inbox says by itself that it was delivered there. Identifiers of requests
-- begin with their time, so that what is old is the beginning of both keys.
CREATE TABLE requests (
    id         text PRIMARY KEY,
    origin     text NOT NULL,
    status     text NOT NULL,
    recipients integer NOT NULL,
    -- A JSON array of references that the directory does not know.
    unknown    text NOT NULL,
    stage      text NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    created    integer NOT NULL,
    updated    integer NOT NULL
) WITHOUT ROWID;

CREATE TABLE deliveries (
    request_id      text NOT NULL,
    -- A user's reference, another entity's, '*' for everyone, '' for a direct target.
    audience        text NOT NULL,
    channel         text NOT NULL,
    target          text NOT NULL,
    notification_id text NOT NULL,
    origin          text NOT NULL,
    status          text NOT NULL,
    rule            text NOT NULL,
    address         text NOT NULL,
    detail          text NOT NULL,
    provider_id     text NOT NULL,
    attempts        integer NOT NULL,
    next_attempt    integer,
    created         integer NOT NULL,
    updated         integer NOT NULL,
    PRIMARY KEY (request_id, audience, channel, target)
) WITHOUT ROWID;

-- The last revision of a scoped notification that a target saw, and which delivery
-- is writing there now.
CREATE TABLE delivery_threads (
    channel       text NOT NULL,
    address       text NOT NULL,
    origin        text NOT NULL,
    scope         text NOT NULL,
    revision      integer NOT NULL DEFAULT 0,
    state         text NOT NULL DEFAULT '',
    claimed_by    text,
    claimed_until integer,
    updated       integer NOT NULL,
    PRIMARY KEY (channel, address, origin, scope)
) WITHOUT ROWID;
CREATE INDEX delivery_threads_updated ON delivery_threads (updated);

-- Whose delivery it was that was given up, and how it failed before.
ALTER TABLE dead_letters ADD COLUMN audience text NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN channel text NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN target text NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN history text NOT NULL DEFAULT '[]';

-- +goose Down
ALTER TABLE dead_letters DROP COLUMN audience;
ALTER TABLE dead_letters DROP COLUMN channel;
ALTER TABLE dead_letters DROP COLUMN target;
ALTER TABLE dead_letters DROP COLUMN history;
DROP TABLE delivery_threads;
DROP TABLE deliveries;
DROP TABLE requests;
