package slack_test

import (
	"context"
	"fmt"

	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/slack"
)

// A renderer changes what is sent, here by an emoji of the operator's own.
func ExampleRenderer() {
	var render slack.Renderer = func(_ context.Context, d channels.Delivery, standard slack.Message) (slack.Message, error) {
		standard.Text = ":owl: " + slack.Escape(d.Notification.Payload.Title)
		return standard, nil
	}
	var d channels.Delivery
	d.Notification.Payload.Title = "<!channel> is only text"
	message, err := render(context.Background(), d, slack.Message{})
	fmt.Println(message.Text, err)
	// Output: :owl: &lt;!channel&gt; is only text <nil>
}
