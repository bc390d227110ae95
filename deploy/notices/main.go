package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

func main() {
	arch := flag.String("arch", runtime.GOARCH, "the architecture of the program, on Linux")
	flag.Parse()
	var out bytes.Buffer
	if err := write(&out, *arch, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
	if _, err := out.WriteTo(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// texts matches the names of files that must be included.
var texts = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-.].*)?$`)

// standard is the name for Go's standard library.
const standard = "Go"

// part is a module, or Go's standard library, with its files.
type part struct {
	name, version, root string
	files               []string // sorted, without duplicates
}

func write(w io.Writer, arch string, packages []string) error {
	if len(packages) == 0 {
		return errors.New("give a package, such as ./cmd/binrepd")
	}
	parts, err := linked(arch, packages)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "What %s contains of others, and the terms of each.\n", strings.Join(packages, " "))
	for _, p := range parts {
		fmt.Fprintf(w, "  %s %s\n", p.name, p.version)
	}
	for _, p := range parts {
		if len(p.files) == 0 {
			return fmt.Errorf("%s %s has no licence file to include", p.name, p.version)
		}
		for _, file := range p.files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(p.root, file)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "\n%s\n%s %s: %s\n\n%s\n", strings.Repeat("=", 80), p.name, p.version, filepath.ToSlash(name), bytes.TrimSpace(text))
		}
	}
	return nil
}

// linked returns the parts of the packages, by name.
func linked(arch string, packages []string) ([]part, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Dir,Standard,Module"}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	parts := map[string]*part{standard: {name: standard, version: runtime.Version(), root: strings.TrimSpace(string(root))}}
	if err := parts[standard].collect(parts[standard].root); err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		one := parts[p.Module.Path]
		if one == nil {
			one = &part{name: p.Module.Path, version: p.Module.Version, root: p.Module.Dir}
			parts[one.name] = one
		}
		if err := one.collect(p.Dir); err != nil {
			return nil, err
		}
	}
	all := make([]part, 0, len(parts))
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p := parts[name]
		slices.Sort(p.files)
		p.files = slices.Compact(p.files)
		all = append(all, *p)
	}
	return all, nil
}

// collect adds the files of a folder of the part, and of the folders above it.
func (p *part) collect(dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && texts.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				p.files = append(p.files, filepath.Join(dir, e.Name()))
			}
		}
		if dir == p.root || len(dir) <= len(p.root) {
			return nil
		}
	}
}
