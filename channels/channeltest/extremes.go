package channeltest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/signalbox/signalbox"
)

// deliversExtremes delivers what [signalbox.Validator] lets pass, however odd.
func deliversExtremes(ctx context.Context, h Harness) error {
	for n, payload := range extremes() {
		if err := (signalbox.Validator{}).Payload(&payload); err != nil {
			return fmt.Errorf("the suite's payload %d: %w", n, err)
		}
		d := delivery(h, n)
		d.Notification.Payload = payload
		if _, err := mustDeliver(ctx, h, d); err != nil {
			return fmt.Errorf("payload %d of the extremes: %w", n, err)
		}
	}
	if got, want := len(h.Received()), len(extremes()); got != want {
		return fmt.Errorf("the provider took %d messages instead of %d", got, want)
	}
	return nil
}

func extremes() []signalbox.Payload {
	long := func(s string, characters int) string {
		return strings.Repeat(s, characters/len([]rune(s)))
	}
	largest := func(s string) signalbox.Payload {
		p := signalbox.Payload{
			Title:       long(s, signalbox.MaxTitle),
			Description: long(s, signalbox.MaxDescription),
			Link:        "https://example.com/" + strings.Repeat("a", signalbox.MaxLink-len("https://example.com/")),
			Severity:    signalbox.SeverityCritical,
			Topic:       long(s, signalbox.MaxTopic),
			Scope:       long(s, signalbox.MaxScope),
			Icon:        long(s, signalbox.MaxIcon),
			Metadata:    json.RawMessage(`{"a":"` + strings.Repeat("x", signalbox.MaxMetadata-100) + `"}`),
		}
		for range signalbox.MaxAdditionalLinks {
			p.AdditionalLinks = append(p.AdditionalLinks, signalbox.AdditionalLink{
				Title: long(s, signalbox.MaxLinkTitle), URL: p.Link,
			})
		}
		return p
	}
	return []signalbox.Payload{
		{Title: "x"},
		{Title: "\u200b\u202e."},
		{Title: " t ", Description: "\r\n\t \n"},
		{Title: "relative", Link: "/catalog/default/component/api?x=1#y"},
		{Title: "odd links", Link: "http:\\example.com", AdditionalLinks: []signalbox.AdditionalLink{{URL: "//example.com"}, {URL: "a b|c<d>e"}, {URL: "%zz"}}},
		{Title: "<!channel> & <script>alert(1)</script> {{.}} %s ${x}", Description: "From: a\r\nBcc: b\r\n.\r\n<b>x</b> **y** `z`"},
		{Title: "no rules", Description: strings.Repeat("> ", 5_000) + strings.Repeat("* ", 5_000)},
		largest("a"),
		largest("<&\""),
		largest("👩‍👩‍👧‍👦é漢"),
	}
}
