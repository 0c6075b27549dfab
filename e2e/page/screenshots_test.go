package page

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var screenshots = flag.String("screenshots", "", "folder to write the pictures for the documentation to")

// description is a notification as a careful sender writes it.
const description = `The rollout of **checkout-api** to *production* stopped at 40 %.

- ` + "`p95`" + ` latency rose from 120 ms to **840 ms**
- error budget for November: 12 % left

` + "```\nkubectl rollout undo deploy/checkout-api -n shop\n```" + `

> Rolled back automatically at 09:41.

See [the run](https://ci.example.com/runs/4711) or https://status.example.com.`

// story fills an inbox as it looks in the morning.
func story(s *server) {
	for _, p := range []payload{
		{"title": "Nightly backup finished", "topic": "backups", "severity": "low", "description": "412 GB in 38 minutes, verified."},
		{"title": "Your pull request was merged", "topic": "reviews", "link": "https://git.example.com/shop/pulls/1284", "description": "**#1284** *Cache the catalog’s ancestors* was merged by amara into `main`."},
		{"title": "Certificate of shop.example.com expires in 14 days", "topic": "certificates", "severity": "high", "description": "Renewal failed twice: the DNS challenge did not appear within 5 minutes."},
		{"title": "New component: payments-ledger", "topic": "catalog", "severity": "low", "link": "/catalog/default/component/payments-ledger", "description": "Owned by team-payments, in the system *checkout*."},
		{"title": "“order-events” is ready", "topic": "templates", "link": "/create/tasks/77", "description": "Repository, pipeline and dashboards are set up."},
		{"title": "2 vulnerabilities in the image web:2.14.1", "topic": "security", "severity": "high", "description": "Both have fixes: rebuild with the base image of today."},
		{"title": "Review requested: Split the ledger table by month", "topic": "reviews", "description": "Lin asks for your review, 12 files, +340 −120."},
		{"title": "On call from Monday, 09:00", "topic": "on-call", "description": "You take over from Jonas for one week."},
		{"title": "Flaky test quarantined: TestLedgerRounding", "topic": "tests", "severity": "low", "description": "It failed 4 of the last 50 runs."},
		{
			"title": "Deployment of checkout-api failed", "topic": "deployments", "severity": "critical", "description": description, "link": "https://ci.example.com/runs/4711",
			"additionalLinks": []any{map[string]any{"title": "Dashboard", "url": "https://grafana.example.com/d/checkout"}, map[string]any{"title": "Runbook", "url": "https://wiki.example.com/runbooks/checkout"}},
			"metadata":        map[string]any{"commit": "9f3ac21", "duration": "4 min 12 s", "region": "eu-central-1"},
		},
	} {
		s.send(p)
	}
	s.post("/api/notifications", map[string]any{
		"recipients": map[string]any{"type": "broadcast"},
		"payload":    payload{"title": "Maintenance on Sunday, 06:00 to 08:00 UTC", "topic": "maintenance", "description": "The build cluster moves to new machines. Pipelines queue and start afterwards."},
	})
}

// shrink reduces a picture to 256 colours, which is plenty for a page, and less than
// half the size: the most frequent ones, and before greys those that stand out.
func shrink(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	picture, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return err
	}
	counts := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	weight := func(c color.Color) int {
		r, g, b, _ := c.RGBA()
		return counts[c] * (1 + int(max(r, g, b)-min(r, g, b))>>10)
	}
	colors := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Or(weight(b)-weight(a), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	small := image.NewPaletted(bounds, colors[:min(256, len(colors))])
	draw.Draw(small, bounds, picture, bounds.Min, draw.Src)
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, small); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}

// TestScreenshots makes the pictures of the documentation: make screenshots.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("makes pictures only with -screenshots")
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "")
	story(s)
	p := s.open(t, "/?view=all")
	take := func(name string) {
		t.Helper()
		p.wait(`document.getAnimations().every((a) => a.playState !== 'running')`)
		file := filepath.Join(*screenshots, name+".png")
		if err := errors.Join(p.picture(file), shrink(file)); err != nil {
			t.Fatal(err)
		}
	}
	p.waitCount(".row", 11)
	p.live()
	p.click(".row-main", "Nightly")
	p.click(".row-main", "merged")
	p.click(".row-main", "checkout-api failed")
	p.waitText(".trace", "Inbox")
	p.theme("light")
	take("page-light")
	p.theme("dark")
	take("page-dark")
	p.visit("/settings")
	p.waitText(".matrix", "deployments")
	take("settings-dark")
	p.theme("light")
	take("settings-light")
	p.size(390, 844)
	p.visit("/")
	p.waitText(".row", "Certificate")
	take("page-phone")
	p.click(".row-main", "Certificate")
	p.waitText(".trace", "Inbox")
	take("page-phone-open")
	p.visit("/settings")
	p.waitText(".matrix", "deployments")
	take("settings-phone")
}
