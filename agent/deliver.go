package agent

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/enrol"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/kafka"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/version"
	"github.com/edgelog/edgelog/internal/wire"
)

// delivery runs the uplink of the configuration in force, and another one when that changes.
type delivery struct {
	a          *Agent
	stats      mqtt.Stats
	valuesMost int // bytes of latest values at the last look; of the goroutine that publishes them
	budget     linkBudget
	beside     atomic.Uint64 // bytes of releases that came beside the broker, over the same line
	run        string        // random: this run of the agent, beside others under its name

	mu   sync.Mutex
	loop *uplink.Loop // nil: none is configured
	link *mqtt.Link   // the connection that stands, nil if none
	ends time.Time    // of the device's certificate

	connects []time.Time // the latest

	valued   *mqtt.Link // where latest values were last sent, and when
	valuedAt time.Time
}

func newDelivery(a *Agent) *delivery {
	d := &delivery{a: a, run: fmt.Sprintf("%016x", random())}
	d.budget = linkBudget{a: a, bytes: func() (sent, received uint64) {
		sent, received = d.bytes()
		return sent, received + d.beside.Load()
	}}
	return d
}

// Run delivers until ctx ends.
func (d *delivery) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		c := d.a.configuration()
		loopCtx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		if c.Uplink.To() != "" {
			d.a.faults.clear(health.NoUplink, "uplink")
			d.budget.configure(c.Uplink.MQTT)
			wg.Go(func() { d.budget.Run(loopCtx) })
			loop, sources := d.build(c)
			wg.Go(func() {
				// The loop ends with its context and has no other error.
				_ = loop.Run(loopCtx)
				for _, s := range sources {
					if err := s.Close(); err != nil {
						d.a.log.Warn("reader of the uplink not closed", "stream", s.Stream(), "err", err)
					}
				}
			})
		} else {
			d.a.faults.raise(health.NoUplink, "uplink", "uplink", "records stay on this box")
		}
		select {
		case <-ctx.Done():
		case <-d.a.uplinkChanged:
		}
		cancel()
		wg.Wait()
		d.set(nil)
		d.a.faults.linkUp() // whatever was wrong with the old way
	}
	return nil
}

func (d *delivery) build(c *config.Config) (*uplink.Loop, []*uplink.Log) {
	var sources []uplink.Source
	var logs []*uplink.Log
	for _, l := range d.a.set.Logs() {
		s := uplink.NewLog(l)
		sources, logs = append(sources, s), append(logs, s)
	}
	var o uplink.LoopOptions
	if c.Uplink.Kafka != nil {
		o = d.kafkaLoop(c)
	} else {
		o = d.mqttLoop(c)
	}
	o.Sender.Random, o.Sender.Identity, o.Sender.Events = random, d.identity, d.a.faults.uplinkEvents()
	o.Sources = sources
	o.Up = func() {
		d.flapping(time.Now(), true)
		d.a.faults.linkUp()
		d.a.log.Info("uplink connected", "broker", c.Uplink.To())
	}
	o.Down = func(err error) {
		d.connected(nil)
		if err != nil {
			d.a.faults.linkFailed(c.Uplink.To(), d.ended(), err)
		}
	}
	loop := uplink.NewLoop(o)
	d.set(loop)
	return loop, logs
}

// mqttLoop delivers to a hub behind an MQTT broker.
func (d *delivery) mqttLoop(c *config.Config) uplink.LoopOptions {
	m := c.Uplink.MQTT
	o := mqtt.Options{Device: c.Device, Topics: wire.Topics{Prefix: m.TopicPrefix}, Agent: version.String(), Boot: d.a.clock.boot, Run: d.run, Stats: &d.stats, Client: mqttclient.Options{
		Broker: m.Broker, ClientID: c.Device, Username: m.Username, PasswordFile: m.PasswordFile, KeepAlive: m.KeepAlive,
		TLS: mqttclient.TLS{CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile}, Now: func() time.Time { return enrol.Floor(d.a.clock.now(), m.CertFile, m.CAFile) }}}
	return uplink.LoopOptions{
		Sender: uplink.Options{Window: int(m.Window), Pace: uplink.Pace{BacklogRate: int(m.BacklogRate)},
			Exhausted: func(time.Time) bool { return d.budget.look() != "" }},
		Dial: func(ctx context.Context) (wire.Link, error) {
			d.setEnds(certificateEnds(m.CertFile))
			l, err := mqtt.Dial(ctx, o)
			if err != nil {
				d.a.renewal.failed(err)
				return nil, err
			}
			d.connected(l)
			return l, nil
		},
		BootTime: bootTime,
		HubTime:  d.a.clock.hubTime,
		Rival:    d.rival,
	}
}

// kafkaLoop delivers straight into Kafka.
func (d *delivery) kafkaLoop(c *config.Config) uplink.LoopOptions {
	k := c.Uplink.Kafka
	o := kafka.Options{Device: c.Device, Window: int(k.Window), Store: kafka.StoreOptions{Brokers: k.Brokers, Prefix: k.Prefix,
		Format: kafka.Format(k.Format), Partitions: k.Partitions, ReplicationFactor: k.ReplicationFactor, MinInsync: k.MinInsync,
		Compression: k.Compression, TLS: (*kafka.TLS)(k.TLS), SASL: (*kafka.SASL)(k.SASL)}}
	return uplink.LoopOptions{
		Sender: uplink.Options{Window: int(k.Window), FrameCost: 1},
		Dial: func(ctx context.Context) (wire.Link, error) {
			if k.TLS != nil {
				d.setEnds(certificateEnds(k.TLS.CertFile))
			}
			return kafka.Dial(ctx, o)
		},
	}
}

// rival tells of another client under our name.
func (d *delivery) rival(there bool) {
	if there {
		d.a.faults.raise(health.NameTaken, "uplink", "uplink", "another client connects to the broker as "+d.a.configuration().Device+" in turns with this box")
	} else {
		d.a.faults.clear(health.NameTaken, "uplink")
	}
}

// More than manyConnects connections within flappingFor are a fault of their own.
const (
	manyConnects = 10
	flappingFor  = 10 * time.Minute
)

// flapping counts connections and says when there are too many, and when that is over.
func (d *delivery) flapping(now time.Time, connected bool) {
	d.mu.Lock()
	d.connects = slices.DeleteFunc(d.connects, func(t time.Time) bool { return now.Sub(t) > flappingFor })
	if connected {
		d.connects = append(d.connects, now)
	}
	n := len(d.connects)
	d.mu.Unlock()
	switch {
	case connected && n > manyConnects:
		d.a.faults.raise(health.UplinkFlapping, "uplink", "uplink", fmt.Sprintf("more than %d connections within %v", manyConnects, flappingFor))
	case n <= manyConnects/2:
		d.a.faults.clear(health.UplinkFlapping, "uplink")
	}
}

// random is of the kernel. The wall clock is mixed in, because a virtual machine that is resumed from a snapshot may have
// gone back to the same random state on older kernels, and no nonce may be given twice.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	const odd = 0x9e3779b97f4a7c15
	return binary.LittleEndian.Uint64(b[:]) ^ uint64(time.Now().UnixNano())*odd
}

// identity is what a hello says of the box beside its positions.
func (d *delivery) identity(time.Time) uplink.Identity {
	a := d.a.clock.anchor()
	id := uplink.Identity{Agent: version.String(), Boot: d.a.clock.boot, BootTime: bootTime(), Clock: a.State, Inventory: map[string]string{}}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		id.Inventory["hostname"] = unix.ByteSliceToString(u.Nodename[:])
		id.Inventory["kernel"] = unix.ByteSliceToString(u.Release[:])
		id.Inventory["machine"] = unix.ByteSliceToString(u.Machine[:])
	}
	if b, err := os.ReadFile("/etc/machine-id"); err == nil {
		id.Inventory["machine_id"] = strings.TrimSpace(string(b))
	}
	return id
}

func (d *delivery) set(l *uplink.Loop) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loop = l
}

func (d *delivery) setEnds(t time.Time) {
	d.mu.Lock()
	d.ends = t
	d.mu.Unlock()
	left := t.Sub(d.a.clock.now())
	if t.IsZero() || left <= 0 || left > 30*24*time.Hour { // once it has ended, the broker's refusal is the fault
		d.a.faults.clear(health.CertificateEnds, "uplink")
		return
	}
	d.a.faults.raise(health.CertificateEnds, "uplink", "uplink", "the device's certificate ends "+t.Format(time.DateOnly))
}

// ended is when the device's certificate ended by the best clock there is; zero if it has not.
func (d *delivery) ended() time.Time {
	if t := d.notAfter(); !t.IsZero() && t.Before(d.a.clock.now()) {
		return t
	}
	return time.Time{}
}

// connected notes the connection that stands; nil: none.
func (d *delivery) connected(l *mqtt.Link) {
	d.a.updates.connected(l)
	d.a.renewal.connected(l)
	d.a.commands.connected(l)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link = l
}

// bytes is what all connections have carried, as MQTT packets.
func (d *delivery) bytes() (sent, received uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent, received = d.stats.Out.Load(), d.stats.In.Load()
	if d.link != nil {
		in, out := d.link.Bytes()
		sent, received = sent+out, received+in
	}
	return sent, received
}

func (d *delivery) notAfter() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ends
}

// snapshot is the uplink as the view needs it; false if none is configured.
func (d *delivery) snapshot() (uplink.Status, []uplink.Account, bool) {
	d.mu.Lock()
	loop := d.loop
	d.mu.Unlock()
	if loop == nil {
		return uplink.Status{}, nil, false
	}
	return loop.Status(), loop.Accounts(), true
}

// status is the uplink without its accounts; false if none is configured.
func (d *delivery) status() (uplink.Status, bool) {
	d.mu.Lock()
	loop := d.loop
	d.mu.Unlock()
	if loop == nil {
		return uplink.Status{}, false
	}
	return loop.Status(), true
}

// publishValues sends the latest values if a connection stands and they are due: at once on a new connection, so that
// fresh values are seen before any backlog, then at the configured interval. They are a view: what does not get
// through is replaced by the next.
func (d *delivery) publishValues(ctx context.Context, now time.Time, compose func(most int) ([]byte, error)) {
	d.flapping(now, false)
	every := time.Duration(0)
	if m := d.a.configuration().Uplink.MQTT; m != nil {
		every = m.Values
	}
	d.mu.Lock()
	l := d.link
	due := l != nil && every > 0 && (l != d.valued || now.Sub(d.valuedAt) >= every)
	if due {
		d.valued, d.valuedAt = l, now
	}
	d.mu.Unlock()
	if !due {
		return
	}
	most := d.stats.ValuesLimit()
	if most != d.valuesMost && most < mqtt.MaxValuesBytes {
		d.a.log.Warn("latest values are shortened: the broker ends the connection after longer ones; raise its max_packet_size", "bytes", most, "shortened", d.stats.ShortValues())
	}
	d.valuesMost = most
	b, err := compose(most)
	if err != nil {
		d.a.log.Debug("latest values not composed", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := l.PublishValues(ctx, b); err != nil {
		d.a.log.Debug("latest values not sent", "err", err)
	}
}

// certificateEnds is the end of the certificate in a PEM file, zero if there is none to read.
func certificateEnds(file string) time.Time {
	if file == "" {
		return time.Time{}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return time.Time{}
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return c.NotAfter
}
