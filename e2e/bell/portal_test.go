package bell

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/e2e/binary"
)

// portal is the foreign page: another origin, with a policy that allows it Signalbox's
// script and API and nothing else.
type portal struct {
	base      string
	signalbox atomic.Pointer[binary.Server]
	// front is where pages are told that Signalbox is; by default that server's base.
	front atomic.Pointer[string]
	// page is what is in the document, script what runs in it.
	page, script atomic.Pointer[string]
}

// standard is a page with one bell.
const standard = `<signalbox-bell></signalbox-bell>`

// newPortal starts a portal with a page and a script, and a Signalbox that it may use.
func newPortal(t testing.TB, page, script string, options ...binary.Options) (*portal, *binary.Server) {
	t.Helper()
	p := &portal{}
	p.page.Store(&page)
	p.script.Store(&script)
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	p.base = front.URL
	var o binary.Options
	if len(options) > 0 {
		o = options[0]
	}
	o.Environment = append(slices.Clip(o.Environment), "SIGNALBOX_CORS_ORIGINS="+p.base)
	s := binary.Start(t, o)
	p.signalbox.Store(s)
	p.front.Store(&s.Base)
	return p, s
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signalbox := *p.front.Load()
	w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src 'self' %[1]s; style-src 'self'; "+
		"connect-src %[1]s %[2]s; img-src data:; base-uri 'none'; form-action 'none'; "+
		"require-trusted-types-for 'script'; trusted-types 'none'", signalbox, strings.Replace(signalbox, "http", "ws", 1)))
	switch name := strings.TrimPrefix(r.URL.Path, "/"); name {
	case "":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Portal</title><link rel="icon" href="data:,"><link rel="stylesheet" href="portal.css">
<script src="portal.js" type="module"></script><script src="%s/bell.js" type="module"></script>
</head><body><main><h1>Portal</h1>%s<p><a id="after" href="#after">After</a></p></main></body></html>`, signalbox, *p.page.Load())
	case "portal.js":
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, *p.script.Load())
	case "portal.css":
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, "main { display: flow-root; min-height: 90vh } signalbox-bell { float: right } [dir=rtl] signalbox-bell { float: left }")
	case "bell-demo.html", "bell-demo.css", "bell-demo.js":
		text, err := os.ReadFile("../../web/ui/static/" + name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", map[string]string{"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}[name[len("bell-demo."):]])
		fmt.Fprint(w, strings.Replace(string(text), `src="bell.js"`, fmt.Sprintf("src=%q", signalbox+"/bell.js"), 1))
	default:
		http.NotFound(w, r)
	}
}

// moods are the ways in which a network can be bad.
type moods struct {
	// deaf lets no WebSocket through, dead nothing.
	deaf, dead atomic.Bool
}

// network puts a bad network between the portal and Signalbox.
func (p *portal) network(t testing.TB) *moods {
	t.Helper()
	m := &moods{}
	signalbox := p.signalbox.Load()
	target, err := url.Parse(signalbox.Base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		// Guest mode answers only to names that it knows.
		r.Out.Host = target.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.dead.Load() || (m.deaf.Load() && r.Header.Get("Upgrade") != "") {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.front.Store(&front.URL)
	return m
}
