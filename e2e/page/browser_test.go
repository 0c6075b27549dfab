package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
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
		allocated, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		// The library complains about every event that is newer than itself.
		ctx, stop := chromedp.NewContext(allocated, chromedp.WithErrorf(func(string, ...any) {}))
		browser, errBrowser = ctx, chromedp.Run(ctx)
		stopBrowser = func() { stop(); stopAllocator() }
	})
	if errBrowser != nil {
		t.Fatalf("Chromium is needed (apt-get install chromium, or CHROMIUM=/path/to/it): %v", errBrowser)
	}
	return browser
}

// tab is one tab of the browser.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string
	// close closes the tab.
	close func()

	mu       sync.Mutex
	problems []string
	expected []string
}

// profile is a browser without any memory. Its tabs share what they store.
type profile struct {
	t       testing.TB
	browser context.Context
	id      cdp.BrowserContextID
}

func newProfile(t testing.TB) *profile {
	t.Helper()
	// As a target of the browser itself, not of a tab.
	ctx := cdp.WithExecutor(startBrowser(t), chromedp.FromContext(browser).Browser)
	id, err := target.CreateBrowserContext().Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.DisposeBrowserContext(id).Do(ctx); err != nil {
			t.Errorf("closing the browser's profile: %v", err)
		}
	})
	return &profile{t: t, browser: ctx, id: id}
}

// open opens a tab of a fresh profile.
func (s *server) open(t testing.TB, path string) *tab {
	t.Helper()
	return newProfile(t).open(s.base, path)
}

// open opens a tab at a page, in a window of its own: tabs in the background are
// throttled.
func (f *profile) open(base, path string) *tab {
	t := f.t
	t.Helper()
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(f.id).WithNewWindow(true).Do(f.browser)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(id))
	p := &tab{t: t, ctx: ctx, base: base, close: func() {
		if err := target.CloseTarget(id).Do(f.browser); err != nil {
			t.Errorf("closing a tab: %v", err)
		}
	}}
	chromedp.ListenTarget(ctx, p.hear)
	t.Cleanup(func() {
		if t.Failed() {
			p.keepPicture()
			p.logText()
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
	// The first run attaches to the tab, for as long as its context lives.
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	p.size(1440, 900)
	// Every window believes that it is in front.
	p.run(emulation.SetFocusEmulationEnabled(true), log.Enable(), runtime.Enable(), emulation.SetLocaleOverride().WithLocale("en-GB"))
	p.visit(path)
	return p
}

// hear collects what a browser's console shows in red.
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
func (p *tab) expect(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, part)
}

func (p *tab) run(actions ...chromedp.Action) {
	p.t.Helper()
	if err := p.try(actions...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) try(actions ...chromedp.Action) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, actions...)
}

// size sets the size of the window in pixels.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.run(emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		emulation.SetTouchEmulationEnabled(width < 600))
}

// theme makes the system light or dark.
func (p *tab) theme(name string) {
	p.t.Helper()
	p.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

// visit goes to a page and waits until the page has drawn something.
func (p *tab) visit(path string) {
	p.t.Helper()
	p.run(chromedp.Navigate(p.base + path))
	p.wait(`document.querySelector('main') !== null`)
}

// value evaluates an expression.
func value[T any](p *tab, expression string) T {
	p.t.Helper()
	var v T
	p.run(chromedp.Evaluate(expression, &v, awaited))
	return v
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// wait waits until an expression is true.
func (p *tab) wait(condition string) {
	p.t.Helper()
	eventually(p.t, func(ctx context.Context) error {
		var ok bool
		err := chromedp.Run(p.ctx, chromedp.Evaluate("Boolean("+condition+")", &ok))
		if ctx.Err() == nil && err == nil && !ok {
			err = errors.New(condition)
		}
		return err
	})
}

// waitText waits until an element's text contains a text.
func (p *tab) waitText(selector, text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`[...document.querySelectorAll(%s)].some((e) => e.textContent.includes(%s))`, quote(selector), quote(text)))
}

// waitCount waits until there are so many elements.
func (p *tab) waitCount(selector string, n int) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.querySelectorAll(%s).length === %d`, quote(selector), n))
}

// click clicks the first element that matches and, if text is not empty, contains it.
func (p *tab) click(selector, text string) {
	p.t.Helper()
	p.waitText(selector, text)
	p.run(chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll(%s)].find((e) => e.textContent.includes(%s)).click()`, quote(selector), quote(text)), nil))
}

// choose chooses an option of a select, by its label.
func (p *tab) choose(label, option string) {
	p.t.Helper()
	at := fmt.Sprintf(`[...document.querySelectorAll('select')].find((s) => (s.ariaLabel ?? s.closest('label')?.firstElementChild?.textContent) === %s)`, quote(label))
	p.wait(at)
	p.run(evaluate(at + `.focus()`))
	p.wait(fmt.Sprintf(`[...%s.options].some((o) => o.value === %s)`, at, quote(option)))
	p.run(chromedp.Evaluate(fmt.Sprintf(`(() => { const s = %s; s.value = %s; s.dispatchEvent(new Event('change', { bubbles: true })); })()`, at, quote(option)), nil))
}

// press presses keys, one after the other.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		if key > "~" || key < " " {
			p.run(chromedp.KeyEvent(key))
			continue
		}
		// One event for the key and its letter, as of a keyboard: who takes the key gets
		// no letter.
		p.run(input.DispatchKeyEvent(input.KeyDown).WithKey(key).WithText(key), input.DispatchKeyEvent(input.KeyUp).WithKey(key))
	}
}

// Keys that have no letter.
const (
	enter  = kb.Enter
	escape = kb.Escape
	tabKey = kb.Tab

	arrowDown = kb.ArrowDown
)

// live waits until the socket is connected.
func (p *tab) live() {
	p.t.Helper()
	p.wait(`document.querySelector('.connection-live')`)
}

// titles are the titles of the rows that are drawn, from top to bottom.
func (p *tab) titles() []string {
	p.t.Helper()
	return value[[]string](p, `[...document.querySelectorAll('.row-title bdi')].map((e) => e.textContent)`)
}

// picture writes what the tab shows to a file.
func (p *tab) picture(file string) error {
	var png []byte
	if err := p.try(chromedp.CaptureScreenshot(&png)); err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o600)
}

// keepPicture helps to see why a test failed.
func (p *tab) keepPicture() {
	dir := os.Getenv("PAGE_TEST_PICTURES")
	if dir == "" {
		return
	}
	name := strings.NewReplacer("/", "_", " ", "_").Replace(p.t.Name())
	if err := p.picture(dir + "/" + name + ".png"); err != nil {
		p.t.Logf("no picture: %v", err)
	}
}

// logText tells what the tab shows, and what its list holds.
func (p *tab) logText() {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	var text string
	err := chromedp.Run(ctx, chromedp.Evaluate(`(async () => {
		const { list } = await import(new URL('inbox/list.js', document.querySelector('script[type=module]').src));
		const { rows, filter, state, total, done, failure } = list.state;
		return location.href + '\n' + JSON.stringify({ state, total, done, filter, failure: failure?.message, rows: rows.slice(0, 20).map((n) => [n.payload.title, n.read, n.snoozedUntil]) }) + '\n' + document.body.innerText.slice(0, 1000);
	})()`, &text, awaited))
	p.t.Logf("the tab shows (%v): %s", err, text)
}

// quote is a text as a JavaScript literal.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts are valid
	}
	return string(quoted)
}
