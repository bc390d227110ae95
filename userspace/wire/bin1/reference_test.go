package bin1_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// reference is a program for the decoder that comes with the specification, which was written without knowledge of
// this one: packets in, one a line, in hexadecimal; out the kind and the fields as Python prints them.
const reference = `
import sys
sys.path.insert(0, sys.argv[1])
import decode_udp
for line in sys.stdin:
    try:
        module, command, name, fields = decode_udp.decode(bytes.fromhex(line))
        print(module.decode(), name, *(v.hex() if isinstance(v, bytes) else v for v in fields.values()), sep=",")
    except decode_udp.Bad:
        print("refused")
`

// The two decoders agree on real packets and on damaged ones.
func TestAgainstReferenceDecoder(t *testing.T) {
	captures, err := bin1test.CaptureFolder()
	if errors.Is(err, fs.ErrNotExist) {
		bin1test.NoCaptures(t, err)
	}
	spec := filepath.Join(captures, "..", "spec")
	if _, err := os.Stat(filepath.Join(spec, "decode_udp.py")); err != nil {
		t.Skipf("SKIPPED, needs the decoder of the specification beside the captures: %v", err)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("decoder of the specification: %v", err)
	}
	packets := damaged(2_000)
	for _, v := range vectors(t) {
		packets = append(packets, v.packet)
	}
	for _, c := range bin1test.Captures(t) {
		for _, d := range c.Datagrams {
			packets = append(packets, d.Payload)
		}
	}
	var in, out, complaints bytes.Buffer
	for _, p := range packets {
		fmt.Fprintf(&in, "%x\n", p)
	}
	cmd := exec.Command(python, "-c", reference, spec)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, complaints.Bytes())
	}
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<20)
	accepted := 0
	for i, p := range packets {
		if !lines.Scan() {
			t.Fatalf("the reference ends after %d of %d packets", i, len(packets))
		}
		var ev dialog.Event
		switch v := bin1.Decode(p, &ev); v {
		case bin1.Dialog:
			accepted++
			if got := referenceLine(&ev); got != lines.Text() {
				t.Errorf("%x:\n%s, reference\n%s", p, got, lines.Text())
			}
		case bin1.EmptyCallID, bin1.BadState: // which the reference lets pass
			if !strings.HasPrefix(lines.Text(), "dialog,") {
				t.Errorf("%x: %v, reference %s", p, v, lines.Text())
			}
		case bin1.OtherCapability:
			if strings.HasPrefix(lines.Text(), "dialog,") {
				t.Errorf("%x: %v, reference %s", p, v, lines.Text())
			}
		default:
			if lines.Text() != "refused" {
				t.Errorf("%x: %v, reference %s", p, v, lines.Text())
			}
		}
	}
	if accepted < 500 || accepted == len(packets) {
		t.Errorf("%d of %d packets accepted: that compares little", accepted, len(packets))
	}
}

// damaged makes packets of a simulated proxy, most of them damaged in some way and signed afterwards.
func damaged(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	proxy := bin1test.NewProxy(1, bin1test.Realistic(1_800_000_000, 20))
	var out [][]byte
	for range n {
		p := proxy.Next(nil)
		switch r.IntN(7) {
		case 0: // as it is
		case 1, 2, 3: // a length, the state or the command is off by one
			lengths, state := fieldOffsets(p)
			at := append(lengths, max(state, offCommand), offName, offCommand)
			p[at[r.IntN(len(at))]] += byte(1 - 2*r.IntN(2))
		case 4:
			p = p[:len(p)-1-r.IntN(6)]
		case 5:
			p = append(p, make([]byte, 1+r.IntN(6))...)
		case 6:
			p[offCommand+r.IntN(len(p)-offCommand)] = byte(r.IntN(256))
		}
		out = append(out, sign(p))
	}
	return out
}

// referenceLine prints ev as the reference does.
func referenceLine(ev *dialog.Event) string {
	line := []string{"dialog", ev.Kind.String()}
	if ev.Kind == dialog.Delete {
		for rest, part := ev.Key, []byte(nil); len(rest) > 0; {
			part, rest = rest.Part()
			line = append(line, hex.EncodeToString(part))
		}
		return strings.Join(line, ",")
	}
	f := ev.Body.Fields()
	for i := range dialog.NumFields {
		switch i {
		case dialog.HID, dialog.Start, dialog.StateField, dialog.UserFlags, dialog.Flags, dialog.Timeout,
			dialog.CallerGenCSeq, dialog.CalleeGenCSeq:
			line = append(line, fmt.Sprint(f.Number(i)))
		default:
			line = append(line, hex.EncodeToString(f.Bytes(i)))
		}
	}
	return strings.Join(line, ",")
}
