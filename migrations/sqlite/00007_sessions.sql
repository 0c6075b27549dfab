-- +goose Up
-- Times are microseconds since 1970, UTC.

-- Who signed in to the page.
CREATE TABLE sessions (
    -- The SHA-256 of what the browser has, in hexadecimal digits.
    id         text NOT NULL PRIMARY KEY,
    user_ref   text NOT NULL,
    subject    text NOT NULL,
    -- A JSON list of references.
    group_refs text NOT NULL,
    created    integer NOT NULL,
    seen       integer NOT NULL,
    expires    integer NOT NULL,
    renew      integer,
    -- The refresh token, encrypted with a key that only the browser has.
    sealed     blob
) WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_ref, seen);
CREATE INDEX sessions_expires ON sessions (expires);

-- +goose Down
DROP TABLE sessions;
