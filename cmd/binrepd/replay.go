package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/host/hostport"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/trace/replay"
)

// speedMax is the --speed without pauses.
const speedMax = "max"

func replayCommand() *cli.Command {
	return &cli.Command{
		Name: "replay", Usage: "send recorded packets again", ArgsUsage: "FILE|DIR...",
		Description: "Reads pcapng and pcap files, those of 'run --record' and of a real network (Ethernet, VLAN, fragments, TCP), and\n" +
			"sends the packets in them, good and bad, with the original pauses: UDP datagrams as they are, and packets of\n" +
			"cluster connections (OpenSIPS 2.4 and later) as appliances pass them on, each in a datagram of its own. Send these\n" +
			"to a binrepd, not to an OpenSIPS. What nodes say about the cluster itself is left out, and each dialog of a sync is\n" +
			"sent as an update. Marks that appliances add to events are removed, or receivers would drop what they have seen\n" +
			"before. A DIR stands for the files of a recording in it, oldest first. Dialogs carry absolute times: those of an old\n" +
			"recording have passed, and the dialogs expire on arrival unless --shift-time moves the times on. Ctrl-C stops it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "send to `HOST:PORT`"},
			&cli.StringFlag{
				Name: "speed", Value: "1", Usage: "shorten the pauses to 1/`N`; \"max\" or 0: no pauses, which may be too fast for a receiver",
			},
			&cli.BoolFlag{
				Name: "shift-time", DisableDefaultText: true,
				Usage: "move start and timeout of dialogs on by as much as the first datagram is old; checksums are made anew",
			},
			&cli.IntFlag{Name: "port", Usage: "only packets that were sent to UDP or TCP port `N`", DefaultText: "all"},
			&cli.StringFlag{Name: "from-source", Usage: "only packets that came from `SOURCE`, an address or ADDRESS:PORT", DefaultText: "all"},
			&cli.StringFlag{Name: "bind", Usage: "send from `ADDRESS[:PORT]` of this host", DefaultText: "the kernel chooses"},
			jsonFlag("print the summary as one JSON object"),
		},
		Action: replayAction,
	}
}

// replayRequest is what replay was asked to do.
type replayRequest struct {
	to     string // HOST:PORT as it was given
	target hostport.Target
	speed  float64
	port   int
	from   netip.Addr // invalid: all
	fromP  uint16     // 0: any
	bind   netip.AddrPort
}

func parseReplay(c *cli.Context) (r replayRequest, err error) {
	if c.NArg() == 0 {
		return r, fmt.Errorf("%s takes at least one file: see %[1]s --help", c.Command.HelpName)
	}
	if r.to = c.String("to"); r.to == "" {
		return r, errors.New("--to: say where to, such as --to 10.0.0.3:5556")
	}
	if r.target, err = hostport.Parse(r.to); err != nil {
		return r, fmt.Errorf("--to %s: %w", r.to, err)
	}
	if text := c.String("speed"); text != speedMax {
		if r.speed, err = strconv.ParseFloat(text, 64); err != nil || !(r.speed >= 0) || r.speed > 1e9 {
			return r, fmt.Errorf("--speed %s: neither a number from 0 to 1e9 nor \"max\"", text)
		}
	}
	if r.port = c.Int("port"); c.IsSet("port") && (r.port < 1 || r.port > 65535) {
		return r, fmt.Errorf("--port %d: choose 1 to 65535", r.port)
	}
	if text := c.String("from-source"); text != "" {
		if ap, err := netip.ParseAddrPort(text); err == nil {
			r.from, r.fromP = ap.Addr().Unmap(), ap.Port()
		} else if r.from, err = netip.ParseAddr(text); err != nil {
			return r, fmt.Errorf("--from-source %s: neither an address nor ADDRESS:PORT", text)
		}
	}
	if text := c.String("bind"); text != "" {
		if r.bind, err = netip.ParseAddrPort(text); err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return r, fmt.Errorf("--bind %s: neither an address nor ADDRESS:PORT", text)
			}
			r.bind = netip.AddrPortFrom(addr, 0)
		}
	}
	return r, nil
}

// readerOf returns a reader of these files, and of the recordings in these folders, which may still grow.
func readerOf(args []string) (*capture.Reader, error) {
	r := capture.NewReader()
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			r.Add(arg)
			continue
		}
		found, err := record.Files(arg)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no file of a recording in it", arg)
		}
		for _, f := range found {
			r.AddRecording(f.Path)
		}
	}
	return r, nil
}

func (r *replayRequest) want(d *capture.Datagram) bool {
	return (r.port == 0 || int(d.Destination.Port()) == r.port) &&
		(!r.from.IsValid() || d.Source.Addr() == r.from && (r.fromP == 0 || d.Source.Port() == r.fromP))
}

func replayAction(c *cli.Context) error {
	req, err := parseReplay(c)
	if err != nil {
		return usageErrorf("%w", err)
	}
	files, err := readerOf(c.Args().Slice())
	if err != nil {
		return err
	}
	defer files.Close()
	to, err := req.target.Resolve(c.Context)
	if err != nil {
		return fmt.Errorf("--to %s: %w", req.to, err)
	}
	if !req.bind.IsValid() {
		req.bind = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		if to.Addr().Is6() {
			req.bind = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		}
	} else if req.bind.Addr().Is4() != to.Addr().Is4() {
		return usageErrorf("--bind %s: not of the same family as %s", c.String("bind"), to)
	}
	var refused atomic.Bool
	sock, err := socket.NewSender(c.Context, req.bind, socket.Config{})
	if err != nil {
		return err
	}
	defer sock.Close()
	sock.Watch(func(packets.Endpoint, error) { refused.Store(true) })
	show := newReplayProgress(c.App.ErrWriter)
	s, err := replay.Run(c.Context, replay.Config{
		Next: capture.NewSorted(files.Next).Next, Want: req.want, Sink: sock, To: packets.EndpointOf(to),
		Speed: req.speed, Shift: c.Bool("shift-time"), Progress: show.update,
		Refused: func() bool { sock.Poll(); return refused.Load() },
	})
	if errors.Is(err, context.Canceled) {
		err = errors.New("stopped")
	}
	if errors.Is(err, replay.ErrNobodyAnswers) {
		err = fmt.Errorf("%s: %w", to, err)
	}
	if err != nil && s.Sent == 0 {
		return err
	}
	out := newReplaySummary(to, &s, &files.Counts, err == nil)
	if c.Bool("json") {
		return errors.Join(err, printJSON(c, nil, out))
	}
	return errors.Join(err, out.print(c.App.Writer))
}

// replaySummary is what replay prints.
type replaySummary struct {
	To        string  `json:"to"`
	Complete  bool    `json:"complete"`
	Sent      uint64  `json:"sent"`
	Bytes     uint64  `json:"bytes"`
	NotChosen uint64  `json:"not_chosen"`
	Internal  uint64  `json:"internal"`
	Chunks    uint64  `json:"sync_dialogs"`
	Unmarked  uint64  `json:"unmarked"`
	Failed    uint64  `json:"failed"`
	Shifted   uint64  `json:"shifted"`
	ShiftedBy float64 `json:"shifted_by_seconds"`
	Recorded  float64 `json:"recorded_seconds"`
	Seconds   float64 `json:"seconds"`
	Frames    uint64  `json:"frames"`
	Fragments uint64  `json:"fragments"`
	Segments  uint64  `json:"segments"`
	Gaps      uint64  `json:"gaps"`
	Other     uint64  `json:"other_frames"`
	Damaged   uint64  `json:"damaged_frames"`
	Torn      int     `json:"torn_files"`
	Gone      int     `json:"gone_files"`
}

func newReplaySummary(to netip.AddrPort, s *replay.Summary, n *capture.Counts, complete bool) *replaySummary {
	return &replaySummary{
		To: to.String(), Complete: complete, Sent: s.Sent, Bytes: s.Bytes, NotChosen: s.Left, Failed: s.Failed, Internal: s.Internal, Chunks: s.Chunks, Unmarked: s.Unmarked, Shifted: s.Shifted,
		ShiftedBy: s.Moved.Seconds(), Recorded: s.Recorded.Seconds(), Seconds: s.Took.Seconds(),
		Frames: n.Frames, Fragments: n.Fragments, Segments: n.Segments, Gaps: n.Gaps, Other: n.Other, Damaged: n.Damaged, Torn: n.Torn, Gone: n.Gone,
	}
}

func (s *replaySummary) print(w io.Writer) error {
	verb := "sent to"
	if !s.Complete {
		verb = "until then sent to"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s datagrams %s %s: %s in %s; recorded in %s\n", humanize.Comma(int64(s.Sent)), verb, s.To, humanize.IBytes(s.Bytes),
		seconds(s.Seconds), seconds(s.Recorded))
	line := func(n uint64, text string) {
		if n > 0 {
			fmt.Fprintf(&b, "  %s %s\n", humanize.Comma(int64(n)), text)
		}
	}
	line(s.Shifted, fmt.Sprintf("of them with times moved on by %s", time.Duration(s.ShiftedBy*float64(time.Second))))
	line(s.NotChosen, "not chosen by --port or --from-source")
	line(s.Chunks, "of them dialogs out of syncs, as updates")
	line(s.Unmarked, "of them without the mark of an appliance")
	line(s.Internal, "about clusters or between appliances left out")
	line(s.Failed, "that this host could not send")
	line(s.Gaps, "gaps in connections, where packets are missing")
	line(s.Other, "frames with something else than UDP and TCP passed over")
	line(s.Damaged, "frames passed over that are damaged or were cut when they were captured")
	line(uint64(s.Torn), "files that end in the middle of a packet, read up to there")
	line(uint64(s.Gone), "files of the recording that were deleted before their turn came")
	_, err := io.WriteString(w, b.String())
	return err
}

// replayProgress writes a line every plainInterval.
type replayProgress struct {
	out  io.Writer
	last time.Time
}

func newReplayProgress(out io.Writer) *replayProgress { return &replayProgress{out, time.Now()} }

func (p *replayProgress) update(s replay.Summary) {
	if time.Since(p.last) < plainInterval {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.out, "%s datagrams sent, %s, %s of the recording in %s\n", humanize.Comma(int64(s.Sent)), humanize.IBytes(s.Bytes),
		s.Recorded.Round(time.Second), s.Took.Round(time.Second))
}
