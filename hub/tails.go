package hub

import (
	"fmt"
	"strings"

	"github.com/edgelog/edgelog/internal/term"
)

// markTails finds the epochs of disks that were replaced: nothing continues them, and a root that begins at offset 0 has
// taken records since. What such a disk held beyond the hub's position nobody knows.
func markTails(s *StreamAccount) {
	parent := map[string]string{}
	for i := range s.Epochs {
		parent[s.Epochs[i].Epoch] = s.Epochs[i].Parent
	}
	descends := func(e, from string) bool {
		for n := 0; e != "" && n <= len(parent); n++ { // parents never form a circle; a store that is wrong must not hang people
			if e == from {
				return true
			}
			e = parent[e]
		}
		return false
	}
	for i := range s.Epochs {
		e := &s.Epochs[i]
		if e.End != 0 || e.Quarantined {
			continue
		}
		for j := range s.Epochs {
			r := &s.Epochs[j]
			if r.Parent == "" && r.First == 0 && r.arrived > e.arrived && !descends(e.Epoch, r.Epoch) {
				e.TailUnknown = true
			}
		}
	}
}

// tails is one line for each device whose disk was replaced. The streams come sorted by device.
func tails(list []StreamAccount) (lines []string) {
	device, parts := "", []string(nil)
	flush := func() {
		if len(parts) > 0 {
			lines = append(lines, fmt.Sprintf("%s: its disk was replaced: tail unknown from %s", device, strings.Join(parts, ", ")))
		}
		parts = nil
	}
	for i := range list {
		if s := &list[i]; s.Device != device {
			flush()
			device = s.Device
		}
		for _, e := range list[i].Epochs {
			if e.TailUnknown {
				parts = append(parts, fmt.Sprintf("%s %s", list[i].Stream, term.CommaU(e.Next)))
			}
		}
	}
	flush()
	return lines
}
