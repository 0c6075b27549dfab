package signalbox_test

import (
	"testing"

	"github.com/signalbox/signalbox"
)

func TestWebOrigin(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://portal.example.com":              "https://portal.example.com",
		"https://Portal.Example.COM/app/?a=b#c":   "https://portal.example.com",
		"HTTPS://portal.example.com":              "https://portal.example.com",
		"https://portal.example.com:443":          "https://portal.example.com",
		"http://portal.example.com:80/":           "http://portal.example.com",
		"https://portal.example.com:80":           "https://portal.example.com:80",
		"http://127.0.0.1:8080":                   "http://127.0.0.1:8080",
		"http://[::1]:8080/x":                     "http://[::1]:8080",
		"https://[::1]:443":                       "https://[::1]",
		"https://user:secret@portal.example.com/": "https://portal.example.com",
		"":                                "",
		"portal.example.com":              "",
		"//portal.example.com":            "",
		"https://":                        "",
		"https://:443":                    "",
		"ftp://portal.example.com":        "",
		"https://portal.example.com:port": "",
		"null":                            "",
	} {
		if got, ok := signalbox.WebOrigin(address); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", address, got, ok)
		}
	}
}
