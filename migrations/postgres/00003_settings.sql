-- +goose Up
-- What users chose: one row per switch. The keys are the identifiers folded by the
-- application, so that both databases compare alike; beside them is what was
-- written. An empty topic_key is the origin's switch, an empty origin_key too is the
-- channel's. The key begins with what the pipeline looks up for a notification: the
-- user's choices for its origin and topic, on all channels at once.
CREATE TABLE settings (
    user_ref    text COLLATE "C" NOT NULL,
    origin_key  text COLLATE "C" NOT NULL,
    topic_key   text COLLATE "C" NOT NULL,
    channel_key text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    enabled     boolean NOT NULL,
    updated     timestamptz NOT NULL,
    PRIMARY KEY (user_ref, origin_key, topic_key, channel_key)
);

-- Origins and topics ('' is none) that ever reached a user; user_ref '' is everyone.
-- Settings pages list them, also when the notifications are long gone.
CREATE TABLE settings_seen (
    user_ref text COLLATE "C" NOT NULL,
    origin   text COLLATE "C" NOT NULL,
    topic    text COLLATE "C" NOT NULL,
    since    timestamptz NOT NULL,
    PRIMARY KEY (user_ref, origin, topic)
);
-- What reached users before this table was there.
INSERT INTO settings_seen (user_ref, origin, topic, since)
SELECT user_ref, origin, coalesce(topic, ''), min(created) FROM notifications GROUP BY 1, 2, 3
UNION ALL
SELECT '', origin, coalesce(topic, ''), min(created) FROM broadcasts GROUP BY 1, 2, 3;

-- +goose Down
DROP TABLE settings_seen;
DROP TABLE settings;
