package hub

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
)

// The middleware keeps what is left of the headers for as long as a connection
// lives.
func TestCredentialsAreForgotten(t *testing.T) {
	app := fiber.New()
	app.Get("/", func(c *fiber.Ctx) error {
		forgetCredentials(c)
		if left := c.Request().Header.String(); strings.Contains(left, "secret") {
			t.Errorf("the request still has a secret:\n%s", left)
		}
		if c.Get(fiber.HeaderUpgrade) == "" {
			t.Error("the upgrade header is gone too")
		}
		return nil
	})
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Upgrade", "websocket")
	request.Header.Set("Sec-WebSocket-Protocol", "secret1")
	request.Header.Set("Authorization", "Bearer secret2")
	request.Header.Set("Cookie", "a=secret3; b=secret4")
	response, err := app.Test(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func TestPanicIsLogged(t *testing.T) {
	var log bytes.Buffer
	h, err := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		// As the middleware does it.
		config := websocket.Config{RecoverHandler: h.recoverPanic}
		defer config.RecoverHandler(nil)
		panic("boom")
	}()
	if !strings.Contains(log.String(), "boom") {
		t.Errorf("log: %s", log.String())
	}
}
