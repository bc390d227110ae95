package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestSimultaneousStarts: of several processes that start at once where a dead one left its socket, one gets the socket,
// and it works. The others learn that somebody listens (fault 19).
func TestSimultaneousStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	for range 200 {
		stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		stale.SetUnlinkOnClose(false)
		stale.Close()
		const starts = 4
		var servers [starts]*Server
		var errs [starts]error
		var group sync.WaitGroup
		for i := range starts {
			group.Go(func() {
				servers[i], errs[i] = Listen(path, Backend{}, slog.New(slog.DiscardHandler))
			})
		}
		group.Wait()
		won := 0
		for i, s := range servers {
			if s == nil {
				if !strings.Contains(errs[i].Error(), "another binrepd listens") {
					t.Fatal(errs[i])
				}
				continue
			}
			won++
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatalf("the one that listens can't be reached: %v", err)
			}
			conn.Close()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d processes listen", won)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the socket is left: %v", err)
		}
	}
}

// TestCloseLeavesOthersSocket: a server removes only its own socket file.
func TestCloseLeavesOthersSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	first, err := Listen(path, Backend{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // somebody cleans up too much
		t.Fatal(err)
	}
	second, err := Listen(path, Backend{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the second one's socket is gone: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// TestFilesOfTheGroup: members of the socket's group may name files only below the appliance's folder (fault 19).
func TestFilesOfTheGroup(t *testing.T) {
	folder, other := t.TempDir(), t.TempDir()
	if err := os.Symlink(other, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	member := &peer{uid: 4_000_000_000, groups: []uint32{7}}
	for _, test := range []struct {
		name, folder, path string
		peer               *peer
		permitted          bool
	}{
		{"in the folder", folder, folder + "/x", member, true},
		{"elsewhere", folder, other + "/x", member, false},
		{"by dots", folder, folder + "/../x", member, false},
		{"by a link", folder, folder + "/link/x", member, false},
		{"a folder with the same beginning", folder, folder + "2/x", member, false},
		{"without a folder", "", folder + "/x", member, false},
		{"unknown peer", folder, other + "/x", nil, false},
		{"root", "", other + "/x", &peer{uid: 0}, true},
		{"own user", folder, other + "/x", &peer{uid: uint32(os.Geteuid())}, true},
	} {
		did := false
		do := inFolder(test.folder, func(context.Context, FileRequest) (SaveSummary, error) { did = true; return SaveSummary{}, nil })
		_, err := do(context.WithValue(t.Context(), peerKey{}, test.peer), FileRequest{Path: test.path})
		if did != test.permitted || (err == nil) != test.permitted {
			t.Errorf("%s: done %v, error %v", test.name, did, err)
		}
	}
}
