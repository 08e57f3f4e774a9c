package store

import (
	"context"

	"github.com/edgelog/edgelog/buffer/record"
)

// What an engine offers people beside Store. Each is found by assertion; all methods may be called concurrently with
// everything else, from another process too.
type (
	// Accountant tells what the store holds.
	Accountant interface {
		// Accounts reads the account of every epoch, by device, stream and first offset.
		Accounts(ctx context.Context) ([]EpochAccount, error)
		// Info is the state of the engine itself.
		Info(ctx context.Context) (Info, error)
		// Path is where the store is, for people; it holds no secret.
		Path() string
	}
	// Maintainer does what is due now and then: time corrections, retention.
	Maintainer interface {
		// Maintain does what is due by now and returns.
		Maintain(ctx context.Context, r Retention) error
	}
	// Verifier reads every row and proves that nothing is doubled, missing or out of order.
	Verifier interface {
		// Verify tells progress in rows; nil tells nobody. An error means that it could not read, not that it found faults.
		Verify(ctx context.Context, progress func(done, total uint64)) (VerifyReport, error)
	}
	// Counter counts observations.
	Counter interface {
		// Count is how many rows the filter picks.
		Count(ctx context.Context, f Filter) (int64, error)
	}
	// Lister reads values that are text or JSON.
	Lister interface {
		// Latest is the newest value of every series that the filter picks, by device.
		Latest(ctx context.Context, f Filter) ([]Value, error)
		// Values are the newest n values, the oldest of them first. It may read every row.
		Values(ctx context.Context, f Filter, n int) ([]Value, error)
	}
	// Releaser ends an epoch's quarantine: from its position on, frames are taken again if their chain fits.
	Releaser interface {
		// Release fails if the store knows no such epoch, or it is not in quarantine.
		Release(ctx context.Context, device, stream string, e record.Epoch) error
	}
	// Teller says how the engine does: what a running hub shows of it.
	Teller interface {
		// Health never asks the engine: it tells what the store has seen of it.
		Health() Health
	}
)

// Value is one row of a series that holds text or JSON.
type Value struct {
	Device string
	T      int64 // µs UTC
	Value  string
}

// EpochAccount is the account of one epoch: Next − First = Rows + Removed + the sums of Skipped and Gaps.
type EpochAccount struct {
	Device, Stream string
	Epoch, Parent  record.Epoch
	First, Next    record.Offset
	End            record.Offset // where a child says it ends, 0 while none is known
	Rows, Removed  uint64        // rows held; rows that went by retention
	Late           uint64        // of both, those that filled a gap
	Skipped, Gaps  map[string]uint64
	Quarantined    bool
	Arrived        int64 // µs UTC: when the hub last took something of it
	LastTime       int64 // µs UTC of the last row then, 0 while there is none
	Series         uint64
}

// Remainder is what the account does not explain. Anything but 0 is a bug and an alarm.
func (a EpochAccount) Remainder() int64 {
	left := int64(a.Next-a.First) - int64(a.Rows) - int64(a.Removed)
	for _, n := range a.Skipped {
		left -= int64(n)
	}
	for _, n := range a.Gaps {
		left -= int64(n)
	}
	return left
}

// Info is the state of the engine.
type Info struct {
	Schema      int64 // version of the tables
	UsedBytes   int64 // of the data
	FileBytes   int64 // of the files, with the room that is free in them
	Corrections int64 // pending time corrections
	DeadLetters int64 // records held that the store can never take
}

// Retention bounds what the store keeps. Zero values keep everything.
type Retention struct {
	AgeMicros int64 // rows taken longer ago than this go
	MaxBytes  int64 // above it the rows that arrived first go
}

// Filter picks observations. Empty fields match everything.
type Filter struct {
	Device, Stream string
	SeriesLike     string // SQL LIKE pattern of name{label="value",…}
}

// VerifyReport is what Verify found. It is sound if Faults is empty.
type VerifyReport struct {
	Rows, Epochs uint64
	Duplicates   uint64 // rows whose (epoch, offset) another row has
	Disorder     uint64 // rows behind a later one of their epoch that are not marked late
	Misplaced    uint64 // rows outside their epoch's range, or inside a gap or a skip
	Missing      uint64 // offsets that nothing explains
	Faults       []string
	MoreFaults   int
}

// Health is how an engine does, since its store was opened. An engine without a notion of something leaves it 0.
type Health struct {
	Transactions  uint64
	Aborted       uint64  // transactions that were given up or undone; their changes were taken again
	Fences        uint64  // times that another hub took over from this one in the middle of its work
	Reconnects    uint64  // connections to the engine that had to be made anew
	LastSeconds   float64 // of the latest transaction
	P99Seconds    float64 // of the latest thousand
	LagSeconds    float64 // how old what waits for the engine is; 0: nothing waits
	Error         string  // of the latest failure, "" once it works again
	LeaseFences   uint64  // changes refused because their lease was not this hub's any more
	ReplayedBytes uint64  // read back of positions, to learn where things stand
	Mended        uint64  // transactions that the engine had left half ended and that the store has ended as decided
}
