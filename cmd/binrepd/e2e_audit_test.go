package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"binrepd/userspace/mi/mitest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/proxies"
)

// TestColdStartAndAudit: an import fills an empty appliance, an audit finds both sides equal, and then what has changed;
// a sync asks its standby. Exit statuses tell.
func TestColdStartAndAudit(t *testing.T) {
	t.Parallel()
	p := mitest.New(t, "3.6")
	for i := range 50 {
		p.Put(mitest.Call(i))
	}
	at := p.Start("http")
	d := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off", "--audit", "udp:127.0.0.1:1@1h")
	if s := d.status(); len(s.Audits) != 1 || s.Audits[0].Proxy != "udp:127.0.0.1:1" || s.Audits[0].Interval != 3600 {
		t.Errorf("%+v", s.Audits)
	}
	run := func(args ...string) (string, string, int) {
		return command(t, nil, append(args, "--control", d.socket, "--mi", at)...)
	}
	out, errs, status := run("import")
	if status != exitDone || !strings.Contains(out, "50 of 50 calls taken in") || d.status().Dialogs != 50 {
		t.Fatalf("import: status %d, %s%s", status, out, errs)
	}
	out, errs, status = run("audit")
	if status != exitDone || !strings.Contains(out, "OpenSIPS (3.6.8 (x86_64/linux)): equal: 50 dialogs") {
		t.Errorf("audit: status %d, %s%s", status, out, errs)
	}
	standby, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close()
	to := standby.LocalAddr().String()
	out, errs, status = run("sync", "--to", to)
	if status != exitDone || !strings.Contains(out, "\n  arrived: all\n") {
		t.Errorf("sync: status %d, %s%s", status, out, errs)
	}
	p.Remove(p.List()[3])
	out, errs, status = run("sync", "--to", to, "--json")
	var s control.SyncSummary
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err, out, errs)
	}
	if status != exitFailed || s.Arrived != control.ArrivedMissing || s.Missing != 1 || s.Asked == "" || !strings.Contains(errs, "1 of 50 dialogs are not at") {
		t.Errorf("sync: status %d, %+v, %s", status, s, errs)
	}
	out, errs, status = run("audit", "--json")
	lines := decodeLines(t, []byte(out))
	if status != exitFailed || len(lines) != 2 || lines[0]["kind"] != "missing_at_proxy" || lines[1]["missing_at_proxy"] != 1.0 || lines[1]["equal"] != false {
		t.Errorf("audit: status %d, %s%s", status, out, errs)
	}
	for _, args := range [][]string{{"audit"}, {"import"}, {"audit", "--mi", "ftp://x"}, {"import", "--mi", "udp:1.2.3.4:5", "--node", "1", "--origin", "1.2.3.4"}} {
		if _, errs, status := command(t, nil, append(args, "--control", d.socket)...); status != exitUsage || errs == "" {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	d.stop()
}

func TestPrintFindings(t *testing.T) {
	var out strings.Builder
	f := &proxies.Finding{
		Kind: "different", CallID: "a\x1b[31m@x", CallerTag: "f", Origin: "10.0.0.1:5555",
		Fields: []proxies.Field{{Field: "from_uri", Here: "sip:\na", Proxy: "sip:b"}},
	}
	if err := printFinding(&out, f); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsRune(got, '\x1b') || strings.Count(got, "\n") != 2 || !strings.Contains(got, "from_uri") {
		t.Errorf("%q", got)
	}
	out.Reset()
	sum := &proxies.AuditSummary{Proxy: "udp:10.0.0.1:8080", Version: "OpenSIPS", Expected: "all", AuditCounts: control.AuditCounts{Missing: 2, Unclear: 1, Unchecked: 3}}
	if err := printAudit(&out, sum); err != nil || !strings.Contains(out.String(), "2 missing here") || !strings.Contains(out.String(), "3 seemed to differ") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
