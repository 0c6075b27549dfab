-- +goose Up
-- Times are microseconds since 1970, UTC.
CREATE TABLE notifications (
    id         text PRIMARY KEY,
    user_ref   text NOT NULL,
    origin     text NOT NULL,
    scope      text,
    topic      text,
    severity   integer NOT NULL,
    -- coalesce(updated, created): lists are ordered by it.
    revised    integer NOT NULL,
    created    integer NOT NULL,
    updated    integer,
    read       integer,
    saved      integer,
    -- Position of the current revision's send request in the queue.
    revision   integer NOT NULL,
    request_id text NOT NULL,
    -- Title and description folded to lower case by the application, so that
    -- both databases search alike (SQLite folds ASCII only).
    search     text NOT NULL,
    title      text NOT NULL,
    description text,
    link       text,
    icon       text,
    -- JSON as it came.
    additional_links text,
    metadata   text
);
CREATE UNIQUE INDEX notifications_scope ON notifications (user_ref, origin, scope) WHERE scope IS NOT NULL;
CREATE INDEX notifications_newest ON notifications (user_ref, revised DESC, id DESC);
CREATE INDEX notifications_unread ON notifications (user_ref, revised DESC, id DESC) WHERE read IS NULL;
CREATE INDEX notifications_saved ON notifications (user_ref, revised DESC, id DESC) WHERE saved IS NOT NULL;

CREATE TABLE broadcasts (
    id         text PRIMARY KEY,
    origin     text NOT NULL,
    scope      text,
    topic      text,
    severity   integer NOT NULL,
    revised    integer NOT NULL,
    created    integer NOT NULL,
    updated    integer,
    revision   integer NOT NULL,
    request_id text NOT NULL,
    search     text NOT NULL,
    title      text NOT NULL,
    description text,
    link       text,
    icon       text,
    additional_links text,
    metadata   text
);
CREATE UNIQUE INDEX broadcasts_scope ON broadcasts (origin, scope) WHERE scope IS NOT NULL;
CREATE INDEX broadcasts_newest ON broadcasts (revised DESC, id DESC);

-- One row per user who touched a broadcast. A read mark counts for the revision
-- it was made on: a re-send makes the broadcast unread for everyone without
-- touching their rows.
CREATE TABLE broadcast_flags (
    user_ref      text NOT NULL,
    broadcast_id  text NOT NULL REFERENCES broadcasts (id) ON DELETE CASCADE,
    read          integer,
    read_revision integer,
    saved         integer,
    PRIMARY KEY (user_ref, broadcast_id)
);
CREATE INDEX broadcast_flags_broadcast ON broadcast_flags (broadcast_id);

-- Counts of own rows per user, so that a page load scans no inbox; user_ref ''
-- counts the broadcasts. Triggers keep them, so no statement can forget to.
CREATE TABLE inbox_counts (
    user_ref text PRIMARY KEY,
    total    integer NOT NULL DEFAULT 0,
    unread   integer NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER notifications_count_insert AFTER INSERT ON notifications BEGIN
    INSERT INTO inbox_counts (user_ref, total, unread)
    VALUES (NEW.user_ref, 1, NEW.read IS NULL)
    ON CONFLICT (user_ref) DO UPDATE
    SET total = total + excluded.total, unread = unread + excluded.unread;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER notifications_count_update AFTER UPDATE OF read ON notifications
WHEN (OLD.read IS NULL) <> (NEW.read IS NULL) BEGIN
    UPDATE inbox_counts SET unread = unread + (NEW.read IS NULL) - (OLD.read IS NULL)
    WHERE user_ref = NEW.user_ref;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER notifications_count_delete AFTER DELETE ON notifications BEGIN
    UPDATE inbox_counts SET total = total - 1, unread = unread - (OLD.read IS NULL)
    WHERE user_ref = OLD.user_ref;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER broadcasts_count_insert AFTER INSERT ON broadcasts BEGIN
    INSERT INTO inbox_counts (user_ref, total) VALUES ('', 1)
    ON CONFLICT (user_ref) DO UPDATE SET total = total + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER broadcasts_count_delete AFTER DELETE ON broadcasts BEGIN
    UPDATE inbox_counts SET total = total - 1 WHERE user_ref = '';
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE inbox_counts;
DROP TABLE broadcast_flags;
DROP TABLE broadcasts;
DROP TABLE notifications;
