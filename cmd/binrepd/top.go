package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/live"
)

const (
	// leastTopInterval keeps a typing mistake from asking the appliance all the time.
	leastTopInterval = 100 * time.Millisecond
	// plainWidth is the width of frames without a terminal, in cells, unless COLUMNS is set.
	plainWidth = 80
)

func topCommand() *cli.Command {
	return &cli.Command{
		Name:  "top",
		Usage: "watch the running appliance on a terminal: state, rates, losses, rings, sources, backups",
		Description: "q quits, ? shows the keys, / asks for a Call-ID and shows its dialogs. Asks the appliance once each interval.\n" +
			"NO_COLOR=1 turns colours off; without a UTF-8 locale it uses plain characters. On a terminal that can't\n" +
			"move its cursor (TERM=dumb) it prints the frames one below the other.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "interval", Value: time.Second, DefaultText: "1s", Usage: "look every `DURATION`"},
			&cli.BoolFlag{
				Name: "once", DisableDefaultText: true,
				Usage: "print one frame, whole tables and rates between two looks, and exit; without colours where that is no terminal",
			},
			controlFlag(),
		},
		Action: showTop,
	}
}

func showTop(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	interval := c.Duration("interval")
	if interval < leastTopInterval {
		return usageErrorf("--interval %s: at least %s", interval, leastTopInterval)
	}
	width, terminal := terminalWidth(c.App.Writer)
	movable := terminal && os.Getenv("TERM") != "dumb"
	cfg := live.Config{
		Appliance: control.NewClient(c.String("control")), Interval: interval, Width: width,
		Unicode: showsUnicode(os.Getenv), Color: movable && os.Getenv("NO_COLOR") == "",
	}
	switch {
	case c.Bool("once"):
		return live.Once(c.Context, cfg, c.App.Writer)
	case !terminal:
		return usageErrorf("top needs a terminal: --once prints one frame, and 'binrepd status' tells all")
	case !movable:
		return live.Stream(c.Context, cfg, c.App.Writer)
	}
	return live.Run(c.Context, cfg, nil)
}

// terminalWidth returns how many cells a row of out has, and whether it is a terminal.
func terminalWidth(out io.Writer) (width int, terminal bool) {
	if f := fileOf(out); f != nil && term.IsTerminal(int(f.Fd())) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width, true
		}
		terminal = true
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return min(n, maxPlainWidth), terminal
	}
	return plainWidth, terminal
}

// maxPlainWidth keeps a wrong COLUMNS from filling the memory.
const maxPlainWidth = 1000

// showsUnicode reports whether the terminal shows more than ASCII. The first variable of the locale that is set decides,
// as in the C library. The fonts of the Linux console have too few characters.
func showsUnicode(getenv func(string) string) bool {
	locale := ""
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale = getenv(name); locale != "" {
			break
		}
	}
	locale = strings.ToLower(locale)
	return getenv("TERM") != "linux" && (strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8"))
}
