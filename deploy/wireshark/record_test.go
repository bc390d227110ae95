package wireshark

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/deploy/tooltest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// TestRecording opens files of the flight recorder, over IPv4 and IPv6, with good and broken packets. Every packet is
// dissected, no good one is called malformed, and the generated headers have correct checksums.
func TestRecording(t *testing.T) {
	tooltest.Require(t, "tshark")
	listeners := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5556"), netip.MustParseAddrPort("[2001:db8::1]:5556")}
	sources := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.7:5555"), netip.MustParseAddrPort("[2001:db8::99]:5555")}
	whole := vectors(t)
	var batch []packets.Packet
	add := func(packet []byte) {
		for i := range listeners {
			batch = append(batch, packets.Packet{
				Payload: packet, Sender: packets.Sender{Endpoint: packets.EndpointOf(sources[i])}, Intake: uint8(i), Received: int64(1_700_000_000_123_456_789 + len(batch)),
			})
		}
	}
	for _, packet := range whole {
		add(packet)
	}
	cut := whole["V01"]
	wrong := slices.Clone(cut)
	wrong[len(wrong)-1] ^= 0xff // the checksum is wrong now
	add(wrong)
	for _, size := range []int{1, 4, 20, len(cut) / 2, len(cut) - 1} {
		add(cut[:size])
	}

	dir := t.TempDir()
	r, err := record.Open(record.Config{
		Dir: dir, Limit: record.LeastLimit, Listeners: listeners, Taps: 1, Application: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Tap(0).Record(batch)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Fatal(err)
	}
	files, err := record.Files(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}

	got := dissect(t, files[0].Path, "-d", "udp.port==5556,bin")
	if len(got) != len(batch) {
		t.Fatalf("%d of %d datagrams were dissected", len(got), len(batch))
	}
	for i := range got {
		compare(t, batch[i].Payload, &got[i])
	}
	if bad := suspicious(t, files[0].Path); bad != "" {
		t.Errorf("malformed, or with a wrong checksum:\n%s", bad)
	}
}

// suspicious returns the summaries of frames with a good packet that tshark calls malformed, and of those with a wrong
// IP or UDP header.
func suspicious(t *testing.T, file string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-X", "lua_script:binrepd.lua", "-r", file, "-d", "udp.port==5556,bin",
		"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y",
		fmt.Sprintf(`(_ws.malformed && (bin.verdict == %q || bin.verdict == %q)) || ip.checksum.status == "Bad" || udp.checksum.status == "Bad" || udp.length.bad`,
			bin1.Dialog, bin1.OtherCapability))
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // no personal settings
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestRecordedConnections opens a recording of connections, over IPv4 and IPv6, accepted and dialled: tshark shows every
// packet, those longer than a segment as well, and finds nothing remarkable about TCP.
func TestRecordedConnections(t *testing.T) {
	tooltest.Require(t, "tshark")
	dir := t.TempDir()
	r, err := record.Open(record.Config{
		Dir: dir, Limit: 64 << 20, Streams: []string{"cluster 1", "cluster 2"}, Application: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ping := bin2.Ping{From: bin2.From{Cluster: 1, Source: 2}}
	short, err := ping.Append(nil, bin2.Dialect{})
	if err != nil {
		t.Fatal(err)
	}
	w := bin2.Begin(nil, 1, "test", 1)
	w.Raw(make([]byte, bin2.MaxSize-100))
	long, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		t.Fatal(err)
	}
	at := int64(1_700_000_000_123_456_789)
	for i, addr := range []string{"198.51.100.7:40000", "[2001:db8::99]:5566"} {
		local := []string{"192.0.2.1:5566", "[2001:db8::1]:40001"}[i]
		c := r.Connections().Begin(i, netip.MustParseAddrPort(addr), netip.MustParseAddrPort(local), i == 1, at)
		c.Record(slices.Concat(short, short, long, short), at+1)
		c.Record(long, at+2)
		c.End(at + 3)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Fatal(err)
	}
	files, err := record.Files(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	got := dissect(t, files[0].Path)
	if len(got) != 10 {
		t.Fatalf("%d packets are shown, want 10", len(got))
	}
	for i := range got {
		compare2(t, [][]byte{short, short, long, short, long}[i%5], &got[i])
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-X", "lua_script:binrepd.lua", "-r", files[0].Path,
		"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-Y",
		`tcp.analysis.flags || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || _ws.malformed || !tcp`)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // no personal settings
	if out, err := cmd.Output(); err != nil || len(out) > 0 {
		t.Errorf("%v, remarkable:\n%s", err, out)
	}
}
