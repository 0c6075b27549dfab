package browser

import (
	_ "embed"
)

// axe is axe-core, see web/ui/vendor.sh.
//
//go:embed testdata/axe-core/axe.min.js
var axe string

// Violations lets axe-core judge a part of what the tab shows, an expression or a
// selector, by WCAG 2.2 AA and its best practices.
func (p *Tab) Violations(part string) []string {
	p.T.Helper()
	p.Evaluate(axe + "; null")
	// Colours that are on their way are not those that will be.
	p.Settle()
	return Value[[]string](p, `axe.run(`+part+`, {
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
	}).then(({ violations, passes }) => passes.length < 5 ? ['nothing was looked at'] : violations.flatMap(({ id, help, nodes }) =>
		nodes.map((n) => id + ': ' + help + ': ' + n.target + ' ' + n.html.slice(0, 200) + ' ' + n.failureSummary)))`)
}
