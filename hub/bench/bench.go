// Package bench measures a hub as it is run: a hub process and a real Mosquitto on this machine, and a load of virtual
// agents that speak the real protocol through it. Each virtual agent is the sender of package uplink over a log in memory
// and a TCP connection of its own; what it sends is encoded, deflated into frames and acknowledged as any box's is. What
// the load itself takes of the machine is stated apart.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options of Run. Devices is required unless CatchUp is set.
type Options struct {
	Devices int
	Rate    float64       // samples a second of each device; 1 if 0
	Every   time.Duration // how often a device sends; 10 s if 0
	For     time.Duration // length of the measured time; 60 s if 0
	CatchUp time.Duration // instead: one box comes back with the backlog of so long, at Rate
	Dir     string        // where hub, broker and store lie; removed afterwards
	Hub     []string      // the program and arguments in front of "run --config FILE"
	Out     io.Writer     // bench lines
	Log     io.Writer     // how it goes
}

// overload is how much more is offered than the figure that is asked for.
const overload = 1.02

// Bounds of a run.
const (
	MaxDevices    = 30_000 // one local address has about so many ports
	MaxRate       = 100_000
	connectAtOnce = 64
	connectLimit  = 2 * time.Minute
	settleFor     = 5 * time.Second // before the measured time, beside one send interval
	drainLimit    = time.Minute
)

// ErrOptions is wrapped by what Run refuses.
var ErrOptions = errors.New("bench")

func (o Options) withDefaults() (Options, error) {
	if o.Rate == 0 {
		o.Rate = 1
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.For == 0 {
		o.For = time.Minute
	}
	switch {
	case o.CatchUp < 0 || o.CatchUp > 0 && o.CatchUp < time.Minute:
		return o, fmt.Errorf("%w: a backlog of %v; at least a minute", ErrOptions, o.CatchUp)
	case o.CatchUp == 0 && (o.Devices < 1 || o.Devices > MaxDevices):
		return o, fmt.Errorf("%w: %d devices; want 1 to %d", ErrOptions, o.Devices, MaxDevices)
	case o.Rate <= 0 || o.Rate > MaxRate:
		return o, fmt.Errorf("%w: %g samples a second; want up to %d", ErrOptions, o.Rate, MaxRate)
	case o.Every < 100*time.Millisecond || o.For < o.Every:
		return o, fmt.Errorf("%w: sending every %v for %v; at least every 100ms, and once", ErrOptions, o.Every, o.For)
	case o.Rate*o.Every.Seconds() < 1:
		return o, fmt.Errorf("%w: less than one sample in %v", ErrOptions, o.Every)
	}
	return o, nil
}

// Run measures and prints. It ends everything that it started.
func Run(ctx context.Context, o Options) (err error) {
	o, err = o.withDefaults()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := raiseFileLimit(uint64(o.Devices + 500)); err != nil {
		return err
	}
	m, err := startMachine(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	if o.CatchUp > 0 {
		return m.catchUp(ctx)
	}
	return m.steady(ctx)
}

// name is what the figures of a run begin with: hub_10k at a sample a second, hub_100x2000 beyond.
func (o Options) name() string {
	n := fmt.Sprint(o.Devices)
	if o.Devices >= 1000 && o.Devices%1000 == 0 {
		n = fmt.Sprintf("%dk", o.Devices/1000)
	}
	if o.Rate == 1 {
		return "hub_" + n
	}
	return fmt.Sprintf("hub_%dx%g", o.Devices, o.Rate)
}

func (o Options) line(what string, value float64, unit string) {
	fmt.Fprintf(o.Out, "bench %s %.4g %s\n", what, value, unit)
}

func (o Options) say(format string, a ...any) {
	fmt.Fprintf(o.Log, strings.TrimRight(format, "\n")+"\n", a...)
}

// steady runs the load for a while and measures what the hub makes of it.
func (m *machine) steady(ctx context.Context) error {
	o := m.o
	f := newFleet(o, m.port)
	defer f.close()
	began := time.Now()
	if err := f.connect(ctx); err != nil {
		return err
	}
	o.say("%d devices connected within %v; the load begins", f.connected(), time.Since(began).Round(time.Millisecond))
	f.start()
	if !sleep(ctx, o.Every+settleFor) {
		return ctx.Err()
	}
	first, err := m.look()
	if err != nil {
		return err
	}
	offered := f.appended.Load()
	f.latency.reset()
	if !sleep(ctx, o.For) {
		return ctx.Err()
	}
	last, err := m.look()
	if err != nil {
		return err
	}
	took := last.at.Sub(first.at).Seconds()
	lat := f.latency.sorted()
	behind := f.waiting()
	appended := f.appended.Load() - offered
	f.stopLoad()
	name := o.name()
	o.line(name+"_connected", float64(f.connected()), "devices")
	o.line(name+"_offered_per_s", float64(appended)/took, "samples/s")
	o.line(name+"_samples_per_s", float64(last.rows-first.rows)/took, "samples/s")
	o.line(name+"_frames_per_s", float64(last.frames-first.frames)/took, "frames/s")
	o.line(name+"_commits_per_s", float64(last.commits-first.commits)/took, "commits/s")
	o.line(name+"_ack_p50_ms", quantile(lat, 0.5)*1e3, "ms")
	o.line(name+"_ack_p99_ms", quantile(lat, 0.99)*1e3, "ms")
	o.line(name+"_ack_max_ms", quantile(lat, 1)*1e3, "ms")
	o.line(name+"_rss_mib", m.hub.peak(), "MiB")
	o.line(name+"_hub_cpu", (last.hubCPU-first.hubCPU)/took*100, "percent_of_a_core")
	o.line(name+"_broker_cpu", (last.brokerCPU-first.brokerCPU)/took*100, "percent_of_a_core")
	o.line(name+"_broker_rss_mib", m.broker.peak(), "MiB")
	o.line(name+"_load_cpu", (last.loadCPU-first.loadCPU)/took*100, "percent_of_a_core")
	o.line(name+"_load_rss_mib", peakOf(os.Getpid()), "MiB")
	o.say("%d acks measured; %d samples waited at the end of the measured time; reconnects %d, resent %d frames, hub %d duplicates, %d rewinds, %d dropped",
		len(lat), behind, f.reconnects.Load(), f.resent.Load(), last.duplicates, last.rewinds, last.dropped)
	return m.proveAll(ctx, f)
}

// proveAll waits until everything is acknowledged and lets the hub's own verification count it.
func (m *machine) proveAll(ctx context.Context, f *fleet) error {
	for end := time.Now().Add(drainLimit); f.waiting() > 0; {
		if time.Now().After(end) {
			return fmt.Errorf("bench: %d samples were not acknowledged within %v after the load ended", f.waiting(), drainLimit)
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
	st, err := m.look()
	if err != nil {
		return err
	}
	if n := f.appended.Load(); st.rows != n {
		return fmt.Errorf("bench: the devices appended %d samples, the hub stored %d", n, st.rows)
	}
	m.o.say("all %d samples are in the store once", st.rows)
	return m.verify(ctx)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// quantile of ascending values; 0 of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func join(dir, name string) string { return filepath.Join(dir, name) }
