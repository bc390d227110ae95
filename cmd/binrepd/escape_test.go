package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// TestBytesOfCallID: a Call-ID of any bytes is shown in one notation, and every command takes what another one shows
// (fault 29).
func TestBytesOfCallID(t *testing.T) {
	t.Parallel()
	at, folder := freePort(t), t.TempDir()
	d := startDaemon(t, nil, "--listen", at, "--xdp", "off", "--record", folder)
	conn, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	now := uint32(nowUnix())
	for _, callID := range []string{"caf\xe9\u009b\u202e\x1b[2J", "caf\xe8\u009b\u202e\x1b[2J"} { // they must not look the same
		details := dialog.Details{
			CallID: callID, FromTag: "a", ToTag: "b", FromURI: "sip:\xff@a", ToURI: "sip:b@b", State: dialog.Confirmed, Start: now, Timeout: now + 3600,
		}
		if _, err := conn.Write(bin1.Append(nil, dialog.Create, details.AppendPacked(nil))); err != nil {
			t.Fatal(err)
		}
	}
	d.settle(2)
	const shown = `caf\xe9\xc2\x9b\xe2\x80\xae\x1b[2J`
	for _, test := range []struct {
		args string
		want string
		rows int
	}{
		{"dialogs list", shown, 3},
		{"dialogs list --json", strings.ReplaceAll(shown, `\`, `\\`), 2},
		{"dialogs get " + shown, shown, 2},
		{"dialogs get --json " + shown, strings.ReplaceAll(shown, `\`, `\\`), 1},
		{`dialogs count --from-uri sip:\xFF@`, "2", 1},
	} {
		out, stderr, status := command(t, nil, append(strings.Fields(test.args), "--control", d.socket)...)
		if status != 0 || !strings.Contains(out, test.want) || strings.Count(out, "\n") != test.rows || strings.ContainsAny(out, "\x1b\u009b\u202e\ufffd") {
			t.Errorf("%s: status %d, %q %s; want %q in %d lines", test.args, status, out, stderr, test.want, test.rows)
		}
	}
	out, _, _ := command(t, nil, "dialogs", "get", "--json", shown, "--control", d.socket)
	var told struct {
		CallID string `json:"callid"`
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || told.CallID != shown {
		t.Errorf("%q, %v in the JSON, want %q", told.CallID, err, shown)
	}
	if _, stderr, status := command(t, nil, "dialogs", "get", `no\x1bne`, "--control", d.socket); status != 1 || !strings.Contains(stderr, `no dialog with Call-ID no\x1bne`) {
		t.Errorf("status %d, %q", status, stderr)
	}
	d.stop()
	out, stderr, status := command(t, nil, "record", "call", shown, "--record", folder)
	if status != 0 || strings.Count(out, "\n") != 2 {
		t.Errorf("record call: status %d, %q %s", status, out, stderr)
	}
}
