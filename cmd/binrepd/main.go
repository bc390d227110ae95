package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/control"
)

// Exit statuses; scripts rely on them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// argsKey is the key of the command line in cli.App.Metadata.
const argsKey = "args"

func main() {
	for _, text := range unknownVariables(newApp(io.Discard, io.Discard), os.Environ()) {
		fmt.Fprintf(os.Stderr, "binrepd: warning: %s\n", text)
	}
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit status. SIGINT and SIGTERM end the command's context; a
// second one ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	out := &keptError{Writer: stdout}
	app := newApp(out, stderr)
	app.Metadata = map[string]any{argsKey: args}
	err := app.RunContext(ctx, flagsFirst(app.Commands, args))
	if out.err != nil && (err == nil || errors.Is(err, out.err)) {
		err = fmt.Errorf("output: %w", out.err) // once, however many writes failed
	}
	if err == nil {
		return exitDone
	}
	if status := exitWithStatus(0); errors.As(err, &status) {
		return int(status)
	}
	if m := unknownTopic.FindStringSubmatch(err.Error()); m != nil {
		err = unknownCommand(m[1], "binrepd", app.Commands)
	}
	fmt.Fprintf(stderr, "binrepd: %s\n", control.OneLine(err))
	var coder cli.ExitCoder
	if !errors.As(err, &coder) {
		return exitFailed
	}
	// All other codes are the library's own, which are about usage.
	if code := coder.ExitCode(); code == exitFailed {
		return exitFailed
	}
	return exitUsage
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:        "binrepd",
		Usage:       "keeps a replica of the dialogs of OpenSIPS proxies, for their backups",
		HideVersion: true, // the library's flag would print less than the command does
		Writer:      stdout,
		ErrWriter:   stderr,
		// run alone prints errors and ends the process.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Action:         needsCommand,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "version", Usage: "print the version and exit", DisableDefaultText: true},
		},
		Commands: []*cli.Command{
			runCommand(),
			statusCommand(),
			topCommand(),
			dialogsCommand(),
			clusterCommand(),
			profilesCommand(),
			allowCommand(),
			reloadCommand(),
			backupsCommand(),
			sourcesCommand(),
			outlivesOutput(syncCommand()),
			outlivesOutput(takeoverCommand()),
			outlivesOutput(saveCommand()),
			outlivesOutput(loadCommand()),
			auditCommand(),
			importCommand(),
			recordCommand(),
			replayCommand(),
			doctorCommand(),
			benchCommand(),
			outlivesOutput(unpinCommand()),
			versionCommand(),
		},
	}
	width, _ := terminalWidth(stdout)
	for _, c := range app.Commands {
		prefix := c.Name + "-"
		if c.Name == "run" {
			prefix = ""
		}
		prepare([]*cli.Command{c}, prefix, app.Name, width)
	}
	app.CustomAppHelpTemplate = helpTemplate(app.Name, app.Usage, "", "", app.Commands, app.Flags, width)
	return app
}

// prepare sets up commands, at any depth: wrong usage is reported the same way everywhere, and each flag gets its
// environment variable. Variables of run have the names of the flags. Those of other commands begin with the name of the
// command, so that a setting of the daemon doesn't change what a command does. parent is the command before these, and
// width that of the help.
func prepare(commands []*cli.Command, prefix, parent string, width int) {
	for _, c := range commands {
		c.OnUsageError = onUsageError
		for _, f := range c.Flags {
			nameVariable(f, prefix)
		}
		if len(c.Subcommands) > 0 && c.Action == nil {
			c.Action = needsCommand
		}
		prepare(c.Subcommands, prefix, parent+" "+c.Name, width)
		c.CustomHelpTemplate = helpTemplate(parent+" "+c.Name, c.Usage, c.ArgsUsage, c.Description, c.Subcommands, c.Flags, width)
	}
}

// needsCommand is the action for a command line without a command that we know.
func needsCommand(c *cli.Context) error {
	if c.Bool("version") {
		return printVersion(c)
	}
	self := c.Command.HelpName
	if name := c.Args().First(); name != "" {
		commands := c.Command.Subcommands
		if len(commands) == 0 {
			commands = c.App.Commands
		}
		return unknownCommand(name, self, commands)
	}
	return usageErrorf("which command? %s --help lists them", self)
}

// noArguments refuses arguments of a command that takes only flags.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usageErrorf("%s takes no argument %q: see %[1]s --help", c.Command.HelpName, c.Args().First())
	}
	return nil
}

// usageErrorf returns an error that makes the exit status 2.
func usageErrorf(format string, args ...any) error {
	return cli.Exit(fmt.Errorf(format, args...), exitUsage)
}

// exitWithStatus is an error without a message: the command has printed everything, and only the exit status is left.
type exitWithStatus int

func (exitWithStatus) Error() string { return "" }

// exitWith returns the error for an exit status, nil for 0.
func exitWith(status int) error {
	if status == exitDone {
		return nil
	}
	return exitWithStatus(status)
}
