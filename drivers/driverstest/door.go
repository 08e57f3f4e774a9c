package driverstest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
)

// DoorOptions adapt the suite of doors.
type DoorOptions struct {
	// Feed makes something come through the door that is open, again and again until ctx ends; nil for a door that
	// speaks by itself.
	Feed func(ctx context.Context, t *testing.T)
	// Messages are awaited in each part, default 3; Patience is how long they and an end may take, default 10 s.
	Messages int
	Patience time.Duration
	// Silent says that the door does not count what the log refuses: it tells the sender instead.
	Silent bool
}

// RunDoor is the conformance suite of door.Source: what comes through is well formed, a log that refuses or blocks stops
// neither the door nor its end, and nothing is left behind. newDoor makes a door with the events; it opens nothing.
func RunDoor(t *testing.T, newDoor func(t *testing.T, e door.Events) door.Source, o DoorOptions) {
	t.Helper()
	if o.Messages == 0 {
		o.Messages = 3
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	for _, p := range []struct {
		name string
		f    func(*testing.T, func(*testing.T, door.Events) door.Source, DoorOptions)
	}{
		{"readings", doorReadings}, {"log that refuses", doorRefused}, {"log that blocks", doorBlocked}, {"cancelled context", doorCancelled},
	} {
		t.Run(p.name, func(t *testing.T) {
			leak := goleak.IgnoreCurrent()
			p.f(t, newDoor, o)
			goleak.VerifyNone(t, leak)
		})
	}
}

// opened is a door that runs.
type opened struct {
	o      DoorOptions
	cancel context.CancelFunc
	done   chan error
	feed   sync.WaitGroup
}

func openDoor(t *testing.T, newDoor func(*testing.T, door.Events) door.Source, o DoorOptions, e door.Events, emit door.Emit) *opened {
	t.Helper()
	up := make(chan struct{}, 1)
	e.Up = func() {
		select {
		case up <- struct{}{}:
		default:
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := newDoor(t, e)
	x := &opened{o: o, cancel: cancel, done: make(chan error, 1)}
	go func() { x.done <- d.Run(ctx, emit) }()
	select {
	case <-up:
	case <-time.After(o.Patience):
		t.Fatalf("the door is not open after %s", o.Patience)
	}
	if o.Feed != nil {
		x.feed.Go(func() { o.Feed(ctx, t) })
	}
	return x
}

// close ends the door; that must be prompt and with the context's error.
func (x *opened) close(t *testing.T) {
	t.Helper()
	x.cancel()
	x.feed.Wait()
	select {
	case err := <-x.done:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	case <-time.After(x.o.Patience):
		t.Fatalf("Run did not return within %s", x.o.Patience)
	}
}

func await[T any](t *testing.T, what string, from <-chan T, n int, patience time.Duration) (out []T) {
	t.Helper()
	end := time.After(patience)
	for len(out) < n {
		select {
		case v := <-from:
			out = append(out, v)
		case <-end:
			t.Errorf("%d of %d %s in %s", len(out), n, what, patience)
			return out
		}
	}
	return out
}

func doorReadings(t *testing.T, newDoor func(*testing.T, door.Events) door.Source, o DoorOptions) {
	came := make(chan int, 1024)
	x := openDoor(t, newDoor, o, door.Events{}, func(_ context.Context, m door.Message) error {
		for _, r := range m.Readings {
			checkReading(t, &r)
		}
		select {
		case came <- len(m.Readings):
		default:
		}
		return nil
	})
	for _, n := range await(t, "messages", came, o.Messages, o.Patience) {
		if n == 0 {
			t.Error("a message without readings")
		}
	}
	x.close(t)
}

func checkReading(t *testing.T, r *door.Reading) {
	t.Helper()
	key := r.Series.Key()
	c := r.Series
	if err := c.Normalize(); err != nil || c.Key() != key {
		t.Errorf("series %s is not normalised: %v", key, err)
	}
	q := record.Series{Name: r.Series.Name, Labels: r.Series.Labels, Unit: r.Series.Unit, Type: r.Series.Type}
	if r.Quality.Bad() {
		if r.Type != record.TypeNone || r.Num != 0 || len(r.Value) > 0 || len(r.Detail) == 0 {
			t.Errorf("%s: a bad reading (%s) with a value or without detail: %+v", key, r.Quality, r)
		}
		return
	}
	if r.Type.Base() != q.Type.Base() {
		t.Errorf("%s: reading of type %s, series of type %s", key, r.Type, q.Type)
	}
	if r.Min > r.Max || len(r.Detail) > record.MaxDetailBytes {
		t.Errorf("%s: range %g to %g, detail of %d bytes", key, r.Min, r.Max, len(r.Detail))
	}
}

// doorRefused: a log that refuses is counted, and the door goes on.
func doorRefused(t *testing.T, newDoor func(*testing.T, door.Events) door.Source, o DoorOptions) {
	missed, came := make(chan int, 1024), make(chan int, 1024)
	put := func(c chan int, n int) {
		select {
		case c <- n:
		default:
		}
	}
	x := openDoor(t, newDoor, o, door.Events{Missed: func(_ door.Missed, n int, _ error) { put(missed, n) }},
		func(_ context.Context, m door.Message) error {
			put(came, len(m.Readings))
			return door.ErrRefused
		})
	await(t, "messages", came, o.Messages, o.Patience)
	if !o.Silent {
		await(t, "messages counted as missed", missed, 1, o.Patience)
	}
	x.close(t)
}

// doorBlocked: while the log is full a door waits; its end must not.
func doorBlocked(t *testing.T, newDoor func(*testing.T, door.Events) door.Source, o DoorOptions) {
	came := make(chan int, 1024)
	x := openDoor(t, newDoor, o, door.Events{}, func(ctx context.Context, _ door.Message) error {
		select {
		case came <- 1:
		default:
		}
		<-ctx.Done()
		return door.ErrFull
	})
	await(t, "messages", came, 1, o.Patience)
	x.close(t)
}

func doorCancelled(t *testing.T, newDoor func(*testing.T, door.Events) door.Source, o DoorOptions) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	d := newDoor(t, door.Events{})
	go func() { done <- d.Run(ctx, func(context.Context, door.Message) error { return nil }) }()
	select {
	case <-done:
	case <-time.After(o.Patience):
		t.Fatalf("Run with a cancelled context did not return within %s", o.Patience)
	}
}
