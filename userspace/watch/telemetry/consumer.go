package telemetry

// Consumer is the progress of a goroutine that processes waiting work.
type Consumer struct {
	Name string
	// Steps grows when it takes work, or makes progress with work that it has taken.
	Steps uint64
	// Waits describes the work that waits for it or that it has taken. It is empty if there is none; then no step is
	// expected.
	Waits string
}

// stuckSince reports whether the consumer did no step since before although work waited both times. A different
// consumer in the same place doesn't count as stuck.
func (c *Consumer) stuckSince(before *Consumer) bool {
	return c.Name == before.Name && c.Steps == before.Steps && c.Waits != "" && before.Waits != ""
}

// Stuck returns the consumers of now that did no step since before although work waited both times. Both lists have the
// same order; new consumers come at the end.
func Stuck(before, now []Consumer) (list []Consumer) {
	for i := range min(len(before), len(now)) {
		if now[i].stuckSince(&before[i]) {
			list = append(list, now[i])
		}
	}
	return list
}
