package tuning

import (
	"fmt"
	"slices"
	"strings"
)

// interrupts returns the CPUs that serve the interrupts of the links, sorted.
func interrupts(links []Link) (cpus []int) {
	for _, l := range links {
		for _, irq := range l.IRQs {
			cpus = union(cpus, irq.CPUs)
		}
	}
	return cpus
}

func without(list, others []int) []int {
	return slices.DeleteFunc(slices.Clone(list), func(cpu int) bool { return slices.Contains(others, cpu) })
}

func intersection(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(cpu int) bool { return !slices.Contains(b, cpu) })
}

// formatCPUs formats a sorted list in the format of cpuset(7), as --cpus takes it.
func formatCPUs(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		last := i
		for last+1 < len(cpus) && cpus[last+1] == cpus[last]+1 {
			last++
		}
		switch last {
		case i:
			parts = append(parts, fmt.Sprint(cpus[i]))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", cpus[i], cpus[last]))
		}
		i = last + 1
	}
	return strings.Join(parts, ",")
}

// formatMask formats a list as rps_cpus takes it: hexadecimal, in groups of 32 bits, the highest first.
func formatMask(cpus []int) string {
	if len(cpus) == 0 {
		return "0"
	}
	groups := make([]uint32, slices.Max(cpus)/32+1)
	for _, cpu := range cpus {
		groups[cpu/32] |= 1 << (cpu % 32)
	}
	last := len(groups) - 1
	text := fmt.Sprintf("%x", groups[last])
	for i := last - 1; i >= 0; i-- {
		text += fmt.Sprintf(",%08x", groups[i])
	}
	return text
}
