-- +goose Up
CREATE TABLE notifications (
    id         uuid PRIMARY KEY,
    user_ref   text COLLATE "C" NOT NULL,
    origin     text COLLATE "C" NOT NULL,
    scope      text COLLATE "C",
    topic      text COLLATE "C",
    severity   smallint NOT NULL,
    -- coalesce(updated, created): lists are ordered by it.
    revised    timestamptz NOT NULL,
    created    timestamptz NOT NULL,
    updated    timestamptz,
    read       timestamptz,
    saved      timestamptz,
    -- Position of the current revision's send request in the queue.
    revision   bigint NOT NULL,
    request_id uuid NOT NULL,
    -- Title and description folded to lower case by the application, so that
    -- both databases search alike (SQLite folds ASCII only). Collation C makes
    -- the substring search a byte search.
    search     text COLLATE "C" NOT NULL,
    title      text NOT NULL,
    description text,
    link       text,
    icon       text,
    -- JSON as it came; text, because json would refuse what we only pass on.
    additional_links text,
    metadata   text
);
CREATE UNIQUE INDEX notifications_scope ON notifications (user_ref, origin, scope) WHERE scope IS NOT NULL;
CREATE INDEX notifications_newest ON notifications (user_ref, revised DESC, id DESC);
CREATE INDEX notifications_unread ON notifications (user_ref, revised DESC, id DESC) WHERE read IS NULL;
CREATE INDEX notifications_saved ON notifications (user_ref, revised DESC, id DESC) WHERE saved IS NOT NULL;

CREATE TABLE broadcasts (
    id         uuid PRIMARY KEY,
    origin     text COLLATE "C" NOT NULL,
    scope      text COLLATE "C",
    topic      text COLLATE "C",
    severity   smallint NOT NULL,
    revised    timestamptz NOT NULL,
    created    timestamptz NOT NULL,
    updated    timestamptz,
    revision   bigint NOT NULL,
    request_id uuid NOT NULL,
    search     text COLLATE "C" NOT NULL,
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
    user_ref      text COLLATE "C" NOT NULL,
    broadcast_id  uuid NOT NULL REFERENCES broadcasts (id) ON DELETE CASCADE,
    read          timestamptz,
    read_revision bigint,
    saved         timestamptz,
    PRIMARY KEY (user_ref, broadcast_id)
);
CREATE INDEX broadcast_flags_broadcast ON broadcast_flags (broadcast_id);

-- Counts of own rows per user, so that a page load scans no inbox; user_ref ''
-- counts the broadcasts. Triggers keep them, so no statement can forget to.
CREATE TABLE inbox_counts (
    user_ref text COLLATE "C" PRIMARY KEY,
    total    bigint NOT NULL DEFAULT 0,
    unread   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Statement-level triggers: one sorted upsert per statement, whatever the number
-- of rows. The order keeps concurrent statements from deadlocking.
-- +goose StatementBegin
CREATE FUNCTION notifications_count_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_counts AS c (user_ref, total, unread)
    SELECT user_ref, count(*), count(*) FILTER (WHERE read IS NULL)
    FROM added GROUP BY user_ref ORDER BY user_ref
    ON CONFLICT (user_ref) DO UPDATE
    SET total = c.total + excluded.total, unread = c.unread + excluded.unread;
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION notifications_count_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_counts AS c (user_ref, unread)
    SELECT user_ref, sum(delta) FROM (
        SELECT user_ref, 1 AS delta FROM after_update WHERE read IS NULL
        UNION ALL
        SELECT user_ref, -1 FROM before_update WHERE read IS NULL
    ) AS deltas
    GROUP BY user_ref HAVING sum(delta) <> 0 ORDER BY user_ref
    ON CONFLICT (user_ref) DO UPDATE SET unread = c.unread + excluded.unread;
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION notifications_count_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_counts AS c (user_ref, total, unread)
    SELECT user_ref, -count(*), -count(*) FILTER (WHERE read IS NULL)
    FROM removed GROUP BY user_ref ORDER BY user_ref
    ON CONFLICT (user_ref) DO UPDATE
    SET total = c.total + excluded.total, unread = c.unread + excluded.unread;
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION broadcasts_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_counts AS c (user_ref, total, unread)
    VALUES ('', CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END, 0)
    ON CONFLICT (user_ref) DO UPDATE SET total = c.total + excluded.total;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER notifications_count_insert AFTER INSERT ON notifications
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION notifications_count_insert();
CREATE TRIGGER notifications_count_update AFTER UPDATE ON notifications
    REFERENCING OLD TABLE AS before_update NEW TABLE AS after_update
    FOR EACH STATEMENT EXECUTE FUNCTION notifications_count_update();
CREATE TRIGGER notifications_count_delete AFTER DELETE ON notifications
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION notifications_count_delete();
CREATE TRIGGER broadcasts_count AFTER INSERT OR DELETE ON broadcasts
    FOR EACH ROW EXECUTE FUNCTION broadcasts_count();

-- +goose Down
DROP TABLE inbox_counts;
DROP TABLE broadcast_flags;
DROP TABLE broadcasts;
DROP TABLE notifications;
DROP FUNCTION notifications_count_insert;
DROP FUNCTION notifications_count_update;
DROP FUNCTION notifications_count_delete;
DROP FUNCTION broadcasts_count;
