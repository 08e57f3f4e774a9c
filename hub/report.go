package hub

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/shard"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/term"
)

// SchemaVersion of everything that --json prints and the status socket answers.
const SchemaVersion = 1

// States, worst last.
const (
	StateOK       = "ok"
	StateDegraded = "degraded"
	StateDown     = "down" // the hub does not run
)

// Status is the answer of `edge-hub status --json`.
type Status struct {
	SchemaVersion int            `json:"schema_version"`
	State         string         `json:"state"`
	Problems      []string       `json:"problems,omitempty"` // worst first
	Live          *Live          `json:"live,omitempty"`
	unasked       bool           // no hub was asked: whether one runs is not known
	Store         StoreStatus    `json:"store"`
	Hubs          []shard.Owner  `json:"hubs,omitempty"` // which hub has which shards, where several share the store
	Devices       []DeviceReport `json:"devices"`        // worst first
}

// StoreStatus is the state of the database file.
type StoreStatus struct {
	Path               string `json:"path"`
	Schema             int64  `json:"schema"`
	UsedBytes          int64  `json:"used_bytes"`
	FileBytes          int64  `json:"file_bytes"`
	Rows               uint64 `json:"rows"`
	DeadLetters        int64  `json:"dead_letters"`
	PendingCorrections int64  `json:"pending_time_corrections"`
}

// DeviceReport is one device with the account of its streams.
type DeviceReport struct {
	Device       string          `json:"device"`
	State        string          `json:"state"` // ok, degraded
	Problems     []string        `json:"problems,omitempty"`
	Online       *bool           `json:"online,omitempty"` // null while no hub runs
	LastStored   time.Time       `json:"last_stored"`
	Agent        string          `json:"agent,omitempty"`
	Behind       uint64          `json:"behind"`        // records that the device held and the hub lacked at its last hello
	DelaySeconds float64         `json:"delay_seconds"` // from the newest row's time to its arrival
	Streams      []StreamAccount `json:"streams"`

	silent time.Time // last heard of, where that is too long ago; the last of Problems says so
}

// own are the problems beside silence.
func (d *DeviceReport) own() []string {
	if d.silent.IsZero() {
		return d.Problems
	}
	return d.Problems[:len(d.Problems)-1]
}

// Account is the answer of `edge-hub account --json`.
type Account struct {
	SchemaVersion int             `json:"schema_version"`
	Balanced      bool            `json:"balanced"`
	Streams       []StreamAccount `json:"streams"`
}

// StreamAccount is the sum over the epochs of one stream of one device:
// taken = rows + removed + skipped + gaps + remainder.
type StreamAccount struct {
	Device      string            `json:"device"`
	Stream      string            `json:"stream"`
	Taken       uint64            `json:"taken"` // offsets that the hub has accounted for: sum of next − first
	Rows        uint64            `json:"rows"`
	Removed     uint64            `json:"removed"`
	Late        uint64            `json:"late"` // of rows and removed
	Skipped     uint64            `json:"skipped"`
	SkippedFor  map[string]uint64 `json:"skipped_for,omitempty"`
	Gaps        uint64            `json:"gaps"`
	GapsFor     map[string]uint64 `json:"gaps_for,omitempty"`
	Remainder   int64             `json:"remainder"` // anything but 0 is a bug and an alarm
	Quarantined int               `json:"quarantined_epochs"`
	Epochs      []EpochAccount    `json:"epochs"`
}

// EpochAccount is one epoch.
type EpochAccount struct {
	Epoch       string            `json:"epoch"`
	Parent      string            `json:"parent,omitempty"`
	First       uint64            `json:"first"`
	Next        uint64            `json:"next"`
	End         uint64            `json:"end,omitempty"` // of a closed epoch: the larger of its child's word and next
	LocallyLost uint64            `json:"locally_lost"`  // delivered beyond the end that its child knows
	TailUnknown bool              `json:"tail_unknown"`  // its disk was replaced: what it held from next on nobody knows
	Rows        uint64            `json:"rows"`
	Removed     uint64            `json:"removed"`
	Late        uint64            `json:"late"`
	SkippedFor  map[string]uint64 `json:"skipped_for,omitempty"`
	GapsFor     map[string]uint64 `json:"gaps_for,omitempty"`
	Remainder   int64             `json:"remainder"`
	Quarantined bool              `json:"quarantined"`
	LastStored  time.Time         `json:"last_stored"`

	lastTime, arrived int64
}

func total(m map[string]uint64) (n uint64) {
	for _, x := range m {
		n += x
	}
	return n
}

// streams folds epochs into streams. The epochs come sorted by device and stream.
func streams(epochs []store.EpochAccount) []StreamAccount {
	out := []StreamAccount{}
	for _, e := range epochs {
		if n := len(out); n == 0 || out[n-1].Device != e.Device || out[n-1].Stream != e.Stream {
			out = append(out, StreamAccount{Device: e.Device, Stream: e.Stream, SkippedFor: map[string]uint64{},
				GapsFor: map[string]uint64{}})
		}
		s := &out[len(out)-1]
		x := epochAccount(e)
		s.Taken += x.Next - x.First
		s.Rows += x.Rows
		s.Removed += x.Removed
		s.Late += x.Late
		s.Skipped += total(e.Skipped)
		s.Gaps += total(e.Gaps)
		s.Remainder += x.Remainder
		for k, n := range e.Skipped {
			s.SkippedFor[k] += n
		}
		for k, n := range e.Gaps {
			s.GapsFor[k] += n
		}
		if e.Quarantined {
			s.Quarantined++
		}
		s.Epochs = append(s.Epochs, x)
	}
	for i := range out {
		markTails(&out[i])
	}
	return out
}

func epochAccount(e store.EpochAccount) EpochAccount {
	x := EpochAccount{Epoch: e.Epoch.String(), First: uint64(e.First), Next: uint64(e.Next), Rows: e.Rows,
		Removed: e.Removed, Late: e.Late, SkippedFor: e.Skipped, GapsFor: e.Gaps, Remainder: e.Remainder(),
		Quarantined: e.Quarantined, LastStored: micros(e.Arrived), lastTime: e.LastTime, arrived: e.Arrived}
	if e.Parent != 0 {
		x.Parent = e.Parent.String()
	}
	if e.End != 0 {
		x.End = uint64(max(e.End, e.Next))
		x.LocallyLost = record.Range{From: e.End, To: e.Next}.Len()
	}
	return x
}

func micros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// balanced reports whether every epoch balances: sums could hide two errors.
func balanced(list []StreamAccount) bool {
	for _, s := range list {
		for _, e := range s.Epochs {
			if e.Remainder != 0 {
				return false
			}
		}
	}
	return true
}

// deviceReports folds streams into devices and adds what a running hub knows; worst first.
func deviceReports(list []StreamAccount, live *Live, now time.Time) []DeviceReport {
	known := map[string]LiveDevice{}
	if live != nil {
		for _, d := range live.Devices {
			known[d.Device] = d
		}
	}
	out := []DeviceReport{}
	for _, s := range list {
		if n := len(out); n == 0 || out[n-1].Device != s.Device {
			out = append(out, DeviceReport{Device: s.Device})
		}
		d := &out[len(out)-1]
		d.Streams = append(d.Streams, s)
	}
	for i := range out {
		d := &out[i]
		k, ok := known[d.Device]
		delete(known, d.Device)
		d.judge(k, ok, live.serves(d.Device), now)
	}
	for _, k := range known { // said hello, sent nothing yet
		d := DeviceReport{Device: k.Device, Streams: []StreamAccount{}}
		d.judge(k, true, true, now)
		out = append(out, d)
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if x, y := len(a.own()), len(b.own()); x != y { // of a hundred boxes that are off one may have lost records
			return x > y
		}
		if !a.silent.Equal(b.silent) {
			return !a.silent.IsZero() && (b.silent.IsZero() || a.silent.Before(b.silent))
		}
		if a.Behind != b.Behind {
			return a.Behind > b.Behind
		}
		return a.Device < b.Device
	})
	return out
}

// noticeText is a note of the receiver, whose first word stands in docs/protocol.md, with what it means and what to do.
func noticeText(notice string) string {
	word, _, _ := strings.Cut(notice, " ")
	means := map[string]string{
		"two-writers":     "two boxes send under this name, or one was started from a copy of its disk. Both histories are kept. Give the second its own name, certificate and an empty data directory",
		"conflict":        "this is not the history that is stored: a disk or machine was put back to an earlier state. The box moves what it has aside and sends it again; rows may repeat",
		"chain-break":     "what follows does not join the end of this epoch: a disk lost or changed acknowledged records. edgectl log verify on the box says more",
		"unknown-parent":  "nobody knows any more what came before this epoch. It is taken as a beginning",
		"producer-memory": "it left more holes in its sequence than are remembered; a message from below them may be stored twice",
	}[word]
	if means == "" {
		return notice
	}
	return notice + ": " + means
}

func (d *DeviceReport) judge(k LiveDevice, known, running bool, now time.Time) {
	d.State = StateOK
	problem := func(format string, a ...any) {
		d.State = StateDegraded
		d.Problems = append(d.Problems, fmt.Sprintf(format, a...))
	}
	var arrived, lastTime int64
	for _, s := range d.Streams {
		for _, e := range s.Epochs {
			if e.Remainder != 0 {
				problem("%s: the account of epoch %s does not balance, %d are left", s.Stream, e.Epoch, e.Remainder)
			}
			if e.Quarantined {
				problem("%s: epoch %s is in quarantine since its history differs", s.Stream, e.Epoch)
			}
			if e.arrived > arrived {
				arrived, lastTime = e.arrived, e.lastTime
			}
		}
	}
	d.LastStored = micros(arrived)
	if lastTime != 0 {
		d.DelaySeconds = max(float64(arrived-lastTime)/1e6, 0)
	}
	if known {
		d.Online, d.Agent, d.Behind = &k.Online, k.Agent, k.Behind
		for _, n := range k.Notices {
			problem("%s", noticeText(n))
		}
	} else if running {
		off := false
		d.Online = &off
	}
	last := d.LastStored
	for _, t := range []*time.Time{k.LastHello, k.LastFrame} {
		if t != nil && t.After(last) {
			last = *t
		}
	}
	if running && now.Sub(last) > lateAfter {
		d.silent = last
		problem("last heard of %s: is the box up, does its edgectl status show a link?", term.Ago(last, now))
	}
}

// problems are those of the hub itself, worst first; state is the worst of all.
func (s *Status) summarise() {
	s.State, s.Problems = StateOK, nil
	add := func(format string, a ...any) { s.Problems = append(s.Problems, fmt.Sprintf(format, a...)) }
	for _, o := range s.Hubs {
		if o.Hub == "" || !o.Member {
			add("no hub has shards %s: the next look of a running hub takes them", ranges(o.Shards))
		}
	}
	if s.Live != nil {
		if r := s.Live.Receiver; r.StoreError != "" {
			add("the store takes nothing: %s. Devices keep their records meanwhile.", r.StoreError)
		}
		if l := s.Live.Hubs; l != nil && l.Error != "" && s.Live.Receiver.StoreError == "" {
			add("this hub cannot keep its shards and serves nobody without them: %s. Devices keep their records meanwhile.", l.Error)
		}
		if l := s.Live.Link; !l.Up {
			add("no connection to the broker %s: %s", l.Broker, l.Error)
		}
	}
	bad := 0
	for i := range s.Devices {
		if s.Devices[i].State != StateOK {
			bad++
		}
	}
	if len(s.Problems)+bad > 0 {
		s.State = StateDegraded
	}
	if s.Live == nil && !s.unasked {
		s.State = StateDown
	}
}
