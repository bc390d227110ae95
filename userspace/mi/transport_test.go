package mi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proxy is a stand-in with a number of dialogs, in one dialect. It fails the test on a request that a real one would
// die of or not answer.
type proxy struct {
	t       *testing.T
	dialect Dialect
	dialogs int
}

// answer returns the answer to a command. ok is false where a real proxy is silent.
func (p *proxy) answer(command string, args []string, id int) (answer string) {
	var from, to int
	switch command {
	case "version":
		if p.dialect == RPC {
			return fmt.Sprintf(`{"jsonrpc":"2.0","result":{"Server":"OpenSIPS (3.6.8)"},"id":%d}`, id)
		}
		if p.dialect == OldJSON {
			return `{"Server": "OpenSIPS (2.4.11)"}`
		}
		return "200 OK\nServer:: OpenSIPS (1.11.11)\n\n"
	case "dlg_list":
		index, _ := strconv.Atoi(args[0])
		count, _ := strconv.Atoi(args[1])
		from, to = min(index, p.dialogs), min(index+count, p.dialogs)
	default:
		p.t.Errorf("unexpected command %q", command)
	}
	var b strings.Builder
	switch p.dialect {
	case RPC:
		fmt.Fprintf(&b, `{"jsonrpc":"2.0","result":{"count":%d,"Dialogs":[`, p.dialogs)
		for i := from; i < to; i++ {
			if i > from {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"ID":"1.1","db_id":"%d","state":4,"callid":"call-%d","caller_tag":"f"}`, i+1, i)
		}
		fmt.Fprintf(&b, `]},"id":%d}`, id)
	case OldJSON:
		fmt.Fprintf(&b, `{"dlg_counter":[{"value":"%d"}`, p.dialogs)
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `, {"attributes":{"ID": "%d"},"children":{"state": "4", "callid": "call-%d", "caller_tag": "f"}}`, i+1, i)
		}
		b.WriteString("]}")
	default:
		fmt.Fprintf(&b, "200 OK\ndlg_counter:: %d\n", p.dialogs)
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "dialog::  hash=1:%d\n\tstate:: 4\n\tcallid:: call-%d\n\tcaller_tag:: f\n", i+1, i)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (p *proxy) rpc(request []byte) string {
	var call struct {
		Method string
		ID     int
		Params struct{ Index, Counter int }
	}
	if err := json.Unmarshal(request, &call); err != nil || call.Method == "" {
		p.t.Errorf("a request that ends a proxy: %s", request)
		return ""
	}
	return p.answer(call.Method, []string{strconv.Itoa(call.Params.Index), strconv.Itoa(call.Params.Counter)}, call.ID)
}

// text answers the lines of a request in the text form.
func (p *proxy) text(request string) string {
	lines := strings.Split(strings.TrimSuffix(request, "\n\n"), "\n")
	_, command, _ := strings.Cut(lines[0], ":")
	command, _, _ = strings.Cut(command, ":")
	return p.answer(command, lines[1:], 0)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	command, isOld := strings.CutPrefix(r.URL.Path, "/json/")
	switch {
	case p.dialect == RPC && r.URL.Path == "/mi" && r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/json" && r.ContentLength >= 0:
		_, _ = io.WriteString(w, p.rpc(body))
	case p.dialect == OldJSON && isOld && r.Method == http.MethodGet:
		_, _ = io.WriteString(w, p.answer(command, strings.Split(r.URL.Query().Get("params"), ","), 0))
	case p.dialect == OldJSON:
		_, _ = io.WriteString(w, `{"error":"Unexpected method"}`) // 1.11
	default:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<html>Unable to parse URL!</html>")
	}
}

// serveDatagrams answers until the test ends.
func (p *proxy) serveDatagrams() (address string) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			request, answer := string(buf[:n]), "500 command not available\n"
			switch isRPC := strings.HasPrefix(request, "{"); {
			case p.dialect == RPC && isRPC:
				answer = p.rpc(buf[:n])
			case p.dialect == RPC:
				answer = "400 Parse_error"
			case !isRPC:
				answer = p.text(request)
			}
			_, _ = conn.WriteTo([]byte(answer), from)
		}
	}()
	return "udp:" + conn.LocalAddr().String()
}

// serveFIFO reads a FIFO until the test ends.
func (p *proxy) serveFIFO() (address string) {
	path := filepath.Join(p.t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		p.t.Fatal(err)
	}
	in, err := os.OpenFile(path, os.O_RDWR, 0) // a writer of our own: no end of file between clients
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.t.Cleanup(func() { in.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := in.Read(buf)
			if err != nil {
				return
			}
			request := string(buf[:n])
			first, rest, _ := strings.Cut(strings.TrimPrefix(request, ":"), ":")
			reply, answer := first, ""
			switch isRPC := strings.HasPrefix(rest, "{"); {
			case p.dialect == RPC && isRPC:
				answer = p.rpc([]byte(rest))
			case p.dialect == RPC && json.Valid([]byte(strings.TrimSpace(rest))):
				p.t.Errorf("a request that ends a proxy: %q", request)
				continue
			case p.dialect == RPC:
				continue // silence
			case isRPC:
				p.t.Errorf("a request that costs the next one: %q", request)
				continue
			default:
				reply, _, _ = strings.Cut(rest, "\n")
				answer = p.text(request)
			}
			if strings.ContainsAny(reply, `./\`) {
				p.t.Errorf("the name of the reply is refused: %q", reply)
			}
			if err := os.WriteFile(filepath.Join(replyFolder, reply), []byte(answer), 0); err != nil {
				p.t.Error(err)
			}
		}
	}()
	return "fifo:" + path
}

// TestTransports: each dialect is found over each transport, and a walk over pages sees every dialog.
func TestTransports(t *testing.T) {
	for _, test := range []struct {
		transport string
		dialect   Dialect
	}{{"http", RPC}, {"http", OldJSON}, {"udp", RPC}, {"udp", Text}, {"fifo", Text}, {"fifo", RPC}} {
		t.Run(test.transport+" "+test.dialect.String(), func(t *testing.T) {
			t.Parallel()
			p := &proxy{t: t, dialect: test.dialect, dialogs: 1203}
			var at string
			switch test.transport {
			case "http":
				server := httptest.NewServer(p)
				defer server.Close()
				at = server.URL
			case "udp":
				at = p.serveDatagrams()
			default:
				at = p.serveFIFO()
			}
			address, err := ParseAddress(at)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Connect(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.Dialect() != test.dialect || !strings.HasPrefix(c.Version(), "OpenSIPS (") {
				t.Errorf("%s, %s", c.Dialect(), c.Version())
			}
			seen := map[string]bool{}
			total, err := c.Dialogs(t.Context(), false, func(d Dialog) error {
				seen[d.CallID] = true
				return nil
			})
			if err != nil || total != p.dialogs || len(seen) != p.dialogs {
				t.Errorf("%d of %d dialogs, total %d, %v", len(seen), p.dialogs, total, err)
			}
		})
	}
}

// TestPassword: user and password go in the header, and appear in no message.
func TestPassword(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ann" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		(&proxy{t: t, dialect: RPC}).ServeHTTP(w, r)
	}))
	defer server.Close()
	for userinfo, want := range map[string]bool{"ann:secret@": true, "ann:wrong@": false, "": false} {
		a, err := ParseAddress(strings.Replace(server.URL, "://", "://"+userinfo, 1) + "/mi")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(a.String(), "secret") || strings.Contains(a.String(), "wrong") {
			t.Errorf("the password shows: %s", a)
		}
		c, err := Connect(t.Context(), a)
		if (err == nil) != want {
			t.Errorf("%q: %v", userinfo, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "user and password") || strings.Contains(err.Error(), "wrong@")) {
			t.Error(err)
		}
		if c != nil {
			c.Close()
		}
	}
}

// TestSilence: an answer that never comes ends with the caller's patience, and one without end with the limit.
func TestSilence(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a, err := ParseAddress("udp:" + conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Connect(ctx, a); !errors.Is(err, errSilent) {
		t.Errorf("%v", err)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"http://10.0.0.1:8888":                "http://10.0.0.1:8888",
		"https://ann:secret@proxy.example/mi": "https://ann:xxxxx@proxy.example/mi",
		"udp:10.0.0.1:8080":                   "udp:10.0.0.1:8080",
		"udp:[2001:db8::1]:8080":              "udp:[2001:db8::1]:8080",
		"fifo:/tmp/opensips_fifo":             "fifo:/tmp/opensips_fifo",
		"":                                    "",
		"proxy":                               "",
		"ftp://x":                             "",
		"udp:10.0.0.1":                        "",
		"fifo:relative":                       "",
		"http:///mi":                          "",
		"http://x/mi?ca=/nowhere":             "",
		"https://x/mi?ca=/nowhere/no.pem":     "",
		"https://x/mi?name=value":             "",
		"https://x/mi?insecure=1":             "https://x/mi",
		"http://[2001:db8::1]:8888/mi":        "http://[2001:db8::1]:8888/mi",
		"http://\x1b[31m":                     "",
		"fifo://host/tmp/x":                   "",
	} {
		a, err := ParseAddress(text)
		if err != nil != (want == "") || err == nil && a.String() != want {
			t.Errorf("%q: %q, %v", text, a, err)
		}
		if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%q: raw bytes in the error", text)
		}
	}
}

// TestUnsendable: what a dialect can't express is refused instead of asking for something else.
func TestUnsendable(t *testing.T) {
	for value, want := range map[string]string{"a": "a", "a::b@x": "::a::b@x", `a"b`: "", "a\nb": ""} {
		got, err := argument(value)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("200 OK\ndialog::  hash=1:2 dialog_id=3\n\tstate:: 4\n\tcontext:: \n\t\tvalues:: \n\t\t\ta:: b\nc\n\n"))
	f.Add([]byte(`{"dlg_counter": [{"value":"1"}, {"attributes":{"ID": "5"}, "children":{"state": "4", "CALLEES": {"children":{"callee": [{}]}}}}]}`))
	f.Add([]byte(`{"jsonrpc":"2.0","result":{"count":1,"Dialogs":[{"db_id":"1","CALLEES":[{"callee_tag":"t"}],"context":{"values":[{"n":7}]}}]},"id":1}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, d := range [...]Dialect{Text, OldJSON, RPC} {
			c := &Client{dialect: d}
			var n *Node
			var err error
			switch d {
			case RPC:
				n, err = parseRPC(answer, 1)
			case OldJSON:
				n, err = parseOldJSON(answer)
			default:
				n, err = parseText(answer)
			}
			if err != nil {
				continue
			}
			for _, one := range c.pageOf(n).dialogs {
				c.dialog(one)
			}
			_ = c.contactsOf(n, func(Contact) error { return nil })
			c.peersOf(n)
			c.tagsOf(n)
			c.capabilitiesOf(n)
		}
	})
}
