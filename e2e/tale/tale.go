// Package tale is an inbox as one finds it in the morning: for pictures, and for tests
// that want some of everything.
package tale

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/signalbox/signalbox/e2e/binary"
)

// description is a notification as a careful sender writes it.
const description = `The rollout of **checkout-api** to *production* stopped at 40 %.

- ` + "`p95`" + ` latency rose from 120 ms to **840 ms**
- error budget for November: 12 % left

` + "```\nkubectl rollout undo deploy/checkout-api -n shop\n```" + `

> Rolled back automatically at 09:41.

See [the run](https://ci.example.com/runs/4711) or https://status.example.com.`

// told is a notification of it.
type told struct {
	origin string
	age    time.Duration
	read   bool
	binary.Payload
}

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// plot is what was sent, the oldest first.
var plot = []told{
	{"operations", 9*day + 3*hour, true, binary.Payload{"title": "New laptops: choose yours until Friday", "topic": "office", "description": "Two models, both with **32 GB**. The form takes a minute."}},
	{"on-call", 6*day + 5*hour, true, binary.Payload{"title": "On call from Monday, 09:00", "topic": "rotation", "description": "You take over from Jonas for one week."}},
	{"scaffolder", 4*day + 2*hour, true, binary.Payload{"title": "“order-events” is ready", "topic": "templates", "link": "/create/tasks/77", "description": "Repository, pipeline and dashboards are set up."}},
	{"catalog", 3*day + 6*hour, false, binary.Payload{"title": "New component: payments-ledger", "topic": "components", "severity": "low", "link": "/catalog/default/component/payments-ledger", "description": "Owned by team-payments, in the system *checkout*."}},
	{"ci", 2*day + 4*hour, true, binary.Payload{"title": "Flaky test quarantined: TestLedgerRounding", "topic": "tests", "severity": "low", "description": "It failed 4 of the last 50 runs."}},
	{"operations", day + 7*hour, false, binary.Payload{"title": "Certificate of shop.example.com expires in 14 days", "topic": "certificates", "severity": "high", "link": "https://ci.example.com/certificates", "description": "Renewal failed twice: the DNS challenge did not appear within 5 minutes."}},
	{"git", day + 2*hour, true, binary.Payload{"title": "Your pull request was merged", "topic": "reviews", "link": "https://git.example.com/shop/pulls/1284", "description": "**#1284** *Cache the catalog’s ancestors* was merged by amara into `main`."}},
	{"operations", 9 * hour, false, binary.Payload{"title": "Nightly backup finished", "topic": "backups", "severity": "low", "description": "412 GB in 38 minutes, verified."}},
	{"security", 5 * hour, false, binary.Payload{"title": "2 vulnerabilities in the image web:2.14.1", "topic": "images", "severity": "high", "description": "Both have fixes: rebuild with the base image of today."}},
	{"git", 70 * time.Minute, true, binary.Payload{"title": "Review requested: Split the ledger table by month", "topic": "reviews", "link": "https://git.example.com/shop/pulls/1290", "description": "Lin asks for your review, 12 files, +340 −120."}},
	{
		"ci", 12 * time.Minute, false, binary.Payload{
			"title": "Deployment of checkout-api failed", "topic": "deployments", "severity": "critical", "description": description, "link": "https://ci.example.com/runs/4711",
			"additionalLinks": []any{map[string]any{"title": "Dashboard", "url": "https://grafana.example.com/d/checkout"}, map[string]any{"title": "Runbook", "url": "https://wiki.example.com/runbooks/checkout"}},
			"metadata":        map[string]any{"commit": "9f3ac21", "duration": "4 min 12 s", "region": "eu-central-1"},
		},
	},
}

// Config gives each sender of it a token.
func Config() string {
	origins := map[string]bool{}
	for _, one := range plot {
		origins[one.origin] = true
	}
	return binary.Senders(slices.Sorted(maps.Keys(origins))...)
}

// Everyone is the title of what was sent to everyone.
const Everyone = "Maintenance on Sunday, 06:00 to 08:00 UTC"

// Count is how many notifications there are.
var Count = len(plot) + 1

// Tell sends it all: by the senders of Config, or all by the local one.
func Tell(s *binary.Server) {
	s.T.Helper()
	for _, one := range plot {
		s.As(one.origin).Send(one.Payload)
	}
	s.As("operations").Post("/api/notifications", map[string]any{
		"recipients": map[string]any{"type": "broadcast"},
		"payload":    binary.Payload{"title": Everyone, "topic": "maintenance", "description": "The build cluster moves to new machines. Pipelines queue and start afterwards."},
	})
}

// Pass makes everything as old as it should be, some of it read, and some saved.
func Pass(s *binary.Server) {
	s.T.Helper()
	for _, one := range plot {
		title := fmt.Sprint(one.Payload["title"])
		s.Age(title, one.age)
		if one.read {
			update(s, title, `"read":true`)
		}
	}
	s.Age(Everyone, 26*time.Minute)
	update(s, "Certificate", `"saved":true`)
}

// update changes a notification that is found by its title.
func update(s *binary.Server, title, change string) {
	s.T.Helper()
	var list struct{ Notifications []struct{ ID string } }
	s.Call(http.MethodGet, "/api/notifications?search="+url.QueryEscape(title), nil, "", &list)
	if len(list.Notifications) != 1 {
		s.T.Fatalf("%d have the title %q", len(list.Notifications), title)
	}
	s.Call(http.MethodPost, "/api/notifications/update", nil, fmt.Sprintf(`{"ids":[%q],%s}`, list.Notifications[0].ID, change), nil)
}
