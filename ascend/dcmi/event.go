package dcmi

import (
	"errors"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Event is a fault that the driver told of.
type Event struct {
	ID       uint32
	Severity int // 0 good news, 1 minor, 2 major, 3 critical
	Raised   time.Time
	Over     bool // the fault has ended
	Name     string
}

func (e *event) read() Event {
	return Event{ID: e.Fault.EventID, Severity: int(e.Fault.Severity), Raised: time.UnixMilli(int64(e.Fault.Raised)).UTC(),
		Over: e.Fault.Assertion == 0, Name: text(e.Fault.Name[:])}
}

// filterSeverity asks for events of at least a severity.
const filterSeverity uint64 = 2

// NextEvent waits for the next event of at least the severity; nil if none came in time. It may wait 30 s at most.
func (l *Library) NextEvent(c Chip, severity uint8, wait time.Duration) (*Event, error) {
	if l.api.FaultEvent == nil {
		return nil, absent("dcmi_get_fault_event")
	}
	var e event
	err := l.check("dcmi_get_fault_event", fill(l, &e, func(p unsafe.Pointer) int32 {
		return l.api.FaultEvent(c.Card, c.Device, int32(min(wait.Milliseconds(), 30000)), eventFilter{Flags: filterSeverity, Severity: severity}, p)
	}))
	var bad *Error
	if errors.As(err, &bad) && bad.Code == codeTimeout {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := e.read()
	return &out, nil
}

// Events begins to receive the events of the given chips, of at least the severity, as the driver tells them. It may be
// called once in the life of a process, because a callback is never given back. The driver calls from threads of its
// own; what finds no room in the channel is dropped and counted.
func (l *Library) Events(chips []Chip, severity uint8) (<-chan Event, error) {
	if l.api.Subscribe == nil {
		return nil, absent("dcmi_subscribe_fault_event")
	}
	if l.events != nil {
		return nil, errors.New("fault events are received already")
	}
	events := make(chan Event, maxEvents)
	f := purego.NewCallback(func(p unsafe.Pointer) uintptr {
		if p == nil {
			return 0
		}
		e := (*event)(p).read() // it is valid during this call only
		select {
		case events <- e:
		default:
			l.lost.Add(1)
		}
		return 0
	})
	l.events = events
	for _, c := range chips {
		err := l.check("dcmi_subscribe_fault_event", l.api.Subscribe(c.Card, c.Device, eventFilter{Flags: filterSeverity, Severity: severity}, f))
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

// EventsLost counts events that found no room.
func (l *Library) EventsLost() uint64 { return l.lost.Load() }
