package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/bpf/bpftest"
	"binrepd/deploy/tooltest"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestRecordAndReplay records the captures, through native XDP with its fragments through the socket, and through sockets alone; kills the
// process, reads what it has left, and replays it to another appliance, which then has the same dialogs.
func TestRecordAndReplay(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	for _, c := range bin1test.Captures(t) {
		for _, xdp := range []string{"native", "off"} {
			t.Run(c.Name+"/"+xdp, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "record")
				p := newPair(t)
				args := []string{"--listen", listenAt, "--xdp", xdp, "--rings", "2", "--ring-size", "1MiB", "--record", dir, "--record-size", "8MiB"}
				d := startDaemon(t, p.appliance, args...)
				w := newWire(t, p.proxy, "proxy0", hardwareAddr(p.appliance, "bin0"))
				for _, f := range c.Frames {
					w.send(f.Data)
				}
				n := uint64(len(c.Datagrams))
				d.settle(n)
				d.await("all on the disk", func() bool { return d.status().Record.Recorded == n })
				if r := d.status().Record; sum(r.Dropped) != 0 || r.Error != "" || r.Files != 1 {
					t.Errorf("%+v", r)
				}
				d.kill()
				checkCall(t, dir, c)
				checkWithTshark(t, dir, n)

				// The next process goes on in a new file.
				again := startDaemon(t, p.appliance, args...)
				conn := dial(t, p.proxy, proxyAddr+":5556", listenAt)
				if _, err := conn.Write([]byte("no packet, but recorded like one")); err != nil {
					t.Fatal(err)
				}
				again.await("a second file", func() bool { r := again.status().Record; return r.Files == 2 && r.Recorded == 1 })
				again.stop()

				second := startDaemon(t, p.appliance, "--listen", ourAddr+":5557", "--xdp", xdp, "--rings", "2", "--ring-size", "1MiB")
				stdout, stderr, status := command(t, p.proxy, "replay", dir, "--to", ourAddr+":5557", "--speed", "4", "--from-source", proxyAddr+":5555", "--json")
				if status != 0 || !strings.Contains(stdout, fmt.Sprintf(`"sent": %d,`, n)) || !strings.Contains(stdout, `"not_chosen": 1,`) {
					t.Fatalf("replay: %d\n%s%s", status, stdout, stderr)
				}
				s := second.settle(n)
				for _, line := range bin1test.DiffListed(second.listed(), c.Expected) {
					t.Error(line)
				}
				if s.CreateRecv != c.Statistics["create_sent"] || s.DeleteRecv != c.Statistics["delete_sent"] {
					t.Errorf("%d creates, %d deletes", s.CreateRecv, s.DeleteRecv)
				}
				second.stop()
			})
		}
	}
}

// checkCall compares the history of a call with the capture's packets that hold its Call-ID.
func checkCall(t *testing.T, dir string, c *bin1test.Capture) {
	t.Helper()
	callID := string(c.Expected[0].CallID)
	want := 0
	for _, dg := range c.Datagrams {
		if strings.Contains(string(dg.Payload), "dialog") && strings.Contains(string(dg.Payload), "\x00\x00\x00"+callID) {
			want++
		}
	}
	stdout, stderr, status := command(t, nil, "record", "call", callID, "--record", dir, "--json")
	lines := decodeLines(t, []byte(stdout))
	if status != 0 || len(lines) != want || want == 0 {
		t.Fatalf("record call %s: %d, %d lines, want %d\n%s", callID, status, len(lines), want, stderr)
	}
	if lines[0]["source"] != proxyAddr+":5555" || lines[0]["listener"] != listenAt || lines[0]["verdict"] != "dialog" {
		t.Errorf("%v", lines[0])
	}
	text, _, status := command(t, nil, "record", "call", callID, "--record", dir)
	if status != 0 || strings.Count(text, "\n") != want+1 {
		t.Errorf("%d\n%s", status, text)
	}
	if _, stderr, status := command(t, nil, "record", "call", "nobody", "--record", dir); status != 1 || !strings.Contains(stderr, "no packet") {
		t.Errorf("%d %s", status, stderr)
	}
}

// checkWithTshark has another program read what was recorded, if it is installed: it finds n datagrams, and right headers.
func checkWithTshark(t *testing.T, dir string, n uint64) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil && os.Getenv(tooltest.RequireEnv) != "1" {
		t.Logf("no tshark: the recording was not checked with it")
		return
	}
	files, err := record.Files(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-r", files[0].Path, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-T", "fields", "-e", "ip.checksum.status", "-e", "udp.dstport", "-Y", "udp && !udp.length.bad")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // nobody's own settings
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	if got := strings.Count(string(out), "1\t5556\n"); got != int(n) || strings.Count(string(out), "\n") != int(n) {
		t.Errorf("tshark finds %d good datagrams, want %d:\n%.300s", got, n, out)
	}
}

// TestRecordOnFullDisk: packets are applied, the trouble is in the log once and in status, and when there is room the recording goes on.
func TestRecordOnFullDisk(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	disk := smallDisk(t)
	port := freePort(t)
	d := startDaemon(t, nil, "--listen", port, "--xdp", "off", "--record", disk, "--record-size", "8MiB")
	ballast := filepath.Join(disk, "ballast")
	fillDisk(t, ballast)
	conn, err := net.Dial("udp4", port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(3, bin1test.Realistic(nowUnix(), 100))
	const packets = 500
	d.feed(conn, 0, packets, func(uint64) []byte { return proxy.Next(nil) })
	d.await("two errors", func() bool { return d.status().Record.Errors >= 2 })
	if r := d.status().Record; !strings.Contains(r.Error, "no space") || strings.Count(d.log.String(), "stopped by an error") != 1 {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.await("the recording to go on", func() bool { r := d.status().Record; return r.Recorded == packets && r.Error == "" })
	d.await("a word of it", func() bool { return strings.Contains(d.log.String(), "recording has resumed") }) // written behind the status
	if sum(d.status().Record.Dropped) != 0 {
		t.Errorf("%+v", d.status().Record)
	}
	d.stop()
}

// TestRecordUsage: what is wrong is said in one line.
func TestRecordUsage(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("no capture"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]struct {
		status int
		text   string
	}{
		"run --listen 127.0.0.1:1 --record d --record-size 1MiB":            {2, "--record-size 1MiB: at least 4.0 MiB"},
		"run --listen 127.0.0.1:1 --record d --record-size x":               {2, "--record-size x: not a size"},
		"run --listen 127.0.0.1:1 --record d --state-dir ./d/":              {2, "--record d: the folder of --state-dir; choose one for each, such as d/record"},
		"run --listen 127.0.0.1:1 --record " + link + " --state-dir " + dir: {2, "the folder of --state-dir"},
		"record call --record d":                                            {2, "takes one Call-ID"},
		"record call x --record " + file + "d":                              {1, "no such file"},
		"record call x --control " + file + "d":                             {2, "--record: say which folder"},
		"record list --record " + filepath.Dir(file):                        {1, "nothing is recorded there"},
		"replay --to 127.0.0.1:1":                                           {2, "at least one file"},
		"replay " + file:                                                    {2, "--to: say where to"},
		"replay " + file + " --to 127.0.0.1:1":                              {1, "neither a pcap nor a pcapng file"},
		"replay " + file + " --to 127.0.0.1:1 --speed -1":                   {2, "--speed -1: neither"},
		"replay " + file + " --to 127.0.0.1:1 --port 0":                     {2, "--port 0: choose"},
		"replay " + file + " --to 127.0.0.1:1 --from-source x":              {2, "--from-source x: neither"},
		"replay " + file + " --to 127.0.0.1:1 --bind x":                     {2, "--bind x: neither"},
		"replay " + file + " --to 127.0.0.1:1 --bind ::1":                   {2, "not of the same family"},
	} {
		status, stdout, stderr := call(strings.Fields(line)...)
		if status != want.status || !strings.Contains(stderr, want.text) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%s: %d %q %q, want %d %q", line, status, stdout, stderr, want.status, want.text)
		}
	}
}
