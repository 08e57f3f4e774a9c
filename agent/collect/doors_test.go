package collect_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
)

// fakeDoor hands its Emit out and ends when it is told to.
type fakeDoor struct {
	events door.Events
	emit   chan door.Emit
	end    chan error
}

func (d *fakeDoor) Run(ctx context.Context, emit door.Emit) error {
	d.emit <- emit
	select {
	case err := <-d.end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func doorSource(name string, d *fakeDoor) collect.Source {
	return collect.Source{Name: name, Driver: "fake", Door: func(e door.Events) (door.Source, error) {
		d.events = e
		return d, nil
	}}
}

func newDoor() *fakeDoor { return &fakeDoor{emit: make(chan door.Emit, 4), end: make(chan error)} }

func reading(name string, v int64) door.Reading {
	r := door.Reading{Series: record.Series{Name: name, Type: record.TypeInt}}
	r.Int(v)
	return r
}

func TestDoorBringsReadingsToTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := newLog(), newDoor()
		s := doorSource("a", d)
		s.Labels = []record.Label{{Key: "site", Value: "north"}}
		s.Ranges = map[string]collect.Range{"t": {Min: 0, Max: 10}}
		b := run(t, log, s)
		emit := <-d.emit
		d.events.TellUp()
		ctx := context.Background()
		b.until(2 * time.Second)
		old := reading("t", 4)
		old.At = record.Stamp{Time: 7e9, Clock: record.ClockApp}
		if err := emit(ctx, door.Message{Readings: []door.Reading{reading("t", 3), old, reading("t", 11)}, Durable: true}); err != nil {
			t.Fatal(err)
		}
		d.events.TellMissed(door.MissedMalformed, 2, errors.New("x"))
		b.until(3 * time.Second)
		expect(t, "records", strings.Join(log.lines(), "\n"), "2s t{site=\"north\"} 3\n7s t{site=\"north\"} 4\n2s t{site=\"north\"} 11 uncertain:range")
		st := b.status("a")
		expect(t, "missed", missed(st), "malformed=2")
		expect(t, "taken", st.Taken, 3)
		expect(t, "state", st.State, collect.StateOK)
		expect(t, "latest", st.Series[0].Value, "11")
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		if err := emit(ctx, door.Message{Readings: []door.Reading{reading("t", 5)}}); !errors.Is(err, door.ErrRefused) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A sender that writes 1i and then 1.5 means the same thing; neither is lost.
func TestDoorFieldOfAnotherType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := newLog(), newDoor()
		b := run(t, log, doorSource("a", d))
		emit := <-d.emit
		half := reading("x", 0)
		half.Float(1.5)
		lost := reading("x", 0)
		lost.Float(math.NaN())
		for _, r := range []door.Reading{reading("x", 1), half, reading("x", 2), half, lost} {
			if err := emit(context.Background(), door.Message{Readings: []door.Reading{r}}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		expect(t, "records", strings.Join(log.lines(), "\n"), "0s x 1\n0s x 1.5\n0s x 2\n0s x 1.5\n0s x - bad:nan \"NaN\"")
		expect(t, "kept", len(b.status("a").Series), 2)
		expect(t, "stop", b.stop(), nil)
	})
}

func TestDoorBeyondItsSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := newLog(), newDoor()
		s := doorSource("a", d)
		s.MaxNewSeries = 1
		b := run(t, log, s)
		emit := <-d.emit
		if err := emit(context.Background(), door.Message{Readings: []door.Reading{reading("x", 1), reading("y", 2)}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "records", strings.Join(log.lines(), "\n"), "0s x 1\n0s overflow{source=\"a\"} 2 \"y\"")
		expect(t, "told", b.told(), "0s limit a y")
		expect(t, "kept", len(b.status("a").Series), 1)
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestDoorFailsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor()
		b := run(t, newLog(), doorSource("a", d))
		<-d.emit
		for range 3 { // up for a moment each time is not well
			d.events.TellUp()
			d.events.TellDown(errors.New("exit code 1"))
		}
		expect(t, "state", b.status("a").State, collect.StateDead)
		d.events.TellUp()
		b.until(10 * time.Second)
		expect(t, "told", b.told(), "0s dead a since 0s: exit code 1\n5s back a")
		d.end <- errors.New("broken") // it is made again
		<-d.emit
		expect(t, "error", b.status("a").LastError, "broken")
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestDoorOfAFullLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := newLog(), newDoor()
		b := run(t, log, doorSource("a", d))
		emit := <-d.emit
		log.mu.Lock()
		log.err = collect.ErrFull
		log.mu.Unlock()
		m := door.Message{Readings: []door.Reading{reading("x", 1)}}
		go func() {
			time.Sleep(10 * time.Second)
			log.mu.Lock()
			log.err = nil
			log.mu.Unlock()
		}()
		durable := m
		durable.Durable = true
		if err := emit(context.Background(), durable); !errors.Is(err, door.ErrFull) {
			t.Errorf("a sender that is told got %v", err)
		}
		if err := emit(context.Background(), m); err != nil { // a program waits
			t.Error(err)
		}
		b.until(11 * time.Second)
		expect(t, "taken", b.status("a").Taken, 1)
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestDoorOfAProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, d := newLog(), newDoor()
		s := doorSource("a", d)
		s.Producer = func(p record.ProducerPosition) error {
			if p.Sequence > 1 {
				return &door.OrderError{Next: 1}
			}
			return nil
		}
		b := run(t, log, s)
		emit := <-d.emit
		var order *door.OrderError
		m := door.Message{Readings: []door.Reading{reading("x", 1)}, Producer: &record.ProducerPosition{Name: "p", Incarnation: 1, Sequence: 2}}
		if err := emit(context.Background(), m); !errors.As(err, &order) {
			t.Errorf("got %v", err)
		}
		m.Producer.Sequence = 1
		if err := emit(context.Background(), m); err != nil {
			t.Error(err)
		}
		log.mu.Lock()
		log.repeated = true
		log.mu.Unlock()
		if err := emit(context.Background(), m); !errors.Is(err, door.ErrRepeated) {
			t.Errorf("got %v", err)
		}
		m.Readings = nil
		if err := emit(context.Background(), m); !errors.Is(err, door.ErrRefused) {
			t.Errorf("without readings: %v", err)
		}
		synctest.Wait()
		expect(t, "taken", b.status("a").Taken, 1)
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
}
