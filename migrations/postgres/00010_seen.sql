-- +goose Up
-- When it last reached the user, to two days or so: what has not for long is removed.
ALTER TABLE settings_seen RENAME COLUMN since TO last_seen;

-- +goose Down
ALTER TABLE settings_seen RENAME COLUMN last_seen TO since;
