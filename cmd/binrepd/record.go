package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/dialog"
	"binrepd/dialog/escape"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
)

func recordCommand() *cli.Command {
	where := recordFlag("`DIR` that was given to run; without it the running appliance is asked")
	return &cli.Command{
		Name: "record", Usage: "read what 'run --record' has recorded",
		Subcommands: []*cli.Command{
			{
				Name: "call", Usage: "show the history of one call: every packet about it, good and bad, and what each changed", ArgsUsage: "CALLID",
				Description: "Reads the files; no appliance has to run. Packets of the last milliseconds may not be in them yet. A bad packet is\n" +
					"shown if its Call-ID can still be found. " + escapesText,
				Flags:  []cli.Flag{where, jsonFlag("print one JSON object a line"), controlFlag()},
				Action: showCall,
			},
			{
				Name: "list", Usage: "list the files, oldest first",
				Flags:  []cli.Flag{where, jsonFlag("print one JSON object a line"), controlFlag()},
				Action: listRecording, Before: noArguments,
			},
		},
	}
}

// recordedFiles finds the files of the recording.
func recordedFiles(c *cli.Context) ([]record.File, error) {
	dir := c.String("record")
	if dir == "" {
		s, err := control.NewClient(c.String("control")).Status(c.Context)
		if err != nil {
			return nil, usageErrorf("--record: say which folder was given to run (and no appliance can be asked: %w)", err)
		}
		if s.Record == nil {
			return nil, usageErrorf("--record: say which folder; the running appliance doesn't record")
		}
		dir = s.Record.Dir
	}
	files, err := record.Files(dir)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: nothing is recorded there", dir)
	}
	return files, err
}

func listRecording(c *cli.Context) error {
	files, err := recordedFiles(c)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.App.Writer)
	if c.Bool("json") {
		enc := json.NewEncoder(out)
		for _, f := range files {
			if err := enc.Encode(struct {
				Path  string    `json:"path"`
				Begun time.Time `json:"begun"`
				Bytes int64     `json:"bytes"`
			}{f.Path, f.Begun, f.Size}); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BEGUN\tSIZE\tFILE")
	for _, f := range files {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Begun.Local().Format(secondFormat), humanize.IBytes(uint64(f.Size)), f.Path)
	}
	return errors.Join(w.Flush(), out.Flush())
}

func showCall(c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "" {
		return usageErrorf("%s takes one Call-ID: see %[1]s --help", c.Command.HelpName)
	}
	files, err := recordedFiles(c)
	if err != nil {
		return err
	}
	callID := escape.Parse(c.Args().First())
	entries, counts, err := readHistory(c.Context, files, callID)
	if err != nil && !errors.Is(err, capture.ErrTooLong) {
		return err
	}
	if text := notRead(&counts); text != "" {
		fmt.Fprintf(c.App.ErrWriter, "the history may have gaps: %s\n", text)
	}
	if len(entries) == 0 {
		return fmt.Errorf("no packet of a call with Call-ID %s is recorded; the recording begins at %s", escape.String(callID),
			files[0].Begun.Local().Format(secondFormat))
	}
	out := bufio.NewWriter(c.App.Writer)
	if c.Bool("json") {
		return errors.Join(err, encodeHistory(out, entries), out.Flush())
	}
	return errors.Join(err, printHistory(out, entries), out.Flush())
}

func readHistory(ctx context.Context, files []record.File, callID string) ([]capture.Entry, capture.Counts, error) {
	r := capture.NewReader()
	defer r.Close()
	for _, f := range files {
		r.AddRecording(f.Path)
	}
	entries, err := capture.History(func(d *capture.Datagram) error {
		if r.Counts.Frames%4096 == 0 && ctx.Err() != nil {
			return errors.New("stopped")
		}
		return r.Next(d)
	}, []byte(callID))
	return entries, r.Counts, err
}

// notRead lists the parts of the recording that could not be read; empty if all could be.
func notRead(n *capture.Counts) string {
	var parts []string
	part := func(n uint64, text string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, text))
		}
	}
	part(uint64(n.Gone), "files deleted while they were read")
	part(uint64(n.Torn), "files that end in the middle of a packet")
	part(n.Damaged, "damaged packets")
	part(n.Gaps, "gaps in connections of clusters")
	return strings.Join(parts, ", ")
}

// commandWord returns the word of the column COMMAND.
func commandWord(e *capture.Entry) string {
	switch {
	case e.Good && e.Kind == dialog.Chunk:
		return "sync"
	case e.Good:
		return e.Kind.String()
	case e.Verdict == bin1.OtherCapability.String():
		return "other"
	}
	return "bad"
}

// Times are those of this host's zone, which they name.
const (
	secondFormat = time.DateTime + " -07:00"
	microFormat  = "2006-01-02 15:04:05.000000 -07:00"
)

func printHistory(out io.Writer, entries []capture.Entry) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tSOURCE\tLISTENER\tCOMMAND\tSTATE\tWHAT")
	for i := range entries {
		e := &entries[i]
		state := "-"
		if e.Snapshot() {
			state = e.Details.State.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format(microFormat), sourceOf(e), e.Listener,
			commandWord(e), state, what(e))
	}
	return w.Flush()
}

// sourceOf returns who sent a packet: of generation 2 with the node, because nodes pass on packets of others.
func sourceOf(e *capture.Entry) string {
	if e.Node == 0 {
		return e.Source.String()
	}
	return fmt.Sprintf("%s node %d/%d", e.Source, e.Cluster, e.Node)
}

// what returns the news of an entry: what it says that the one before did not.
func what(e *capture.Entry) string {
	d := &e.Details
	switch {
	case !e.Good:
		return fmt.Sprintf("%s, %d bytes", e.Verdict, e.Bytes)
	case e.Kind == dialog.Delete:
		return fmt.Sprintf("tags %s, %s", control.Printable(d.FromTag), control.Printable(d.ToTag))
	case e.Kind == dialog.Value && e.Removed:
		return fmt.Sprintf("variable %s removed, h_id %d", control.Printable(e.Name), d.HID)
	case e.Kind == dialog.Value:
		return fmt.Sprintf("variable %s = \"%s\", h_id %d", control.Printable(e.Name), control.Printable(e.Value), d.HID)
	case e.Kind == dialog.CSeq:
		return fmt.Sprintf("CSeq of the leg with tag %s is %s, h_id %d", control.Printable(e.Name), e.Value, d.HID)
	case e.First:
		return fmt.Sprintf("%s to %s, tags %s, %s, timeout %s, callee_cseq %s, caller_cseq %s", control.Printable(d.FromURI), control.Printable(d.ToURI),
			control.Printable(d.FromTag), control.Printable(d.ToTag), clockTime(d.Timeout), control.Printable(d.CalleeCSeq), control.Printable(d.CallerCSeq))
	case len(e.Changes) == 0:
		return "nothing new"
	}
	var parts []string
	for _, c := range e.Changes {
		switch {
		case c.UnixSecond:
			parts = append(parts, fmt.Sprintf("%s %s (%+d s)", c.Field, clockTime(c.New), int64(c.New)-int64(c.Old)))
		case c.Field == "state":
			parts = append(parts, fmt.Sprintf("state was %s", dialog.State(c.Old)))
		case c.Number:
			parts = append(parts, fmt.Sprintf("%s %d -> %d", c.Field, c.Old, c.New))
		default:
			parts = append(parts, fmt.Sprintf("%s \"%s\" -> \"%s\"", c.Field, control.Printable(c.Was), control.Printable(c.Is)))
		}
	}
	return strings.Join(parts, ", ")
}

func clockTime(unix uint32) string {
	if unix == 0 {
		return "none"
	}
	return time.Unix(int64(unix), 0).Format(secondFormat)
}

// historyLine is an entry in JSON.
type historyLine struct {
	Time     time.Time              `json:"time"`
	Source   string                 `json:"source"`
	Listener string                 `json:"listener"`
	Bytes    int                    `json:"bytes"`
	Command  string                 `json:"command"`
	Verdict  string                 `json:"verdict"`
	Layout   string                 `json:"layout,omitempty"`
	Cluster  int32                  `json:"cluster_id,omitempty"`
	Node     int32                  `json:"node_id,omitempty"`
	HID      uint32                 `json:"hash_id,omitempty"`
	Name     control.Text           `json:"name,omitempty"`
	Value    *control.Text          `json:"value,omitempty"`
	FromTag  *control.Text          `json:"caller_tag,omitempty"`
	ToTag    *control.Text          `json:"callee_tag,omitempty"`
	FromURI  control.Text           `json:"from_uri,omitempty"`
	ToURI    control.Text           `json:"to_uri,omitempty"`
	State    uint32                 `json:"state,omitempty"`
	Start    uint32                 `json:"timestart,omitempty"`
	Timeout  uint32                 `json:"timeout,omitempty"`
	CalleeC  control.Text           `json:"callee_cseq,omitempty"`
	CallerC  control.Text           `json:"caller_cseq,omitempty"`
	Changed  map[string]historyStep `json:"changed,omitempty"`
}

// historyStep is the old and the new value of a field: two strings or two numbers.
type historyStep struct {
	Was any `json:"was"`
	Is  any `json:"is"`
}

func encodeHistory(out io.Writer, entries []capture.Entry) error {
	enc := json.NewEncoder(out)
	for i := range entries {
		e := &entries[i]
		line := historyLine{
			Time: e.Time, Source: e.Source.String(), Listener: e.Listener.String(), Bytes: e.Bytes, Command: commandWord(e), Verdict: e.Verdict,
		}
		line.Cluster, line.Node = e.Cluster, e.Node
		if e.Node != 0 && e.Good {
			line.Layout, line.HID, line.Name = e.Layout.String(), e.Details.HID, control.Text(e.Name)
		}
		if value := control.Text(e.Value); e.Name != "" && !e.Removed {
			line.Value = &value
		}
		if d := &e.Details; e.Snapshot() || e.Good && e.Kind == dialog.Delete {
			from, to := control.Text(d.FromTag), control.Text(d.ToTag)
			line.FromTag, line.ToTag = &from, &to
			line.FromURI, line.ToURI = control.Text(d.FromURI), control.Text(d.ToURI)
			line.State, line.Start, line.Timeout = uint32(d.State), d.Start, d.Timeout
			line.CalleeC, line.CallerC = control.Text(d.CalleeCSeq), control.Text(d.CallerCSeq)
		}
		for _, c := range e.Changes {
			if line.Changed == nil {
				line.Changed = map[string]historyStep{}
			}
			if c.Number {
				line.Changed[c.Field] = historyStep{c.Old, c.New}
			} else {
				line.Changed[c.Field] = historyStep{control.Text(c.Was), control.Text(c.Is)}
			}
		}
		if err := enc.Encode(&line); err != nil {
			return err
		}
	}
	return nil
}
