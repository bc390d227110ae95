package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/doctor"
)

// Set by the linker, see Makefile. Empty in a binary that was built by hand or by `go install`.
var version, commit string

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:   "version",
		Usage:  "print the version of binrepd, of Go and of the running kernel",
		Before: noArguments,
		Action: printVersion,
	}
}

func printVersion(c *cli.Context) error {
	v, rev := buildVersion()
	fmt.Fprintf(c.App.Writer, "binrepd %s\n", v)
	if rev != "" {
		fmt.Fprintf(c.App.Writer, "commit  %s\n", rev)
	}
	fmt.Fprintf(c.App.Writer, "go      %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(c.App.Writer, "kernel  %s\n", doctor.KernelRelease())
	return nil
}

// buildVersion returns version and revision from the linker, or else those that the Go command recorded.
func buildVersion() (v, rev string) {
	v, rev = version, commit
	info, ok := debug.ReadBuildInfo()
	if v == "" && ok {
		v = info.Main.Version
	}
	if v == "" {
		v = "(devel)"
	}
	if rev == "" && ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				rev = s.Value
			}
		}
	}
	return v, rev
}
