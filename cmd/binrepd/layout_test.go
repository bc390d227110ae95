package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "binrepd"

// wings are the groups of packages that follow the flow of data, and the wings that each may import, itself included.
// What stands beside userspace (bpf, dialog) is a wing of its own. A command may import everything.
var wings = map[string][]string{
	"host":    {},
	"bpf":     {"bpf", "host"},
	"dialog":  {"dialog", "store"},
	"store":   {},
	"mi":      {},
	"in":      {"in", "bpf"},
	"changes": {"in", "dialog"},
	"wire":    {"wire", "changes", "dialog"},
	"state":   {"state", "changes", "in", "wire", "dialog"},
	"out":     {"out", "changes", "in", "wire", "dialog", "host"},
	"cluster": {"cluster", "out", "state", "changes", "in", "wire", "dialog"},
	"trace":   {"trace", "in", "wire", "dialog", "host"},
	"watch":   {"watch", "cluster", "trace", "out", "state", "in", "wire", "dialog", "bpf", "mi"},
	// The bench measures everything.
	"bench":     {"bench", "cluster", "trace", "out", "state", "changes", "in", "wire", "dialog", "bpf"},
	"appliance": {"appliance", "watch", "cluster", "trace", "out", "state", "changes", "in", "wire", "dialog", "bpf", "host"},
}

// wing returns the wing of one of our packages: "in" for userspace/in/ring, "dialog" for dialog/layout.
func wing(path string) string {
	if path == "userspace/state/store" { // it lies under the models, and knows none of them
		return "store"
	}
	first, rest, _ := strings.Cut(path, "/")
	if first == "userspace" {
		first, _, _ = strings.Cut(rest, "/")
	}
	return first
}

// TestWings holds the direction of imports between wings. TestImports holds it between packages.
func TestWings(t *testing.T) {
	for _, p := range goList(t) {
		if isCommand(p.ImportPath) || isTestHelper(p.ImportPath) {
			continue
		}
		from := wing(p.ImportPath)
		allowed, known := wings[from]
		if !known {
			t.Errorf("%s is in no wing: add wing %s to this test", p.ImportPath, from)
			continue
		}
		for _, i := range p.Imports {
			if ours, isOurs := strings.CutPrefix(i, module+"/"); isOurs && !isTestHelper(ours) && !slices.Contains(allowed, wing(ours)) {
				t.Errorf("%s imports %s: wing %s may not import wing %s", p.ImportPath, ours, from, wing(ours))
			}
		}
	}
}

// imports lists for each of our packages those that it may import, tests aside. TestImports fails for a package that
// isn't listed. A command may import everything.
var imports = map[string][]string{
	// What the appliance needs of the host's files and names.
	"userspace/host/folder":    {},
	"userspace/host/hostport":  {},
	"userspace/host/neighbour": {},

	"userspace/mi": {}, // what a proxy says of itself

	"bpf":                   {"userspace/host/folder"},
	"userspace/state/store": {}, // the memory under the models, which knows none of them
	"dialog":                {"dialog/layout", "userspace/state/store"},
	"dialog/escape":         {},
	"dialog/layout":         {"dialog/escape"},

	"userspace/in/packets": {},
	"userspace/in/thread":  {},
	"userspace/in/ring":    {"userspace/in/packets", "bpf"},
	"userspace/in/socket":  {"userspace/in/packets"},
	"userspace/in/gate":    {"userspace/in/packets"},
	"userspace/in/stream":  {"userspace/in/packets"}, // it frames generation 2 itself, by marker and length

	"userspace/changes": {"userspace/in/packets", "dialog"},

	"userspace/wire/bin1":          {"userspace/changes", "dialog"},
	"userspace/wire/bin1/generate": {"userspace/wire/bin1", "dialog"},
	"userspace/wire/arrival":       {"userspace/wire/bin1"},
	"userspace/wire/bin2":          {"userspace/changes", "dialog", "dialog/layout"},

	"userspace/state/conflicts": {}, // pure: who claims which tag
	"userspace/state/engine": {
		"userspace/state/conflicts", "userspace/changes", "userspace/in/packets", "userspace/wire/arrival", "userspace/wire/bin1", "userspace/wire/bin2", "dialog", "dialog/layout",
	},

	// Each destination of egress encodes by its shield. Of bin1 it has the questions from one binrepd to another.
	"userspace/out/shield": {"userspace/changes", "userspace/wire/bin1", "userspace/wire/bin2", "dialog", "dialog/layout"},
	"userspace/out/pace":   {},
	"userspace/out/egress": {
		"userspace/changes", "userspace/in/packets", "userspace/wire/bin1", "userspace/out/pace", "userspace/out/shield",
		"userspace/host/hostport", "dialog",
	},
	"userspace/out/snapshot": {"userspace/changes", "dialog", "dialog/layout"},
	"userspace/out/resync": {
		"userspace/changes", "userspace/in/packets", "userspace/wire/bin1", "userspace/out/pace", "userspace/out/shield",
		"userspace/out/snapshot", "userspace/wire/arrival", "dialog", "dialog/layout",
	},
	"userspace/out/savefile": {"userspace/in/packets", "userspace/wire/bin1", "userspace/out/snapshot", "dialog", "dialog/layout"},

	"userspace/cluster/membership": {"userspace/wire/bin2"},
	// An answer to a node walks the table, follows the journal of changes, and is paced. It sends nothing itself.
	"userspace/cluster/donor": {
		"userspace/changes", "userspace/out/pace", "userspace/out/shield", "userspace/out/snapshot", "userspace/wire/bin2", "dialog",
		"dialog/layout",
	},
	// Calls of one cluster for another: it decides, and donor encodes.
	"userspace/cluster/bridge": {"userspace/cluster/donor", "userspace/changes", "dialog", "dialog/layout"},
	"userspace/cluster/member": {
		"userspace/changes", "userspace/cluster/donor", "userspace/cluster/membership", "userspace/in/packets", "userspace/in/stream", "userspace/wire/bin2", "dialog",
		"dialog/layout",
	},

	// The history of a call decodes packets. A replay moves the times in them.
	"userspace/trace/record": {"userspace/in/packets", "userspace/host/folder"},
	"userspace/trace/capture": {
		"userspace/in/packets", "userspace/wire/bin1", "userspace/wire/bin2", "dialog", "dialog/layout",
	},
	"userspace/trace/replay": {
		"userspace/trace/capture", "userspace/in/packets", "userspace/wire/bin1", "userspace/wire/bin2", "dialog", "dialog/layout",
	},

	"userspace/watch/serving": {},
	"userspace/watch/tuning":  {"userspace/in/thread"},
	"userspace/watch/links":   {},
	// The account of the engine has the verdicts of bin1. The search for a Call-ID uses the steering hash of packets.
	"userspace/watch/control": {
		"userspace/watch/serving", "userspace/state/conflicts", "userspace/state/engine", "userspace/wire/bin1", "userspace/wire/bin2", "userspace/in/packets",
		"dialog", "dialog/escape", "dialog/layout",
		"userspace/cluster/member", "userspace/cluster/membership",
	},
	// A takeover asks the appliance, and the proxy that takes over.
	"userspace/watch/takeover": {"userspace/watch/control", "userspace/cluster/membership", "userspace/mi"},
	// Which sources count is a matter of the status, as are the counters of the engine.
	"userspace/watch/sources": {"userspace/watch/control", "userspace/state/engine"},
	// What a restart of a proxy leaves is found in the table.
	"userspace/watch/restarts": {"userspace/state/engine", "userspace/in/packets", "dialog", "dialog/layout"},
	// Audits judge with the model of calls, and know no network. What is asked of proxies does.
	"userspace/watch/audit": {"userspace/mi", "userspace/in/packets", "dialog", "dialog/layout"},
	"userspace/watch/proxies": {
		"userspace/mi", "userspace/watch/audit", "userspace/watch/control", "userspace/state/engine", "userspace/in/packets",
		"dialog", "dialog/layout",
	},
	// Metrics, top and the page read what status shows, so that all of them tell the same.
	"userspace/watch/telemetry": {
		"userspace/watch/control", "userspace/watch/serving", "userspace/state/engine", "userspace/wire/bin1", "userspace/wire/bin2",
		"dialog",
		"userspace/cluster/membership",
	},
	"userspace/watch/live":       {"userspace/watch/control", "dialog", "dialog/escape"},
	"userspace/watch/statuspage": {"userspace/watch/control", "dialog/escape"},
	// Doctor attaches the XDP program for a moment, and judges the rings of a running appliance.
	"userspace/watch/doctor": {"userspace/watch/control", "userspace/watch/tuning", "userspace/in/socket", "bpf"},

	// The appliance composes everything but the command line.
	"userspace/appliance": {
		"bpf", "dialog", "userspace/host/folder", "userspace/host/hostport", "userspace/host/neighbour",
		"userspace/in/packets", "userspace/in/ring", "userspace/in/socket", "userspace/in/gate", "userspace/in/thread",
		"userspace/in/stream", "userspace/cluster/member", "userspace/cluster/donor", "userspace/cluster/bridge", "userspace/changes", "userspace/wire/bin2", "dialog/layout",
		"userspace/out/snapshot",
		"userspace/state/conflicts", "userspace/state/engine", "userspace/out/egress", "userspace/out/resync", "userspace/out/savefile", "userspace/out/shield",
		"userspace/trace/record", "userspace/watch/control", "userspace/watch/statuspage", "userspace/watch/telemetry",
		"userspace/watch/links", "userspace/watch/proxies", "userspace/watch/restarts", "userspace/watch/sources", "userspace/watch/tuning",
		"userspace/wire/arrival",
	},

	// The bench measures everything, with made-up traffic.
	"userspace/bench": {
		"bpf", "dialog", "userspace/in/packets", "userspace/in/ring", "userspace/in/socket", "userspace/in/thread",
		"dialog/layout", "userspace/wire/bin1", "userspace/wire/bin1/generate", "userspace/wire/bin2", "userspace/trace/record",
		"userspace/state/engine", "userspace/changes", "userspace/out/egress", "userspace/out/resync",
		"userspace/cluster/donor",
	},
}

// commands are the folders of programs.
var commands = [...]string{"cmd/", "deploy/"}

// onlyIn are libraries that may be imported by some of our packages only, so that what they stand for stays in one place.
var onlyIn = [...]struct {
	library string
	ours    []string
}{
	{"github.com/urfave/cli", []string{"cmd/binrepd"}},
	{"github.com/coreos/go-systemd", []string{"userspace/appliance"}},
	{"github.com/cilium/ebpf", []string{"bpf", "bpf/bpftest", "userspace/in/ring", "userspace/bench"}},
	{"github.com/prometheus", []string{"userspace/watch/telemetry"}},
	{"github.com/safchain/ethtool", []string{"userspace/watch/tuning", "userspace/watch/links"}},
	{"github.com/gdamore/tcell", []string{"userspace/watch/live"}},
	{"net/http", []string{"userspace/watch/control", "userspace/watch/telemetry", "userspace/watch/statuspage", "userspace/watch/serving", "userspace/watch/proxies", "userspace/mi", "userspace/mi/mitest", "userspace/appliance", "cmd/binrepd"}},
	{"testing", nil},
	{"pgregory.net/rapid", nil},
	{"go.uber.org/goleak", nil},
}

// pure packages do no I/O and know no system: no file, no network, no clock of their own.
var pure = [...]string{
	"dialog", "dialog/escape", "dialog/layout", "userspace/state/store", "userspace/in/packets", "userspace/changes",
	"userspace/wire/bin1", "userspace/wire/bin1/generate", "userspace/wire/bin2", "userspace/cluster/membership",
}

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath string
	Dir        string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string
}

// goList returns the packages of the module, their paths relative to it.
func goList(t *testing.T) []listed {
	t.Helper()
	out := goCommand(t, nil, "list", "-json=ImportPath,Dir,Name,Doc,GoFiles,Imports", "./...")
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal("go list:", err)
		}
		p.ImportPath = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		packages = append(packages, p)
	}
	if len(packages) < 4 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	return packages
}

// goCommand runs the go command in the root of the module and returns its output.
func goCommand(t *testing.T, environment []string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = moduleRoot(t)
	cmd.Env = append(os.Environ(), environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s go %s: %v\n%s", strings.Join(environment, " "), strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// moduleRoot is the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

func isCommand(path string) bool {
	return slices.ContainsFunc(commands[:], func(c string) bool { return strings.HasPrefix(path, c) })
}

// isTestHelper tells of packages such as datagram/datagramtest, which tests of any package may import.
func isTestHelper(path string) bool { return strings.HasSuffix(path, "test") }

func TestImports(t *testing.T) {
	for _, p := range goList(t) {
		if isCommand(p.ImportPath) {
			continue
		}
		allowed, known := imports[p.ImportPath]
		helper := isTestHelper(p.ImportPath)
		if !known && !helper {
			t.Errorf("%s has no rule: say in this test what it may import", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			ours, isOurs := strings.CutPrefix(i, module+"/")
			switch {
			case isOurs && isTestHelper(ours) && !helper && !slices.Contains(allowed, ours):
				t.Errorf("%s imports the test helper %s", p.ImportPath, ours)
			case isOurs && isCommand(ours):
				t.Errorf("%s imports the command %s", p.ImportPath, ours)
			case isOurs && !helper && !slices.Contains(allowed, ours):
				t.Errorf("%s must not import %s", p.ImportPath, ours)
			}
		}
	}
}

// TestProductLinksNoTestHelper looks at everything that the program is linked from, however indirectly.
func TestProductLinksNoTestHelper(t *testing.T) {
	deps := strings.Fields(string(goCommand(t, nil, "list", "-deps", "./cmd/binrepd")))
	if !slices.Contains(deps, module+"/dialog") {
		t.Fatalf("go list -deps prints %q", deps)
	}
	for _, path := range deps {
		if ours, isOurs := strings.CutPrefix(path, module+"/"); path == "testing" || isOurs && isTestHelper(ours) {
			t.Errorf("cmd/binrepd is linked with %s", path)
		}
	}
}

func TestLibrariesInTheirPlace(t *testing.T) {
	for _, p := range goList(t) {
		for _, rule := range onlyIn {
			test := len(rule.ours) == 0 && isTestHelper(p.ImportPath)
			demo := strings.HasPrefix(p.ImportPath, "deploy/")
			if test || demo || slices.Contains(rule.ours, p.ImportPath) {
				continue
			}
			for _, i := range p.Imports {
				if i == rule.library || strings.HasPrefix(i, rule.library+"/") {
					t.Errorf("%s imports %s, which belongs to %v and tests", p.ImportPath, i, rule.ours)
				}
			}
		}
		if slices.Contains(pure[:], p.ImportPath) {
			for _, i := range p.Imports {
				if i == "net" || i == "io/fs" || i == "time/tzdata" || strings.HasPrefix(i, "os/") {
					t.Errorf("%s is pure and imports %s", p.ImportPath, i)
				}
			}
		}
	}
}

func TestEveryPackageHasDoc(t *testing.T) {
	for _, p := range goList(t) {
		if !slices.Contains(p.GoFiles, "doc.go") && !isTestHelper(p.ImportPath) && !strings.HasPrefix(p.ImportPath, "deploy/") {
			t.Errorf("%s has no doc.go", p.ImportPath)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		for _, name := range [...]string{"util", "utils", "common", "helper", "helpers", "misc"} {
			if p.Name == name {
				t.Errorf("%s: package %s says nothing of what is in it", p.ImportPath, name)
			}
		}
	}
}

// TestOtherSystems compiles what must work elsewhere: the pure packages on a Mac, everything on arm64.
func TestOtherSystems(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: compiling for other systems takes a while")
	}
	t.Run("darwin", func(t *testing.T) {
		goCommand(t, []string{"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"},
			"vet", "./dialog", "./userspace/state/store", "./userspace/in/packets", "./userspace/wire/bin1", "./userspace/state/engine")
	})
	t.Run("arm64", func(t *testing.T) {
		goCommand(t, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}, "build", "-trimpath", "./...") // as make deb does, to compile once for both
	})
	t.Run("portable sockets", func(t *testing.T) {
		goCommand(t, []string{"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"}, "build", "./userspace/in/socket")
	})
}
