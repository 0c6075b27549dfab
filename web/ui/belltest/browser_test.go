package belltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	browserOnce sync.Once
	browser     context.Context
	errBrowser  error
	stopBrowser = func() {}
)

// startBrowser starts the one browser that all tests share. Without Chromium the
// tests fail: they would be of no use.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	browserOnce.Do(func() {
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
			chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-GB"),
			chromedp.WSURLReadTimeout(time.Minute))
		if os.Geteuid() == 0 {
			// Its sandbox does not run as root. The only pages are our own.
			options = append(options, chromedp.NoSandbox)
		}
		if path := os.Getenv("CHROMIUM"); path != "" {
			options = append(options, chromedp.ExecPath(path))
		}
		allocated, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, stop := chromedp.NewContext(allocated, chromedp.WithErrorf(complain))
		browser, errBrowser = ctx, chromedp.Run(ctx)
		stopBrowser = func() { stop(); stopAllocator() }
	})
	if errBrowser != nil {
		t.Fatalf("Chromium is needed (apt-get install chromium, or CHROMIUM=/path/to/it): %v", errBrowser)
	}
	return browser
}

// complain prints what chromedp does not like, but for events that are newer than it, of
// popovers and style sheets.
func complain(format string, values ...any) {
	if text := fmt.Sprintf(format, values...); !strings.HasPrefix(text, "unhandled node event") {
		fmt.Fprintln(os.Stderr, text)
	}
}

// tab is one tab of the browser, with a profile of its own.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string
	expected []string
}

// open opens a page in a tab of a fresh profile, in a window of its own: tabs in the
// background are throttled. before runs ahead of all scripts of the page.
func open(t testing.TB, address string, before ...string) *tab {
	t.Helper()
	// As a target of the browser itself, not of a tab.
	ctx := cdp.WithExecutor(startBrowser(t), chromedp.FromContext(browser).Browser)
	profile, err := target.CreateBrowserContext().Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	attached, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(id))
	p := &tab{t: t, ctx: attached}
	chromedp.ListenTarget(attached, p.hear)
	t.Cleanup(func() {
		if dir := os.Getenv("BELL_TEST_PICTURES"); dir != "" && t.Failed() {
			if err := p.picture(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+".png")); err != nil {
				t.Log(err)
			}
		}
		cancel()
		if err := target.DisposeBrowserContext(profile).Do(ctx); err != nil {
			t.Errorf("closing the browser's profile: %v", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			if !slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(problem, part) }) {
				t.Errorf("the console of the browser: %s", problem)
			}
		}
	})
	// The first run attaches to the tab, for as long as its context lives.
	if err := chromedp.Run(attached); err != nil {
		t.Fatal(err)
	}
	p.size(1280, 800)
	p.run(log.Enable(), runtime.Enable(), emulation.SetLocaleOverride().WithLocale("en-GB"))
	for _, script := range before {
		p.run(chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
			return err
		}))
	}
	p.run(chromedp.Navigate(address))
	p.wait(`customElements.get('signalbox-bell')`)
	return p
}

// hear collects what a browser's console shows in red or yellow, breaches of the
// policy among it.
func (p *tab) hear(event any) {
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

// expect allows what contains a text in the console: some tests break things.
func (p *tab) expect(parts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, parts...)
}

func (p *tab) run(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// size sets the size of the window in pixels.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.run(emulation.SetDeviceMetricsOverride(width, height, 1, width < 600))
}

// media makes a preference of the system known to the page.
func (p *tab) media(name, value string) {
	p.t.Helper()
	p.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: name, Value: value}}))
}

// evaluate runs a script for its effect.
func (p *tab) evaluate(script string) {
	p.t.Helper()
	p.run(chromedp.Evaluate(script, nil))
}

// value evaluates an expression, and waits for it if it is a promise.
func value[T any](p *tab, expression string) T {
	p.t.Helper()
	var v T
	p.run(chromedp.Evaluate(expression, &v, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	return v
}

// wait waits until an expression is true.
func (p *tab) wait(condition string) {
	p.t.Helper()
	eventually(p.t, func() error {
		var ok bool
		err := chromedp.Run(p.ctx, chromedp.Evaluate("Boolean("+condition+")", &ok))
		if err == nil && !ok {
			err = errors.New(condition)
		}
		return err
	})
}

// in is the element in the shadow of the nth bell of the page.
func in(n int, selector string) string {
	return fmt.Sprintf(`document.querySelectorAll('signalbox-bell')[%d]?.shadowRoot.querySelector(%s)`, n, quote(selector))
}

// waitText waits until an element in the first bell contains a text.
func (p *tab) waitText(selector, text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`%s?.textContent.includes(%s)`, in(0, selector), quote(text)))
}

// waitShown waits until an element in the first bell is shown, or is not.
func (p *tab) waitShown(selector string, shown bool) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`(%s?.checkVisibility() ?? false) === %t`, in(0, selector), shown))
}

// waitBadge waits until the nth bell's badge shows a text; "" is no badge.
func (p *tab) waitBadge(n int, text string) {
	p.t.Helper()
	badge := in(n, ".badge")
	p.wait(fmt.Sprintf(`%[1]s && (%[1]s.checkVisibility() ? %[1]s.textContent : '') === %[2]s`, badge, quote(text)))
}

// titles are those in the open first bell, from top to bottom; unread ones with a star.
func (p *tab) titles() []string {
	p.t.Helper()
	return value[[]string](p, `[...document.querySelector('signalbox-bell').shadowRoot.querySelectorAll('li')].map((e) =>
		(e.classList.contains('unread') ? '*' : '') + e.querySelector('.title bdi').textContent)`)
}

// waitTitles waits until the first bell lists just these.
func (p *tab) waitTitles(want ...string) {
	p.t.Helper()
	eventually(p.t, func() error {
		if got := p.titles(); !slices.Equal(got, want) {
			return fmt.Errorf("titles are %q, want %q", got, want)
		}
		return nil
	})
}

// click clicks the middle of an element, as a mouse does.
func (p *tab) click(element string) {
	p.t.Helper()
	p.wait(element + "?.checkVisibility()")
	at := value[[]float64](p, fmt.Sprintf(`(() => { const r = %s.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, element))
	p.run(chromedp.MouseClickXY(at[0], at[1]))
}

// open opens the nth bell with the mouse.
func (p *tab) open(n int) {
	p.t.Helper()
	p.click(in(n, ".bell"))
	p.wait(in(n, ".panel") + ".matches(':popover-open')")
}

// press presses keys, one after the other.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		p.run(chromedp.KeyEvent(key))
	}
}

// tabBack is Shift and Tab.
func (p *tab) tabBack() {
	p.t.Helper()
	p.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(8)))
}

// waitFocus waits until an element in the first bell has the focus.
func (p *tab) waitFocus(selector string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.querySelector('signalbox-bell').shadowRoot.activeElement?.matches(%s)`, quote(selector)))
}

// picture writes what the tab shows to a file.
func (p *tab) picture(file string) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var png []byte
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}

// quote is a text as a JavaScript literal.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts are valid
	}
	return string(quoted)
}
