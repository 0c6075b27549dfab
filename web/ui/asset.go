package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"
)

// contentTypes are those of the files that are served, by extension. Files of other
// kinds, such as licences, are only embedded.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// The content codings.
const (
	brotliCoding   = "br"
	gzipCoding     = "gzip"
	identityCoding = "identity"
)

// asset is one file, with its compressed forms, which are made once, when they are
// asked for.
type asset struct {
	kind    string
	tag     string
	content []byte
	brotli  func() []byte
	gzip    func() []byte
}

func newAsset(kind string, content []byte) *asset {
	sum := sha256.Sum256(content)
	return &asset{
		kind: kind, tag: hex.EncodeToString(sum[:])[:16], content: content,
		brotli: sync.OnceValue(func() []byte {
			var b bytes.Buffer
			w := brotli.NewWriterLevel(&b, 9)
			// A buffer takes everything.
			_, _ = w.Write(content)
			_ = w.Close()
			return b.Bytes()
		}),
		gzip: sync.OnceValue(func() []byte {
			var b bytes.Buffer
			w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
			_, _ = w.Write(content)
			_ = w.Close()
			return b.Bytes()
		}),
	}
}

// serve answers with the file in the coding that the client likes best, or with 304
// if it has it.
func (a *asset) serve(c *fiber.Ctx) error {
	coding := negotiate(c.Get(fiber.HeaderAcceptEncoding))
	c.Vary(fiber.HeaderAcceptEncoding)
	tag := `"` + a.tag + "-" + coding + `"`
	content := a.content
	switch coding {
	case brotliCoding:
		content = a.brotli()
	case gzipCoding:
		content = a.gzip()
	default:
		tag = `"` + a.tag + `"`
	}
	c.Set(fiber.HeaderETag, tag)
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	if coding == brotliCoding || coding == gzipCoding {
		c.Set(fiber.HeaderContentEncoding, coding)
	}
	c.Set(fiber.HeaderContentType, a.kind)
	return c.Send(content)
}

// negotiate returns the best coding that an Accept-Encoding header takes (RFC 9110,
// 12.5.3). Whoever says nothing may understand nothing.
func negotiate(header string) string {
	weights := map[string]float64{}
	for one := range strings.SplitSeq(header, ",") {
		name, parameter, _ := strings.Cut(one, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.ReplaceAll(parameter, " ", ""), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				q = 0
			}
		}
		weights[strings.ToLower(strings.TrimSpace(name))] = q
	}
	best, weight := identityCoding, 0.0
	for _, coding := range []string{brotliCoding, gzipCoding} {
		q, named := weights[coding]
		if !named {
			q = weights["*"]
		}
		if q > weight {
			best, weight = coding, q
		}
	}
	return best
}

// matches reports whether an If-None-Match header names a tag (RFC 9110, 13.1.2).
func matches(header, tag string) bool {
	if strings.TrimSpace(header) == "*" {
		return true
	}
	for one := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == tag {
			return true
		}
	}
	return false
}
