-- +goose Up
-- End of the latest snooze. Until then the row is hidden from lists; afterwards it is
-- listed again. Nothing is written when the snooze ends. Null is a row that was not
-- snoozed in its current revision.
-- notifications.revised, by which lists are ordered, is from now on
-- coalesce(snoozed_until, updated, created).
ALTER TABLE notifications ADD COLUMN snoozed_until integer;
-- What snoozing replaced, for who takes it back: the end of an earlier snooze, and the
-- read mark, because what is snoozed is unread.
ALTER TABLE notifications ADD COLUMN snoozed_before integer;
ALTER TABLE notifications ADD COLUMN read_before integer;
CREATE INDEX notifications_snoozed ON notifications (user_ref, snoozed_until, id) WHERE snoozed_until IS NOT NULL;

-- The same for broadcasts. As a read mark, a snooze counts for the revision that it was
-- made on.
ALTER TABLE broadcast_flags ADD COLUMN snoozed_until integer;
ALTER TABLE broadcast_flags ADD COLUMN snoozed_revision integer;
ALTER TABLE broadcast_flags ADD COLUMN snoozed_before integer;
ALTER TABLE broadcast_flags ADD COLUMN read_before integer;
CREATE INDEX broadcast_flags_snoozed ON broadcast_flags (user_ref, snoozed_until, broadcast_id) WHERE snoozed_until IS NOT NULL;

-- +goose Down
UPDATE notifications SET revised = coalesce(updated, created) WHERE snoozed_until IS NOT NULL;
DROP INDEX broadcast_flags_snoozed;
DROP INDEX notifications_snoozed;
ALTER TABLE broadcast_flags DROP COLUMN snoozed_until;
ALTER TABLE broadcast_flags DROP COLUMN snoozed_revision;
ALTER TABLE broadcast_flags DROP COLUMN snoozed_before;
ALTER TABLE broadcast_flags DROP COLUMN read_before;
ALTER TABLE notifications DROP COLUMN snoozed_until;
ALTER TABLE notifications DROP COLUMN snoozed_before;
ALTER TABLE notifications DROP COLUMN read_before;
