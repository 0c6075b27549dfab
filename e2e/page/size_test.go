package page

import (
	"fmt"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/e2e/binary"
	"github.com/signalbox/signalbox/e2e/browser"
)

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// TestBigInbox has as many notifications as nobody should have.
func TestBigInbox(t *testing.T) {
	const many = 100_000
	if testing.Short() || underRace {
		t.Skip("fills a large inbox, and measures: make test does so without the race detector")
	}
	s := start(t, binary.Options{Full: many})
	p := s.open(t, "/settings")
	p.AtEveryStart(`new MutationObserver((_, observer) => {
		if (!document.querySelector('.row')) return;
		window.firstRow = performance.now();
		observer.disconnect();
	}).observe(document, { childList: true, subtree: true });`)

	var took []float64
	for range 8 {
		p.visit("/")
		p.Wait(`window.firstRow`)
		took = append(took, browser.Value[float64](p, `window.firstRow`))
	}
	// 300 ms are promised. The machine may have other things to do, and a defect that
	// reads the whole inbox takes seconds.
	best := slices.Min(took)
	t.Logf("the first rows were there after %.0f ms, at best %.0f ms", median(took), best)
	if best > 900 {
		t.Errorf("the first rows took %.0f ms", best)
	}
	p.WaitText(".bulk-text", "100,000 notifications")

	t.Log("Scrolling draws what is in view, and loads what comes.")
	frames := browser.Value[[]float64](p, `(async () => {
		const frame = () => new Promise((done) => requestAnimationFrame(done));
		const scroller = document.querySelector('.scroller');
		const times = [];
		while (scroller.scrollHeight < 2500 * 60) {
			const start = performance.now();
			scroller.scrollTop += 900;
			await frame();
			times.push(performance.now() - start);
			if (document.querySelectorAll('.row').length > 80) return [];
		}
		return times;
	})()`)
	if len(frames) < 100 {
		t.Fatalf("too many rows are drawn, or all came at once: %d frames", len(frames))
	}
	// In comparison, because the machine may have other things to do.
	first, last := median(frames[10:60]), median(frames[len(frames)-50:])
	t.Logf("a frame took %.0f ms at the beginning, and %.0f ms after 2,500 rows", first, last)
	if last > 2*first+20 {
		t.Errorf("frames took %.0f ms at the beginning, and %.0f ms after 2,500 rows", first, last)
	}

	t.Log("What arrives does not move what one reads.")
	before := p.titles()[20]
	top := fmt.Sprintf(`[...document.querySelectorAll('.row')].find((e) => e.textContent.includes(%s))?.getBoundingClientRect().top`, browser.Quote(before))
	was := browser.Value[float64](p, top)
	s.Send(payload{"title": "While scrolled"})
	p.WaitText(".arrived", "1 new notification")
	if now := browser.Value[float64](p, top); now != was {
		t.Errorf("the row moved from %v to %v", was, now)
	}
	p.Click(".arrived", "")
	p.WaitText(".row", "While scrolled")
	p.WaitCount(".arrived", 0)

	t.Log("A topic of it, to the very end.")
	p.visit("/?topic=topic-0")
	p.WaitText(".bulk-text", "1,000 matches")
	drawn := browser.Value[int](p, `(async () => {
		const scroller = document.querySelector('.scroller');
		let most = 0;
		while (!document.querySelector('.row:last-child')?.textContent.includes('Notification 0')) {
			scroller.scrollTop = scroller.scrollHeight;
			await new Promise((done) => requestAnimationFrame(done));
			most = Math.max(most, document.querySelectorAll('*').length);
		}
		return most;
	})()`)
	t.Logf("the document had at most %d elements", drawn)
	if drawn > 2000 {
		t.Errorf("the document had %d elements", drawn)
	}

	t.Log("A search over everything.")
	p.visit("/?q=Notification+99999&view=all")
	p.WaitText(".bulk-text", "1 match")
	p.WaitCount(".row", 1)
}
