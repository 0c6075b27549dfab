package browser

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/signalbox/signalbox/e2e/patience"
)

// Tab is one tab of the browser.
type Tab struct {
	T testing.TB
	// Close closes the tab before the test ends.
	Close func()

	ctx      context.Context
	mu       sync.Mutex
	problems []string
	expected []string
}

// Open opens an empty tab, in a window of its own: tabs in the background are throttled.
// It is closed when the test ends, which fails if the tab has complained of anything
// that was not expected. PAGE_TEST_PICTURES names a folder for pictures of failures.
func (f *Profile) Open() *Tab {
	t := f.T
	t.Helper()
	p := &Tab{T: t}
	cancel := f.attach(p)
	t.Cleanup(func() {
		if dir := os.Getenv("PAGE_TEST_PICTURES"); dir != "" && t.Failed() {
			name := strings.NewReplacer("/", "_", " ", "_").Replace(t.Name())
			if err := errors.Join(os.MkdirAll(dir, 0o750), p.Picture(filepath.Join(dir, name+".png"))); err != nil { //nolint:gosec // whoever runs the tests names it
				t.Logf("no picture: %v", err)
			}
		}
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			if !slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(problem, part) }) {
				t.Errorf("the console of the browser: %s", problem)
			}
		}
	})
	p.Size(1440, 900)
	// Every window believes that it is in front.
	p.Run(emulation.SetFocusEmulationEnabled(true), log.Enable(), runtime.Enable(), emulation.SetLocaleOverride().WithLocale("en-GB"))
	return p
}

// Attaching to a tab takes milliseconds; once in a long while the browser forgets about it.
const (
	attachLimit = patience.Limit / 3
	attachTries = 3
)

// attach makes a tab of the browser, and returns how to let go of it.
func (f *Profile) attach(p *Tab) context.CancelFunc {
	t := f.T
	t.Helper()
	for try := 1; ; try++ {
		var id target.ID
		if err := f.try(func(ctx context.Context) (err error) {
			id, err = target.CreateTarget("about:blank").WithBrowserContextID(f.id).WithNewWindow(true).Do(ctx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithTargetID(id))
		chromedp.ListenTarget(ctx, p.hear)
		// The first run attaches, for as long as its context lives.
		attached := make(chan error, 1)
		go func() { attached <- chromedp.Run(ctx) }()
		select {
		case err := <-attached:
			if err != nil {
				t.Fatal(err)
			}
			p.ctx, p.Close = ctx, func() {
				if err := f.try(target.CloseTarget(id).Do); err != nil {
					t.Errorf("closing a tab: %v", err)
				}
			}
			return cancel
		case <-time.After(attachLimit):
			cancel()
			if try == attachTries {
				t.Fatal("the browser attaches to no tab")
			}
		}
	}
}

// hear collects what a browser's console shows in red or yellow, breaches of the policy
// among it.
func (p *Tab) hear(event any) {
	problem := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = e.ExceptionDetails.Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			for _, argument := range e.Args {
				problem += string(argument.Value) + argument.Description + " "
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			problem = e.Entry.Text + " " + e.Entry.URL
		}
	case *page.EventJavascriptDialogOpening:
		problem = "a dialog: " + e.Message
	}
	if problem != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.problems = append(p.problems, problem)
	}
}

// Expect allows what contains a text in the console: some tests break things.
func (p *Tab) Expect(parts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, parts...)
}

// Run does things in the tab.
func (p *Tab) Run(actions ...chromedp.Action) {
	p.T.Helper()
	if err := p.Try(actions...); err != nil {
		p.T.Fatal(err)
	}
}

// Try does things in the tab that may fail.
func (p *Tab) Try(actions ...chromedp.Action) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience.Limit)
	defer cancel()
	return chromedp.Run(ctx, actions...)
}

// Navigate goes to an address.
func (p *Tab) Navigate(address string) {
	p.T.Helper()
	p.Run(chromedp.Navigate(address))
}

// Size sets the size of the window in pixels. A narrow one is a phone's.
func (p *Tab) Size(width, height int64) {
	p.T.Helper()
	p.Run(emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		emulation.SetTouchEmulationEnabled(width < 600))
}

// Media makes a preference of the system known to the page.
func (p *Tab) Media(name, value string) {
	p.T.Helper()
	p.Run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: name, Value: value}}))
}

// Theme makes the system light or dark.
func (p *Tab) Theme(name string) {
	p.T.Helper()
	p.Media("prefers-color-scheme", name)
}

// Offline takes the network away from the tab, or gives it back.
func (p *Tab) Offline(offline bool) {
	p.T.Helper()
	conditions := []*network.Conditions{{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}}
	p.Run(network.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := network.EmulateNetworkConditionsByRule(conditions).Do(ctx)
		return err
	}), network.OverrideNetworkState(offline, 0, -1, -1))
}

// AtEveryStart runs a script in every document of the tab, before its own.
func (p *Tab) AtEveryStart(script string) {
	p.T.Helper()
	p.Run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
		return err
	}))
}
