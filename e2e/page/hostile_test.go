package page

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/e2e/browser"
)

// hostileToken is of a sender whose name is an attack.
const hostileToken = "hostile-hostile-hostile"

func TestHostileContentDoesNothing(t *testing.T) {
	t.Parallel()
	const attack = `"><img src=x onerror="window.attacked=1"><script>window.attacked=1</script><svg onload="window.attacked=1">`
	s := serve(t, fmt.Sprintf(`
backend: {auth: {externalAccess: [{type: static, options: {token: %s, subject: '"><img/src=x/onerror=window.attacked=1>'}}]}}
`, hostileToken))
	s.Token = hostileToken
	s.Send(payload{
		"title": attack, "topic": attack, "scope": attack,
		"description": attack + `

[click](javascript:window.attacked=1) [data](data:text/html,<script>window.attacked=1</script>) [upper](JaVaScRiPt:window.attacked=1)
![picture](https://example.com/pixel.png) [entity](&#106;avascript:window.attacked=1) <javascript:window.attacked=1>

` + "```\n" + attack + "\n```\n\n# " + attack + "\n> " + attack + "\n- " + attack + "\n\n[" + attack + "](https://example.com/\"onmouseover=window.attacked=1)\n",
		"link":            "https://example.com/\"onclick=\"window.attacked=1",
		"additionalLinks": []any{map[string]any{"title": attack, "url": "https://example.com/?\"><script>window.attacked=1</script>"}},
		"metadata":        map[string]any{attack: attack, "link": "javascript:window.attacked=1", "nested": map[string]any{"x": attack}, "__proto__": map[string]any{"attacked": 1}},
		"icon":            attack,
	})
	p := s.open(t, "/?view=all&group=origin")
	p.WaitCount(".row", 1)
	p.Click(".row-main", "onerror")
	p.WaitText(".trace", "Inbox")
	harmless := func(where string) {
		t.Helper()
		p.Wait(`(document.querySelectorAll('*').length, true)`)
		if browser.Value[bool](p, `'attacked' in window || ({}).attacked !== undefined`) {
			t.Errorf("%s: the attack ran", where)
		}
		if n := browser.Value[int](p, `document.querySelectorAll('main img, main script, main iframe, main [onerror], main [onload], main [onclick], main [onmouseover], main [style*=url]').length`); n != 0 {
			t.Errorf("%s: there are %d elements that the sender made", where, n)
		}
		for _, address := range browser.Value[[]string](p, `[...document.querySelectorAll('a')].map((a) => a.href).filter((h) => !/^https?:/.test(h))`) {
			t.Errorf("%s: a link leads to %s", where, address)
		}
		for _, link := range browser.Value[[]string](p, `[...document.querySelectorAll('.detail a[target]')].filter((a) => !a.relList.contains('noopener') || !a.relList.contains('noreferrer')).map((a) => a.outerHTML)`) {
			t.Errorf("%s: a link tells where it comes from: %s", where, link)
		}
	}
	harmless("the inbox")
	if text := browser.Value[string](p, `document.querySelector('#detail-title bdi').textContent`); text != attack {
		t.Errorf("the title is %q", text)
	}
	p.visit("/settings")
	p.WaitText(".matrix", "onerror")
	harmless("the settings")

	t.Log("No script can make markup of a text, even if it tried.")
	p.Expect("TrustedHTML")
	if browser.Value[bool](p, `(() => { try { document.createElement('div').innerHTML = '<b>x</b>'; return true; } catch { return false; } })()`) {
		t.Error("innerHTML takes a text")
	}
}

// TestMarkdownTakesNoTime is about texts that make careless patterns slow.
func TestMarkdownTakesNoTime(t *testing.T) {
	t.Parallel()
	s := serve(t, "")
	p := s.open(t, "/")
	took := browser.Value[float64](p, `(async () => {
		const version = document.querySelector('script[type=module]').src;
		const { markdown, plain } = await import(new URL('kit/markdown.js', version));
		const parts = ['*', '_', '**a', '__a', '[', '[a](', '![', '~~', '~~a', String.fromCharCode(96), '> ', '- ', '1. ', '# ', '<https://a', '*a_b ', '\n\n  - ', '**a*', '_a*'];
		let worst = 0;
		for (const part of parts) {
			const text = part.repeat(Math.ceil(20000 / part.length)).slice(0, 20000);
			const start = performance.now();
			markdown(text); plain(text);
			worst = Math.max(worst, performance.now() - start);
		}
		return worst;
	})()`)
	if took > 1000 {
		t.Errorf("20,000 characters took %.0f ms", took)
	}
}
