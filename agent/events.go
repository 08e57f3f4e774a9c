package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	eventFiles    = 4 // of at most 1 MiB
	eventProducer = "edge-agent.events"
	eventIDFile   = update.EventsName + ".id" // the producer's incarnation: it lives as long as the log of events
	eventsRetry   = 5 * time.Second
	maxEventWaits = 256 // in memory; beyond it the log is read again
	eventUpdate   = "update "
)

// events is the chained log of what was done to this box from afar, and of its updates. Every entry goes on to the hub:
// Run appends it to the stream of events as a message of a producer whose sequence is the entry's number, so that it
// arrives there once, whatever crashes in between.
type events struct {
	a    *Agent
	dir  string
	wake chan struct{}

	mu     sync.Mutex // guards what follows
	log    *chainlog.Log
	waits  []chainlog.Entry // that may not be in the stream
	reread bool             // there are more than waits holds
}

// event is one entry.
type event struct {
	What   string `json:"what"`
	By     string `json:"by,omitempty"`
	ID     string `json:"id,omitempty"`
	Txn    string `json:"txn,omitempty"` // the transaction whose end this is
	Detail string `json:"detail,omitempty"`
}

func newEvents(a *Agent) *events {
	e := &events{a: a, dir: filepath.Join(a.o.Config.DataDir, update.AgentDir), wake: make(chan struct{}, 1), reread: true}
	var err error
	if e.log, err = chainlog.Open(a.o.FS, e.dir, update.EventsName, eventFiles); err != nil {
		a.faults.raise(health.EventLogDamaged, update.EventsName, update.EventsName, err.Error())
		return e
	}
	if e.log.Last().Number == 0 { // new, or lost whole: its numbers begin again, and the old ones are another incarnation's
		if err := a.o.FS.Remove(filepath.Join(e.dir, eventIDFile)); err != nil && !errors.Is(err, vfs.ErrNotExist) {
			a.faults.raise(health.EventLogDamaged, update.EventsName, update.EventsName, err.Error())
		}
	}
	for _, what := range e.log.Recovered {
		a.faults.note(health.EventLogDamaged, update.EventsName, update.EventsName, what)
	}
	return e
}

// add makes an entry durable.
func (e *events) add(x event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.log == nil {
		return errors.New("the log of events is not open")
	}
	entry, err := e.log.Append(x, time.Now())
	if err != nil {
		return err
	}
	if len(e.waits) < maxEventWaits {
		e.waits = append(e.waits, entry)
	} else {
		e.reread = true
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return nil
}

// lastUpdate is the last state of an update that was noted, and the last transaction whose end was.
func (e *events) lastUpdate() (last noted) {
	_ = chainlog.Read(e.a.o.FS, e.dir, update.EventsName, func(x chainlog.Entry) error { // what is broken is told elsewhere
		var v event
		if err := json.Unmarshal(x.Event, &v); err != nil {
			return nil
		}
		if state, ok := strings.CutPrefix(v.What, eventUpdate); ok {
			last.state, last.release = state, v.ID
			if v.Txn != "" {
				last.ended = v.Txn
			}
		}
		return nil
	})
	return last
}

func (e *events) close() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.log == nil {
		return nil
	}
	return e.log.Close()
}

// Run brings entries to the stream of events until ctx ends. What does not work is tried again: the entries wait in their
// log.
func (e *events) Run(ctx context.Context) error {
	said := ""
	for {
		err := e.carry(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var retry <-chan time.Time
		if err != nil {
			if said != err.Error() {
				said = err.Error()
				e.a.log.Warn("events do not reach their stream; it is tried again", "err", err)
			}
			retry = time.After(eventsRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-retry:
		}
	}
}

// carry appends what the stream lacks.
func (e *events) carry(ctx context.Context) error {
	log, err := e.a.set.Log(config.StreamEvents)
	if err != nil {
		return err
	}
	incarnation, err := e.incarnation()
	if err != nil {
		return err
	}
	entries, err := e.due()
	if err == nil {
		err = e.append(ctx, log, incarnation, entries)
	}
	if err != nil {
		e.mu.Lock()
		e.reread = true
		e.mu.Unlock()
	}
	return err
}

// due takes the entries that wait. A chain that is broken is told by edgectl update events; what stands before the break
// is carried, and what comes from now on.
func (e *events) due() ([]chainlog.Entry, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	waits := e.waits
	e.waits = nil
	if !e.reread {
		return waits, nil
	}
	var all []chainlog.Entry
	err := chainlog.Read(e.a.o.FS, e.dir, update.EventsName, func(x chainlog.Entry) error {
		all = append(all, x)
		return nil
	})
	if err != nil && !errors.Is(err, chainlog.ErrChain) {
		return nil, err
	}
	if n := len(all); n > 0 { // what waits behind a break
		for len(waits) > 0 && waits[0].Number <= all[n-1].Number {
			waits = waits[1:]
		}
	}
	e.reread = false
	return append(all, waits...), nil
}

// append makes entries durable in the stream; those that are there already are recognised by their number.
func (e *events) append(ctx context.Context, log *buffer.Log, incarnation uint64, entries []chainlog.Entry) error {
	var last buffer.Ticket
	given := false
	for _, x := range entries {
		line, err := json.Marshal(x) // as it stands in the log: its hash can be taken again
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		r, err := ingestRecord(log, &api.IngestRecord{Name: update.EventSeries, Type: "json", Value: line}, e.a.clock.stamp())
		if err != nil {
			return err
		}
		t, err := log.Append(ctx, record.Draft{Records: []record.Record{r},
			Producer: &record.ProducerPosition{Name: eventProducer, Incarnation: incarnation, Sequence: x.Number}})
		if err != nil && !errors.Is(err, buffer.ErrRepeated) {
			return err
		}
		last, given = t, true
	}
	if !given {
		return nil
	}
	_, err := last.Wait(ctx)
	return err
}

// incarnation is that of the log of events, made with its first use.
func (e *events) incarnation() (uint64, error) {
	file := filepath.Join(e.dir, eventIDFile)
	data, err := vfs.ReadFile(e.a.o.FS, file, 64)
	if err == nil {
		if id, err := strconv.ParseUint(string(data), 16, 64); err == nil && id != 0 {
			return id, nil
		}
	} else if !errors.Is(err, vfs.ErrNotExist) {
		return 0, fmt.Errorf("read id of events: %w", err)
	}
	id := random() | 1
	return id, vfs.WriteFileAtomic(e.a.o.FS, file, strconv.AppendUint(nil, id, 16))
}
