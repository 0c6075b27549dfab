-- +goose Up
-- When it last reached the user, to two days or so: what has not for long is removed.
ALTER TABLE settings_seen RENAME COLUMN since TO last_seen;
-- It was when it first came; when it came last is not known.
UPDATE settings_seen SET last_seen = max(last_seen, (unixepoch() - 90 * 86400) * 1000000);

-- +goose Down
ALTER TABLE settings_seen RENAME COLUMN last_seen TO since;
