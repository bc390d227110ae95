package savefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/out/savefile"
)

// TestSaveReplacesOnlySaves: the appliance may be allowed to replace files that the user who asks for a save may not.
func TestSaveReplacesOnlySaves(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	dir := t.TempDir()
	precious, saved, folder := filepath.Join(dir, "precious"), filepath.Join(dir, "saved"), filepath.Join(dir, "folder")
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(precious, []byte("loadmodule tm.so\n"), 0o600), os.Mkdir(folder, 0o700), os.Symlink(saved, link)); err != nil {
		t.Fatal(err)
	}
	save := func(path string) error {
		_, err := savefile.Save(t.Context(), savefile.SaveConfig{Table: table, Path: path})
		return err
	}
	for _, path := range []string{precious, folder, link, "/dev/null"} {
		if err := save(path); err == nil || !strings.Contains(err.Error(), "no saved state") {
			t.Errorf("save over %s: %v", path, err)
		}
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "loadmodule tm.so\n" {
		t.Errorf("the file holds %q now (%v)", b, err)
	}
	if err := errors.Join(save(saved), save(saved)); err != nil {
		t.Errorf("save, and again: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := savefile.Load(t.Context(), savefile.LoadConfig{Table: table, Path: "/dev/null"}); err == nil {
		t.Error("/dev/null was loaded")
	}
}
