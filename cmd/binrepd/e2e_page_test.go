package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestPageOfDaemon: a daemon serves the page, its status is that of the command, and a search finds a call as `dialogs get` does.
func TestPageOfDaemon(t *testing.T) {
	t.Parallel()
	at := freePort(t)
	d := startDaemon(t, nil, "--listen", at, "--xdp", "off", "--metrics", "127.0.0.1:0")
	status, text := d.page("/")
	if status != http.StatusOK || !strings.Contains(text, "<title>binrepd</title>") || !strings.Contains(text, "class Trend") {
		t.Fatalf("/: %d %.200s", status, text)
	}
	conn, err := net.Dial("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(1, bin1test.Realistic(nowUnix(), 50))
	const packets = 50 // no more at once than any receive buffer holds
	for range packets {
		if _, err := conn.Write(proxy.Next(nil)); err != nil {
			t.Fatal(err)
		}
	}
	d.settle(packets)

	var shown control.Status
	d.await("the events on the page", func() bool {
		_, text := d.page("/api/status")
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return shown.Sum() == packets
	})
	if told := d.status(); shown.Word != told.Word || shown.Dialogs != told.Dialogs || !reflect.DeepEqual(shown.Account, told.Account) || shown.PID != d.cmd.Process.Pid {
		t.Errorf("the page tells\n%+v\nand the command\n%+v", shown, told)
	}
	d.await("the trend", func() bool {
		var trend struct {
			Dialogs []uint64 `json:"dialogs"`
		}
		if _, text := d.page("/api/trend"); json.Unmarshal([]byte(text), &trend) != nil {
			t.Fatal(text)
		}
		n := len(trend.Dialogs)
		return n > 0 && trend.Dialogs[n-1] == shown.Dialogs
	})

	listed := d.listed()
	if len(listed) == 0 {
		t.Fatal("no dialogs")
	}
	callID := listed[0].CallID
	want, err := program(t, "dialogs", "get", callID, "--json", "--control", d.socket).Output()
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Total   int
		Dialogs []json.RawMessage
	}
	status, text = d.page("/api/dialogs?" + url.Values{"callid": {callID}}.Encode())
	if err := json.Unmarshal([]byte(text), &found); status != http.StatusOK || err != nil || found.Total != 1 || len(found.Dialogs) != 1 {
		t.Fatalf("%d %v: %s", status, err, text)
	}
	if !bytes.Equal(found.Dialogs[0], bytes.TrimSpace(want)) {
		t.Errorf("the page found\n%s\nand the command\n%s", found.Dialogs[0], want)
	}
	if _, text := d.page("/api/dialogs?callid=nobody"); !strings.Contains(text, `"total":0`) {
		t.Errorf("nobody: %s", text)
	}

	// Probes and metrics have their places beside it, and a name that somebody else made for our address is not served.
	if status, _ := d.page("/nothing"); status != http.StatusNotFound {
		t.Errorf("/nothing: %d", status)
	}
	if status, text := d.page("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, text)
	}
	for _, test := range []struct {
		method, host string
		want         int
	}{{"POST", "", http.StatusMethodNotAllowed}, {"GET", "evil.example:9470", http.StatusMisdirectedRequest}} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+d.metricsAddress()+"/api/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, r.Close = test.host, true
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.want {
			t.Errorf("%s with Host %q: %s, want %d", test.method, test.host, answer.Status, test.want)
		}
	}
	d.stop()
}
