package container

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no match for %s", pattern)
	}
	return m[1]
}

// TestVersions: the image is built with the Go release line of go.mod.
func TestVersions(t *testing.T) {
	image := find(t, read(t, "Dockerfile"), `(?m)^FROM golang:(\d+\.\d+)-`)
	module := find(t, read(t, "../../go.mod"), `(?m)^go (\d+\.\d+)`)
	if image != module {
		t.Errorf("the image is built with Go %s, go.mod says %s", image, module)
	}
}

// TestNotices: the image has the licences of everything in the program. The test of deploy/notices checks that they are
// complete.
func TestNotices(t *testing.T) {
	file := find(t, read(t, "Dockerfile"), `(?m)^RUN go run \./deploy/notices \./cmd/binrepd >(\S+)$`)
	find(t, read(t, "Dockerfile"), `(?m)^COPY --from=build (`+regexp.QuoteMeta(file)+`) /src/LICENSE /usr/share/doc/binrepd/$`)
}

// TestCapabilities: docker run gets the capabilities of the unit. Other tests show that these are sufficient and
// necessary.
func TestCapabilities(t *testing.T) {
	var docker []string
	for _, m := range regexp.MustCompile(`--cap-add (\w+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		docker = append(docker, "CAP_"+m[1])
	}
	unit := strings.Fields(find(t, read(t, "../systemd/binrepd.service"), `(?m)^AmbientCapabilities=(.*)$`))
	if !slices.Equal(docker, unit) {
		t.Errorf("docker run adds %v, the unit %v", docker, unit)
	}
}
