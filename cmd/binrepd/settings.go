package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/appliance"
	"binrepd/userspace/watch/control"
)

// settings are the flags of run and the file of --settings, which a reload reads again.
type settings struct {
	args  []string          // the command line
	file  string            // of --settings; empty: none
	named []string          // variables that the file set at the last reading
	texts map[string]string // values of the flags by name, at the last reading
}

// read parses the flags of run again, with the variables of the file in place of those of the environment, and returns
// the flags whose values differ from the reading before.
func (s *settings) read() (o options, differ []string, err error) {
	if s.file != "" {
		if err := s.setVariables(); err != nil {
			return o, nil, err
		}
	}
	var texts map[string]string
	app := newApp(io.Discard, io.Discard)
	i := slices.IndexFunc(app.Commands, func(c *cli.Command) bool { return c.Name == "run" })
	app.Commands[i].Action = func(c *cli.Context) (err error) {
		texts = flagTexts(c)
		o, err = parseOptions(c)
		return err
	}
	if err := app.Run(flagsFirst(app.Commands, s.args)); err != nil {
		return o, nil, err
	}
	for _, f := range runFlags() {
		if name := f.Names()[0]; s.texts != nil && texts[name] != s.texts[name] {
			differ = append(differ, name)
		}
	}
	s.texts = texts
	return o, differ, nil
}

// reread is read for a reload. If it fails, the values that are in force stay those to compare with.
func (s *settings) reread() (appliance.Settings, error) {
	o, differ, err := s.read()
	if err != nil {
		return appliance.Settings{}, err
	}
	return appliance.Settings{Config: o.Config, Differ: differ}, nil
}

// setVariables sets the variables of the file, and unsets those that it no longer has. A missing file has none.
func (s *settings) setVariables() error {
	text, err := os.ReadFile(s.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--settings: %w", err)
	}
	variables, err := readVariables(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("--settings %s: %w", s.file, err)
	}
	for _, name := range s.named {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	s.named = s.named[:0]
	for _, v := range variables {
		s.named = append(s.named, v[0])
		if err := os.Setenv(v[0], v[1]); err != nil {
			return fmt.Errorf("--settings %s: %s: %w", s.file, v[0], err)
		}
	}
	return nil
}

// readVariables reads NAME=VALUE lines in the form of systemd's EnvironmentFile (systemd.exec(5)), without continued
// lines. It returns names and values of the variables of binrepd.
func readVariables(r io.Reader) (list [][2]string, err error) {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			return nil, fmt.Errorf("line %d: not NAME=VALUE", n)
		}
		if strings.HasSuffix(value, `\`) {
			return nil, fmt.Errorf("line %d: continued lines aren't supported", n)
		}
		if value = strings.TrimSpace(value); len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if name = strings.TrimSpace(name); strings.HasPrefix(name, "BINREPD_") {
			list = append(list, [2]string{name, value})
		}
	}
	return list, lines.Err()
}

// flagTexts returns the values of the flags of run by name, for a comparison.
func flagTexts(c *cli.Context) map[string]string {
	texts := map[string]string{}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if _, list := f.(*cli.StringSliceFlag); list {
			texts[name] = strings.Join(c.StringSlice(name), "\n")
		} else {
			texts[name] = fmt.Sprint(c.Value(name))
		}
	}
	return texts
}

func reloadCommand() *cli.Command {
	return outlivesOutput(&cli.Command{
		Name: "reload", Usage: "have the running appliance read its settings again",
		Description: "Reads the files of run's --settings and --allow-file again. systemctl reload and SIGHUP do the same. It changes\n" +
			"  allowed sources     --allow, --allow-file; what 'allow add' and 'allow remove' changed is replaced\n" +
			"  backups             --replicate-to, --replicate-rate, --rewrite-socket, --clear-bye-on-timeout; a backup whose\n" +
			"                      rate or rules change starts anew, and loses what still waited for it\n" +
			"  log                 --log-level\n" +
			"All other settings, among them --listen, --interface and --source-rate, need a restart: they are part of the XDP\n" +
			"program or of the sockets. The command names those that have changed. If a setting is wrong, nothing changes.",
		Flags:  []cli.Flag{jsonFlag("print what has changed as one JSON object"), controlFlag()},
		Before: noArguments,
		Action: func(c *cli.Context) error {
			s, err := control.NewClient(c.String("control")).Reload(c.Context)
			if err != nil || c.Bool("json") {
				if err == nil {
					err = printJSON(c, nil, s)
				}
				return err
			}
			if len(s.Changed)+len(s.NeedRestart) == 0 {
				fmt.Fprintln(c.App.Writer, "nothing has changed")
			}
			for _, line := range s.Changed {
				fmt.Fprintln(c.App.Writer, control.Printable(line))
			}
			if len(s.NeedRestart) > 0 {
				fmt.Fprintf(c.App.Writer, "changed, but only a restart puts it into force: --%s\n", strings.Join(s.NeedRestart, ", --"))
			}
			return nil
		},
	})
}

// reloadOn calls reload for each value of hangups until ctx ends.
func reloadOn(ctx context.Context, hangups <-chan os.Signal, reload func(context.Context) (control.ReloadSummary, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			_, _ = reload(ctx) // it writes to the log
		}
	}
}
