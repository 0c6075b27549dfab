package page

import (
	"context"
	"fmt"

	"github.com/chromedp/chromedp"
)

// ctxDone is the context of a condition that does not need it.
type ctxDone = context.Context

// wantStatus compares the counts of the reader's inbox.
func (s *server) wantStatus(unread, read int) error {
	if u, r := s.status(); u != unread || r != read {
		return fmt.Errorf("%d unread and %d read, want %d and %d", u, r, unread, read)
	}
	return nil
}

// evaluate runs an expression for its effect.
func evaluate(expression string) chromedp.Action { return chromedp.Evaluate(expression, nil) }

// clickTick clicks a box.
func clickTick(selector string) chromedp.Action {
	return chromedp.Click(selector, chromedp.ByQuery)
}
