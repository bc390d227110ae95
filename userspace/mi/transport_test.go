package mi

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

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
