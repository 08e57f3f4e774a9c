// Package system senses the host: CPU, load, memory, disks and their wear, temperatures, fans, network counters,
// uptime and boot id, from /proc and /sys.
//
// What a host does not have is not listed. What appears later is appended; what vanishes gives samples of quality
// QualityAbsent until it is back. Values keep the exactness of their source: counters are integers, loads have two
// decimals, temperatures three.
package system

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// Usage is the space of a file system, in bytes.
type Usage struct{ Total, Free, Available uint64 }

// Options says where the host is. The zero value is the host that the program runs on.
type Options struct {
	Proc, Sys string                            // default /proc and /sys; a directory with the same files is a host too
	Statfs    func(mount string) (Usage, error) // default statfs(2)
	CPUModes  bool                              // also the share of each CPU mode
	Rescan    time.Duration                     // how often to look for new thermal sensors and disks, default 1 min
}

func (o Options) withDefaults() Options {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Sys == "" {
		o.Sys = "/sys"
	}
	if o.Statfs == nil {
		o.Statfs = statfs
	}
	if o.Rescan == 0 {
		o.Rescan = defaultRescan
	}
	return o
}

func statfs(mount string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(mount, &st); err != nil {
		return Usage{}, err
	}
	b := uint64(st.Bsize)
	return Usage{Total: st.Blocks * b, Free: st.Bfree * b, Available: st.Bavail * b}, nil
}

// Host is a drivers.Sensor.
type Host struct {
	o        Options
	closed   atomic.Bool
	mu       sync.Mutex // held by Read: guards everything below
	quantity []drivers.Quantity
	state    []state // parallel to quantity
	refused  int
	sweep    uint64
	out      []drivers.Sample
	buf      []byte
	scanned  time.Time

	stat, loadavg, meminfo, uptime, bootID, netdev, diskstats, mounts file

	fixed      fixed
	cpu        cpuTimes
	interfaces map[string]*device
	disks      map[string]*device
	volumes    map[string]*volume
	owners     map[string]*volume // by device
	attrs      []*attr
	byKey      map[string]*attr
}

// state is what Read remembers of a quantity.
type state struct {
	sweep  uint64 // latest sweep that said something of it
	once   bool   // does not change while the sensor is open: told once
	detail []byte
}

var errClosed = errors.New("sensor is closed")

// New reads nothing; what the host has is found by Read.
func New(o Options) (*Host, error) {
	if o.Rescan < 0 {
		return nil, fmt.Errorf("%w: rescan %s is negative", drivers.ErrConfig, o.Rescan)
	}
	o = o.withDefaults()
	h := &Host{o: o, buf: make([]byte, 8192),
		interfaces: map[string]*device{}, disks: map[string]*device{}, volumes: map[string]*volume{},
		owners: map[string]*volume{}, byKey: map[string]*attr{}}
	for f, name := range map[*file]string{&h.stat: "stat", &h.loadavg: "loadavg", &h.meminfo: "meminfo",
		&h.uptime: "uptime", &h.bootID: "sys/kernel/random/boot_id", &h.netdev: "net/dev",
		&h.diskstats: "diskstats", &h.mounts: "mounts"} {
		*f = file{path: o.Proc + "/" + name, fd: -1}
	}
	return h, nil
}

// Quantities lists what the host was seen to have.
func (h *Host) Quantities() []drivers.Quantity { return h.quantity }

// Close makes a running Read return before the next file.
func (h *Host) Close() error {
	h.closed.Store(true)
	h.release()
	return nil
}

// release closes the files unless a Read runs; that one does it when it ends.
func (h *Host) release() {
	if !h.mu.TryLock() {
		return
	}
	defer h.mu.Unlock()
	for _, f := range []*file{&h.stat, &h.loadavg, &h.meminfo, &h.uptime, &h.bootID, &h.netdev, &h.diskstats, &h.mounts} {
		f.close()
	}
	for _, a := range h.attrs {
		a.close()
	}
}

// Read takes one sample of everything; the CPU's share is that since the Read before. It returns an error that
// wraps drivers.ErrNoDevice if neither proc nor sys tells anything.
func (h *Host) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	h.mu.Lock()
	out, err := h.read(ctx, dst)
	h.mu.Unlock()
	if h.closed.Load() {
		h.release()
	}
	return out, err
}

func (h *Host) read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	h.sweep++
	h.out = dst
	defer func() { h.out = nil }()
	for _, step := range [...]func(*Host){(*Host).readCPU, (*Host).readLoad, (*Host).readMemory, (*Host).readUptime,
		(*Host).readBoot, (*Host).readNet, (*Host).readDisks, (*Host).readVolumes, (*Host).rescan} {
		if err := h.stopped(ctx); err != nil {
			return h.out, err
		}
		step(h)
	}
	for _, a := range h.attrs {
		if err := h.stopped(ctx); err != nil {
			return h.out, err
		}
		h.readAttr(a)
	}
	for i := range h.state {
		if s := &h.state[i]; s.sweep != h.sweep && !s.once {
			h.bad(i, record.QualityAbsent, "not there any more")
		}
	}
	switch {
	case len(h.quantity) == 0:
		return h.out, fmt.Errorf("%w: %s and %s tell nothing of a host", drivers.ErrNoDevice, h.o.Proc, h.o.Sys)
	case h.refused > 0:
		return h.out, fmt.Errorf("%w: more than %d quantities; %d are not read", drivers.ErrBus, MaxQuantities, h.refused)
	}
	return h.out, nil
}

func (h *Host) stopped(ctx context.Context) error {
	if h.closed.Load() {
		return fmt.Errorf("read host: %w", errClosed)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read host: %w", err)
	}
	return nil
}

// add appends a quantity and returns its index, -1 if there are too many or its labels cannot be told.
func (h *Host) add(name, unit string, t record.Type, labels ...record.Label) int {
	s := record.Series{Name: name, Unit: unit, Type: t, Labels: labels}
	if s.Normalize() != nil {
		return -1
	}
	if len(h.quantity) >= MaxQuantities {
		h.refused++
		return -1
	}
	h.quantity = append(h.quantity, drivers.Quantity{Series: s})
	h.state = append(h.state, state{})
	return len(h.quantity) - 1
}

func (h *Host) put(i int, num int64) {
	if i < 0 {
		return
	}
	h.state[i].sweep = h.sweep
	h.out = append(h.out, drivers.Sample{Quantity: i, Type: h.quantity[i].Type, Num: num})
}

// skip says that there is nothing new to say of a quantity in this sweep.
func (h *Host) skip(i int) {
	if i >= 0 {
		h.state[i].sweep = h.sweep
	}
}

func (h *Host) bad(i int, q record.Quality, detail string) {
	if i < 0 {
		return
	}
	s := &h.state[i]
	s.sweep = h.sweep
	s.detail = append(s.detail[:0], detail[:min(len(detail), record.MaxDetailBytes)]...)
	h.out = append(h.out, drivers.Sample{Quantity: i, Quality: q, Detail: s.detail})
}
