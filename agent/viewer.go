package agent

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
	"github.com/edgelog/edgelog/internal/vfs"
)

// viewer answers what the box is like now, from memory. It implements control.Viewer.
type viewer struct {
	config   func() *config.Config
	file     string
	started  time.Time
	clock    *clock
	set      *buffer.Set
	collect  *collect.Collector
	link     func() (uplink.Status, []uplink.Account, bool) // false: no uplink is configured
	notAfter func() time.Time                               // end of the device's certificate, zero if none
	bytes    func() (sent, received uint64)                 // of MQTT packets, since the start
	budget   func() *api.UplinkBudget                       // of the uplink, nil if there is none
	npu      func() *api.NPUSummary                         // nil: no worker is configured
	faults   *faults
	update   func() *api.Update // nil where no release was ever seen

	pipelines func() []api.Pipeline

	mu    sync.Mutex
	rate  rate
	rates map[string]*rate // of each source: readings, whether they went to the log or not
	today today
	usage vfs.Usage
	wear  wear
}

// rate is readings per second over the last seconds.
type rate struct {
	at    time.Time
	taken uint64
	value float64
}

// today is where the counters stood at the last midnight of the box, or at the agent's start.
type today struct {
	day     int
	since   time.Time
	missed  uint64
	written int64
	ends    uint64
}

// tick keeps what is a difference over time; called once a second.
func (v *viewer) tick(now time.Time) {
	taken, missed := uint64(0), uint64(0)
	sources := v.collect.Overview()
	for _, s := range sources {
		taken += s.Taken
		for _, n := range s.Missed {
			missed += n
		}
	}
	written, ends := int64(0), uint64(0)
	for _, l := range v.set.Logs() {
		i := l.Info()
		written += i.WrittenBytes
		ends += uint64(i.End)
	}
	usage, _ := vfs.OS{}.Usage(v.config().DataDir) // a failure shows 0 free, which doctor explains
	defer v.judgeWear()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.usage = usage
	if usage.Written > 0 {
		v.wear.add(now, usage.Written)
	}
	if d := now.YearDay(); d != v.today.day || v.today.since.IsZero() {
		v.today = today{day: d, since: now, missed: missed, written: written, ends: ends}
	}
	v.rate.tick(now, taken, 2*time.Second)
	old := v.rates
	v.rates = make(map[string]*rate, len(sources))
	for _, s := range sources {
		r := old[s.Name]
		if r == nil {
			r = &rate{}
		}
		v.rates[s.Name] = r
		r.tick(now, readings(s), max(rateOver, 2*s.Interval))
	}
}

// readings of a source so far, as the sensor gave them.
func readings(s collect.SourceStatus) (n uint64) {
	for _, q := range s.Quality {
		n += q
	}
	return n
}

// tick takes the mean since the last one that is at least so long ago.
func (r *rate) tick(now time.Time, taken uint64, over time.Duration) {
	since := now.Sub(r.at)
	if r.at.IsZero() {
		r.at, r.taken = now, taken
		return
	}
	if since < over {
		return
	}
	if taken >= r.taken {
		r.value = float64(taken-r.taken) / since.Seconds()
	}
	r.at, r.taken = now, taken
}

// rateOver is how long the readings of a source are counted for its rate.
const rateOver = 10 * time.Second

// judgeWear declares that the flash will not last. Opening, a reload and an update write more than a usual hour.
func (v *viewer) judgeWear() {
	v.mu.Lock()
	perDay, over := v.wear.perDay()
	v.mu.Unlock()
	limit := float64(v.config().Storage.WearPerDay)
	switch {
	case limit > 0 && perDay > limit && over >= wearJudge:
		v.faults.raise(health.FlashWear, "disk", "disk", fmt.Sprintf("%s a day are written to the disk; it is meant to take %s",
			term.Bytes(int64(perDay)), term.Bytes(int64(limit))))
	case limit == 0 || perDay < 0.9*limit:
		v.faults.clear(health.FlashWear, "disk")
	}
}

// utc is the UTC of a stamp of this boot.
func (v *viewer) utc(s record.Stamp) time.Time {
	switch {
	case s.Clock == 0:
		return time.Time{}
	case s.Clock.Asserted():
		return time.Unix(0, s.Time).UTC()
	}
	a := v.clock.anchor()
	return time.Unix(0, s.Time-a.BootTime+a.UTC).UTC()
}

// Status sums the box up.
func (v *viewer) Status() *api.Status {
	c, now := v.config(), time.Now().UTC()
	list := v.faults.List()
	a := v.clock.anchor()
	s := &api.Status{SchemaVersion: api.SchemaVersion, Device: c.Device, State: api.StateOf(list), Version: version.String(),
		Time: now, Started: v.started, Uptime: now.Sub(v.started).Seconds(), Config: v.file, DataDir: c.DataDir, Faults: api.FaultsOf(list),
		Clock: api.Clock{Synchronised: a.Good(), Source: string(a.Source), ErrorSeconds: float64(a.Error) / 1e9}}
	v.sources(&s.Sources)
	account := v.Account()
	s.Streams = v.streams(&s.Buffer, account)
	s.Uplink = v.uplink()
	if v.npu != nil {
		s.NPU = v.npu()
	}
	if v.update != nil {
		s.Update = v.update()
	}
	if v.pipelines != nil {
		s.Pipelines = v.pipelines()
	}
	return s
}

func (v *viewer) sources(out *api.Sources) {
	out.MissedFor = map[string]uint64{}
	for _, s := range v.collect.Overview() {
		switch sourceState(s.State) {
		case api.SourceOK:
			out.OK++
		case api.SourceDegraded:
			out.Degraded++
		default:
			out.Dead++
		}
		out.Taken += s.Taken
		for why, n := range s.Missed {
			out.Missed += n
			out.MissedFor[why] += n
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	out.Rate, out.MissedToday = v.rate.value, out.Missed-min(v.today.missed, out.Missed)
}

// streams fills the sum of all logs and returns a line for each.
func (v *viewer) streams(b *api.Buffer, acc *api.Account) []api.Stream {
	var out []api.Stream
	var ends, waiting uint64
	var waitingBytes int64
	written := int64(0)
	for _, l := range v.set.Logs() {
		i := l.Info()
		b.Bytes += i.Bytes
		b.MaxBytes += i.MaxBytes
		written += i.WrittenBytes
		ends += uint64(i.End)
		if i.OldestUTC != 0 {
			if t := time.Unix(0, i.OldestUTC).UTC(); b.Oldest.IsZero() || t.Before(b.Oldest) {
				b.Oldest = t
			}
		}
		for _, a := range acc.Streams {
			if a.Name == l.Name() {
				line := logquery.Current(a, i)
				out = append(out, line)
				waiting += line.Buffered + line.InFlight
				if held := uint64(i.Durable - i.Low); held > 0 {
					waitingBytes += int64(float64(i.Bytes) * float64(min(line.Buffered+line.InFlight, held)) / float64(held))
				}
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b.WearPerDay, _ = v.wear.perDay()
	b.WearLimit = int64(v.config().Storage.WearPerDay)
	b.WrittenToday, b.DiskFree = written-v.today.written, int64(v.usage.Free)
	if since := time.Since(v.today.since); since > time.Minute && written > v.today.written {
		perSecond := float64(written-v.today.written) / since.Seconds()
		room := min(b.MaxBytes-waitingBytes, b.DiskFree+b.Bytes-waitingBytes)
		b.RoomSeconds = max(float64(room)/perSecond, 0)
	}
	return out
}

func (v *viewer) uplink() api.Uplink {
	st, _, ok := v.link()
	to := v.config().Uplink.To()
	if !ok || to == "" {
		return api.Uplink{State: api.UplinkNone}
	}
	u := api.Uplink{State: api.UplinkConnecting, Broker: to, Since: st.Since, LastAck: st.LastAck, InFlight: int64(st.InFlight),
		Credit: int64(st.Credit), NotAfter: v.notAfter()}
	u.SentBytes, u.ReceivedBytes = v.bytes()
	u.Held, u.Budget = st.Held, v.budget()
	switch st.Phase {
	case uplink.PhaseStreaming:
		u.State = api.UplinkOnline
	case uplink.PhaseHello, uplink.PhaseWaiting:
		u.State = api.UplinkWaiting
	default:
		u.Error = st.LastError
	}
	return u
}

// Account is the account of every stream and epoch, and of every source before the log.
func (v *viewer) Account() *api.Account {
	out := &api.Account{SchemaVersion: api.SchemaVersion, Device: v.config().Device, Time: time.Now().UTC(), Balanced: true}
	_, accounts, ok := v.link()
	for _, l := range v.set.Logs() {
		var s api.StreamAccount
		if ok {
			s = streamAccount(l.Name(), accounts)
		} else {
			i := l.Info()
			s = logquery.Account(l.Name(), i, l.Epochs(), i.Delivered, nil)
		}
		for _, e := range s.Epochs {
			out.Balanced = out.Balanced && e.Remainder == 0
		}
		out.Streams = append(out.Streams, s)
	}
	for _, s := range v.collect.Overview() {
		out.Sources = append(out.Sources, api.SourceAccount{Name: s.Name, Taken: s.Taken, Missed: s.Missed})
	}
	return out
}

// streamAccount is the sender's account of one stream in the form of the API.
func streamAccount(name string, accounts []uplink.Account) api.StreamAccount {
	s := api.StreamAccount{Name: name, Epochs: []api.EpochAccount{}}
	for _, a := range accounts {
		if a.Stream != name {
			continue
		}
		e := api.EpochAccount{Epoch: a.Epoch.String(), First: uint64(a.First), End: uint64(a.End), Delivered: a.Delivered, InFlight: a.InFlight,
			Buffered: a.Buffered, Owed: a.Owed, LocallyLost: a.Lost, Skipped: a.Skipped, Dropped: map[string]uint64{}}
		for why, n := range a.Dropped {
			e.Dropped[why.String()] += n
		}
		e.Balance()
		s.Epochs = append(s.Epochs, e)
	}
	s.Sum = logquery.Sum(s.Epochs)
	return s
}

// Sensors lists every source with its latest readings.
func (v *viewer) Sensors() *api.Sensors {
	out := &api.Sensors{SchemaVersion: api.SchemaVersion, Device: v.config().Device, Time: time.Now().UTC()}
	places := map[string]string{}
	for _, s := range v.config().Sources {
		places[s.Name] = s.Place()
	}
	for _, s := range v.collect.Snapshot() {
		src := api.Source{Name: s.Name, Driver: s.Driver, State: sourceState(s.State), Error: s.LastError, Stream: s.Stream,
			Port: places[s.Name], Interval: s.Interval.Seconds(), LateMean: s.JitterMean.Seconds(), LateMax: s.JitterMax.Seconds(),
			Taken: s.Taken, Unchanged: s.Unchanged, Missed: s.Missed, Sensors: []api.Sensor{}}
		src.Rate = v.rateOf(s.Name)
		if src.State == api.SourceOK {
			src.Error = ""
		}
		for _, x := range s.Series {
			sensor := api.Sensor{Series: x.Series.Key(), ID: x.Series.Label("rom"), Label: x.Series.Label("name"), Unit: x.Series.Unit,
				Quality: x.Quality.String(), Time: v.utc(x.Stamp), Simulated: x.Series.Label("simulated") == "true"}
			if x.Stream != s.Stream {
				sensor.Stream = x.Stream
			}
			if x.Seen && x.Value != "-" {
				sensor.Value, sensor.Type = x.Value, x.Type.String()
			}
			if !x.Seen {
				sensor.Quality = record.QualityNoDevice.String()
			}
			for _, f := range x.Trend {
				if !math.IsNaN(float64(f)) {
					sensor.Recent = append(sensor.Recent, float64(f))
				}
			}
			src.Simulated = src.Simulated || sensor.Simulated
			src.Sensors = append(src.Sensors, sensor)
		}
		out.Sources = append(out.Sources, src)
	}
	return out
}

func (v *viewer) rateOf(source string) float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.rates[source]; r != nil {
		return r.value
	}
	return 0
}

func sourceState(s collect.State) string {
	switch s {
	case collect.StateOK, collect.StateStarting:
		return api.SourceOK
	case collect.StateDegraded:
		return api.SourceDegraded
	}
	return api.SourceDead
}

// Faults lists all lines, worst first.
func (v *viewer) Faults() []api.Fault { return api.FaultsOf(v.faults.List()) }
