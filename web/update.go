package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// maxSignalIDs bounds the identifiers in one signal about an update. Clients see
// by the total that there were more, and read again.
const maxSignalIDs = 1_000

// update sets flags of notifications: of those with given identifiers, which it
// returns, or of all that match a filter, which it counts.
func (s *Server) update(c *fiber.Ctx, user signalbox.UserPrincipal) error {
	request, err := signalbox.DecodeUpdateRequest(c.Request().Body())
	if err != nil {
		return err
	}
	if err := request.Change.Validate("request/body", time.Now()); err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	if request.Filter != nil {
		updated, err := s.change(ctx, user, *request.Filter, request.Change)
		if err != nil {
			return err
		}
		return sendJSON(c, fiber.Map{
			// A row can be in several counts: how many rows there were together is
			// not known when several flags are set, but at least this many.
			"updated": max(updated.Read, updated.Saved, updated.Snoozed),
			"read":    updated.Read, "saved": updated.Saved, "snoozed": updated.Snoozed,
		})
	}
	ids := knownIDs(request.IDs)
	if len(ids) == 0 {
		// A filter without identifiers would select everything.
		return sendJSON(c, notificationList(nil))
	}
	filter := signalbox.Filter{IDs: ids}
	if request.Change != (signalbox.Change{}) {
		if _, err := s.change(ctx, user, filter, request.Change); err != nil {
			return err
		}
	}
	list, err := s.deps.Inbox.List(ctx, user.Ref, filter, signalbox.Page{Limit: len(ids), HasLimit: true})
	if err != nil {
		return err
	}
	return sendJSON(c, notificationList(list))
}

// knownIDs drops what cannot be an identifier, and duplicates.
func knownIDs(ids []string) []string {
	known := make([]string, 0, len(ids))
	for _, id := range ids {
		if id, ok := canonicalUUID(id); ok {
			known = append(known, id)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// change updates the inbox, and then tells the user's clients of what was
// altered.
func (s *Server) change(ctx context.Context, user signalbox.UserPrincipal, filter signalbox.Filter, change signalbox.Change) (signalbox.Updated, error) {
	updated, err := s.deps.Inbox.Update(ctx, user.Ref, filter, change, maxSignalIDs)
	if err != nil {
		return updated, err
	}
	var (
		signals []signalbox.Signal
		snoozes *bool
	)
	if until := change.SnoozedUntil; until != nil {
		given := !until.IsZero()
		snoozes = &given
	}
	for _, flag := range []struct {
		to      *bool
		on, off string
		ids     []string
		total   int
	}{
		{change.Read, signalbox.ActionNotificationRead, signalbox.ActionNotificationUnread, updated.ReadIDs, updated.Read},
		{change.Saved, signalbox.ActionNotificationSaved, signalbox.ActionNotificationUnsaved, updated.SavedIDs, updated.Saved},
		{snoozes, signalbox.ActionNotificationSnoozed, signalbox.ActionNotificationUnsnoozed, updated.SnoozedIDs, updated.Snoozed},
	} {
		if flag.to == nil || flag.total == 0 {
			continue
		}
		action := flag.off
		if *flag.to {
			action = flag.on
		}
		signal, err := updateSignal(user.Ref, action, flag.ids, flag.total)
		if err != nil {
			return updated, err
		}
		signals = append(signals, signal)
	}
	if len(signals) > 0 {
		s.deps.Signaler.Signal(ctx, signals...)
	}
	return updated, nil
}

func updateSignal(user, action string, ids []string, total int) (signalbox.Signal, error) {
	message, err := json.Marshal(struct {
		Action string   `json:"action"`
		IDs    []string `json:"notification_ids"`
		Total  int      `json:"total"`
	}{action, ids, total})
	if err != nil {
		return signalbox.Signal{}, fmt.Errorf("signal: %w", err)
	}
	return signalbox.Signal{
		Channel: signalbox.SignalChannelNotifications, Recipients: []string{user}, Message: message,
	}, nil
}
