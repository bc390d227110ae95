package opensips

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settings returns the lines of a configuration that set something, without the route.
func settings(text string) (lines []string) {
	text, _, _ = strings.Cut(text, "\nroute {")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestCompleteConfigurations: every module is loaded before it is set, the braces are balanced, and each proxy of a
// pair has its own addresses, the other proxy and the appliance.
func TestCompleteConfigurations(t *testing.T) {
	load, set := regexp.MustCompile(`^loadmodule "(\w+)\.so"$`), regexp.MustCompile(`^modparam\("(\w+)", "\w+", ("[^"]+"|\d+)\)$`)
	global := regexp.MustCompile(`^\w+=\S+$`)
	for file, want := range map[string][]string{
		"cluster/proxy1.cfg": {"socket=bin:10.0.0.1:5566", `"my_node_id", 1)`, "node_id=2,url=bin:10.0.0.2:5566", "vip/1=active", "flags=seed"},
		"cluster/proxy2.cfg": {"socket=bin:10.0.0.2:5566", `"my_node_id", 2)`, "node_id=1,url=bin:10.0.0.1:5566", "vip/1=backup"},
		"cluster/proxy1-2.4.cfg": {"listen=bin:10.0.0.1:5566", `"current_id", 1)`, "node_id=2,url=bin:10.0.0.2:5566", "vip=active", "flags=seed",
			`"seed_fallback_interval", 5)`},
		"cluster/proxy2-2.4.cfg": {"listen=bin:10.0.0.2:5566", `"current_id", 2)`, "node_id=1,url=bin:10.0.0.1:5566", "vip=backup"},
		"udp/proxy1.cfg":         {"bin_listen=10.0.0.1:5555", `"10.0.0.3:5556"`, `"accept_replicated_dialogs", 1`},
		"udp/proxy2.cfg":         {"bin_listen=10.0.0.2:5555", `"10.0.0.3:5556"`, `"accept_replicated_dialogs", 1`},
	} {
		text := read(t, file)
		if strings.HasPrefix(file, "cluster") {
			want = append(want, "node_id=3,url=bin:10.0.0.3:5566")
		}
		for _, w := range append(want, "udp:10.0.0.100:5060", "create_dialog();", "record_route();", "10.0.0.20:5070") {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %s", file, w)
			}
		}
		if strings.Contains(file, "proxy2") && strings.Contains(text, "flags=seed") {
			t.Errorf("%s: two seeds", file)
		}
		if strings.Count(text, "{") != strings.Count(text, "}") {
			t.Errorf("%s: braces", file)
		}
		var loaded []string
		for _, line := range settings(text) {
			switch m := set.FindStringSubmatch(line); {
			case load.MatchString(line):
				loaded = append(loaded, load.FindStringSubmatch(line)[1])
			case m != nil && slices.Contains(loaded, m[1]), m == nil && global.MatchString(line):
			default:
				t.Errorf("%s: %s", file, line)
			}
		}
	}
}

// TestPairsDiffer: the two proxies of a pair have the same route.
func TestPairsDiffer(t *testing.T) {
	for _, pair := range [][2]string{{"cluster/proxy1.cfg", "cluster/proxy2.cfg"}, {"cluster/proxy1-2.4.cfg", "cluster/proxy2-2.4.cfg"},
		{"udp/proxy1.cfg", "udp/proxy2.cfg"}} {
		_, one, found := strings.Cut(read(t, pair[0]), "\nroute {")
		_, two, _ := strings.Cut(read(t, pair[1]), "\nroute {")
		if !found || one != two {
			t.Errorf("the routes of %s differ", pair)
		}
	}
}

// TestReleases: the README has a section for each release, whose lines are those of the configuration that was run.
func TestReleases(t *testing.T) {
	readme := read(t, "README.md")
	for release, file := range map[string]string{"2.4": "cluster/proxy1-2.4.cfg", "3.4": "cluster/proxy1.cfg", "3.6": "cluster/proxy1.cfg",
		"4.0": "cluster/proxy1.cfg"} {
		_, section, found := strings.Cut(readme, "\n### "+release+"\n")
		if !found {
			t.Errorf("no section for %s", release)
			continue
		}
		section, _, _ = strings.Cut(section, "\n#")
		have, lines := settings(read(t, file)), 0
		for line := range strings.Lines(section) {
			if code, indented := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    "); indented {
				if lines++; !slices.Contains(have, code) {
					t.Errorf("%s: %s isn't in %s", release, code, file)
				}
			}
		}
		if lines < 9 {
			t.Errorf("%s: %d lines", release, lines)
		}
	}
}

// TestFlagsExist: every flag that the README names is one of binrepd's, as the shell completes them.
func TestFlagsExist(t *testing.T) {
	flags := strings.Fields(strings.NewReplacer("'", " ", "\"", " ", "\\", " ").Replace(read(t, "..", "reference", "binrepd.bash")))
	named := regexp.MustCompile("--[a-z][a-z.-]+[a-z]").FindAllString(read(t, "README.md"), -1)
	if len(named) < 8 {
		t.Fatalf("%q", named)
	}
	for _, flag := range named {
		if !slices.Contains(flags, flag) {
			t.Errorf("no flag %s", flag)
		}
	}
}

// TestScenarios: the scenarios of sipp are XML, and keep to the Record-Route.
func TestScenarios(t *testing.T) {
	for file, want := range map[string]string{"calls.xml": `rrs="true"`, "answers.xml": "[last_Record-Route:]"} {
		text := read(t, file)
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %s", file, want)
		}
		d := xml.NewDecoder(strings.NewReader(text))
		d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
}
