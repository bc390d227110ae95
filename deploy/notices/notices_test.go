package main

import (
	"bytes"
	"debug/buildinfo"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
)

// TestComplete: there is a licence for Go and for every module that a built program contains. deploy/deb checks its
// packages in the same way.
func TestComplete(t *testing.T) {
	root := tooltest.Root(t)
	t.Chdir(root)
	var out bytes.Buffer
	if err := write(&out, runtime.GOARCH, []string{"./cmd/binrepd"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "binrepd")
	tooltest.Run(t, root, []string{"CGO_ENABLED=0"}, "go", "build", "-o", file, "./cmd/binrepd")
	info, err := buildinfo.ReadFile(file)
	if err != nil || len(info.Deps) < 10 {
		t.Fatalf("%d modules, %v", len(info.Deps), err)
	}
	for _, m := range info.Deps {
		if !strings.Contains(out.String(), "\n"+m.Path+" "+m.Version+": ") {
			t.Errorf("nothing of %s %s", m.Path, m.Version)
		}
	}
	for _, want := range []string{
		"\nGo go", "\ngithub.com/prometheus/client_golang v", ": NOTICE\n", "Redistribution and use in source and binary forms",
		"Permission is hereby granted, free of charge",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestNothingWithoutALicence: a module without a licence is an error, and so is a call without a package.
func TestNothingWithoutALicence(t *testing.T) {
	p := part{root: t.TempDir()}
	if err := p.collect(p.root); err != nil || len(p.files) != 0 {
		t.Errorf("%v, %v", p.files, err)
	}
	if err := write(new(bytes.Buffer), "amd64", nil); err == nil {
		t.Error("of no package")
	}
}

func TestTexts(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENSE.txt": true, "LICENCE": true, "COPYING": true, "NOTICE": true, "PATENTS": true, "LICENSE-MIT": true,
		"licenses.go": false, "README.md": false, "notices": false,
	} {
		if got := texts.MatchString(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
