package storage

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// contentColumns are those that notifications and broadcasts share, in the order
// in which scanNotification reads them.
const contentColumns = `id, origin, scope, topic, severity, created, updated, revision, request_id,
	title, description, link, icon, additional_links, metadata`

// rowColumns are the columns of a row as scanNotification reads it.
const rowColumns = contentColumns + `, user_ref, read, saved, snoozed_until`

// broadcastColumns are those of a broadcast as nobody in particular sees it.
const broadcastColumns = contentColumns + `, '', NULL, NULL, NULL`

// scanNotification reads a row of rowColumns as it is now.
func scanNotification(rows *sql.Rows, now time.Time) (signalbox.Notification, error) {
	var (
		n                                                      signalbox.Notification
		scope, topic, description, link, icon, links, metadata sql.NullString
		created, updated, read, saved, snoozed                 database.Time
		rank                                                   int
	)
	if err := rows.Scan(&n.ID, &n.Origin, &scope, &topic, &rank, &created, &updated, &n.Revision, &n.RequestID,
		&n.Payload.Title, &description, &link, &icon, &links, &metadata, &n.User, &read, &saved, &snoozed); err != nil {
		return n, fmt.Errorf("scan notification: %w", err)
	}
	n.Created, n.Updated, n.Read, n.Saved = created.Time, updated.Time, read.Time, saved.Time
	if snoozed.After(now) {
		n.SnoozedUntil = snoozed.Time
	} else {
		n.Woken = snoozed.Time
	}
	n.Payload.Severity = signalbox.SeverityFromRank(rank)
	n.Payload.Scope, n.Payload.Topic = scope.String, topic.String
	n.Payload.Description, n.Payload.Link, n.Payload.Icon = description.String, link.String, icon.String
	if links.String != "" {
		if err := json.Unmarshal([]byte(links.String), &n.Payload.AdditionalLinks); err != nil {
			return n, fmt.Errorf("notification %s: additional links: %w", n.ID, err)
		}
	}
	if metadata.String != "" {
		n.Payload.Metadata = json.RawMessage(metadata.String)
	}
	return n, nil
}

// scanNotifications reads all rows of rowColumns as they are now.
func scanNotifications(now time.Time, rows *sql.Rows, err error) ([]signalbox.Notification, error) {
	list := []signalbox.Notification{}
	err = each(rows, err, func(rows *sql.Rows) error {
		n, err := scanNotification(rows, now)
		list = append(list, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
