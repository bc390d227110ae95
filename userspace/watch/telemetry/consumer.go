package telemetry

// Consumer tells how far one is that takes what waits for it.
type Consumer struct {
	Name string
	// Steps grows when it takes something, or gets on with what it has taken.
	Steps uint64
	// Waits is what waits for it, or what it has in hand; empty: nothing, and then it needn't do a step.
	Waits string
}

// stands tells whether nothing happened since before, although something waited at both looks. Another one in the same place stands never.
func (c *Consumer) stands(before *Consumer) bool {
	return c.Name == before.Name && c.Steps == before.Steps && c.Waits != "" && before.Waits != ""
}

// Stuck returns those of now that did no step since before, although something waited for them at both looks. Both list them in
// the same order; new ones come behind.
func Stuck(before, now []Consumer) (list []Consumer) {
	for i := range min(len(before), len(now)) {
		if now[i].stands(&before[i]) {
			list = append(list, now[i])
		}
	}
	return list
}
