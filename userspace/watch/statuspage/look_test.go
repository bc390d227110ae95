package statuspage

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"binrepd/userspace/watch/control"
)

// samples are appliances whose pages look different.
func samples(now time.Time) map[string]*appliance {
	all := map[string]*appliance{"losing": losing(now), "empty": empty(now)}
	for _, a := range all {
		a.dialogs = map[string][]control.Dialog{"a": {call(now, "a"), hostile(now)}}
	}
	return all
}

// testWidths: nothing is cut off or needs sideways scrolling on any screen.
func testWidths(t *testing.T, b *chromium) {
	for name, a := range samples(time.Now()) {
		p := b.open(t, serve(t, a).URL+"/", desktop)
		p.await("the numbers", "!document.getElementById('numbers').hidden")
		p.search("a")
		p.await("the call", "document.querySelectorAll('#call article').length === 2")
		for _, width := range []int64{320, 360, 390, 680, 681, 768, 1000, 1001, 1280, 1920} {
			p.show(view{width, 800, "light"})
			p.await("the new width", fmt.Sprintf("innerWidth === %d", width))
			if wide := evaluate[[]string](p, wide); len(wide) > 0 {
				t.Errorf("%s at %d: these don't fit: %q", name, width, wide)
			}
			// Texts that overlap.
			if over := evaluate[[]string](p, overlaps); len(over) > 0 {
				t.Errorf("%s at %d: these cover each other: %q", name, width, over)
			}
		}
		p.quiet()
	}
}

// wide finds elements that are wider than the screen or than their parent.
const wide = `[document.documentElement, ...document.querySelectorAll('body, body *')].filter((e) => {
	const hidden = e.closest('.unseen, thead');
	if (hidden && getComputedStyle(hidden).clipPath !== 'none') return false;
	const r = e.getBoundingClientRect();
	return e.checkVisibility() && (r.right > innerWidth + 0.5 || r.left < -0.5 || (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && !e.closest('svg, input')));
}).map((e) => e.tagName + '#' + e.id + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 40))`

// overlaps finds lines of text that overlap.
const overlaps = `(() => {
	const boxes = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement, hidden = e.closest('.unseen, thead');
		if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('script, style, noscript')) continue;
		if (hidden && getComputedStyle(hidden).clipPath !== 'none') continue;
		const range = document.createRange();
		range.selectNodeContents(walk.currentNode);
		for (const r of range.getClientRects()) if (r.width > 1) boxes.push([r, walk.currentNode]);
	}
	const found = [];
	for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
		const [a, m] = boxes[i], [b, n] = boxes[j];
		const w = Math.min(a.right, b.right) - Math.max(a.left, b.left), h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
		if (m !== n && w > 2 && h > 5) found.push(m.data.trim().slice(0, 30) + ' / ' + n.data.trim().slice(0, 30));
	}
	return found;
})()`

// testContrast measures the contrast of every text with its background, by the formula of WCAG 2.1. It requires 4.5, 3
// for large letters, and 3 for curves and bars.
func testContrast(t *testing.T, b *chromium) {
	for name, a := range samples(time.Now()) {
		p := b.open(t, serve(t, a).URL+"/", desktop)
		p.await("the numbers", "!document.getElementById('numbers').hidden")
		p.search("a")
		p.await("the call", "document.querySelectorAll('#call article').length === 2")
		for _, v := range []view{desktop, desktop.dark()} {
			p.show(v)
			p.await("the scheme", fmt.Sprintf("matchMedia('(prefers-color-scheme: %s)').matches", v.scheme))
			for _, word := range []string{"", "good", "warn", "bad", "idle", "lost"} {
				poor := evaluate[[]string](p, fmt.Sprintf("(() => { if (%q) document.getElementById('state').dataset.word = %q; return %s; })()", word, word, contrast))
				if len(poor) > 0 {
					t.Errorf("%s, %s, %q: %q", name, v.scheme, word, poor)
				}
			}
			if n := evaluate[int](p, "window.measured"); n < 60 {
				t.Errorf("only %d texts were measured", n)
			}
		}
		p.quiet()
	}
}

const contrast = `(() => {
	const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
	const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => {
		const layers = [];
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			layers.push(c);
			if (c[3] === 1) break;
		}
		return layers.reduceRight((under, c) => c.map((v, i) => i < 3 ? v * c[3] + under[i] * (1 - c[3]) : 1), [255, 255, 255, 1]);
	};
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
	const poor = [];
	window.measured = 0;
	const check = (what, colour, ground, least) => {
		window.measured++;
		const r = ratio(parse(colour), ground);
		if (r < least) poor.push(what + ' ' + r.toFixed(2) + ' < ' + least);
	};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
		if (!text || !e.checkVisibility() || e.closest('script, style, noscript')) continue;
		const s = getComputedStyle(e), size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && s.fontWeight >= 700;
		for (let up = e; up; up = up.parentElement) if (getComputedStyle(up).opacity !== '1') poor.push(text + ' is made paler');
		check(text.slice(0, 30), s.color, behind(e), large ? 3 : 4.5);
	}
	const input = document.getElementById('callid');
	check('placeholder', getComputedStyle(input, '::placeholder').color, behind(input), 4.5);
	for (const line of document.querySelectorAll('.plot .line')) check('curve', getComputedStyle(line).stroke, behind(line.closest('.tile')), 3);
	for (const bar of document.querySelectorAll('.part')) if (bar.tagName === 'rect') check('bar', getComputedStyle(bar).fill, parse(getComputedStyle(bar.previousSibling).fill), 3);
	return poor;
})()`

// testKeyboard goes through the page with the Tab key, and reads names and roles as assistive software gets them.
func testKeyboard(t *testing.T, b *chromium) {
	now := time.Now()
	a := losing(now)
	a.dialogs = map[string][]control.Dialog{"a": {call(now, "a")}}
	p := b.open(t, serve(t, a).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	p.key("/")
	if got := evaluate[string](p, "document.activeElement.id + document.activeElement.value"); got != "callid" {
		t.Errorf("after / the focus is on %q", got)
	}
	p.do(chromedp.SendKeys("#callid", "a\r"))
	p.await("the call", "document.querySelector('#call article')")
	var visited []string
	for range 20 {
		p.key("Tab")
		at := evaluate[string](p, "document.activeElement.id || document.activeElement.textContent")
		visited = append(visited, at)
		if evaluate[bool](p, "document.activeElement !== document.body && getComputedStyle(document.activeElement).outlineStyle === 'none'") {
			t.Errorf("the focus on %q can't be seen", at)
		}
	}
	seen := fmt.Sprint(visited)
	for _, want := range []string{"call-close", "Address", "Per second", "Rejected", "sources-more", "api/status"} {
		if !contains(visited, want) {
			t.Errorf("Tab doesn't reach %s: %s", want, seen)
		}
	}
	// When tables become blocks, screen readers must still get tables. Each cell then has the name of its column.
	for v, cell := range map[view]string{desktop: "cell ", phone: "cell State "} {
		p.show(v)
		tree := p.accessible()
		for _, want := range []string{
			"searchbox Call-ID", "button Find", "heading Losses", "heading Sources (24)", "region State", "table Sources", "table Destinations", "rowheader 10.0.0.14 :5555",
			"image Creates: ", "columnheader Per second", cell + "refused for ",
		} {
			if !tree.has(want) {
				t.Errorf("%d wide: no %q for those who hear the page: %q", v.width, want, tree.with("row", "cell"))
			}
		}
	}
	p.quiet()
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

// testPictures takes screenshots for visual checks: go test -run TestPage/pictures -artifacts -outputdir DIR.
func testPictures(t *testing.T, b *chromium) {
	now := time.Now()
	a := losing(now)
	a.dialogs = map[string][]control.Dialog{"a": {call(now, "a84b4c76e66710@proxy-a.example.net")}, "b": {hostile(now)}}
	p := b.open(t, serve(t, a).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	for name, v := range map[string]view{"desktop": desktop, "phone": phone} {
		for _, v := range []view{v, v.dark()} {
			p.show(v)
			p.await("the scheme", fmt.Sprintf("matchMedia('(prefers-color-scheme: %s)').matches && innerWidth === %d", v.scheme, v.width))
			p.screenshot(name + "-" + v.scheme)
		}
	}
	p.quiet()
}
