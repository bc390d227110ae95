package tooltest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RequireEnv is the environment variable that turns skipped tests into failed ones when it is "1".
const RequireEnv = "BINREPD_REQUIRE_TOOLS"

// Require skips the test unless all these programs are installed. With RequireEnv set to 1 it fails instead.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Missing(t, err.Error())
		}
	}
}

// Missing skips the test for this reason. With RequireEnv set to 1 it fails instead.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s=1 forbids to skip: %s", RequireEnv, reason)
	}
	t.Skipf("SKIPPED: %s (%s=1 makes this a failure)", reason, RequireEnv)
}

// Root returns the folder of the repository: the nearest one with a go.mod, from the working directory upwards.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(".")
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

// Run runs a command in folder dir, with extra environment, and returns its standard output. It fails the test if the
// command fails.
func Run(t testing.TB, dir string, environment []string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, stderr.String())
	}
	return string(out)
}
