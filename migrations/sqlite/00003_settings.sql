-- +goose Up
-- Times are microseconds since 1970, UTC; booleans are 0 and 1.

-- What users chose: one row per switch. The keys are the identifiers folded by the
-- application, so that both databases compare alike; beside them is what was
-- written. An empty topic_key is the origin's switch, an empty origin_key too is the
-- channel's. The key begins with what the pipeline looks up for a notification: the
-- user's choices for its origin and topic, on all channels at once.
CREATE TABLE settings (
    user_ref    text NOT NULL,
    origin_key  text NOT NULL,
    topic_key   text NOT NULL,
    channel_key text NOT NULL,
    channel     text NOT NULL,
    origin      text NOT NULL,
    topic       text NOT NULL,
    enabled     integer NOT NULL,
    updated     integer NOT NULL,
    PRIMARY KEY (user_ref, origin_key, topic_key, channel_key)
) WITHOUT ROWID;

-- Origins and topics ('' is none) that ever reached a user; user_ref '' is everyone.
-- Settings pages list them, also when the notifications are long gone.
CREATE TABLE settings_seen (
    user_ref text NOT NULL,
    origin   text NOT NULL,
    topic    text NOT NULL,
    since    integer NOT NULL,
    PRIMARY KEY (user_ref, origin, topic)
) WITHOUT ROWID;
-- What reached users before this table was there.
INSERT INTO settings_seen (user_ref, origin, topic, since)
SELECT user_ref, origin, coalesce(topic, ''), min(created) FROM notifications GROUP BY 1, 2, 3
UNION ALL
SELECT '', origin, coalesce(topic, ''), min(created) FROM broadcasts GROUP BY 1, 2, 3;

-- +goose Down
DROP TABLE settings_seen;
DROP TABLE settings;
