package appliance

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestGiveToGroup gives a file to a group that exists, and leaves it alone otherwise.
func TestGiveToGroup(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	group := func() uint32 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Gid
	}
	before := group()
	if err := giveToGroup(path, "no-such-group-here", logger); err != nil || group() != before {
		t.Errorf("group %d, error %v", group(), err)
	}
	out, err := exec.Command("getent", "group", "daemon").Output()
	if fields := strings.Split(string(out), ":"); err == nil && len(fields) > 2 && os.Getuid() == 0 {
		want, _ := strconv.ParseUint(fields[2], 10, 32)
		if err := giveToGroup(path, "daemon", logger); err != nil || uint64(group()) != want {
			t.Errorf("group %d, want %d, error %v", group(), want, err)
		}
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", &log)
	}
}
