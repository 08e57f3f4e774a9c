// Package driverstest is the conformance suite of drivers.Sensor. Every driver runs it.
package driverstest

import (
	"context"
	"math"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// Options adapt the suite to a driver. The zero value fits a sensor that answers at once.
type Options struct {
	// Reads is how many sweeps are checked, default 4. Between two of them Change is called, if set: it may add,
	// damage or remove devices.
	Reads  int
	Change func(t *testing.T, read int)
	// Patience is how long a cancelled or closed Read may take to return, default 2 s.
	Patience time.Duration
	// MayFail says that Read may return an error in a sweep (a bus without devices).
	MayFail bool
	// Leaks are goroutines of the test itself that may stay, such as those that serve a file system.
	Leaks []goleak.Option
}

// Run makes a fresh sensor for each part of the suite and closes it.
func Run(t *testing.T, newSensor func(t *testing.T) drivers.Sensor, o Options) {
	t.Helper()
	if o.Reads == 0 {
		o.Reads = 4
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Second
	}
	parts := []struct {
		name string
		f    func(*testing.T, drivers.Sensor, Options)
	}{
		{"samples", samples},
		{"cancelled context", cancelled},
		{"close during read", closeDuringRead},
		{"read after close", readAfterClose},
		{"close twice", closeTwice},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			leaks := append([]goleak.Option{goleak.IgnoreCurrent()}, o.Leaks...)
			s := newSensor(t)
			p.f(t, s, o)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			goleak.VerifyNone(t, leaks...)
		})
	}
}

func samples(t *testing.T, s drivers.Sensor, o Options) {
	var known []drivers.Quantity
	prefix := drivers.Sample{Quantity: -1}
	for i := range o.Reads {
		if i > 0 && o.Change != nil {
			o.Change(t, i)
		}
		out, err := s.Read(t.Context(), []drivers.Sample{prefix})
		if err != nil && !o.MayFail {
			t.Fatalf("read %d: %v", i, err)
		}
		if len(out) == 0 || out[0].Quantity != -1 {
			t.Fatalf("read %d: Read must append to what it is given", i)
		}
		known = quantities(t, known, s.Quantities())
		seen := map[int]bool{}
		for _, x := range out[1:] {
			if x.Quantity < 0 || x.Quantity >= len(known) {
				t.Fatalf("read %d: sample of quantity %d, there are %d", i, x.Quantity, len(known))
			}
			if seen[x.Quantity] {
				t.Errorf("read %d: two samples of %s", i, known[x.Quantity].Key())
			}
			seen[x.Quantity] = true
			checkSample(t, known[x.Quantity], x)
		}
	}
	if len(known) == 0 && !o.MayFail {
		t.Error("no quantity after all reads")
	}
}

// quantities checks that the list only grew and that what is new is well formed and unique.
func quantities(t *testing.T, known, now []drivers.Quantity) []drivers.Quantity {
	t.Helper()
	if len(now) < len(known) {
		t.Fatalf("quantities shrank from %d to %d", len(known), len(now))
	}
	keys := map[string]bool{}
	for i, q := range now {
		key := q.Key()
		if i < len(known) && (key != known[i].Key() || q.Type != known[i].Type || q.Unit != known[i].Unit) {
			t.Errorf("quantity %d changed from %s to %s", i, known[i].Key(), key)
		}
		if keys[key] {
			t.Errorf("two quantities %s", key)
		}
		keys[key] = true
		c := q.Series
		if err := c.Normalize(); err != nil {
			t.Errorf("quantity %d: %v", i, err)
		}
		if c.Key() != key {
			t.Errorf("labels of %s are not sorted", key)
		}
		if q.Type == record.TypeNone {
			t.Errorf("%s has no type", key)
		}
		if q.Min > q.Max || math.IsNaN(q.Min) || math.IsNaN(q.Max) {
			t.Errorf("range of %s is %g to %g", key, q.Min, q.Max)
		}
	}
	return append([]drivers.Quantity(nil), now...)
}

func checkSample(t *testing.T, q drivers.Quantity, x drivers.Sample) {
	t.Helper()
	key := q.Key()
	if len(x.Detail) > record.MaxDetailBytes {
		t.Errorf("%s: detail of %d bytes", key, len(x.Detail))
	}
	if x.Quality.Bad() {
		if x.Type != record.TypeNone || x.Num != 0 || len(x.Value) > 0 {
			t.Errorf("%s: a bad sample (%s) has a value", key, x.Quality)
		}
		if len(x.Detail) == 0 {
			t.Errorf("%s: a bad sample (%s) has no detail", key, x.Quality)
		}
		return
	}
	if x.Type != q.Type {
		t.Errorf("%s: sample of type %s, quantity of type %s", key, x.Type, q.Type)
	}
	switch {
	case !x.Type.InData() && len(x.Value) > 0:
		t.Errorf("%s: %s with value bytes", key, x.Type)
	case x.Type == record.TypeString && !utf8.Valid(x.Value):
		t.Errorf("%s: string is not UTF-8", key)
	case x.Type == record.TypeBool && x.Num != 0 && x.Num != 1:
		t.Errorf("%s: bool %d", key, x.Num)
	case x.Type == record.TypeFloat && math.IsNaN(math.Float64frombits(uint64(x.Num))):
		t.Errorf("%s: NaN must be none with quality %s", key, record.QualityNaN)
	}
}

func cancelled(t *testing.T, s drivers.Sensor, o Options) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := within(t, o, "a Read with a cancelled context", func() error {
		_, err := s.Read(ctx, nil)
		return err
	})
	if err == nil {
		t.Error("a Read with a cancelled context must return an error")
	}
	if _, err := s.Read(t.Context(), nil); err != nil && !o.MayFail {
		t.Errorf("Read after a cancelled one: %v", err)
	}
}

func closeDuringRead(t *testing.T, s drivers.Sensor, o Options) {
	started := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		close(started)
		for {
			if _, err := s.Read(context.Background(), nil); err != nil {
				done <- err
				return
			}
		}
	}()
	<-started
	time.Sleep(5 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case <-done:
	case <-time.After(o.Patience):
		t.Fatalf("Read did not return within %s of Close", o.Patience)
	}
}

func readAfterClose(t *testing.T, s drivers.Sensor, o Options) {
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if out, err := s.Read(t.Context(), nil); err == nil || len(out) > 0 {
		t.Errorf("Read after Close gave %d samples and error %v", len(out), err)
	}
}

func closeTwice(t *testing.T, s drivers.Sensor, _ Options) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func within(t *testing.T, o Options, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(o.Patience):
		t.Fatalf("%s did not return within %s", what, o.Patience)
		return nil
	}
}
