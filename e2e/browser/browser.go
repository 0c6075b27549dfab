// Package browser drives a real browser in tests, as a person does: it starts Chromium,
// opens tabs in profiles without any memory, waits for what they show, and fails a test
// whose tabs complain on their console.
package browser

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/signalbox/signalbox/e2e/patience"
)

// chromium is the one browser that all tests of a package share.
var chromium struct {
	once sync.Once
	ctx  context.Context
	err  error
	stop func()
}

// start starts the browser. Without Chromium the tests fail: they would be of no use.
func start(t testing.TB) context.Context {
	t.Helper()
	chromium.once.Do(func() {
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
			chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-GB"),
			// As on a desk: there is a mouse.
			chromedp.Flag("blink-settings", "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"),
			chromedp.WSURLReadTimeout(time.Minute))
		if os.Geteuid() == 0 {
			// Its sandbox does not run as root. The only pages are our own.
			options = append(options, chromedp.NoSandbox)
		}
		if path := os.Getenv("CHROMIUM"); path != "" {
			options = append(options, chromedp.ExecPath(path))
		}
		allocated, stopAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
		ctx, stop := chromedp.NewContext(allocated, chromedp.WithErrorf(complain))
		chromium.ctx, chromium.err = ctx, chromedp.Run(ctx)
		chromium.stop = func() { stop(); stopAllocator() }
	})
	if chromium.err != nil {
		t.Fatalf("Chromium is needed (apt-get install chromium, or CHROMIUM=/path/to/it): %v", chromium.err)
	}
	return chromium.ctx
}

// Stop ends the browser, if a test has started it. TestMain calls it last.
func Stop() {
	if chromium.stop != nil {
		chromium.stop()
	}
}

// complain prints what chromedp does not like, but for events that are newer than it.
func complain(format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	if !strings.HasPrefix(text, "unhandled") && !strings.HasPrefix(text, "could not unmarshal event") {
		fmt.Fprintln(os.Stderr, text)
	}
}

// disposeLimit is how long a test waits for the end of its profile.
const disposeLimit = 10 * time.Second

// Profile is a browser without any memory. Its tabs share what they store.
type Profile struct {
	// T is the test that opens tabs, and fails with them.
	T   testing.TB
	ctx context.Context
	id  cdp.BrowserContextID
}

// NewProfile makes a profile that ends with the test.
func NewProfile(t testing.TB) *Profile {
	t.Helper()
	// As a target of the browser itself, not of a tab.
	browser := start(t)
	f := &Profile{T: t, ctx: cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)}
	if err := f.try(func(ctx context.Context) (err error) {
		f.id, err = target.CreateBrowserContext().Do(ctx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Chromium does not always answer, after requests that it was told to hold back.
		// What is left of the profile ends with the browser.
		ctx, cancel := context.WithTimeout(f.ctx, disposeLimit)
		defer cancel()
		if err := target.DisposeBrowserContext(f.id).Do(ctx); err != nil {
			t.Logf("closing the browser's profile: %v", err)
		}
	})
	return f
}

// try asks the browser for something, and waits no longer than anything else does.
func (f *Profile) try(ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(f.ctx, patience.Limit)
	defer cancel()
	return ask(ctx)
}
