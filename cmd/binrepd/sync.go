package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/host/hostport"
	"binrepd/userspace/mi"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
)

// defaultRate is half of what one OpenSIPS with two receivers applied without loss on two cores.
const defaultRate = "4000"

// plainInterval is the time between two lines of progress where there is no terminal.
const plainInterval = 5 * time.Second

const rateMax = "max"

// defaultPasses is two because BIN has no acknowledgement: the second pass repeats what the first may have lost.
const defaultPasses = 2

func syncCommand() *cli.Command {
	return &cli.Command{
		Name:  "sync",
		Usage: "have the running appliance send its dialogs to a standby",
		Description: "Sends every live dialog as an update, from which an OpenSIPS creates or refreshes the dialog. Then it sends ended\n" +
			"dialogs that are still remembered as deletions (--ends). Changes during the sync follow, so that the standby has\n" +
			"the current state when the sync ends. Ctrl-C stops it.\n" +
			"With --cluster it sends to a node of a cluster, also if the node didn't ask: what is missing there is built, whatever tag\n" +
			"is active and whether or not the node is synced. Dialogs of another version are converted for either.\n" +
			"For another binrepd a plain sync is enough: never use --replace there, it would end every call.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the standby, `HOST:PORT`: an OpenSIPS or another binrepd"},
			&cli.IntFlag{Name: "cluster", Usage: "instead of --to: the node --node of the cluster with the id `N`. Then --node doesn't choose dialogs"},
			&cli.StringFlag{
				Name: "release", Usage: "with --cluster: what the node runs, such as 3.6, if this binrepd doesn't know; a wrong `RELEASE` makes it take values for something else",
			},
			&cli.StringFlag{
				Name: "rate", Value: defaultRate,
				Usage: "send `N` packets a second. OpenSIPS begins to lose between 5,000 and 10,000; \"max\" is for another binrepd: as fast as this host can; the next pass repeats what the other one lost",
			},
			&cli.IntFlag{
				Name: "passes", Value: defaultPasses, Usage: "send everything `N` times: each further pass sends what the earlier ones may have lost",
			},
			&cli.StringFlag{
				Name: "ends", Value: control.EndsRecent, Usage: "send remembered ends behind the live dialogs: `WHICH` is \"recent\" (those of calls that the standby can have from this " +
					"appliance: all for a --replicate-to of it, else those since the last sync to the same address), \"all\" or \"none\". " +
					"An OpenSIPS logs two errors for each end of a call that it doesn't know",
			},
			&cli.BoolFlag{
				Name: "replace", Usage: "for OpenSIPS only: send each dialog as a deletion and a creation, for a standby that must be an exact copy; " +
					"for a moment it lacks the call. At another binrepd it would end every call: use a plain sync there", DisableDefaultText: true,
			},
			miFlag("afterwards ask the standby, an OpenSIPS, whether it has all dialogs,"),
			&cli.BoolFlag{Name: "dry-run", Usage: "send nothing, only say what would be sent and held back", DisableDefaultText: true},
			&cli.StringSliceFlag{
				Name: "rewrite-socket", Usage: "replace a proxy's socket on the way out, `OLD=NEW`, such as udp:10.0.0.1:5060=udp:10.0.0.2:5060; " +
					"repeat for more. OLD may be udp:TAG. OpenSIPS refuses dialogs whose sockets are not its own. A node gets run's --donor-rewrite if there are none",
			},
			clearByeFlag(""),
			noConvertFlag(""),
			jsonFlag("print the summary as one JSON object"),
			controlFlag(),
		}, filterFlagsNamed([]string{"from-uri"}, []string{"to-uri"})...),
		Before: noArguments,
		Action: syncAction,
	}
}

func syncAction(c *cli.Context) error {
	req, err := parseSync(c)
	if err != nil {
		return usageErrorf("%w", err)
	}
	show, began := newProgress(c.App.ErrWriter), time.Now().Unix()
	summary, err := control.NewClient(c.String("control")).Sync(c.Context, req, show.update)
	show.end()
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("stopped: %s had been sent %s", req.To, sentSoFar(&summary))
	}
	if summary.To == "" {
		return err
	}
	if err == nil && c.String("mi") != "" && !req.DryRun {
		err = askArrived(c, &summary, req.Filter, began)
	}
	if c.Bool("json") {
		out := json.NewEncoder(c.App.Writer)
		out.SetIndent("", "  ")
		return errors.Join(err, out.Encode(summary))
	}
	if summary.Complete {
		printSummary(c.App.Writer, &summary, req.Rewrites)
	}
	return err
}

func parseSync(c *cli.Context) (control.SyncRequest, error) {
	req := control.SyncRequest{
		To: c.String("to"), Passes: c.Int("passes"), Ends: c.String("ends"), Replace: c.Bool("replace"), DryRun: c.Bool("dry-run"),
		Rewrites: c.StringSlice("rewrite-socket"), ClearByeOnTimeout: c.Bool("clear-bye-on-timeout"),
	}
	req.NoConvert = c.Bool("no-convert")
	if req.Cluster, req.Release = int32(c.Int("cluster")), c.String("release"); c.IsSet("cluster") {
		req.Node = int32(c.Int("node"))
	}
	if err := syncTarget(c, &req); err != nil {
		return req, err
	}
	if rate := c.String("rate"); rate != rateMax {
		n, err := strconv.Atoi(rate)
		if err != nil || n < 1 {
			return req, fmt.Errorf("--rate %s: not a number of packets a second, at least 1, nor \"max\"", rate)
		}
		req.Rate = n
	}
	if req.Replace && req.Rate == 0 {
		return req, errors.New("--replace with --rate max: no OpenSIPS takes that rate, and another binrepd would end every call; " +
			"leave out --replace for a binrepd, and --rate for an OpenSIPS")
	}
	switch req.Ends {
	case control.EndsRecent, control.EndsAll, control.EndsNone:
	default:
		return req, fmt.Errorf("--ends %s: choose recent, all or none", req.Ends)
	}
	if req.Passes < 1 {
		return req, fmt.Errorf("--passes %d: at least 1", req.Passes)
	}
	if text := c.String("mi"); text != "" {
		if _, err := mi.ParseAddress(text); err != nil {
			return req, fmt.Errorf("--mi: %w", err)
		}
	}
	f, err := parseFilter(c)
	if req.Node != 0 {
		f.Node = 0 // it is where to
	}
	req.Filter = f.Query().Encode()
	return req, err
}

// syncTarget checks where to, and that no flag is set that is for the other kind of receiver.
func syncTarget(c *cli.Context, req *control.SyncRequest) error {
	others := []string{"release"}
	switch {
	case c.IsSet("cluster") && req.To != "":
		return errors.New("--cluster and --to: choose one")
	case c.IsSet("cluster") && (req.Node < 1 || req.Cluster < 1):
		return errors.New("--cluster: say which node of it, such as --cluster 1 --node 2")
	case c.IsSet("cluster"):
		others = []string{"passes", "ends", "replace", "clear-bye-on-timeout", "no-convert"}
		req.To = fmt.Sprintf("node %d", req.Node)
	case req.To == "":
		return errors.New("--to: say where to, such as --to 10.0.0.3:5556, or --cluster 1 --node 2 for a node of a cluster")
	}
	for _, name := range others {
		if c.IsSet(name) {
			return fmt.Errorf("--%s: not for a %s", name, map[bool]string{true: "node of a cluster", false: "standby that --to names"}[req.Node != 0])
		}
	}
	for _, text := range req.Rewrites {
		if _, _, err := donor.ParseRewrite(text); err != nil {
			return fmt.Errorf("--rewrite-socket: %w", err)
		}
	}
	if req.Node != 0 {
		return nil
	}
	if _, err := shield.ParseRewrites(req.Rewrites); err != nil {
		return fmt.Errorf("--rewrite-socket: %w", err)
	}
	if _, err := hostport.Parse(req.To); err != nil {
		return fmt.Errorf("--to %s: %w", req.To, err)
	}
	return nil
}

func sentSoFar(s *control.SyncSummary) string {
	return fmt.Sprintf("%s packets, %s, in %s", humanize.Comma(int64(s.Packets)), humanize.IBytes(s.Bytes), seconds(s.Seconds))
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond)
}

// printSummary writes what was sent, what was not, and what the standby may refuse.
func printSummary(w io.Writer, s *control.SyncSummary, rewrites []string) {
	verb := "sent to"
	if s.DryRun {
		verb = "would be sent to"
	}
	fmt.Fprintf(w, "%s dialogs and %s ended ones %s %s: %s, passes: %d\n", humanize.Comma(int64(s.Dialogs)),
		humanize.Comma(int64(s.Deletions)), verb, s.To, sentSoFar(s), s.Passes)
	if !s.DryRun {
		fmt.Fprintln(w, "  "+arrival(s))
	}
	line := func(n uint64, format string, args ...any) {
		if n > 0 {
			fmt.Fprintf(w, "  %s %s\n", humanize.Comma(int64(n)), fmt.Sprintf(format, args...))
		}
	}
	if s.Estimate > 0 {
		fmt.Fprintf(w, "  about %s at this rate, all passes and ends included\n", seconds(s.Estimate).Round(100*time.Millisecond))
	}
	line(s.EndsSkipped, "remembered ends not sent: the standby can't have these calls from here, or --ends leaves them out")
	line(s.Changes, "changes during the sync, sent behind")
	line(s.ChangesHeld, "of them held back")
	line(s.Lost, "of them came too fast and were made good by a further pass")
	line(sum(s.Held), "held back, because they would harm an OpenSIPS: %s", nonZero(s.Held))
	line(s.Converted, "converted from another version")
	for _, field := range slices.Sorted(maps.Keys(s.ConversionLost)) {
		line(s.ConversionLost[field], "of them lost %s, which the receiver has no place for", field)
	}
	for _, socket := range s.Refused {
		fmt.Fprintf(w, "  held back for its socket: %s; see --rewrite-socket\n", control.Printable(socket))
	}
	line(s.Expired, "not sent, because their timeout has passed")
	line(s.NoSocket, "without two sockets: answered by the proxy itself; an OpenSIPS refuses them")
	line(s.Unmatched, "with a socket that no --rewrite-socket names, which the standby refuses unless it is its own: %s", listSockets(s.Sockets, s.MoreSockets))
	line(s.ChangesUnmatched, "of the changes with such a socket: %s", listSockets(s.ChangesSockets, s.ChangesMoreSockets))
	line(s.SendErrors, "packets that this host could not send")
	for _, r := range rewrites {
		old, replacement, _ := strings.Cut(r, "=")
		fmt.Fprintf(w, "  the standby needs alias=%s in its configuration, or it can't end these calls: their Routes name %s.\n"+
			"  On the way back, rewrite in reverse: %s=%s\n", old, old, replacement, old)
	}
}

// arrival tells what the standby says about what was sent.
func arrival(s *control.SyncSummary) string {
	switch s.Arrived {
	case control.ArrivedAll:
		return "arrived: all"
	case control.ArrivedMissing:
		if s.Asked != "" {
			return fmt.Sprintf("arrived: not all; %s dialogs are not at the standby", humanize.Comma(int64(s.Missing)))
		}
		return fmt.Sprintf("arrived: not all; %s packets of the last pass are missing", humanize.Comma(int64(s.Missing)))
	case control.ArrivedUnclear:
		if s.Asked != "" {
			return fmt.Sprintf("arrived: all but %s dialogs, for which the standby can't be asked one by one", humanize.Comma(int64(s.Missing)))
		}
		return "sent; arrival not confirmed, because other packets of this appliance arrived there at the same time"
	}
	return "sent; arrival not confirmed: only another binrepd can tell, or an OpenSIPS that --mi names"
}

// progress shows the progress of a sync: a bar on a terminal, lines elsewhere.
type progress struct {
	out  io.Writer
	bar  *progressbar.ProgressBar // nil: plain lines
	last time.Time
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, last: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("dialogs"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

// update shows s. The bar counts the entries of all passes.
func (p *progress) update(s control.SyncProgress) {
	if p.bar != nil {
		p.bar.ChangeMax64(int64(s.Total) * int64(max(s.Passes, 1)))
		p.bar.Describe(fmt.Sprintf("pass %d of %d", s.Pass, s.Passes))
		_ = p.bar.Set64(int64(s.Total)*int64(max(s.Pass-1, 0)) + int64(min(s.Visited, s.Total)))
		return
	}
	if now := time.Now(); now.Sub(p.last) >= plainInterval {
		p.last = now
		rate := 0.0
		if s.Elapsed > 0 {
			rate = float64(s.Packets) / s.Elapsed
		}
		fmt.Fprintf(p.out, "pass %d of %d: %d of about %d, %.0f packets/s, %s left\n", s.Pass, s.Passes, s.Visited, s.Total,
			rate, seconds(s.Remaining).Round(time.Second))
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
