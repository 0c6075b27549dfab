package processors

import (
	"context"
	"slices"

	"github.com/signalbox/signalbox"
)

// Resolver turns entity references into users.
type Resolver interface {
	// Resolve returns the canonical references of the users that refs stand
	// for, without those that exclude stands for, each once, in the order in
	// which refs name them. A reference that stands for nobody yields nobody and
	// is no error. An error that is [signalbox.Transient] delays the
	// notifications; any other fails the request.
	Resolve(ctx context.Context, refs, exclude []string) (users []string, err error)
}

// UsersOnly is a [Resolver] without a directory: a user reference stands for
// that user, any other reference for nobody.
type UsersOnly struct{}

// Resolve returns the user references among refs that exclude does not name.
func (UsersOnly) Resolve(_ context.Context, refs, exclude []string) ([]string, error) {
	users := make([]string, 0, len(refs))
	seen := make(map[string]struct{}, len(refs)+len(exclude))
	for _, ref := range exclude {
		seen[ref] = struct{}{}
	}
	for _, ref := range refs {
		parsed, err := signalbox.ParseEntityRef(ref)
		if err != nil {
			return nil, err
		}
		user := parsed.String()
		if _, known := seen[user]; known || !parsed.IsUser() {
			continue
		}
		seen[user] = struct{}{}
		users = append(users, user)
	}
	return users, nil
}

// Recipients is the stage that turns each request into notifications: one per
// user, or one for everybody.
type Recipients struct {
	resolver Resolver
	channels []string
}

// NewRecipients makes the stage. Every notification starts out routed to all of
// channels; later stages take some away.
func NewRecipients(resolver Resolver, channels []string) *Recipients {
	return &Recipients{resolver: resolver, channels: slices.Clone(channels)}
}

// Name returns "recipients".
func (*Recipients) Name() string { return "recipients" }

// Process resolves the recipients of every live item.
func (r *Recipients) Process(ctx context.Context, batch *signalbox.Batch) error {
	for _, item := range batch.Live() {
		users := item.Users
		switch {
		case users != nil:
		case item.Request.Recipients.Type == signalbox.RecipientsBroadcast:
			users = []string{""} // one row, nobody's
		default:
			var err error
			users, err = r.resolver.Resolve(ctx, item.Request.Recipients.EntityRefs, item.Request.Recipients.ExcludeEntityRefs)
			if err != nil {
				item.Fail(r.Name(), err)
				continue
			}
		}
		item.Routed = make([]signalbox.Routed, 0, len(users))
		for _, user := range users {
			item.Routed = append(item.Routed, signalbox.Routed{
				Notification: signalbox.Notification{
					ID:        signalbox.NotificationID(item.Request.ID, user),
					User:      user,
					Origin:    item.Request.Origin,
					Created:   item.Request.Created,
					Payload:   item.Request.Payload,
					RequestID: item.Request.ID,
					Revision:  item.Revision,
				},
				Channels: r.channels,
			})
		}
	}
	return nil
}
