-- +goose Up
-- API tokens.
CREATE TABLE api_tokens (
    id       uuid PRIMARY KEY,
    -- SHA-256 of the secret, which is kept nowhere.
    hash     bytea NOT NULL UNIQUE,
    name     text NOT NULL,
    -- Who it acts as: a user or an origin; the other one is empty.
    user_ref text COLLATE "C" NOT NULL,
    origin   text COLLATE "C" NOT NULL,
    -- Separated by commas.
    scopes   text NOT NULL,
    creator  text NOT NULL,
    created  timestamptz NOT NULL,
    expires  timestamptz NOT NULL,
    used     timestamptz,
    revoked  timestamptz,
    -- When it stopped or stops working: the earlier one of expires and revoked.
    ended    timestamptz NOT NULL
);
CREATE INDEX api_tokens_subject ON api_tokens (user_ref, origin, id);
CREATE INDEX api_tokens_ended ON api_tokens (ended);

-- +goose Down
DROP TABLE api_tokens;
