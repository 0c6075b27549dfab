-- +goose Up
-- Who signed in to the page.
CREATE TABLE sessions (
    -- The SHA-256 of what the browser has, in hexadecimal digits.
    id         text COLLATE "C" PRIMARY KEY,
    user_ref   text COLLATE "C" NOT NULL,
    subject    text NOT NULL,
    -- A JSON list of references.
    group_refs text NOT NULL,
    created    timestamptz NOT NULL,
    seen       timestamptz NOT NULL,
    expires    timestamptz NOT NULL,
    renew      timestamptz,
    -- The refresh token, encrypted with a key that only the browser has.
    sealed     bytea
);
CREATE INDEX sessions_user ON sessions (user_ref, seen);
CREATE INDEX sessions_expires ON sessions (expires);

-- +goose Down
DROP TABLE sessions;
