package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/signalbox/signalbox/e2e/patience"
)

// Page is a tab, or what embeds one.
type Page interface {
	// Decode evaluates an expression into a value, and waits for it if it is a promise.
	Decode(expression string, into any)
}

// Value evaluates an expression, and waits for it if it is a promise.
func Value[T any](p Page, expression string) T {
	var v T
	p.Decode(expression, &v)
	return v
}

// Decode implements Page.
func (p *Tab) Decode(expression string, into any) {
	p.T.Helper()
	p.Run(chromedp.Evaluate(expression, into, Awaited))
}

// Awaited makes an evaluation wait for the promise that it is.
func Awaited(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }

// Evaluate runs a script for its effect.
func (p *Tab) Evaluate(script string) {
	p.T.Helper()
	p.Run(chromedp.Evaluate(script, nil))
}

// Wait waits until an expression is true.
func (p *Tab) Wait(condition string) {
	p.T.Helper()
	patience.Until(p.T, func() error {
		ctx, cancel := context.WithTimeout(p.ctx, patience.Limit)
		defer cancel()
		var ok bool
		err := chromedp.Run(ctx, chromedp.Evaluate("Boolean("+condition+")", &ok))
		if err == nil && !ok {
			err = errors.New(condition)
		}
		return err
	})
}

// WaitText waits until the text of an element contains a text.
func (p *Tab) WaitText(selector, text string) {
	p.T.Helper()
	p.Wait(fmt.Sprintf(`[...document.querySelectorAll(%s)].some((e) => e.textContent.includes(%s))`, Quote(selector), Quote(text)))
}

// WaitCount waits until there are so many elements.
func (p *Tab) WaitCount(selector string, n int) {
	p.T.Helper()
	p.Wait(fmt.Sprintf(`document.querySelectorAll(%s).length === %d`, Quote(selector), n))
}

// Quote is a text as a JavaScript literal.
func Quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts are valid
	}
	return string(quoted)
}
