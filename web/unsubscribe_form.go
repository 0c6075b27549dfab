package web

import (
	"bytes"
	"mime"
	"mime/multipart"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// maxForm bounds a form, in bytes. What is sent has some 30.
const maxForm = 8 << 10

var errForm = signalbox.Errorf(signalbox.CodeInput, "The request is not a form that can be read.")

// readForm reads the form of a request in either of the encodings that RFC 8058
// has. Compressed bodies are not unpacked.
func readForm(c *fiber.Ctx) (url.Values, error) {
	body := c.Request().Body()
	if len(body) > maxForm {
		return nil, signalbox.Errorf(signalbox.CodeTooLarge, "The request body is too large.")
	}
	mediaType, parameters, err := mime.ParseMediaType(string(c.Request().Header.ContentType()))
	if err != nil {
		return nil, errForm
	}
	switch mediaType {
	case fiber.MIMEApplicationForm:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errForm
		}
		return form, nil
	case fiber.MIMEMultipartForm:
		// No part is larger than what may stay in memory: no temporary files.
		form, err := multipart.NewReader(bytes.NewReader(body), parameters["boundary"]).ReadForm(maxForm)
		if err != nil {
			return nil, errForm
		}
		return form.Value, nil
	default:
		return nil, errForm
	}
}
