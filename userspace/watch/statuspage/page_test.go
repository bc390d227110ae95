package statuspage

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

// TestPage opens the page in Chromium.
func TestPage(t *testing.T) {
	b := browser(t)
	for name, test := range map[string]func(*testing.T, *chromium){
		"shows the numbers": testNumbers, "shows nothing yet": testEmpty, "shows trouble": testTrouble,
		"updates itself": testUpdates, "lists many sources": testManySources, "follows a new version": testNewVersion,
		"shows a lost connection": testLost,
		"finds a call":            testSearch, "shows hostile calls as text": testHostile, "finds by the address": testAddress,
		"blocks other scripts": testPolicy,
		"fits every width":     testWidths, "can be read": testContrast, "works by keyboard": testKeyboard, "pictures": testPictures,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for the browser
			test(t, b)
		})
	}
}

func testNumbers(t *testing.T, b *chromium) {
	a := busy(time.Now())
	p := b.open(t, serve(t, a).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	p.has("#state", "READY", "nothing was lost in the last minute", "xdp-native", "3d 4h", "v0.1.0", "Data live")
	p.has("#charts", "Live dialogs "+grouped(a.status.Dialogs), "8,420 early, 61,203 ended",
		"Creates", "/s", grouped(a.status.CreateRecv)+" since the start", "Losses 0 /s", "none since the start")
	p.has("#losses-none", "Nothing was lost since the start, 3d 4h ago.")
	p.has("#latency", "median 98 µs", "99 % 812 µs", "99.9 % 3.64 ms", "maximum 48.2 ms")
	p.has("#latency-note", "In the last 5m. Since the start: 99 % 53 s, maximum 53.1 s.")
	p.has("#memory", "used 1.51 GiB of 19 GiB")
	p.has("#rings", "ring 0 0 %, most 14 % of 64 MiB", "ring 3 <1 %, most 47 % of 64 MiB")
	p.has("#saved", "Last save", "s ago", "1,234,102 dialogs, 583 MiB", "1.82 s", "yes, /sys/fs/bpf/binrepd")
	p.has("#dialogs", "Confirmed 1,232,656", "Early, being set up 8,420", "Ended, still remembered 61,203")
	p.has("#account", "Seen 1,246,803,988", "Applied 1,246,711,020", "Duplicate 77,012", "Rejected 144", "denied 120", "checksum 24", "Lost 0")
	p.has("#sources-table", "10.0.0.11:5555 210 52,000,000", "[2001:db8:85a3:8d3:1319:8a2e:370:7341]:5555 202 50,100,000", "+42s", "±0s")
	p.has("#backups-table", "10.0.0.3:5556 up for 3d 4h 1,246,302,112 3 0 0 0", "standby.example.net:5556 = [2001:db8:85a3::8a2e:370:7334]:5556 up for 1d 5h 402,110,245 0 0 12 4")
	p.has("#listeners-table", "10.0.0.2:5556 623,401,994 611,000,112 12,401,882 12,390,110 fragment 0")
	p.has("#allowed", "Packets are taken from 10.0.0.0/16, 2001:db8:85a3::/48.")
	// The curves reach from the left edge to the right.
	for i := range 5 {
		d := evaluate[string](p, fmt.Sprintf("document.querySelectorAll('.tile .line')[%d].getAttribute('d')", i))
		if len(d) < 2000 {
			t.Errorf("curve %d: %q", i, d)
		}
	}
	rates := evaluate[float64](p, "parseFloat(document.querySelector('.tile.create .value').textContent.replace(',', ''))")
	if rates < 700 || rates > 1800 {
		t.Errorf("%v creates a second, want what the sample sends, 1240 more or less", rates)
	}
	if got := evaluate[string](p, "document.title"); got != "READY · 127.0.0.1 · binrepd" {
		t.Errorf("title %q", got)
	}
	p.quiet()
}

// grouped writes a number as the page does.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func testEmpty(t *testing.T, b *chromium) {
	p := b.open(t, serve(t, empty(time.Now())).URL+"/", phone)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	p.has("#state", "IDLE", "no source has been seen yet", "socket")
	p.has("#charts", "Live dialogs 0", "Creates 0 /s", "0 since the start")
	p.has("#rings-none", "None: packets come through sockets only.")
	p.has("#sources-none", "No source has been seen yet.")
	p.has("#backups-none", "None: nothing is passed on")
	p.has("#saved", "off (--state-dir)", "no (--pin)")
	p.has("#latency", "median –")
	for _, id := range []string{"sources-table", "backups-table", "losses-table", "syncs-card", "call"} {
		if evaluate[bool](p, fmt.Sprintf("document.getElementById(%q).checkVisibility()", id)) {
			t.Errorf("%s is shown, and empty", id)
		}
	}
	p.quiet()
}

func testTrouble(t *testing.T, b *chromium) {
	p := b.open(t, serve(t, losing(time.Now())).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	p.has("#state", "LOSING", "lost within 1m0s: ring_full", "xdp-generic", "But eth1 has no carrier; mode xdp-generic: eth0: native XDP: the driver virtio_net has no room", "eth1 in front of XDP 900 lost; rx_dropped 950, rx_missed 3")
	p.has("#losses-table", "backup 10.0.0.3:5556 queue full 10,752 +10,752", "listener 10.0.0.2:5556 ring full 1,470 +1,470", "socket buffer 17 +17")
	p.has("#full", "Full in 30m 40s at the current growth.")
	p.has("#rings", "ring 1 94 %, most 100 % of 64 MiB")
	p.has("#saved", "Failed saves 30", "no space left on device", "Overflowed before the start 31", "Recorded 4,100,000 datagrams, 512 MiB of 1 GiB",
		"Not recorded 1,200 slow disk", "Recording fails write /var/lib/binrepd/record/7: no space left on device")
	p.has("#syncs-card", "to 10.0.0.4:5556", "pass 1 of 2, 402,110 of about 1,304,000, 401,900 packets", "3m 41s left")
	p.has("#backups-table", "refused for", "connection refused", "412,345 10,752")
	p.has("#allowed", "Denied most: 203.0.113.7 (120).")
	// The silent source didn't come first, but is listed first.
	p.has("#sources-table tbody tr", "10.0.0.14:5555", "7m")
	for _, selector := range []string{
		"#losses-table tbody tr td:last-child", "#full", "#rings .quantity:nth-child(2) .value", "#backups-table tbody tr td:nth-child(2)", "#word", ".tile.lost .value",
	} {
		if got := evaluate[bool](p, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).color === 'rgb(176, 26, 21)'", selector)); !got {
			t.Errorf("%s is not red", selector)
		}
	}
	p.quiet()
}

// testUpdates: changes are shown without a reload, unchanged parts stay untouched, and screen readers are told only a
// new word.
func testUpdates(t *testing.T, b *chromium) {
	a := busy(time.Now())
	p := b.open(t, serve(t, a).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	evaluate[int](p, `
		window.told = [];
		new MutationObserver((all) => told.push(...all.map((m) => m.target.textContent))).observe(document.getElementById('word-line'), {childList: true, characterData: true, subtree: true});
		window.cell = document.querySelector('#sources-table tbody th');
		getSelection().selectAllChildren(cell); 0`)
	selected := evaluate[string](p, "getSelection().toString()")
	a.change(time.Now(), func(s *control.Status) {
		s.Dialogs, s.Sources[0].Events = 7_654_321, 99_000_111
		s.Sources = append(s.Sources, control.SourceStatus{Address: "198.51.100.99:5555", Events: 1, Rejected: 5, Last: time.Now()})
	})
	p.await("the new number", "document.querySelector('.tile.live .value').textContent.includes('7,654,321')")
	p.has("#sources-table", "99,000,111", "198.51.100.99:5555")
	p.has("#sources-title", "Sources (25)")
	if got := evaluate[string](p, "cell.isConnected && getSelection().toString()"); got != selected || got == "" {
		t.Errorf("selected was %q, now %q", selected, got)
	}
	if told := evaluate[[]string](p, "told"); len(told) != 0 {
		t.Errorf("told to those who listen, though the word is the same: %q", told)
	}
	a.change(time.Now(), func(s *control.Status) {
		s.Word, s.Reason = control.Losing, "9 lost within 1m0s: ring_full"
		s.Listeners[0].Lost = map[string]uint64{"ring_full": 9}
		s.Sources = s.Sources[:3]
	})
	p.await("the word", "document.getElementById('word').textContent === 'LOSING'")
	p.has("#losses-table", "listener 10.0.0.2:5556 ring full 9 +9")
	p.has(".tile.lost", "9 since the start")
	p.has("#sources-title", "Sources (3)")
	if got := evaluate[int](p, "document.querySelectorAll('#sources-table tbody tr').length"); got != 3 {
		t.Errorf("%d rows of 3 sources", got)
	}
	if got := evaluate[string](p, "document.title"); got != "LOSING · 127.0.0.1 · binrepd" {
		t.Errorf("title %q", got)
	}
	if got := evaluate[string](p, "document.querySelector('#word-line[role=status]') && told.join(' ')"); got == "" {
		t.Error("the new word isn't told to those who listen")
	}
	p.quiet()
}

func testManySources(t *testing.T, b *chromium) {
	a := busy(time.Now())
	a.change(time.Now(), func(s *control.Status) {
		s.Sources = nil
		for i := range 1024 {
			s.Sources = append(s.Sources, control.SourceStatus{Address: fmt.Sprintf("[2001:db8::%x]:5555", i), Events: uint64(i), Rate: float64(i * 37 % 1024), Last: time.Now()})
		}
	})
	p := b.open(t, serve(t, a).URL+"/", desktop)
	rows := "document.querySelectorAll('#sources-table tbody tr').length"
	p.await("the first sources", rows+" === 20")
	evaluate[int](p, "document.getElementById('sources-more').click(), 0")
	p.await("all sources", rows+" === 1024")
	sort := func(column int) {
		evaluate[int](p, fmt.Sprintf("document.querySelectorAll('#sources-table thead button')[%d].click(), 0", column))
	}
	first := func(want, order string) {
		t.Helper()
		p.has("#sources-table tbody tr", want)
		if got := evaluate[string](p, "document.querySelector('#sources-table [aria-sort=ascending], #sources-table [aria-sort=descending]').ariaSort"); got != order {
			t.Errorf("sorted %s, want %s", got, order)
		}
	}
	sort(1)
	first("1,023", "descending")
	sort(1)
	first("[2001:db8::0]:5555 0", "ascending")
	sort(0)
	first("[2001:db8::0]:5555", "ascending")
	sort(0)
	first("[2001:db8::ff]:5555", "descending")
	evaluate[int](p, "document.getElementById('sources-more').click(), 0")
	p.await("the first sources again", rows+" === 20")
	p.quiet()
}

// testNewVersion: after an upgrade, an open page loads the new version.
func testNewVersion(t *testing.T, b *chromium) {
	a := busy(time.Now())
	p := b.open(t, serve(t, a).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	evaluate[int](p, "window.old = 1")
	a.change(time.Now(), func(s *control.Status) { s.Version = "v0.2.0" })
	p.await("the new page", "window.old === undefined && document.getElementById('facts')?.textContent.includes('v0.2.0')")
	evaluate[int](p, "window.old = 1")
	a.change(time.Now(), func(s *control.Status) { s.Dialogs = 5 })
	p.await("the next number", "document.querySelector('.tile.live .value').textContent === '5'")
	if evaluate[int](p, "window.old") != 1 {
		t.Error("it was loaded again without need")
	}
}

// testLost: whenever the connection fails, the page shows that and the age of its data, and recovers by itself.
func testLost(t *testing.T, b *chromium) {
	a := busy(time.Now())
	s := httptest.NewUnstartedServer(nil)
	c := a.config()
	c.Bound = netip.MustParseAddrPort(s.Listener.Addr().String())
	f := &failing{next: Handler(c)}
	s.Config.Handler = http.HandlerFunc(f.ServeHTTP)
	s.Start()
	t.Cleanup(s.Close)
	p := b.open(t, s.URL+"/", desktop)
	word := "document.getElementById('word').textContent"
	p.await("the word", word+" === 'READY'")
	for _, mode := range []string{"refuse", "cut", "hang"} {
		f.set(mode)
		p.await("the word of loss with "+mode, word+" === 'NO ANSWER'")
		p.await("the age of the data", "/Data [1-9]\\d*[sm].* old/.test(document.getElementById('facts').innerText.replace(/\\s+/g, ' '))")
		p.has("#state", "from the appliance: it", "The data shown is from", "when it was READY.")
		p.has(".tile.live", grouped(a.status.Dialogs)) // what was known stays
		if got := evaluate[string](p, "document.body.dataset.lost + ' ' + document.title.split(' · ')[0] + ' ' + document.getElementById('state').dataset.word"); got != "yes NO ANSWER lost" {
			t.Errorf("%s: the page shows %q", mode, got)
		}
		f.set("")
		p.await("the word after "+mode, word+" === 'READY' && document.body.dataset.lost === ''")
		p.has("#facts", "Data live")
	}
	// A page that never got an answer shows that, too.
	f.set("")
	q := b.open(t, s.URL+"/", desktop)
	q.await("the word", word+" === 'READY'")
}
