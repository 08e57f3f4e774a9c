// Package mcu polls microcontroller nodes on a Modbus line and gives their events to the log, each exactly once.
//
// A node numbers its events within one life (from boot to reset), keeps them in RAM, and lets go of them only when they
// are acknowledged by the number of that life, its incarnation, which we choose: the boot counter in the high word, a
// random number in the low one. An event is acknowledged when the log says durable, never before. (node, incarnation,
// sequence) is a producer of the log, so that what was read twice, over lost answers and restarts of the agent, is kept
// once. Events that a node had to drop (its queue was full) or took with it (it was reset) become one record each of
// series node.lost, with the life they belong to and how many they are, in the draft that begins behind them.
//
// A Line is one serial line with its nodes: Run polls them, faster the fuller their queues are. It keeps declared
// settings true, sets clocks, runs commands between polls, and gives the line away while a node is flashed. Nodes are
// judged one by one: a silent one costs the others one time-out, ever more seldom.
package mcu

import (
	"context"
	"io"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Bus asks nodes; *modbus.Master is one. Calls come from one goroutine. A question is asked once: it is repeated here.
type Bus interface {
	// ReadHolding reads n registers from addr on (function 3).
	ReadHolding(ctx context.Context, unit byte, addr uint16, n int) ([]uint16, error)
	// WriteRegisters writes registers from addr on (function 16). nil: the node has confirmed it.
	WriteRegisters(ctx context.Context, unit byte, addr uint16, v []uint16) error
	// Custom asks a function of the node's own, whose answer says how long it is.
	Custom(ctx context.Context, unit, function byte, data []byte) ([]byte, error)
}

// Ticket is a draft that the log took. Wait returns nil once it is durable.
type Ticket interface {
	Wait(ctx context.Context) (record.Range, error)
}

// Log is the stream that a line writes to.
type Log interface {
	// Define gives a series its id; the same series has the same id again.
	Define(s record.Series) (record.SeriesID, error)
	// Append copies the draft. One that the log has already is no error: the ticket waits for the first copy.
	Append(ctx context.Context, d record.Draft) (Ticket, error)
	Sync(ctx context.Context) error // what was appended becomes durable now
	// Last is the durable position of a producer: of this incarnation if the log knows it, else of the one before.
	Last(producer string, incarnation uint64) (record.ProducerPosition, bool)
}

// Node is one node as the configuration names it.
type Node struct {
	Name     string
	Unit     byte
	Serial   uint32 // that it must have; 0: any
	Labels   []record.Label
	Settings map[string]string // declared; what is not there is left to the node
}

// Clock says what a node's clock chip shows.
type Clock int

// The clocks.
const (
	ClockLocal Clock = iota // the zone of the box, for timed outputs
	ClockUTC
	ClockFree // is not touched
)

// Options of a Line. Name, Open, Log, Stamp are needed.
type Options struct {
	Name  string
	Nodes []Node
	// Open makes the bus; closing what it returns gives the port back. Nothing needs to be connected yet.
	Open func() (Bus, io.Closer, error)
	Log  Log
	// Stamp is now on the box's clock; Times of CLOCK_BOOTTIME.
	Stamp func() record.Stamp
	// UTC is the wall clock, and whether it can be trusted: clocks of nodes are set only then.
	UTC      func() (time.Time, bool)
	Clock    Clock
	Baud     int           // for the time that frames take, default 9600
	Poll     time.Duration // at least so often, default 500 ms
	Discover bool          // look for further nodes, one address at a time
	Random   func() uint32 // for incarnations and pauses; default math/rand/v2
	Events   Events
}

// Events are told what a line meets; all are optional, come from Run's goroutine, and must return at once.
type Events struct {
	Offline func(node string, since time.Time, err error)
	Online  func(node string)
	// Restarted: a new life began. lost is what of earlier ones is missing, also of the overflow of this one.
	Restarted func(node string, id Identity)
	Lost      func(node string, l LostRecord)
	// Settings: declared settings cannot be made true; nil: they are.
	Settings func(node string, err error)
	Changed  func(node string, names []string) // declared settings were written
	Foreign  func(node string, err error)      // not the node that is meant answers; nil: it is
	Clock    func(node string, off time.Duration, err error)
	// Refused: the log takes nothing; nil: it does again.
	Refused func(node string, err error)
}

// State of a node.
type State string

// The states.
const (
	StateUnknown State = "unknown" // not asked yet
	StateOnline  State = "online"
	StateOffline State = "offline"
	StateForeign State = "foreign"  // something else answers at its address
	StateFlash   State = "flashing" // its line is used by a bootloader
)

// Status is a node as it was when it was last heard.
type Status struct {
	Name        string
	Unit        byte
	State       State
	Error       string    // why not online
	Since       time.Time // of State
	Heard       time.Time // last good answer; zero: never
	Identity    Identity
	Incarnation uint64
	Taken       uint32            // last sequence given to the log
	Durable     uint32            // last sequence that is durable, and acknowledged or about to be
	Fill        int               // events in its queue
	EventsTotal uint64            // taken since the agent's start
	Rate        float64           // events a second, smoothed
	Lost        map[string]uint64 // by reason since the agent's start; reset: at most
	Resets      uint64            // seen since the agent's start
	Timeouts    uint64            // questions without an answer
	Damaged     uint64            // questions that failed otherwise: checksum, form, line
	Stats       map[string]uint32 // the node's own counters
	Uptime      time.Duration     // since its boot
	TimeError   time.Duration     // bound of the error of its events' times, now
	TimeWorst   time.Duration     // the widest that an event was given since the agent's start
	DriftPPM    float64           // of its crystal against the box, positive: it is slow; 0 until it is known
	ClockState  string            // of its clock chip: runs, absent, stopped, not plausible; "": not known
	ClockOff    time.Duration     // how far its clock chip is off, positive: it is ahead
	ClockDrift  float64           // ppm of the clock chip, between two settings of it
	Slots       []Slot
	Outputs     map[string]bool
	FailSafe    bool
	Settings    []Setting
	SettingsOK  bool
}

// Found is a node at an address that the configuration does not name.
type Found struct {
	Unit     byte
	Identity Identity
	At       time.Time
}
