package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/bench"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/engine"
)

// TestBenchMetrics: what the bench asks shows all that `binrepd run` shows.
func TestBenchMetrics(t *testing.T) {
	var w bench.Watched
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Table, err = dialog.NewTable(dialog.Config{})
	must(err)
	defer w.Table.Close()
	w.Socket, err = socket.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{})
	must(err)
	defer w.Socket.Close()
	w.Egress, err = egress.New(egress.Config{Sink: packetstest.NewSink(), Log: slog.New(slog.DiscardHandler)})
	must(err)
	defer w.Egress.Close(t.Context())
	must(w.Egress.Add(egress.Destination{Address: "192.0.2.1:5556"}))
	w.Engine, err = engine.New(engine.Config{Table: w.Table, Intakes: packets.Listeners([]netip.AddrPort{w.Socket.LocalAddr()})})
	must(err)
	address, stop, err := benchMetrics(t.Context(), w)
	must(err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	for path, want := range map[string]string{
		"/metrics": `binrepd_destination_queued_events{destination="192.0.2.1:5556"} 0`, "/api/status": `"192.0.2.1:5556"`, "/readyz": "IDLE",
	} {
		r, err := client.Get("http://" + address.String() + path)
		must(err)
		body, err := io.ReadAll(r.Body)
		must(err)
		must(r.Body.Close())
		if r.StatusCode != http.StatusOK || r.ContentLength != int64(len(body)) || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %d bytes of %d", path, r.StatusCode, len(body), r.ContentLength)
		}
	}
	must(stop())
}
