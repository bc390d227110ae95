package folder_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"binrepd/userspace/host/folder"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	first, err := folder.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Lock(dir); !errors.Is(err, folder.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second lock: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := folder.Lock(dir)
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := folder.Lock(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestCause(t *testing.T) {
	one := fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "/a.1.tmp", Err: syscall.ENOSPC})
	two := fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "/a.2.tmp", Err: syscall.ENOSPC})
	if folder.Cause(one) != folder.Cause(two) || folder.Cause(one) != "no space left on device" {
		t.Errorf("%q, %q", folder.Cause(one), folder.Cause(two))
	}
	if got := folder.Cause(errors.New("other")); got != "other" {
		t.Errorf("%q", got)
	}
}
