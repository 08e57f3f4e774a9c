package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cli"
	"github.com/edgelog/edgelog/internal/term"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; review the difference")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the time of every fixture, in the zone of the box.
var now = time.Date(2026, 11, 23, 5, 20, 0, 0, time.FixedZone("CET", 3600))

func ago(d time.Duration) time.Time { return now.Add(-d) }

// box is an agent made of values.
type box struct {
	status  *api.Status
	sensors *api.Sensors
	account *api.Account
	tracker *health.Tracker
	records []api.Record
	update  *api.Update // nil: the agent does not know of updates
	ordered []api.UpdateRequest
}

// updates are those of a box made of values.
type updates struct{ *box }

func (u updates) Update() *api.Update { return u.update }
func (u updates) Order(_ context.Context, r *api.UpdateRequest, by string) (*api.Update, error) {
	if r.Op == api.UpdateAbort {
		return nil, errors.Join(control.ErrOrder, errors.New("the decision has been made"))
	}
	u.ordered = append(u.ordered, *r)
	u.box.ordered = u.ordered
	return u.update, nil
}

func (b *box) Status() *api.Status   { return b.status }
func (b *box) Sensors() *api.Sensors { return b.sensors }
func (b *box) Account() *api.Account { return b.account }
func (b *box) Faults() []api.Fault   { return api.FaultsOf(b.tracker.List()) }

func (b *box) Ack(id uint64, by string) (api.Fault, error) {
	f, err := b.tracker.Ack(now, id, "anna")
	if errors.Is(err, health.ErrNoFault) {
		return api.Fault{}, errors.Join(control.ErrNotFound, err)
	}
	return api.FaultOf(f), err
}

func (b *box) Reload(context.Context, string) (*api.Reload, error) { return &api.Reload{}, nil }

func (b *box) Query(_ context.Context, q api.Query, _ func() error, each func(*api.Record) error) (bool, error) {
	for i := range b.records {
		if err := each(&b.records[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (b *box) Tail(ctx context.Context, stream string, n int, follow bool, each func(*api.Record) error, idle func() error) error {
	_, err := b.Query(ctx, api.Query{}, nil, each)
	return err
}

func (b *box) Ingest(context.Context, string, *api.IngestRequest) (*api.IngestPosition, error) {
	return nil, control.ErrStopped
}
func (b *box) Position(string, uint64) (*api.IngestPosition, error) { return nil, control.ErrNotFound }

func stream(name string, end, delivered, flying, buffered uint64) api.Stream {
	return api.Stream{Name: name, State: "ok", End: end, Durable: end, Delivered: delivered, InFlight: flying, Buffered: buffered,
		Bytes: 300 << 20, MaxBytes: 5 << 30, Balanced: true}
}

func healthyBox() *box {
	return &box{tracker: &health.Tracker{}, status: &api.Status{
		SchemaVersion: 1, Device: "box-17", State: api.StateOK, Version: "0.4.2", Time: now.UTC(), Started: ago(292 * time.Hour),
		Clock:   api.Clock{Synchronised: true, Source: "ntp", ErrorSeconds: 0.004},
		Sources: api.Sources{OK: 25, Rate: 117.6},
		Buffer: api.Buffer{Bytes: 1288490189, MaxBytes: 20 << 30, Oldest: ago(9 * 24 * time.Hour), WrittenToday: 400 << 20, RoomSeconds: 151 * 86400,
			WearPerDay: 430 << 20, WearLimit: 20 << 30},
		Uplink: api.Uplink{State: api.UplinkOnline, Broker: "ssl://broker.example:8883", LastAck: ago(time.Second)},
		Streams: []api.Stream{stream("telemetry", 104882113, 104882001, 112, 0), stream("events", 1200, 1200, 0, 0),
			stream("alarms", 7, 7, 0, 0), stream("health", 88000, 88000, 0, 0)},
		Faults: []api.Fault{},
	}, sensors: &api.Sensors{SchemaVersion: 1, Device: "box-17"}, account: &api.Account{SchemaVersion: 1, Device: "box-17", Balanced: true}}
}

func degradedBox() *box {
	b := healthyBox()
	b.tracker.Raise(ago(186*time.Minute), health.SensorPowerOn, "28-0416a1b2c3ff", "cold room 2 (28-0416a1b2c3ff)", "It reads 85 °C")
	b.tracker.Raise(ago(25*time.Minute), health.CertificateRefused, "uplink", "uplink to broker.example:8883", "The certificate ended 2026-11-21; 41 MiB wait on disk, there is room for 151d")
	b.tracker.Note(ago(30*time.Hour), ago(29*time.Hour), health.DroppedUnsent, "telemetry", "stream telemetry", "12,000 records were dropped")
	b.tracker.Raise(ago(50*time.Hour), health.SourceMissed, "bus", "rack (modbus)", "")
	b.tracker.Clear(ago(49*time.Hour), health.SourceMissed, "bus")
	s := b.status
	s.State, s.Faults = api.StateDegraded, b.Faults()
	s.Sources = api.Sources{OK: 24, Degraded: 1, Rate: 117.6, MissedToday: 1102, MissedText: "all cold room 2"}
	s.Uplink = api.Uplink{State: api.UplinkConnecting, Broker: "ssl://broker.example:8883", Since: ago(25 * time.Minute), LastAck: ago(25 * time.Minute), Error: "certificate refused"}
	s.Clock = api.Clock{}
	s.Streams[0] = stream("telemetry", 104882113, 104705001, 0, 177112)
	s.Streams[0].Dropped = 12000
	s.Streams[3].Balanced = false
	b.sensors.Sources = []api.Source{
		{Name: "host", Driver: "system", State: "ok", Stream: "telemetry", Interval: 10, Taken: 1234567, Sensors: []api.Sensor{
			{Series: "cpu.busy", Unit: "%", Value: "12.5", Quality: "good", Time: ago(3 * time.Second), Recent: []float64{10, 11, 12, 40, 12}},
			{Series: `disk.free{mount="/"}`, Unit: "By", Value: "81234567890", Quality: "good", Time: ago(3 * time.Second)}}},
		{Name: "cold-rooms", Driver: "w1", State: "degraded", Stream: "telemetry", Interval: 10, Taken: 40000, Unchanged: 1200, Rate: 0.3,
			Port: "/sys/bus/w1/devices", LateMean: 0.0004, LateMax: 0.0031, Missed: map[string]uint64{"timeout": 3, "bus": 1}, Simulated: true,
			Sensors: []api.Sensor{
				{Series: `temperature{id="28-1"}`, ID: "28-0416a1b2c3fe", Label: "cold room 1", Unit: "Cel", Value: "-18.0625", Quality: "good", Time: ago(2 * time.Second), Recent: []float64{-18, -18.1, -18.2, -18.0625}},
				{Series: `temperature{id="28-2"}`, ID: "28-0416a1b2c3ff", Label: "cold room 2", Unit: "Cel", Quality: "bad:power-on", Time: ago(2 * time.Second)},
				{Series: `temperature{id="28-3"}`, ID: "28-0416a1b2c300", Label: "Kühlraum 3", Unit: "Cel", Value: "21.5", Quality: "uncertain:range", Time: ago(2 * time.Second)}}},
	}
	e := api.EpochAccount{Epoch: "00000000000000aa", First: 0, End: 104882113, Delivered: 104693001, Buffered: 177112,
		Dropped: map[string]uint64{"retention": 12000}, Skipped: map[string]uint64{}}
	e.Balance()
	bad := api.EpochAccount{Epoch: "00000000000000ab", First: 0, End: 88000, Delivered: 87990}
	bad.Balance()
	b.account = &api.Account{SchemaVersion: 1, Device: "box-17", Time: now.UTC(), Streams: []api.StreamAccount{
		{Name: "telemetry", Sum: e, Epochs: []api.EpochAccount{e}}, {Name: "health", Sum: bad, Epochs: []api.EpochAccount{bad}}},
		Sources: []api.SourceAccount{{Name: "host", Taken: 1234567}, {Name: "cold-rooms", Taken: 40000, Missed: map[string]uint64{"timeout": 3, "bus": 1}}}}
	b.records = []api.Record{
		{Stream: "telemetry", Epoch: "00000000000000aa", Offset: 7, Kind: "observation", Time: ago(time.Minute).UTC(), Series: `temperature{name="cold room 1"}`, Unit: "Cel", Value: []byte("-18.0625"), Quality: "good", Type: "decimal4"},
		{Stream: "telemetry", Epoch: "00000000000000aa", Offset: 8, Kind: "observation", Time: ago(time.Minute).UTC(), Series: `temperature{name="cold room 2"}`, Unit: "Cel", Value: []byte("null"), Quality: "bad:power-on", Detail: "550500007fff0c10"},
		{Stream: "telemetry", Epoch: "00000000000000aa", Offset: 9, Kind: "gap", Time: ago(30 * time.Second).UTC(), Gap: &api.Gap{To: 1009, Count: 1000, Reason: "retention"}},
		{Stream: "telemetry", Epoch: "00000000000000aa", Offset: 1009, Kind: "boot", Value: []byte(`{"boot":"x"}`), Quality: "good", Type: "json"},
		{Stream: "telemetry", Epoch: "00000000000000aa", Offset: 1010, Kind: "config", Value: []byte(`{"event":"reload","by":"uid 0 (root) pid 7","applied":["sources.host is gone"],"needs_restart":["device is box-18"]}`), Quality: "good", Type: "json"},
		{Stream: "events", Epoch: "00000000000000aa", Offset: 1, Kind: "observation", Time: ago(time.Second).UTC(), Series: "door", Value: []byte(`"open \u001b[31m"`), Quality: "good", Type: "string"},
	}
	return b
}

// machine is a config.Host whose files are a map and whose directories are real.
type machine struct{ files fstest.MapFS }

func (m machine) ReadFile(name string) ([]byte, error) {
	return m.files.ReadFile(strings.TrimPrefix(name, "/"))
}
func (m machine) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (m machine) Hostname() (string, error)             { return "box-17", nil }

// run is one call of edgectl.
type run struct {
	args  []string
	style term.Style
	env   map[string]string
	files fstest.MapFS
	dial  error
	host  config.Host // default: machine{files}
	log   string      // what journalctl prints; "" means there is none
	stdin string
	tty   bool // of stdin
	child func(args []string) ([]byte, int, error)
	ctx   context.Context // default: one that does not end
}

func (r run) do(t *testing.T) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	host := r.host
	if host == nil {
		host = machine{r.files}
	}
	ctx := r.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	code = cli.Main(ctx, cli.Env{
		Args: r.args, Stdin: strings.NewReader(r.stdin), StdinTTY: r.tty, Stdout: &out, Stderr: &errs, Getenv: func(k string) string { return r.env[k] }, Style: r.style,
		Now: func() time.Time { return now }, Zone: now.Location(), Host: host,
		Run: func(context.Context, string, ...string) ([]byte, error) {
			if r.log == "" {
				return nil, errors.New("no journal")
			}
			return []byte(r.log), nil
		},
		Child: func(_ context.Context, name string, args ...string) ([]byte, int, error) {
			if r.child == nil {
				return nil, 0, errors.New("no such program")
			}
			return r.child(append([]string{name}, args...))
		},
		Dial:      func(context.Context, string) error { return r.dial },
		ReadClock: func() (bool, time.Duration, error) { return true, 4 * time.Millisecond, nil },
	})
	return code, out.String(), errs.String()
}

// serve runs the control API of b and returns its run directory.
func serve(t *testing.T, b *box) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	o := control.Options{RunDir: dir, View: b, Records: b, Operator: b, Ingester: b}
	if b.update != nil {
		o.Updates = updates{b}
	}
	s, err := control.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return dir
}

// golden compares with testdata/name, and checks the width.
func golden(t *testing.T, name, got string, width int) {
	t.Helper()
	for i, line := range strings.Split(got, "\n") {
		if n := term.Columns(line); width > 0 && n > width {
			t.Errorf("%s: line %d has %d columns: %s", name, i+1, n, line)
		}
	}
	compare(t, filepath.Join("testdata", name), got)
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); run with -rewrite and review. Got:\n%s", file, err, got)
	}
}
