// Package layouttest makes dialogs of any layout for tests, and reads captures of real proxies: of generation 1 over
// UDP and of generation 2 over TCP. Captures are not part of the repository; where they are missing, tests are
// skipped.
package layouttest
