package deb

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"binrepd/deploy/tooltest"
)

// requirePackaging skips the test if a package can't be made here.
func requirePackaging(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: making packages takes a while")
	}
	tooltest.Require(t, "dpkg-deb", "make", "gzip")
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=deploy/deb/nfpm.mod", "nfpm", "--version")
	cmd.Dir = tooltest.Root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		tooltest.Missing(t, "nfpm can't be built: "+err.Error()+": "+string(out))
	}
}

// makeDeb makes packages of this version and returns their files by architecture.
func makeDeb(t *testing.T, version string, architectures ...string) map[string]string {
	t.Helper()
	dist := t.TempDir()
	tooltest.Run(t, tooltest.Root(t), nil, "make", "--no-print-directory", "deb", "DIST="+dist, "VERSION="+version,
		"ARCHS="+strings.Join(architectures, " "))
	files := map[string]string{}
	for _, a := range architectures {
		found, err := filepath.Glob(filepath.Join(dist, "binrepd_*_"+a+".deb"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", a, found, err)
		}
		files[a] = found[0]
	}
	left, err := os.ReadDir(dist)
	if err != nil || len(left) != len(architectures) {
		t.Errorf("make deb leaves %v, %v", left, err)
	}
	return files
}

func TestPackages(t *testing.T) {
	requirePackaging(t)
	packages := makeDeb(t, "v1.2.0-rc1-3-gabcdef", "amd64", "arm64")
	for architecture, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		file := packages[architecture]
		for field, want := range map[string]string{"Package": "binrepd", "Version": "1.2.0~rc1+3.gabcdef", "Architecture": architecture} {
			if got := strings.TrimSpace(tooltest.Run(t, ".", nil, "dpkg-deb", "--field", file, field)); got != want {
				t.Errorf("%s: %s %s, want %s", architecture, field, got, want)
			}
		}
		root := t.TempDir()
		tooltest.Run(t, ".", nil, "dpkg-deb", "--extract", file, root)
		program, err := elf.Open(filepath.Join(root, "usr/bin/binrepd"))
		if err != nil {
			t.Fatal(err)
		}
		libraries, err := program.ImportedLibraries()
		if err := program.Close(); err != nil {
			t.Error(err)
		}
		if program.Machine != machine || err != nil || len(libraries) > 0 {
			t.Errorf("%s: a program for %s with libraries %v, %v", architecture, program.Machine, libraries, err)
		}
		checkFiles(t, file)
		checkNotices(t, root)
		checkLinks(t, filepath.Join(root, "usr/share/doc/binrepd"))
	}
	again := makeDeb(t, "v1.2.0-rc1-3-gabcdef", runtime.GOARCH)[runtime.GOARCH]
	if a, b := read(t, packages[runtime.GOARCH]), read(t, again); !bytes.Equal(a, b) {
		t.Errorf("made twice, of %d and %d bytes, the packages differ", len(a), len(b))
	}
}

// checkNotices checks that there is a licence for every module that the program contains.
func checkNotices(t *testing.T, root string) {
	t.Helper()
	notices := string(read(t, filepath.Join(root, "usr/share/doc/binrepd/THIRD-PARTY-NOTICES")))
	info, err := buildinfo.ReadFile(filepath.Join(root, "usr/bin/binrepd"))
	if err != nil || len(info.Deps) < 10 {
		t.Fatalf("%d modules, %v", len(info.Deps), err)
	}
	for _, m := range info.Deps {
		if !strings.Contains(notices, "\n"+m.Path+" "+m.Version+": ") {
			t.Errorf("no licence of %s %s", m.Path, m.Version)
		}
	}
}

// checkFiles checks that everything belongs to root, that others can't write anything, and that only programs are
// executable.
func checkFiles(t *testing.T, file string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^([dl-])([rwxst-]{9}) (\S+) +\d+ \S+ \S+ \./(\S*)$`)
	var executable []string
	for _, m := range line.FindAllStringSubmatch(tooltest.Run(t, ".", nil, "dpkg-deb", "--contents", file), -1) {
		kind, mode, owner, name := m[1], m[2], m[3], m[4]
		if owner != "root/root" || mode[4] == 'w' || mode[7] == 'w' || strings.ContainsAny(mode, "st") {
			t.Errorf("%s: %s %s", name, mode, owner)
		}
		if kind == "-" && mode[2] == 'x' {
			executable = append(executable, name)
		}
	}
	want := []string{"usr/bin/binrepd", "usr/share/doc/binrepd/examples/opensips/binrepd-takeover"}
	if slices.Sort(executable); !slices.Equal(executable, want) {
		t.Errorf("executable: %v, want %v", executable, want)
	}
	if conffiles := tooltest.Run(t, ".", nil, "dpkg-deb", "--info", file, "conffiles"); strings.TrimSpace(conffiles) != "/etc/default/binrepd" {
		t.Errorf("conffiles: %s", conffiles)
	}
}

// checkLinks checks that the targets of links in the documents of a folder exist.
func checkLinks(t *testing.T, folder string) {
	t.Helper()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`) // no links to other hosts
	links := 0
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(read(t, path)), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s refers to %s, which is not in the package", filepath.Base(path), m[1])
			}
		}
		return nil
	})
	if err != nil || links == 0 {
		t.Errorf("%d links, %v", links, err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInstall makes dpkg install, upgrade, remove and purge the package, in a copy-on-write view of this system.
func TestInstall(t *testing.T) {
	if unix.Geteuid() != 0 {
		tooltest.Missing(t, "only root can install packages")
	}
	tooltest.Require(t, "unshare", "dpkg", "systemd-analyze", "systemd-sysusers", "man")
	requirePackaging(t)
	before, after := makeDeb(t, "v0.0.1", runtime.GOARCH), makeDeb(t, "v0.0.2", runtime.GOARCH)
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
		"./install_test.sh", before[runtime.GOARCH], after[runtime.GOARCH])
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "== passed\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func TestScripts(t *testing.T) {
	tooltest.Require(t, "shellcheck")
	tooltest.Run(t, ".", nil, "shellcheck", "postinst", "prerm", "postrm", "rpm-post", "rpm-preun", "rpm-postun", "version", "changelog", "install_test.sh")
}
