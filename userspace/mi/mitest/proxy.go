package mitest

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"binrepd/userspace/mi"
)

// Releases are those whose forms the stand-in knows.
func Releases() []string { return []string{"1.10", "1.11", "2.4", "3.6"} }

// Transports are those over which a release can be asked. HTTP of 1.10 isn't JSON.
func Transports(release string) []string {
	if release == "1.10" {
		return []string{"fifo", "udp"}
	}
	return []string{"fifo", "udp", "http"}
}

// Proxy is a stand-in with a table of dialogs. Its methods may be called while it is asked.
type Proxy struct {
	t       testing.TB
	release string
	busy    atomic.Int32

	mu      sync.Mutex
	dialogs []mi.Dialog // by hash entry, then by age, as a proxy lists them
	asked   map[string]int
	before  func(command string) // called before each answer, without the lock
}

// New returns a stand-in of a release without dialogs.
func New(t testing.TB, release string) *Proxy {
	if !slices.Contains(Releases(), release) {
		t.Fatalf("no stand-in for release %s", release)
	}
	return &Proxy{t: t, release: release, asked: map[string]int{}}
}

func (p *Proxy) rpc() bool { return p.release >= "3" }

// Dialect returns the form of answers over a transport.
func (p *Proxy) Dialect(transport string) mi.Dialect {
	switch {
	case p.rpc():
		return mi.RPC
	case transport == "http":
		return mi.OldJSON
	}
	return mi.Text
}

// Before makes the stand-in call f before each answer, with the command. f may change the table.
func (p *Proxy) Before(f func(command string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = f
}

// Asked returns how often a command was answered.
func (p *Proxy) Asked(command string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[command]
}

// Put adds a dialog, or replaces the one with the same Call-ID and tags, and returns it. If its ID is 0, the stand-in
// chooses one.
func (p *Proxy) Put(d mi.Dialog) mi.Dialog {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.index(&d); i >= 0 {
		p.dialogs[i] = d
		return d
	}
	h := fnv.New32()
	_, _ = h.Write([]byte(d.CallID))
	entry := uint64(h.Sum32() % 4096)
	if d.ID == 0 {
		d.ID = entry<<32 | uint64(h.Sum32()&0x7fffffff|1)
	}
	at, _ := slices.BinarySearchFunc(p.dialogs, d.ID>>32+1, func(o mi.Dialog, e uint64) int {
		if o.ID>>32 < e {
			return -1
		}
		return 1
	})
	p.dialogs = slices.Insert(p.dialogs, at, d)
	return d
}

// Remove ends a dialog, which then isn't listed any more.
func (p *Proxy) Remove(d mi.Dialog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.index(&d); i >= 0 {
		p.dialogs = slices.Delete(p.dialogs, i, i+1)
	}
}

// List returns the dialogs.
func (p *Proxy) List() []mi.Dialog {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dialogs)
}

// index returns where the dialog with the Call-ID and tags of d stands, -1 if it isn't there.
func (p *Proxy) index(d *mi.Dialog) int {
	return slices.IndexFunc(p.dialogs, func(o mi.Dialog) bool {
		return o.CallID == d.CallID && o.Caller.Tag == d.Caller.Tag &&
			slices.EqualFunc(o.Callees, d.Callees, func(a, b mi.Leg) bool { return a.Tag == b.Tag })
	})
}

// Call returns an answered call with every field that the interface shows. Different numbers give different calls.
func Call(n int) mi.Dialog {
	return mi.Dialog{
		State: 4, Flags: "0", Start: 1_795_882_000 + int64(n%100), Timeout: 1_995_925_000 + int64(n%100),
		CallID: fmt.Sprintf("call-%d@caller.example.org", n), From: fmt.Sprintf("sip:alice%d@example.org", n), To: "sip:bob@example.com",
		Caller: mi.Leg{
			Tag: "f" + strconv.Itoa(n), Contact: "sip:alice@192.0.2.11:5070", CSeq: "0",
			Routes: "<sip:192.0.2.7;lr>,<sip:192.0.2.8;lr>", Socket: "udp:192.0.2.1:5060",
		},
		Callees:  []mi.Leg{{Tag: "t" + strconv.Itoa(n), Contact: "sip:bob@192.0.2.12:5070", CSeq: "1", Socket: "udp:192.0.2.1:5060"}},
		Values:   []mi.Value{{Name: "account", Value: "acct-" + strconv.Itoa(n)}, {Name: "pipe", Value: `a|b#c\d|#"q"`}},
		Profiles: []mi.Value{{Name: "caller", Value: "alice"}, {Name: "inbound"}},
	}
}

// answer returns the answer to a command whose arguments are in their order; a page has two numbers.
func (p *Proxy) answer(dialect mi.Dialect, command string, args []string, id int) string {
	if p.busy.Add(1) > 1 {
		p.t.Error("a request while another one runs: a proxy serves one at a time")
	}
	defer p.busy.Add(-1)
	p.mu.Lock()
	before := p.before
	p.mu.Unlock()
	if before != nil {
		before(command)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[command]++
	f := form{dialect: dialect, release: p.release, full: command == "dlg_list_ctx"}
	switch command {
	case "version":
		return f.version(id)
	case "dlg_list", "dlg_list_ctx":
	default:
		p.t.Errorf("unexpected command %q", command)
		return f.refusal(id)
	}
	if len(args) == 2 && isNumber(args[0]) && isNumber(args[1]) {
		from, _ := strconv.Atoi(args[0])
		count, _ := strconv.Atoi(args[1])
		if count < 1 || count > 1000 {
			p.t.Errorf("a page of %d dialogs", count)
		}
		from = min(from, len(p.dialogs))
		return f.page(p.dialogs[from:min(from+count, len(p.dialogs))], len(p.dialogs), id)
	}
	if len(args) == 0 || len(args) > 2 {
		p.t.Errorf("a list of everything, or odd arguments: %q", args)
		return f.refusal(id)
	}
	for i := range p.dialogs {
		d := &p.dialogs[i]
		if d.CallID == args[0] && (len(args) == 1 || d.Caller.Tag == args[1]) {
			return f.one(d, id)
		}
	}
	return f.refusal(id)
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
