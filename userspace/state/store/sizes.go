package store

const (
	minSlot = 48 // room for a header and a few bytes of the model
	// maxSlot fills a chunk, with one deadline beside it: 65,520 bytes.
	maxSlot = chunkSize - refUnit
	// stepsPerDoubling bounds what is lost by rounding up: an eighth at most, a sixteenth on average.
	stepsPerDoubling = 8
)

// sizes are the size classes of slots. They are computed once and then only read.
type sizes struct {
	class [maxSlot/refUnit + 1]uint8 // by size in units, rounded up
	slot  []uint32                   // bytes, by class
	first []uint32                   // offset of slot 0 in its chunk, by class
	count []uint16                   // slots in a chunk, by class
}

func newSizes() *sizes {
	z := &sizes{}
	unit := 0
	count := chunkSize / (minSlot + 4)
	for {
		size := largestSlot(count)
		for ; unit <= size/refUnit; unit++ {
			z.class[unit] = uint8(len(z.slot))
		}
		z.slot = append(z.slot, uint32(size))
		z.first = append(z.first, uint32(firstSlot(count)))
		z.count = append(z.count, uint16(count))
		if size == maxSlot {
			return z
		}
		// The next class is the largest one within a step, or else the next one there is.
		for count--; count > 1 && (largestSlot(count) == size || largestSlot(count-1) <= size+size/stepsPerDoubling); {
			count--
		}
	}
}

// largestSlot is the size of slots of which count fill a chunk together with their deadlines.
func largestSlot(count int) int {
	return (chunkSize - firstSlot(count)) / count / refUnit * refUnit
}

// firstSlot is the offset of the first slot in a chunk that has count slots.
func firstSlot(count int) int { return (4*count + refUnit - 1) / refUnit * refUnit }

// of returns the class for entries of n bytes, at most maxSlot.
func (z *sizes) of(n int) uint8 { return z.class[(n+refUnit-1)/refUnit] }

// offset returns where in its chunk a slot begins.
func (z *sizes) offset(class uint8, slot uint16) int {
	return int(z.first[class]) + int(slot)*int(z.slot[class])
}
