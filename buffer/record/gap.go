package record

import "strconv"

// Reason says why the records of a gap are not there.
type Reason uint8

// The reasons. The numbers stand in segments and frames and never change.
const (
	ReasonRetention  Reason = 1 // undelivered data dropped to make room
	ReasonCorrupt    Reason = 2 // damaged on disk
	ReasonDiskLost   Reason = 3 // the disk had confirmed it and lost it
	ReasonDelivered  Reason = 4 // deleted after delivery; the hub has lost it since
	ReasonUnsendable Reason = 5 // the hub cannot read it in any form
	ReasonErased     Reason = 6 // erased by a person
	ReasonSeveral    Reason = 7 // merged from gaps of several reasons
)

func (r Reason) String() string {
	switch r {
	case ReasonRetention:
		return "retention"
	case ReasonCorrupt:
		return "corrupt"
	case ReasonDiskLost:
		return "lost-by-disk"
	case ReasonDelivered:
		return "deleted-after-delivery"
	case ReasonUnsendable:
		return "unsendable"
	case ReasonErased:
		return "erased"
	case ReasonSeveral:
		return "several"
	}
	return "reason " + strconv.Itoa(int(r))
}

// Owed is a range below the delivered position that the hub has only as a gap, with that gap's reason: another copy of the
// disk has named it there. The records stand here, or stood here, and no hub has taken them.
type Owed struct {
	Range
	Reason Reason
}

// Without are the parts of r that lie in none of the ranges.
func (r Range) Without(ranges ...Range) (parts []Range) {
	parts = []Range{r}
	for _, x := range ranges {
		var rest []Range
		for _, p := range parts {
			if x.To <= p.From || p.To <= x.From {
				rest = append(rest, p)
				continue
			}
			if p.From < x.From {
				rest = append(rest, Range{From: p.From, To: x.From})
			}
			if x.To < p.To {
				rest = append(rest, Range{From: x.To, To: p.To})
			}
		}
		parts = rest
	}
	return parts
}

// Gap takes the place of the records it names: reading from From yields the gap, then To.
// It is durable before the data is removed and outlives retention.
type Gap struct {
	Epoch Epoch
	Range
	Reason             Reason
	ChainFrom, ChainTo uint64
	TimeMin, TimeMax   int64 // µs UTC of the records it names where known, else both 0
}
