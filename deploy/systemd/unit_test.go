package systemd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// unit is a unit file: the values of each key of its sections.
type unit map[string][]string

func readUnit(t *testing.T) unit {
	t.Helper()
	text, err := os.ReadFile("binrepd.service")
	if err != nil {
		t.Fatal(err)
	}
	u := unit{}
	section := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		switch key, value, found := strings.Cut(line, "="); {
		case strings.HasPrefix(line, "["):
			section = line
		case section != "" && found && !strings.HasPrefix(line, "#"):
			u[key] = append(u[key], value)
		}
	}
	return u
}

// one returns the only value of key.
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is given %d times", key, len(u[key]))
	}
	return u[key][0]
}

// words returns the words of the only value of key.
func (u unit) words(t *testing.T, key string) []string {
	t.Helper()
	return strings.Fields(u.one(t, key))
}

func TestUnit(t *testing.T) {
	u := readUnit(t)
	if bounding, ambient := u.words(t, "CapabilityBoundingSet"), u.words(t, "AmbientCapabilities"); !slices.Equal(bounding, ambient) {
		t.Errorf("bounding set %v, ambient %v", bounding, ambient)
	}
	for key, want := range map[string]string{
		"StartLimitIntervalSec": "0", // a unit that fails at boot is started until it works (fault 18)
		"Type":                  "notify", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "ExecReload": "/usr/bin/binrepd reload", "ExecStart": "/usr/bin/binrepd run",
		"EnvironmentFile": "-/etc/default/binrepd", "Restart": "on-failure", "RestartPreventExitStatus": "2",
		"ExecStartPre":           "-+/usr/bin/systemd-tmpfiles --create binrepd.conf",
		"RestartForceExitStatus": "SIGPIPE SIGHUP",
		"User":                   "binrepd", "Group": "binrepd", "RuntimeDirectory": "binrepd",
	} {
		if got := u.one(t, key); got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
}
