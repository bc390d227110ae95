package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/dialog"
	"binrepd/userspace/out/savefile"
	"binrepd/userspace/watch/control"
)

func saveCommand() *cli.Command {
	return &cli.Command{
		Name: "save", Usage: "have the running appliance write its live dialogs to a file", ArgsUsage: "FILE",
		Description: "The appliance writes a new file and puts it in the place of FILE when all of it is on the disk. It does so as\n" +
			"the user that it runs as, who must be allowed to.",
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "everything", DisableDefaultText: true,
				Usage: "save calls being set up and ended calls that are still remembered, too",
			},
			jsonFlag("print the summary as one JSON object"), controlFlag(),
		},
		Action: func(c *cli.Context) error {
			req, err := fileRequest(c)
			if err != nil {
				return err
			}
			s, err := control.NewClient(c.String("control")).Save(c.Context, req)
			if err != nil || c.Bool("json") {
				return errors.Join(err, printJSON(c, err, s))
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s dialogs saved in %s: %s in %s\n", humanize.Comma(int64(s.Dialogs)), s.Path,
				humanize.IBytes(uint64(s.Bytes)), seconds(s.Seconds))
			return err
		},
	}
}

func loadCommand() *cli.Command {
	return &cli.Command{
		Name: "load", Usage: "have the running appliance apply a saved file", ArgsUsage: "FILE",
		Description: "Every byte of the file is verified first; a damaged one is refused as a whole. What the appliance knows better\n" +
			"stays. Backups are told nothing of it: that is what sync does.",
		Flags: []cli.Flag{jsonFlag("print the summary as one JSON object"), controlFlag()},
		Action: func(c *cli.Context) error {
			req, err := fileRequest(c)
			if err != nil {
				return err
			}
			s, err := control.NewClient(c.String("control")).Load(c.Context, req)
			if err != nil || c.Bool("json") {
				return errors.Join(err, printJSON(c, err, s))
			}
			return printLoaded(c.App.Writer, &s)
		},
	}
}

func printLoaded(w io.Writer, s *control.LoadSummary) error {
	_, err := fmt.Fprintf(w, "of %s records in %s, %s changed the table (%s expired meanwhile) in %s\n", humanize.Comma(int64(s.Records)),
		s.Path, humanize.Comma(int64(s.Changed)), humanize.Comma(int64(s.Expired)), seconds(s.Seconds))
	for _, kind := range slices.Sorted(maps.Keys(s.Skipped)) {
		_, more := fmt.Fprintf(w, "%s records of kind %q were left out: this version doesn't know them\n",
			humanize.Comma(int64(s.Skipped[kind])), kind)
		err = errors.Join(err, more)
	}
	return err
}

// printJSON prints v unless there is an error to be told instead.
func printJSON(c *cli.Context, err error, v any) error {
	if err != nil {
		return nil
	}
	out := json.NewEncoder(c.App.Writer)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// fileRequest reads the one argument. The appliance has a working directory of its own, so that it needs the whole path.
func fileRequest(c *cli.Context) (control.FileRequest, error) {
	if c.NArg() != 1 || c.Args().First() == "" {
		return control.FileRequest{}, usageErrorf("%s takes one file: see %[1]s --help", c.Command.HelpName)
	}
	path, err := filepath.Abs(c.Args().First())
	return control.FileRequest{Path: path, Everything: c.Bool("everything")}, err
}

// save carries out one request.
func (a *appliance) save(ctx context.Context, req control.FileRequest) (control.SaveSummary, error) {
	s, err := savefile.Save(ctx, savefile.SaveConfig{Table: a.table, Path: req.Path, Everything: req.Everything, Origin: a.engine.Origin})
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the user that the appliance runs as must be allowed to write there", err)
	}
	return control.SaveSummary{
		Path: req.Path, Dialogs: s.Dialogs, Early: s.Early, Ended: s.Ended, Bytes: s.Bytes, Seconds: s.Duration.Seconds(),
	}, err
}

// load carries out one request.
func (a *appliance) load(ctx context.Context, req control.FileRequest) (control.LoadSummary, error) {
	s, err := savefile.Load(ctx, savefile.LoadConfig{Table: a.table, Path: req.Path, Steering: a.steering, Origin: a.engine.OriginNumber})
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the user that the appliance runs as must be allowed to read it", err)
	}
	out := control.LoadSummary{
		Path: req.Path, Records: s.Records, Changed: s.Changed(), Outcomes: map[string]uint64{},
		Expired: s.Expired, Skipped: s.Skipped, Seconds: s.Duration.Seconds(),
	}
	for o, n := range s.Outcomes {
		if n > 0 {
			out.Outcomes[dialog.Outcome(o).String()] = n
		}
	}
	return out, err
}
