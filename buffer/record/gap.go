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

// Gap takes the place of the records it names: reading from From yields the gap, then To.
// It is durable before the data is removed and outlives retention.
type Gap struct {
	Epoch Epoch
	Range
	Reason             Reason
	ChainFrom, ChainTo uint64
	TimeMin, TimeMax   int64 // µs UTC of the records it names where known, else both 0
}
