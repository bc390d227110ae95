package tuning

import (
	"os"
	"strings"
)

// Sysctl returns the value of a kernel parameter, such as "net/core/rmem_max", or "" if it can't be read. It shows the
// network namespace of the calling thread.
func Sysctl(path string) string {
	b, err := os.ReadFile("/proc/sys/" + path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
