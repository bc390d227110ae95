package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ax "github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"binrepd/deploy/tooltest"
)

// patience ends a wait that would hang. It is not a measure of speed.
const patience = time.Minute

// chromium is a running browser.
type chromium struct{ ctx context.Context }

// browser starts headless Chromium for the duration of the test.
func browser(t *testing.T) *chromium {
	t.Helper()
	tooltest.Require(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.NoSandbox, // there is no sandbox for root; only our own page is opened
		// No external host is contacted, whatever the browser or the page requests.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true),
		chromedp.DisableGPU,
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("chromium:", err)
	}
	return &chromium{ctx}
}

// tab is one page in the browser, with its messages and requests.
type tab struct {
	t       *testing.T
	ctx     context.Context
	url     string
	mu      sync.Mutex
	console []string
	asked   []string // addresses that it requested
	loaded  []string // addresses that it received
	dialogs int      // windows of alert()
}

// view is the size and the colour scheme of a tab.
type view struct {
	width, height int64
	scheme        string
}

var desktop, phone = view{1280, 800, "light"}, view{390, 844, "light"}

func (v view) dark() view {
	v.scheme = "dark"
	return v
}

// serve serves an appliance's page at a loopback address.
func serve(t *testing.T, a *appliance) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	c := a.config()
	c.Bound = netip.MustParseAddrPort(s.Listener.Addr().String())
	s.Config.Handler = Handler(c)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// open opens the page at url until the end of the test.
func (b *chromium) open(t *testing.T, url string, v view) *tab {
	t.Helper()
	p := &tab{t: t, url: url}
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	p.ctx = ctx
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return err
	}))
	p.show(v)
	p.do(chromedp.Navigate(url))
	return p
}

func (p *tab) hear(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		p.asked = append(p.asked, ev.Request.URL)
	case *network.EventResponseReceived:
		p.loaded = append(p.loaded, ev.Response.URL)
	case *page.EventJavascriptDialogOpening:
		p.dialogs++
	case *runtime.EventConsoleAPICalled:
		var parts []string
		for _, a := range ev.Args {
			parts = append(parts, string(a.Value)+a.Description)
		}
		p.console = append(p.console, string(ev.Type)+": "+strings.Join(parts, " "))
	case *runtime.EventExceptionThrown:
		p.console = append(p.console, "exception: "+ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.console = append(p.console, string(ev.Entry.Level)+": "+ev.Entry.Text+" "+ev.Entry.URL)
	}
}

// quiet checks that the page wrote nothing to the console and contacted only its own server.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.console {
		p.t.Errorf("console: %s", line)
	}
	for _, url := range p.asked {
		if !strings.HasPrefix(url, p.url) && !strings.HasPrefix(url, "data:image/svg+xml,") && url != "data:," {
			p.t.Errorf("the page asked for %s", url)
		}
	}
	if len(p.asked) < 3 {
		p.t.Errorf("only %d requests were seen: %q", len(p.asked), p.asked)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// show changes the size and the colour scheme.
func (p *tab) show(v view) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(v.width, v.height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// evaluate returns the value of an expression in the page.
func evaluate[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := attempt[T](p, expression)
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// attempt is like evaluate, for a page that may be about to be unloaded. Then it returns an error.
func attempt[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// await waits until an expression is true in the page, which may be reloaded in the meantime.
func (p *tab) await(what, expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		is, err := attempt[bool](p, "Boolean("+expression+")")
		if err == nil && is {
			return
		}
		if time.Now().After(deadline) || p.ctx.Err() != nil {
			p.t.Fatalf("waited in vain for %s (%v); the page says:\n%s", what, err, p.text("body"))
		}
		time.Sleep(20 * time.Millisecond) // before the next check of the condition
	}
}

// text returns the visible text of the first element that the selector matches.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return evaluate[string](p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? 'nothing'", selector))
}

// has checks that a part of the page contains texts.
func (p *tab) has(selector string, wants ...string) {
	p.t.Helper()
	text := strings.Join(strings.Fields(p.text(selector)), " ")
	for _, want := range wants {
		if !strings.Contains(text, want) {
			p.t.Errorf("%s lacks %q: %s", selector, want, text)
		}
	}
}

// key presses a key, by its name in the DOM.
func (p *tab) key(name string) {
	p.t.Helper()
	press := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: name}
	switch name {
	case "Tab":
		press.WindowsVirtualKeyCode = 9
	case "Escape":
		press.WindowsVirtualKeyCode = 27
	default:
		press.Text = name
	}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, press)
		return err
	}))
}

// screenshot writes a screenshot.
func (p *tab) screenshot(name string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	path := filepath.Join(p.t.ArtifactDir(), name+".png")
	if err := os.WriteFile(path, png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// accessibility is the page as assistive software gets it: "role name".
type accessibility []string

func (a accessibility) has(start string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return strings.HasPrefix(s, start) })
}

// with lists the entries that begin with one of these.
func (a accessibility) with(starts ...string) (list accessibility) {
	for _, s := range a {
		if slices.ContainsFunc(starts, func(start string) bool { return strings.HasPrefix(s, start) }) {
			list = append(list, s)
		}
	}
	return list
}

func (p *tab) accessible() (tree accessibility) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		all, err := cdp.Call(ctx, target, ax.GetFullAXTree, ax.GetFullAXTreeParams{})
		if err != nil {
			return err
		}
		for _, n := range all.Nodes {
			if n.Ignored || n.Role == nil || n.Name == nil {
				continue
			}
			var role, name string
			if err := errors.Join(json.Unmarshal(n.Role.Value, &role), json.Unmarshal(n.Name.Value, &name)); err != nil {
				return err
			}
			tree = append(tree, role+" "+name)
		}
		return nil
	}))
	return tree
}

// failing is a server that can be made to fail.
type failing struct {
	mu   sync.Mutex
	mode string // "", "refuse" or "hang"
	next http.Handler
}

func (f *failing) set(mode string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = mode
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	mode := f.mode
	f.mu.Unlock()
	switch mode {
	case "refuse":
		http.Error(w, "no", http.StatusServiceUnavailable)
	case "cut":
		panic(http.ErrAbortHandler)
	case "hang":
		<-r.Context().Done()
	default:
		f.next.ServeHTTP(w, r)
	}
}
