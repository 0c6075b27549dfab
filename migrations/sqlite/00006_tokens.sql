-- +goose Up
-- Times are microseconds since 1970, UTC.

-- API tokens.
CREATE TABLE api_tokens (
    id       text NOT NULL PRIMARY KEY,
    -- SHA-256 of the secret, which is kept nowhere.
    hash     blob NOT NULL UNIQUE,
    name     text NOT NULL,
    -- Who it acts as: a user or an origin; the other one is empty.
    user_ref text NOT NULL,
    origin   text NOT NULL,
    -- Separated by commas.
    scopes   text NOT NULL,
    creator  text NOT NULL,
    created  integer NOT NULL,
    expires  integer NOT NULL,
    used     integer,
    revoked  integer,
    -- When it stopped or stops working: the earlier one of expires and revoked.
    ended    integer NOT NULL
) WITHOUT ROWID;
CREATE INDEX api_tokens_subject ON api_tokens (user_ref, origin, id);
CREATE INDEX api_tokens_ended ON api_tokens (ended);

-- +goose Down
DROP TABLE api_tokens;
