// Package drivers holds the contracts of everything that senses: Sensor, Sample and Quantity.
//
// A driver reads one thing (a chip, a bus, the host itself) and says what it read, with a quality code. It knows
// nothing of streams, offsets or the log: agent/collect schedules it, stamps its samples and turns them into records.
// Hardware paths are values: a sysfs root, a tty name; a fixture tree is a machine.
package drivers

import (
	"context"
	"errors"

	"github.com/edgelog/edgelog/buffer/record"
)

// Quantity is one thing that a sensor can tell: it becomes one series.
type Quantity struct {
	record.Series
	Min, Max float64 // plausible range in Unit, inclusive; both 0 for no range
}

// Sample is one value of one quantity, as it was read: who asked stamps it. Value types follow Quantity.Type; a bad sample has type none, its reason in
// Quality and the raw bytes in Detail.
type Sample struct {
	Quantity int // index into Quantities at the time of the Read
	Quality  record.Quality
	Type     record.Type
	Num      int64  // as record.Record.Num
	Value    []byte // as record.Data.Value; owned by the driver until the next Read
	Detail   []byte // ≤ record.MaxDetailBytes; owned by the driver until the next Read
}

// Sensor reads one or many quantities. Methods are called by one goroutine at a time, except Close, which may be
// called at any time and makes a running Read return.
type Sensor interface {
	// Quantities lists what the sensor can tell. The list only grows while the sensor is open (hot-plug appends);
	// index i keeps its meaning.
	Quantities() []Quantity
	// Read appends one sample for each quantity that is due and returns the extended slice. A reading that failed
	// is a sample with a bad quality, not an error. An error means that nothing can be said of the whole sensor
	// now (bus gone, file missing); samples appended before it still count.
	Read(ctx context.Context, dst []Sample) ([]Sample, error)
	// Close gives the device up. It may be called again.
	Close() error
}

// Sentinel errors that agent/collect counts by name as missed(reason).
var (
	ErrNoDevice = errors.New("device not found")         // missed(no-device)
	ErrTimeout  = errors.New("device did not answer")    // missed(timeout)
	ErrBus      = errors.New("bus failed")               // missed(bus)
	ErrConfig   = errors.New("bad sensor configuration") // wrapped by constructors
)
