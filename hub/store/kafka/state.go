package kafka

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// What decides about the next frame stands in the topic PREFIX-offsets, in the partition of the device, as JSON. The key
// says what a record is:
//
//	DEVICE/STREAM/EPOCH                    position of the epoch
//	DEVICE/STREAM/EPOCH/holes              its gaps and skipped ranges, once it has any: the first of each,
//	DEVICE/STREAM/EPOCH/holes/N            and those that follow, in parts that one record can hold
//	DEVICE/STREAM/EPOCH/series/ID          what a series id means
//	DEVICE//producer/INCARNATION/NAME      position of a producer; removed when it is forgotten
//	DEVICE//boot/BOOT                      a boot with what its anchors say
//
// A device's name holds no slash, so keys are unique. Every record is complete: the latest of a key is what counts, in
// whatever order compaction leaves them.
type positionRecord struct {
	Seq         int64  `json:"seq"` // order of creation within the device
	Parent      string `json:"parent,omitempty"`
	ParentEnd   uint64 `json:"parent_end,omitempty"`
	First       uint64 `json:"first"`
	Next        uint64 `json:"next"`
	Chain       string `json:"chain"`
	End         uint64 `json:"end,omitempty"`
	Quarantined bool   `json:"quarantined,omitempty"`
	Rows        uint64 `json:"rows"`
	Late        uint64 `json:"late,omitempty"`
	Removed     uint64 `json:"removed,omitempty"` // of rows: those that lie in the store that the hub had before
	Boot        string `json:"boot,omitempty"`
	Arrived     int64  `json:"arrived"` // µs UTC
	LastTime    int64  `json:"last_time,omitempty"`
	Marks       []byte `json:"marks,omitempty"` // borders of the history with their chains (store.AppendMarks)
}

type holesRecord struct {
	Gaps    []gapRecord  `json:"gaps"`
	Skipped []skipRecord `json:"skipped"`
}

type gapRecord struct {
	From      uint64 `json:"from"`
	To        uint64 `json:"to"`
	Reason    uint8  `json:"reason"`
	ChainFrom string `json:"chain_from"`
	ChainTo   string `json:"chain_to"`
	TimeMin   int64  `json:"t_min,omitempty"`
	TimeMax   int64  `json:"t_max,omitempty"`
}

type skipRecord struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Reason string `json:"reason"`
}

type seriesRecord struct {
	Name       string `json:"name"`       // for people
	Definition []byte `json:"definition"` // as frames and segments carry it
}

type producerRecord struct {
	Last  string `json:"last,omitempty"` // the highest sequence, for people
	Taken []byte `json:"taken"`          // the set of sequences (store.Sequences.Append)
	Moved int64  `json:"moved"`
}

func encodeProducer(p ledger.Producer) []byte {
	r := producerRecord{Taken: p.Taken.Append(nil), Moved: p.Moved}
	if n, ok := p.Taken.Last(); ok {
		r.Last = strconv.FormatUint(n, 10)
	}
	return encode(r)
}

type bootRecord struct {
	Seq    int64         `json:"seq"`
	Base   int64         `json:"base"`
	TError int64         `json:"t_error"`
	Placed bool          `json:"placed"`
	Last   int64         `json:"last"`
	Best   record.Anchor `json:"best"`
	Guess  record.Anchor `json:"guess"`
}

type leaseRecord struct {
	Owner  string `json:"owner"`
	Number uint64 `json:"number"`
	Beat   uint64 `json:"beat"`
	TTLms  int64  `json:"ttl_ms"`
	Note   string `json:"note"`
}

func hex(v uint64) string { return record.Epoch(v).String() }

func unhex(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.ParseUint(s, 16, 64)
}

func epochKey(device, stream string, e record.Epoch) string {
	return device + "/" + stream + "/" + e.String()
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("kafka: " + err.Error()) // plain structs of numbers and strings
	}
	return b
}

func encodePosition(e *ledger.Epoch) []byte {
	p := positionRecord{Seq: e.FirstMark, ParentEnd: uint64(e.ParentEnd), First: uint64(e.First), Next: uint64(e.Next), Chain: hex(e.ChainNext),
		End: uint64(e.End), Quarantined: e.Quarantined, Rows: e.Rows, Late: e.Late, Removed: e.Removed, Boot: e.Boot, Arrived: e.Arrived, LastTime: e.LastTime, Marks: store.AppendMarks(nil, e.Marks)}
	if e.Parent != 0 {
		p.Parent = e.Parent.String()
	}
	return encode(p)
}

// holes is a part of an epoch's gaps and skipped ranges.
type holes struct {
	gaps  []record.Gap
	skips []store.Skip
}

// holesOf is the nth part.
func holesOf(e *ledger.Epoch, n int) holes {
	return holes{nth(e.Gaps, n, maxGapsPart), nth(e.Skipped, n, maxSkipsPart)}
}

func nth[T any](list []T, n, size int) []T {
	return list[min(n*size, len(list)):min((n+1)*size, len(list))]
}

// holesParts is the number of parts, at least one.
func holesParts(e *ledger.Epoch) int {
	return max(1, (len(e.Gaps)+maxGapsPart-1)/maxGapsPart, (len(e.Skipped)+maxSkipsPart-1)/maxSkipsPart)
}

func holesKey(epoch string, n int) string {
	if n == 0 {
		return epoch + "/holes"
	}
	return epoch + "/holes/" + strconv.Itoa(n)
}

func encodeHoles(x holes) []byte {
	h := holesRecord{Gaps: []gapRecord{}, Skipped: []skipRecord{}}
	for _, g := range x.gaps {
		h.Gaps = append(h.Gaps, gapRecord{uint64(g.From), uint64(g.To), uint8(g.Reason), hex(g.ChainFrom), hex(g.ChainTo), g.TimeMin, g.TimeMax})
	}
	for _, k := range x.skips {
		h.Skipped = append(h.Skipped, skipRecord{uint64(k.From), uint64(k.To), k.Reason})
	}
	return encode(h)
}

func encodeBoot(b *ledger.Boot) []byte {
	return encode(bootRecord{b.Ref, b.Base, b.TError, b.Placed, b.Last, b.Best, b.Guess})
}

// part is one partition of the offsets topic, with the devices whose positions lie there.
type part struct {
	reader  *reader
	devices map[string]*ledger.Device
	holes   map[string][]holes // parts as they were read, by the epoch's key, where there is more than one
	inits   uint64             // how many producers the store had fenced others with when the partition was read last
}

func (p *part) device(name string) *ledger.Device {
	d := p.devices[name]
	if d == nil {
		d = &ledger.Device{Name: name}
		p.devices[name] = d
	}
	return d
}

// replay takes one record of the partition.
func (p *part) replay(r *kgo.Record) error {
	f := strings.SplitN(string(r.Key), "/", 4)
	if len(f) < 3 {
		return fmt.Errorf("key %q is not of the hub", r.Key)
	}
	d := p.device(f[0])
	if f[1] == "" {
		return replayDevice(d, f[2], f[3:], r.Value)
	}
	id, err := record.ParseEpoch(f[2])
	if err != nil {
		return err
	}
	if len(r.Value) == 0 {
		return fmt.Errorf("key %q was removed: positions are never removed", r.Key)
	}
	// What a Device holds is never written in place.
	e := &ledger.Epoch{Position: store.Position{Stream: f[1], Epoch: id}, Definitions: map[record.SeriesID]*ledger.Series{}, FirstMark: -1}
	old := d.Find(f[1], id)
	if old != nil {
		*e = *old
	}
	switch {
	case len(f) == 3:
		err = decodePosition(e, r.Value)
	case f[3] == "holes" || strings.HasPrefix(f[3], "holes/"):
		err = p.replayHoles(e, epochKey(f[0], f[1], id), strings.TrimPrefix(f[3][len("holes"):], "/"), r.Value)
	case strings.HasPrefix(f[3], "series/"):
		err = decodeSeries(e, r.Value)
	}
	if err != nil {
		return fmt.Errorf("value of %q: %w", r.Key, err)
	}
	if i := slices.Index(d.Epochs, old); i >= 0 {
		d.Epochs = slices.Delete(slices.Clone(d.Epochs), i, i+1)
	}
	at, _ := slices.BinarySearchFunc(d.Epochs, e.FirstMark, func(x *ledger.Epoch, seq int64) int { return int(min(max(x.FirstMark-seq, -1), 1)) })
	d.Epochs = slices.Insert(d.Epochs, at, e)
	return nil
}

func decodePosition(e *ledger.Epoch, b []byte) error {
	var p positionRecord
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	chain, err := unhex(p.Chain)
	if err != nil {
		return err
	}
	parent, err := unhex(p.Parent)
	if err != nil {
		return err
	}
	if e.Marks, err = store.ParseMarks(nil, p.Marks); err != nil {
		return err
	}
	e.FirstMark, e.Parent, e.ParentEnd = p.Seq, record.Epoch(parent), record.Offset(p.ParentEnd)
	e.First, e.Next, e.ChainNext, e.End = record.Offset(p.First), record.Offset(p.Next), chain, record.Offset(p.End)
	e.Removed = p.Removed
	e.Quarantined, e.Rows, e.Late, e.Boot, e.Arrived, e.LastTime = p.Quarantined, p.Rows, p.Late, p.Boot, p.Arrived, p.LastTime
	return nil
}

// replayHoles takes one part. A store of an earlier program had one part of any size.
func (p *part) replayHoles(e *ledger.Epoch, key, number string, b []byte) error {
	n := 0
	if number != "" {
		var err error
		if n, err = strconv.Atoi(number); err != nil || n < 1 || n > maxHolesParts {
			return fmt.Errorf("part %q of gaps", number)
		}
	}
	x, err := decodeHoles(e.Epoch, b)
	if err != nil {
		return err
	}
	parts := p.holes[key]
	if n == 0 && parts == nil {
		e.Gaps, e.Skipped = x.gaps, x.skips
		return nil
	}
	if parts == nil { // what is known so far is the first part
		parts = []holes{holesOf(e, 0)}
	}
	parts = slices.Clone(parts)
	for len(parts) <= n {
		parts = append(parts, holes{})
	}
	parts[n] = x
	if p.holes == nil {
		p.holes = map[string][]holes{}
	}
	p.holes[key] = parts
	e.Gaps, e.Skipped = nil, nil
	for _, x := range parts {
		e.Gaps, e.Skipped = append(e.Gaps, x.gaps...), append(e.Skipped, x.skips...)
	}
	return nil
}

func decodeHoles(epoch record.Epoch, b []byte) (x holes, err error) {
	var h holesRecord
	if err := json.Unmarshal(b, &h); err != nil {
		return x, err
	}
	for _, g := range h.Gaps {
		from, err := unhex(g.ChainFrom)
		if err != nil {
			return x, err
		}
		to, err := unhex(g.ChainTo)
		if err != nil {
			return x, err
		}
		x.gaps = append(x.gaps, record.Gap{Epoch: epoch, Range: record.Range{From: record.Offset(g.From), To: record.Offset(g.To)},
			Reason: record.Reason(g.Reason), ChainFrom: from, ChainTo: to, TimeMin: g.TimeMin, TimeMax: g.TimeMax})
	}
	for _, k := range h.Skipped {
		x.skips = append(x.skips, store.Skip{Range: record.Range{From: record.Offset(k.From), To: record.Offset(k.To)}, Reason: k.Reason})
	}
	return x, nil
}

func decodeSeries(e *ledger.Epoch, b []byte) error {
	var s seriesRecord
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	def, _, err := record.ParseDefinition(s.Definition)
	if err != nil || e.Definitions[def.ID] != nil {
		return err
	}
	e.Definitions[def.ID] = &ledger.Series{Series: def.Series}
	if n := len(e.Series); n == 0 || e.Series[n-1] < def.ID {
		e.Series = append(slices.Clip(e.Series), def.ID)
		return nil
	}
	e.Series = append(slices.Clip(e.Series), def.ID)
	slices.Sort(e.Series)
	return nil
}

// replayDevice takes a record that is of no epoch.
func replayDevice(d *ledger.Device, kind string, rest []string, value []byte) error {
	if len(rest) != 1 {
		return fmt.Errorf("a key of %s without a name", d.Name)
	}
	switch kind {
	case "producer":
		inc, name, ok := strings.Cut(rest[0], "/")
		incarnation, err := unhex(inc)
		if err != nil || !ok {
			return fmt.Errorf("producer %q of %s", rest[0], d.Name)
		}
		d.Producers = slices.DeleteFunc(slices.Clone(d.Producers), func(p ledger.Producer) bool { return p.Name == name && p.Incarnation == incarnation })
		if len(value) == 0 {
			return nil
		}
		var p producerRecord
		if err := json.Unmarshal(value, &p); err != nil {
			return err
		}
		taken, err := store.ParseSequences(p.Taken)
		if err != nil {
			return err
		}
		d.Producers = append(d.Producers, ledger.Producer{Producer: store.Producer{Name: name, Incarnation: incarnation, Taken: taken}, Moved: p.Moved})
	case "boot":
		var b bootRecord
		if err := json.Unmarshal(value, &b); err != nil {
			return err
		}
		k := &ledger.Boot{ID: rest[0], Ref: b.Seq, Best: b.Best, Guess: b.Guess, Last: b.Last, Base: b.Base, TError: b.TError, Placed: b.Placed}
		d.Boots = slices.DeleteFunc(slices.Clone(d.Boots), func(o *ledger.Boot) bool { return o.ID == k.ID })
		at, _ := slices.BinarySearchFunc(d.Boots, k.Ref, func(x *ledger.Boot, seq int64) int { return int(min(max(x.Ref-seq, -1), 1)) })
		d.Boots = slices.Insert(d.Boots, at, k)
	}
	return nil
}

func decodeLease(name string, b []byte) (store.Lease, error) {
	var l leaseRecord
	err := json.Unmarshal(b, &l)
	return store.Lease{Name: name, Owner: l.Owner, Number: l.Number, Beat: l.Beat, TTL: time.Duration(l.TTLms) * time.Millisecond, Note: l.Note}, err
}

func encodeLease(l store.Lease) []byte {
	return encode(leaseRecord{l.Owner, l.Number, l.Beat, l.TTL.Milliseconds(), l.Note})
}
