package belltest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var screenshots = flag.String("screenshots", "", "folder to write the pictures for the documentation to")

// story fills an inbox as it looks in the morning.
func story(s *server) {
	for _, p := range []payload{
		{"title": "Nightly backup finished", "topic": "backups", "severity": "low", "description": "412 GB in 38 minutes, verified."},
		{"title": "Your pull request was merged", "topic": "reviews", "link": "https://git.example.com/shop/pulls/1284", "description": "**#1284** *Cache the catalog’s ancestors* was merged by amara into `main`."},
		{"title": "On call from Monday, 09:00", "topic": "on-call", "description": "You take over from Jonas for one week."},
		{"title": "Certificate of shop.example.com expires in 14 days", "topic": "certificates", "severity": "high", "link": "https://ci.example.com/certificates", "description": "Renewal failed twice: the DNS challenge did not appear within 5 minutes."},
		{"title": "New component: payments-ledger", "topic": "catalog", "severity": "low", "link": "/catalog/default/component/payments-ledger", "description": "Owned by team-payments, in the system *checkout*."},
		{"title": "Review requested: Split the ledger table by month", "topic": "reviews", "link": "https://git.example.com/shop/pulls/1290", "description": "Lin asks for your review, 12 files, +340 −120."},
		{"title": "Deployment of checkout-api failed", "topic": "deployments", "severity": "critical", "link": "https://ci.example.com/runs/4711", "description": "The rollout of **checkout-api** to *production* stopped at 40 %.\n\n- `p95` latency rose from 120 ms to **840 ms**\n- error budget for November: 12 % left"},
	} {
		s.send(p)
	}
}

// TestScreenshots makes the pictures of the documentation.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("makes pictures only with -screenshots")
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	p, s := newPortal(t, standard, "")
	story(s)
	b := open(t, p.base+"/bell-demo.html")
	take := func(name string) {
		t.Helper()
		if err := b.picture(filepath.Join(*screenshots, name+".png")); err != nil {
			t.Fatal(err)
		}
	}
	// Animations would make every picture another one.
	b.media("prefers-reduced-motion", "reduce")
	b.waitBadge(0, "7")
	b.size(1000, 760)
	b.open(0)
	b.waitText("li:nth-child(7)", "backup")
	for _, n := range []string{"5", "6", "7"} {
		b.evaluate(in(0, "li:nth-child("+n+") .mark") + ".click()")
	}
	b.waitBadge(0, "4")
	b.evaluate(`document.activeElement.blur()`)
	take("bell-light")
	b.evaluate(`document.documentElement.classList.add('dark')`)
	take("bell-dark")
	b.evaluate(`document.getElementById('bell').className = 'harbor'`)
	take("bell-themed")
	b.evaluate(`document.documentElement.dir = 'rtl'; dispatchEvent(new Event('resize'))`)
	take("bell-rtl")
	b.evaluate(`document.documentElement.dir = 'ltr'; document.documentElement.className = ''; document.getElementById('bell').className = ''`)
	b.size(390, 760)
	take("bell-phone")
}
