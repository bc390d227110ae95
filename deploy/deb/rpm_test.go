package deb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
)

// ordered are versions of git describe, and those of packages, oldest first.
var ordered = [...][2]string{
	{"v0.1.0", "0.1.0"},
	{"v0.1.0-4-g1234567", "0.1.0+4.g1234567"},
	{"abcdef0", "0.2.0~git20261128.abcdef0"},
	{"v0.2.0-rc1", "0.2.0~rc1"},
	{"v0.2.0-rc1-3-gabcdef0", "0.2.0~rc1+3.gabcdef0"},
	{"v0.2.0", "0.2.0"},
	{"v0.2.0-12-gabcdef0-dirty", "0.2.0+12.gabcdef0.dirty"},
	{"v0.10.0", "0.10.0"},
}

// TestVersionsSort: dpkg and rpm agree on the order of versions.
func TestVersionsSort(t *testing.T) {
	tooltest.Require(t, "dpkg", "rpm")
	before := ""
	for _, v := range ordered {
		got := strings.TrimSpace(tooltest.Run(t, ".", []string{"SOURCE_DATE_EPOCH=1795867200"}, "./version", v[0], "0.2.0"))
		if got != v[1] {
			t.Errorf("%s: %s, want %s", v[0], got, v[1])
		}
		if before != "" {
			tooltest.Run(t, ".", nil, "dpkg", "--compare-versions", before, "lt", got)
			if c := strings.TrimSpace(tooltest.Run(t, ".", nil, "rpm", "--eval", `%{lua: print(rpm.vercmp("`+before+`", "`+got+`"))}`)); c != "-1" {
				t.Errorf("rpm compares %s with %s as %s", before, got, c)
			}
		}
		before = got
	}
}

// TestRPM: the RPM has the files of the Debian package at their places, and its scripts.
func TestRPM(t *testing.T) {
	requirePackaging(t)
	tooltest.Require(t, "rpm")
	dist := t.TempDir()
	tooltest.Run(t, tooltest.Root(t), nil, "make", "--no-print-directory", "rpm", "DIST="+dist, "VERSION=v1.2.0-rc1", "ARCHS=amd64")
	file := filepath.Join(dist, "binrepd-1.2.0~rc1-1.x86_64.rpm")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	files := tooltest.Run(t, ".", nil, "rpm", "-qpl", "--nosignature", file)
	for _, want := range []string{"/usr/bin/binrepd\n", "/usr/lib/systemd/system/binrepd.service\n", "/usr/share/zsh/site-functions/_binrepd\n", "/usr/share/man/man8/binrepd.8.gz\n"} {
		if !strings.Contains(files, want) {
			t.Errorf("%q is missing in\n%s", want, files)
		}
	}
	if strings.Contains(files, "lintian") || strings.Contains(files, "vendor-completions") {
		t.Errorf("Debian's files are in it:\n%s", files)
	}
	if kept := tooltest.Run(t, ".", nil, "rpm", "-qpc", "--nosignature", file); strings.TrimSpace(kept) != "/etc/default/binrepd" {
		t.Errorf("configuration files: %q", kept)
	}
	if scripts := tooltest.Run(t, ".", nil, "rpm", "-qp", "--scripts", "--nosignature", file); !strings.Contains(scripts, "systemd-sysusers") || !strings.Contains(scripts, "unpin") {
		t.Errorf("scripts: %s", scripts)
	}
}

// TestLintian: lintian has nothing to say about the Debian package.
func TestLintian(t *testing.T) {
	requirePackaging(t)
	tooltest.Require(t, "lintian")
	file := makeDeb(t, "v1.2.0", "amd64")["amd64"]
	out := tooltest.Run(t, ".", nil, "lintian", "--fail-on=error,warning", "--allow-root", file)
	if strings.TrimSpace(out) != "" {
		t.Errorf("%s", out)
	}
}

// TestUninstall: make uninstall leaves nothing of make install, and what isn't ours stays.
func TestUninstall(t *testing.T) {
	tooltest.Require(t, "make", "install")
	root := t.TempDir()
	other := filepath.Join(root, "usr/local/share/man/man8/other.8")
	if err := os.MkdirAll(filepath.Dir(other), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tooltest.Run(t, tooltest.Root(t), nil, "make", "--no-print-directory", "install", "DESTDIR="+root)
	tooltest.Run(t, tooltest.Root(t), nil, "make", "--no-print-directory", "uninstall", "DESTDIR="+root)
	left := strings.TrimSpace(tooltest.Run(t, root, nil, "find", ".", "!", "-type", "d"))
	if left != "./usr/local/share/man/man8/other.8" {
		t.Errorf("left: %q", left)
	}
	folders := strings.TrimSpace(tooltest.Run(t, root, nil, "find", ".", "-type", "d", "-empty"))
	if folders != "" {
		t.Errorf("empty folders are left: %q", folders)
	}
}
