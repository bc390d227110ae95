package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/control"
)

func saveCommand() *cli.Command {
	return &cli.Command{
		Name: "save", Usage: "have the running appliance write its live dialogs to a file", ArgsUsage: "FILE",
		Description: "The appliance writes a new file, and replaces FILE with it when all of it is on the disk. The user that the\n" +
			"appliance runs as must be allowed to write there. Members of the socket's group who are neither root nor that user\n" +
			"may name only files below run's --state-dir; the same holds for load.",
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "everything", DisableDefaultText: true,
				Usage: "also save calls that are being set up, and ended calls that are still remembered",
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
		Description: "Every byte of the file is verified first; a damaged file is refused as a whole. Dialogs of which the appliance\n" +
			"knows more recent events stay as they are. Backups get none of this: use sync for them.",
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

// printJSON prints v, unless there is an error to print instead.
func printJSON(c *cli.Context, err error, v any) error {
	if err != nil {
		return nil
	}
	out := json.NewEncoder(c.App.Writer)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// fileRequest reads the one argument. The appliance has another working directory, so it needs the absolute path.
func fileRequest(c *cli.Context) (control.FileRequest, error) {
	if c.NArg() != 1 || c.Args().First() == "" {
		return control.FileRequest{}, usageErrorf("%s takes one file: see %[1]s --help", c.Command.HelpName)
	}
	path, err := filepath.Abs(c.Args().First())
	return control.FileRequest{Path: path, Everything: c.Bool("everything")}, err
}
