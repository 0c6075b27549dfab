package browser

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Click clicks the first element that matches and, if text is not empty, contains it.
func (p *Tab) Click(selector, text string) {
	p.T.Helper()
	p.WaitText(selector, text)
	p.Evaluate(fmt.Sprintf(`[...document.querySelectorAll(%s)].find((e) => e.textContent.includes(%s)).click()`, Quote(selector), Quote(text)))
}

// ClickAt clicks the middle of an element that an expression is, as a mouse does.
func (p *Tab) ClickAt(element string) {
	p.T.Helper()
	p.Wait(element + "?.checkVisibility()")
	at := Value[[]float64](p, fmt.Sprintf(`(() => { const e = %s; e.scrollIntoView({ block: 'nearest', behavior: 'instant' }); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, element))
	p.Run(chromedp.MouseClickXY(at[0], at[1]))
}

// Set gives the field that an expression is a value, as a person does.
func (p *Tab) Set(field, value string) {
	p.T.Helper()
	p.Wait(field)
	p.Evaluate(fmt.Sprintf(`(() => {
		const field = %s;
		field.focus();
		field.value = %s;
		field.dispatchEvent(new Event('input', { bubbles: true }));
		// Of a text, it comes when one leaves it.
		if (!field.matches('textarea, [type=text], [type=search]')) field.dispatchEvent(new Event('change', { bubbles: true }));
	})()`, field, Quote(value)))
}

// Press presses keys, one after the other.
func (p *Tab) Press(keys ...string) {
	p.T.Helper()
	for _, key := range keys {
		if key >= "~" || key <= " " {
			p.Run(chromedp.KeyEvent(key))
			continue
		}
		// One event for the key and its letter, as of a keyboard: who takes the key gets
		// no letter.
		p.Run(input.DispatchKeyEvent(input.KeyDown).WithKey(key).WithText(key), input.DispatchKeyEvent(input.KeyUp).WithKey(key))
	}
}

// TabBack is Shift and Tab.
func (p *Tab) TabBack() {
	p.T.Helper()
	p.Run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(input.ModifierShift)))
}
