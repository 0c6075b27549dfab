package channeltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// errNoDigests is that the channel is no [channels.Digester].
var errNoDigests = errors.New("the channel knows no digests")

// digest is the nth digest of a test: of the deliveries with these numbers, to where
// they go.
func digest(h Harness, n int, numbers ...int) channels.Digest {
	d := channels.Digest{
		ID: NewDelivery(1_000_000 + n).ID,
		// Not whole hours away from UTC.
		End:     time.Date(2026, time.March, 14, 18, 0, 0, 0, time.FixedZone("Asia/Kolkata", 19_800)),
		Attempt: 1,
	}
	for i, number := range numbers {
		of := delivery(h, number)
		d.User, d.Target = cmp.Or(of.Notification.User, "user:default/jane"), of.Target
		d.Items = append(d.Items, channels.DigestItem{Notification: of.Notification, Updates: i % 3})
	}
	return d
}

// asDigest sends the nth delivery together with another one.
func asDigest(ctx context.Context, h Harness, n int) (channels.Sent, error) {
	return sendDigest(ctx, h, digest(h, n, n, 1_000+n))
}

func sendDigest(ctx context.Context, h Harness, d channels.Digest) (channels.Sent, error) {
	digester, ok := h.Channel.(channels.Digester)
	if !ok {
		return channels.Sent{}, errNoDigests
	}
	return digester.DeliverDigest(ctx, d)
}

func mustDigest(ctx context.Context, h Harness, d channels.Digest) (channels.Sent, error) {
	return must(attempt(ctx, h, func(ctx context.Context, h Harness, _ int) (channels.Sent, error) {
		return sendDigest(ctx, h, d)
	}, 0))
}

// digests is several notifications that become one message.
func digests(ctx context.Context, h Harness) error {
	d := digest(h, 1, 1, 2, 3)
	d.More = 4
	if _, err := mustDigest(ctx, h, d); err != nil {
		return err
	}
	if got := len(h.Received()); got != 1 {
		return fmt.Errorf("the provider took %d messages instead of 1", got)
	}
	return arrived(h, 1, 2, 3)
}

// digestsAgain is what happens after a crash. Where the identifiers of deliveries
// stay the same, those of digests do.
func digestsAgain(ctx context.Context, h Harness) error {
	first, err := mustDigest(ctx, h, digest(h, 1, 1, 2))
	if err != nil {
		return err
	}
	second := digest(h, 1, 1, 2)
	second.Attempt = 2
	again, err := mustDigest(ctx, h, second)
	if err != nil {
		return fmt.Errorf("the same again: %w", err)
	}
	other, err := mustDigest(ctx, h, digest(h, 2, 1, 2))
	if err != nil {
		return fmt.Errorf("another one of the same: %w", err)
	}
	var ids [2]string
	for i := range ids {
		sent, err := mustDeliver(ctx, h, delivery(h, 1))
		if err != nil {
			return err
		}
		ids[i] = sent.ID
	}
	switch {
	case ids[0] == ids[1] && first.ID != again.ID:
		return fmt.Errorf("the identifier is %q at first, then %q", first.ID, again.ID)
	case first.ID != "" && first.ID == other.ID:
		return fmt.Errorf("two digests have the identifier %q", first.ID)
	case first.ID != "" && first.ID == ids[0]:
		return fmt.Errorf("a digest and a delivery have the identifier %q", first.ID)
	}
	return nil
}

// digestsExtremes is a digest of what [signalbox.Validator] lets pass, however odd.
func digestsExtremes(ctx context.Context, h Harness) error {
	d := digest(h, 1, 1)
	base := d.Items[0].Notification
	d.Items = nil
	for n, payload := range extremes() {
		if err := (signalbox.Validator{}).Payload(&payload); err != nil {
			return fmt.Errorf("the suite's payload %d: %w", n, err)
		}
		d.Items = append(d.Items, channels.DigestItem{Notification: inDigest(base, payload)})
	}
	if _, err := mustDigest(ctx, h, d); err != nil {
		return err
	}
	if len(h.Received()) == 0 {
		return errors.New("the provider took nothing")
	}
	return nil
}

// digestsLargest is a digest as large as they get.
func digestsLargest(ctx context.Context, h Harness) error {
	all := extremes()
	d := digest(h, 1, 1)
	base, largest := d.Items[0].Notification, inDigest(d.Items[0].Notification, all[len(all)-1])
	d.Items, d.More = []channels.DigestItem{{Notification: base}}, 1_000_000
	for range channels.MaxDigestItems - 1 {
		d.Items = append(d.Items, channels.DigestItem{Notification: largest, Updates: 1_000})
	}
	if _, err := mustDigest(ctx, h, d); err != nil {
		return err
	}
	return arrived(h, 1)
}

// inDigest is what a digest has of a notification with a payload.
func inDigest(base signalbox.Notification, payload signalbox.Payload) signalbox.Notification {
	if runes := []rune(payload.Description); len(runes) > channels.MaxDigestText {
		payload.Description = string(runes[:channels.MaxDigestText])
	}
	payload.Metadata, payload.AdditionalLinks = nil, nil
	base.Payload = payload
	return base
}
