package collect_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// fakeLog keeps what it is given. A ticket is durable after delay, or when hold is closed if that is set.
type fakeLog struct {
	mu       sync.Mutex
	ids      map[string]record.SeriesID
	series   map[record.SeriesID]string
	records  []record.Record
	drafts   int
	err      error // of Append
	defErr   error
	repeated bool // every message was taken before
	delay    time.Duration
	hold     chan struct{}
	others   map[string]*fakeLog // of further streams
}

func newLog() *fakeLog {
	return &fakeLog{ids: map[string]record.SeriesID{}, series: map[record.SeriesID]string{}}
}

func (l *fakeLog) Define(s record.Series) (record.SeriesID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.defErr != nil {
		return 0, l.defErr
	}
	if err := s.Normalize(); err != nil {
		return 0, err
	}
	id := l.ids[s.Key()]
	if id == 0 {
		id = record.SeriesID(len(l.ids) + 1)
		l.ids[s.Key()], l.series[id] = id, s.Key()
	}
	return id, nil
}

func (l *fakeLog) Append(_ context.Context, d record.Draft) (collect.Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	if l.repeated {
		return ticket{l, record.Range{}}, collect.ErrRepeated
	}
	l.drafts++
	from := record.Offset(len(l.records))
	for _, r := range d.Records {
		if r.Data != nil {
			r.Data = &record.Data{Value: slices.Clone(r.Data.Value), Detail: slices.Clone(r.Data.Detail)}
		}
		l.records = append(l.records, r)
	}
	return ticket{l, record.Range{From: from, To: from + record.Offset(len(d.Records))}}, nil
}

type ticket struct {
	l *fakeLog
	r record.Range
}

func (t ticket) Wait(ctx context.Context) (record.Range, error) {
	if t.l.hold != nil {
		select {
		case <-t.l.hold:
		case <-ctx.Done():
			return record.Range{}, ctx.Err()
		}
	}
	if t.l.delay > 0 {
		time.Sleep(t.l.delay)
	}
	return t.r, nil
}

// lines are the records as "time s series value quality", in order.
func (l *fakeLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, r := range l.records {
		s := fmt.Sprintf("%gs %s %s", float64(r.Time)/1e9, l.series[r.Series], r.AppendText(nil))
		if !r.Quality.Good() {
			s += " " + r.Quality.String()
		}
		if d := r.Detail(); len(d) > 0 {
			s += fmt.Sprintf(" %q", d)
		}
		out = append(out, s)
	}
	return out
}

// times are the stamps at which a series was recorded.
func (l *fakeLog) times(key string) string {
	var out []string
	for _, line := range l.lines() {
		if f := strings.Fields(line); f[1] == key {
			out = append(out, f[0])
		}
	}
	return strings.Join(out, " ")
}

// fakeSensor says what its script says, one function per Read; the last one repeats.
type fakeSensor struct {
	mu     sync.Mutex
	q      []drivers.Quantity
	script []func(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error)
	reads  int
	closed chan struct{}
}

func sensor(q ...drivers.Quantity) *fakeSensor { return &fakeSensor{q: q, closed: make(chan struct{})} }

func (s *fakeSensor) Quantities() []drivers.Quantity { return s.q }
func (s *fakeSensor) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *fakeSensor) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func (s *fakeSensor) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	n := s.reads
	s.reads++
	if len(s.script) == 0 {
		for i := range s.q {
			dst = append(dst, drivers.Sample{Quantity: i, Type: record.TypeInt, Num: int64(n)})
		}
		return dst, nil
	}
	return s.script[min(n, len(s.script)-1)](ctx, dst)
}

func say(samples ...drivers.Sample) func(context.Context, []drivers.Sample) ([]drivers.Sample, error) {
	return func(_ context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
		return append(dst, samples...), nil
	}
}

func failWith(err error) func(context.Context, []drivers.Sample) ([]drivers.Sample, error) {
	return func(_ context.Context, dst []drivers.Sample) ([]drivers.Sample, error) { return dst, err }
}

func quantity(name string, t record.Type) drivers.Quantity {
	return drivers.Quantity{Series: record.Series{Name: name, Type: t}}
}

func source(name string, s drivers.Sensor, interval time.Duration) collect.Source {
	return collect.Source{Name: name, Driver: "fake", Interval: interval, Timeout: 5 * time.Second,
		Open: func() (drivers.Sensor, error) { return s, nil }}
}

// bench is a collector on the clock of a synctest bubble, whose boot time starts at 0.
type bench struct {
	t      *testing.T
	log    *fakeLog
	c      *collect.Collector
	cancel context.CancelFunc
	end    chan error
	start  time.Time

	mu     sync.Mutex
	events []string
}

func (b *bench) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, fmt.Sprintf("%gs ", time.Since(b.start).Seconds())+fmt.Sprintf(format, args...))
}

func (b *bench) told() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.events, "\n")
}

func run(t *testing.T, log *fakeLog, sources ...collect.Source) *bench {
	t.Helper()
	b := &bench{t: t, log: log, start: time.Now(), end: make(chan error, 1)}
	o := collect.Options{
		Log: func(stream string) (collect.Log, error) {
			if stream == "nowhere" {
				return nil, fmt.Errorf("no stream %q", stream)
			}
			if other := log.others[stream]; other != nil {
				return other, nil
			}
			return log, nil
		},
		Stamp: func() record.Stamp {
			return record.Stamp{Time: int64(time.Since(b.start)) + 999, Clock: record.ClockBoot}
		},
		Events: collect.Events{
			SourceDead: func(s string, since record.Stamp, err error) {
				b.note("dead %s since %gs: %v", s, float64(since.Time)/1e9, err)
			},
			SourceBack: func(s string) { b.note("back %s", s) },
			SeriesBad: func(s string, x record.Series, q record.Quality, since record.Stamp) {
				b.note("bad %s %s since %gs: %s", s, x.Key(), float64(since.Time)/1e9, q)
			},
			SeriesGood:  func(s string, x record.Series) { b.note("good %s %s", s, x.Key()) },
			SeriesLimit: func(s string, x record.Series) { b.note("limit %s %s", s, x.Key()) },
			LogRefused:  func(s, stream string, err error) { b.note("refused %s %s: %v", s, stream, err) },
			LogBack:     func(s, stream string) { b.note("log back %s %s", s, stream) },
		},
	}
	var err error
	if b.c, err = collect.New(o, collect.Plan{Sources: sources}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.end <- b.c.Run(ctx) }()
	return b
}

// until lets the time d after the start come, and everything that is due then be done.
func (b *bench) until(d time.Duration) {
	time.Sleep(d - time.Since(b.start))
	synctest.Wait()
}

func (b *bench) stop() error {
	b.cancel()
	return <-b.end
}

func (b *bench) status(name string) collect.SourceStatus {
	b.t.Helper()
	for _, s := range b.c.Snapshot() {
		if s.Name == name {
			return s
		}
	}
	b.t.Fatalf("no source %s", name)
	return collect.SourceStatus{}
}

func missed(s collect.SourceStatus) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Missed)) {
		out = append(out, fmt.Sprintf("%s=%d", k, s.Missed[k]))
	}
	return strings.Join(out, " ")
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}
