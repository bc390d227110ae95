package mi

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// answers returns the folder of a release's raw answers: shared/captures/mi beside the repository.
func answers(t *testing.T, release string) string {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "captures", "mi", release)
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("BINREPD_REQUIRE_CAPTURES") == "1" {
			t.Fatalf("needs answers of real proxies, and BINREPD_REQUIRE_CAPTURES=1 forbids skipping: %v", err)
		}
		t.Skipf("needs answers of real proxies: %v", err)
	}
	return folder
}

var releases = [...]string{"1.10", "1.11", "2.1", "2.4", "3.4", "3.6", "4.0"}

// captured reads one answer as a client of its dialect does. ok is false if the release has no such answer.
func captured(t *testing.T, release, name string) (c *Client, n *Node, ok bool, err error) {
	t.Helper()
	c = &Client{dialect: Text}
	ending := ".txt"
	if release >= "3" {
		c.dialect, ending = RPC, ".json"
	} else if strings.HasPrefix(name, "http.") {
		c.dialect, ending = OldJSON, ".json"
	}
	answer, failed := os.ReadFile(filepath.Join(answers(t, release), name+ending))
	if failed != nil {
		return nil, nil, false, nil
	}
	switch c.dialect {
	case RPC:
		n, err = parseRPC(answer, idOf(answer))
	case OldJSON:
		n, err = parseOldJSON(answer)
	default:
		n, err = parseText(answer)
	}
	return c, n, true, err
}

func idOf(answer []byte) (id int) {
	if root, err := decodeJSON(answer); err == nil {
		id = int(root.number("id"))
	}
	return id
}

// TestDialogsOfAllReleases reads the lists of all releases over all transports. All of them had the same calls.
func TestDialogsOfAllReleases(t *testing.T) {
	for _, release := range releases {
		var first []string
		for _, transport := range [...]string{"fifo", "http", "datagram"} {
			c, n, ok, err := captured(t, release, transport+".dlg_list_ctx")
			if !ok {
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", release, transport, err)
				continue
			}
			var lines []string
			list := n
			if c.dialect == RPC {
				list = n.Child("Dialogs")
			}
			for i := range list.Children {
				d := c.dialog(&list.Children[i])
				if d.CallID == "" || d.ID == 0 || d.Caller.Tag == "" || d.State < 1 || d.State > 5 || d.Values == nil {
					t.Errorf("%s %s: %+v", release, transport, d)
				}
				if d.Answered() && (len(d.Callees) != 1 || d.Callees[0].Tag == "" || d.Callees[0].Socket == "" || d.Start == 0 || d.Timeout == 0) {
					t.Errorf("%s %s: %+v", release, transport, d)
				}
				if strings.HasPrefix(d.CallID, "var-") && d.Answered() {
					if v := valueOf(d.Values, "pipe"); v != `a|b#c\d|#"q"` {
						t.Errorf("%s %s: variable pipe is %q", release, transport, v)
					}
					// JSON-RPC writes escapes into it.
					if v := valueOf(d.Values, "two_lines"); v != "one\ntwo:: x" && v != `one\ntwo:: x` {
						t.Errorf("%s %s: variable two_lines is %q", release, transport, v)
					}
				}
				if d.ProfilesLost && (release != "1.11" && release != "2.1" || transport != "http") {
					t.Errorf("%s %s: profiles are lost: %+v", release, transport, d)
				}
				lines = append(lines, d.CallID+" "+d.Caller.Tag)
			}
			slices.Sort(lines)
			if len(lines) < 20 {
				t.Errorf("%s %s: %d dialogs", release, transport, len(lines))
			}
			if first == nil {
				first = lines
			} else if !slices.Equal(first, lines) {
				t.Errorf("%s %s: %d dialogs, not those of the other transport (%d)", release, transport, len(lines), len(first))
			}
		}
		if first == nil {
			t.Errorf("%s: no list was read", release)
		}
	}
}

// TestOddBytes: what isn't UTF-8 and what the forms would escape comes as the proxy holds it.
func TestOddBytes(t *testing.T) {
	for _, release := range releases {
		for _, transport := range [...]string{"fifo", "http", "datagram"} {
			for name, want := range map[string]string{
				"callid_latin": "latin-\xe9@caller.example.org",
				"callid_odd":   `odd|pipe#hash"quote\back@caller.example.org`,
			} {
				c, n, ok, err := captured(t, release, transport+".dlg_list."+name)
				if !ok || err != nil { // some releases can't be asked for it: mi.md, section 2
					continue
				}
				one := n.Child("dialog")
				if c.dialect == RPC {
					one = n.Child("Dialog")
				}
				if got := c.dialog(one).CallID; got != want {
					t.Errorf("%s %s %s: %q", release, transport, name, got)
				}
			}
		}
	}
}

func TestPages(t *testing.T) {
	for _, release := range releases {
		for _, transport := range [...]string{"fifo", "http", "datagram"} {
			for name, want := range map[string]int{"page_0_5": 5, "page_past_end": 0} {
				c, n, ok, err := captured(t, release, transport+".dlg_list."+name)
				if !ok {
					continue
				}
				if err != nil {
					t.Errorf("%s %s %s: %v", release, transport, name, err)
					continue
				}
				c.transport = answered{}
				p := c.pageOf(n)
				if len(p.dialogs) != want || p.total < 20 {
					t.Errorf("%s %s %s: %d dialogs of %d", release, transport, name, len(p.dialogs), p.total)
				}
			}
		}
	}
}

// answered is a transport that isn't used.
type answered struct{ transport }

func TestContactsOfAllReleases(t *testing.T) {
	for _, release := range releases {
		for _, transport := range [...]string{"fifo", "http", "datagram"} {
			c, n, ok, err := captured(t, release, transport+".ul_dump")
			if !ok {
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", release, transport, err)
				continue
			}
			count, latin := 0, false
			if err := c.contactsOf(n, func(one Contact) error {
				count++
				latin = latin || strings.Contains(one.AoR, "cl\xe9o")
				if one.Domain != "location" || one.AoR == "" || one.URI == "" || one.CallID == "" || one.Methods == 0 || one.Expires == 0 {
					t.Errorf("%s %s: %+v", release, transport, one)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if count != 10 || !latin {
				t.Errorf("%s %s: %d contacts, the one with Latin letters: %t", release, transport, count, latin)
			}
		}
	}
}

func TestErrorsOfAllReleases(t *testing.T) {
	for _, release := range releases {
		for _, transport := range [...]string{"fifo", "http", "datagram"} {
			if _, _, ok, err := captured(t, release, transport+".dlg_list.callid_none"); ok && !NotFound(err) {
				t.Errorf("%s %s: a dialog that doesn't exist: %v", release, transport, err)
			}
			if _, _, ok, err := captured(t, release, transport+".error.unknown_command"); ok && !Unknown(err) {
				t.Errorf("%s %s: a command that doesn't exist: %v", release, transport, err)
			}
		}
	}
}

func TestClusterOfAllReleases(t *testing.T) {
	for _, release := range []string{"2.4", "3.4", "3.6", "4.0"} {
		for _, transport := range [...]string{"fifo", "http", "datagram"} {
			c, n, ok, err := captured(t, release, transport+".clusterer_list")
			if !ok {
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", release, transport, err)
				continue
			}
			want := []Peer{{1, 2, "bin:198.51.100.2:5566", true}, {1, 3, "bin:198.51.100.3:5566", false}}
			got := c.peersOf(n)
			slices.SortFunc(got, func(x, y Peer) int { return x.Node - y.Node })
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: %+v", release, transport, got)
			}
			if c, n, ok, err := captured(t, release, transport+".clusterer_list_cap"); ok {
				if got := c.capabilitiesOf(n); err != nil || len(got) != 2 || got[0] != (Capability{1, "dialog-dlg-repl", true}) {
					t.Errorf("%s %s: %+v, %v", release, transport, got, err)
				}
			}
			name := ".clusterer_list_shtags"
			if release == "2.4" {
				name = ".dlg_list_sharing_tags"
			}
			if c, n, ok, err := captured(t, release, transport+name); ok {
				if got := c.tagsOf(n); err != nil || len(got) != 1 || got[0].Name != "vip" || !got[0].Active {
					t.Errorf("%s %s: %+v, %v", release, transport, got, err)
				}
			}
		}
	}
}

// TestEveryAnswer reads every answer that there is, however odd, as an answer of MI: no panic, no endless loop.
func TestEveryAnswer(t *testing.T) {
	for _, release := range releases {
		files, err := os.ReadDir(answers(t, release))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			answer, err := os.ReadFile(filepath.Join(answers(t, release), f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = parseText(answer)
			_, _ = parseOldJSON(answer)
			_, _ = parseRPC(answer, 1)
		}
	}
}

func valueOf(list []Value, name string) string {
	for _, v := range list {
		if v.Name == name {
			return v.Value
		}
	}
	return "(none)"
}
