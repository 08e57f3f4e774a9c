package kafka

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// writer makes the records of one transaction.
type writer struct {
	s       *Store
	records []kgo.Record
	text    []byte // arena of values and headers
	heads   []kgo.RecordHeader
}

// Names of headers.
const (
	headDevice = "device"
	headStream = "stream"
	headEpoch  = "epoch"
	headOffset = "offset"
	headSeries = "series" // id within the epoch; 0: a mark
	headCount  = "count"  // of a raw batch, and what its body needs to be decoded:
	headCodec  = "codec"
	headRawLen = "raw_length"
	headBase   = "boot_base" // µs UTC of boot time 0, for rows in boot time
)

// head is the headers that all rows of a run share.
type head struct{ device, stream, epoch []byte }

// room is arena for n more bytes, in one piece.
func (w *writer) room(n int) {
	if cap(w.text)-len(w.text) < n {
		w.text = make([]byte, 0, max(n, 256<<10))
	}
}

func (w *writer) number(v uint64) []byte {
	w.room(20)
	at := len(w.text)
	w.text = strconv.AppendUint(w.text, v, 10)
	return w.text[at:len(w.text):len(w.text)]
}

// headers is space for n headers.
func (w *writer) headers(n int) []kgo.RecordHeader {
	if cap(w.heads)-len(w.heads) < n {
		w.heads = make([]kgo.RecordHeader, 0, max(n, 4096))
	}
	at := len(w.heads)
	w.heads = w.heads[:at+n]
	return w.heads[at : at+n : at+n]
}

// change makes the records of one change: its rows, gaps, dead letters, and what they mean for rows that are there.
func (w *writer) change(d *work, a *ledger.Applied, c *store.Change) error {
	o := &w.s.o
	key := []byte(d.Name)
	h := head{key, []byte(c.Stream), []byte(c.Epoch.String())}
	for _, x := range a.Shifts {
		w.add(o.timesTopic(), key, encode(timesRecord{d.Name, x.Epoch.Stream, x.Epoch.Epoch.Epoch.String(), uint64(x.Epoch.First), uint64(x.To), x.Micros, x.TError}), h, uint64(x.To))
	}
	for _, def := range a.Definitions {
		id := strconv.FormatUint(uint64(def.ID), 10)
		at := epochKey(d.Name, c.Stream, c.Epoch) + "/series/" + id
		w.state(d, at, encode(seriesRecord{def.Series.Key(), record.AppendDefinition(nil, def)}))
		if o.Format == FormatRaw {
			w.add(o.seriesTopic(), []byte(at), seriesValue(d.Name, c, def), h, uint64(def.ID))
		}
	}
	topic := o.rowsTopic(c.Stream)
	if c.Late {
		topic = o.lateTopic(c.Stream)
	}
	err := ledger.Runs(c, func(rows []record.Record, at record.Offset) error {
		if o.Format == FormatRaw {
			return w.raw(topic, h, a, rows, at)
		}
		w.rows(topic, h, a, rows, at)
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range c.Gaps {
		w.add(o.gapsTopic(), key, gapValue(d.Name, c, g, "recorded", uint64(g.From), uint64(g.To)), h, uint64(g.From))
	}
	for _, g := range c.ShrinkGaps {
		event, to := "filled", g.Now.From
		if to == g.At { // another reason
			event, to = "restated", g.Now.To
		}
		w.add(o.gapsTopic(), key, gapValue(d.Name, c, g.Now, event, uint64(g.At), uint64(to)), h, uint64(g.At))
	}
	for _, k := range c.Skips {
		if k.Reason == "dead-letter" {
			continue // each has a record of its own
		}
		w.add(o.gapsTopic(), key, encode(gapEvent{d.Name, c.Stream, c.Epoch.String(), "skipped", uint64(k.From), uint64(k.To), k.Reason, 0, 0}), h, uint64(k.From))
	}
	for _, l := range c.DeadLetters {
		w.add(o.deadTopic(), key, encode(deadRecord{d.Name, c.Stream, c.Epoch.String(), uint64(l.Offset), l.Reason, l.Canonical}), h, uint64(l.Offset))
	}
	return nil
}

type timesRecord struct {
	Device string `json:"device"`
	Stream string `json:"stream"`
	Epoch  string `json:"epoch"`
	From   uint64 `json:"from"`     // rows of [from, to) with "clock": "boot"
	To     uint64 `json:"to"`       //
	Micros int64  `json:"shift_us"` // add this to their t
	TError int64  `json:"t_error"`  // what is not known of them from now on, µs
}

type gapEvent struct {
	Device string `json:"device"`
	Stream string `json:"stream"`
	Epoch  string `json:"epoch"`
	Event  string `json:"event"` // recorded, filled, restated, skipped
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Reason string `json:"reason"`
	TMin   int64  `json:"t_min,omitempty"` // µs UTC where known
	TMax   int64  `json:"t_max,omitempty"`
}

func gapValue(device string, c *store.Change, g record.Gap, event string, from, to uint64) []byte {
	return encode(gapEvent{device, c.Stream, c.Epoch.String(), event, from, to, g.Reason.String(), g.TimeMin, g.TimeMax})
}

type deadRecord struct {
	Device    string `json:"device"`
	Stream    string `json:"stream"`
	Epoch     string `json:"epoch"`
	Offset    uint64 `json:"offset"`
	Reason    string `json:"reason"`
	Canonical []byte `json:"canonical"` // base64
}

func seriesValue(device string, c *store.Change, def record.Definition) []byte {
	labels := map[string]string{}
	for _, l := range def.Series.Labels {
		labels[l.Key] = l.Value
	}
	return encode(struct {
		Device string            `json:"device"`
		Stream string            `json:"stream"`
		Epoch  string            `json:"epoch"`
		ID     uint32            `json:"id"`
		Series string            `json:"series"`
		Labels map[string]string `json:"labels"`
		Unit   string            `json:"unit"`
		Type   string            `json:"type"`
	}{device, c.Stream, c.Epoch.String(), uint32(def.ID), def.Series.Name, labels, def.Series.Unit, def.Series.Type.String()})
}

// add is one record beside the rows, with the headers that rows have.
func (w *writer) add(topic string, key, value []byte, h head, offset uint64) {
	hs := w.headers(4)
	hs[0], hs[1] = kgo.RecordHeader{Key: headDevice, Value: h.device}, kgo.RecordHeader{Key: headStream, Value: h.stream}
	hs[2], hs[3] = kgo.RecordHeader{Key: headEpoch, Value: h.epoch}, kgo.RecordHeader{Key: headOffset, Value: w.number(offset)}
	w.records = append(w.records, kgo.Record{Topic: topic, Partition: -1, Key: key, Value: value, Headers: hs})
}

// state is one record of what decides; a nil value removes the key.
func (w *writer) state(d *work, key string, value []byte) {
	w.records = append(w.records, kgo.Record{Topic: w.s.o.offsetsTopic(), Partition: d.part.reader.partition, Key: []byte(key), Value: value})
}

// holes makes the records of the parts that have changed; one that has nothing any more stays, empty.
func (w *writer) holes(d *work, key string, was, now *ledger.Epoch) {
	changed := !equal(was.Gaps, now.Gaps) || !equal(was.Skipped, now.Skipped)
	// Of one part that is larger than a part, as earlier programs wrote it, the rest is in no other one.
	whole := holesParts(was) > 1 && len(d.part.holes[key]) == 0
	for n := range max(holesParts(was), holesParts(now)) {
		a, b := holesOf(was, n), holesOf(now, n)
		if changed && (whole || !equal(a.gaps, b.gaps) || !equal(a.skips, b.skips)) {
			w.state(d, holesKey(key, n), encodeHoles(b))
		}
	}
}

// device makes the records of what a device is after the transaction.
func (w *writer) device(d *work) {
	seq, ref := int64(0), int64(0)
	for _, e := range d.Epochs {
		seq = max(seq, e.FirstMark)
	}
	for _, b := range d.Boots {
		ref = max(ref, b.Ref)
	}
	for _, x := range d.tx.Epochs() {
		if !x.Dirty {
			continue
		}
		if x.Was == nil {
			seq++
			x.FirstMark = seq
		}
		key := epochKey(d.Name, x.Stream, x.Epoch.Epoch)
		var was ledger.Epoch
		if x.Was != nil {
			was = *x.Was
		}
		w.holes(d, key, &was, x.Epoch)
		w.state(d, key, encodePosition(x.Epoch))
	}
	moved, forgotten := d.tx.Producers()
	for _, p := range forgotten {
		w.state(d, producerKey(d.Name, p), nil)
	}
	for _, p := range moved {
		w.state(d, producerKey(d.Name, p), encodeProducer(p))
	}
	for _, b := range d.tx.Boots() {
		if b.Ref == 0 {
			ref++
			b.Ref = ref
		}
		w.state(d, d.Name+"//boot/"+b.ID, encodeBoot(b))
	}
}

func producerKey(device string, p ledger.Producer) string {
	return device + "//producer/" + hex(p.Incarnation) + "/" + p.Name
}

func equal[T comparable](a, b []T) bool {
	gone, added := ledger.Diff(a, b)
	return len(gone)+len(added) == 0
}

// raw makes records of whole batches, encoded as boxes send them.
func (w *writer) raw(topic string, h head, a *ledger.Applied, rows []record.Record, at record.Offset) error {
	for len(rows) > 0 {
		body, codec, rawLen, n, err := w.s.enc.EncodePrefix(nil, rows[:min(len(rows), record.MaxBatchRecords)], record.CodecColumns, nil)
		if err != nil {
			return fmt.Errorf("encode rows at %d: %w", at, err)
		}
		hs := w.headers(8)
		hs[0], hs[1] = kgo.RecordHeader{Key: headDevice, Value: h.device}, kgo.RecordHeader{Key: headStream, Value: h.stream}
		hs[2], hs[3] = kgo.RecordHeader{Key: headEpoch, Value: h.epoch}, kgo.RecordHeader{Key: headOffset, Value: w.number(uint64(at))}
		hs[4], hs[5] = kgo.RecordHeader{Key: headCount, Value: w.number(uint64(n))}, kgo.RecordHeader{Key: headCodec, Value: w.number(uint64(codec))}
		hs[6] = kgo.RecordHeader{Key: headRawLen, Value: w.number(uint64(rawLen))}
		hs[7] = kgo.RecordHeader{Key: headBase, Value: strconv.AppendInt(nil, a.Base, 10)}
		w.records = append(w.records, kgo.Record{Topic: topic, Partition: -1, Key: h.device, Value: body, Headers: hs})
		rows, at = rows[n:], at+record.Offset(n)
	}
	return nil
}

// rows makes one record a row.
func (w *writer) rows(topic string, h head, a *ledger.Applied, rows []record.Record, at record.Offset) {
	var series *ledger.Series
	last := record.SeriesID(0)
	for i := range rows {
		r := &rows[i]
		if r.Series != last || series == nil {
			series, last = a.Epoch.Definitions[r.Series], r.Series
		}
		if r.Kind != record.KindObservation {
			series = nil
		}
		o := at + record.Offset(i)
		w.room(400 + 6*(len(r.Value())+len(r.Detail())) + textBytes(series))
		from := len(w.text)
		if w.s.o.Format == FormatProtobuf {
			w.text = appendProto(w.text, h, a, series, r, o)
		} else {
			w.text = appendJSON(w.text, h, a, series, r, o)
		}
		value := w.text[from:len(w.text):len(w.text)]
		hs := w.headers(5)
		hs[0], hs[1] = kgo.RecordHeader{Key: headDevice, Value: h.device}, kgo.RecordHeader{Key: headStream, Value: h.stream}
		hs[2], hs[3] = kgo.RecordHeader{Key: headEpoch, Value: h.epoch}, kgo.RecordHeader{Key: headOffset, Value: w.number(uint64(o))}
		hs[4] = kgo.RecordHeader{Key: headSeries, Value: w.number(uint64(r.Series))}
		w.records = append(w.records, kgo.Record{Topic: topic, Partition: -1, Key: h.device, Value: value, Headers: hs})
	}
}

func textBytes(s *ledger.Series) int {
	if s == nil {
		return 0
	}
	return 2 * (len(s.Text) + 256 + len(s.Name) + len(s.Unit))
}

// appendJSON writes a row. The series' part is made once.
func appendJSON(b []byte, h head, a *ledger.Applied, s *ledger.Series, r *record.Record, o record.Offset) []byte {
	b = append(b, `{"device":`...)
	b = appendString(b, h.device)
	b = append(b, `,"stream":"`...)
	b = append(b, h.stream...)
	b = append(b, `","epoch":"`...)
	b = append(b, h.epoch...)
	b = append(b, `","offset":`...)
	b = strconv.AppendUint(b, uint64(o), 10)
	b = append(b, `,"t":`...)
	b = strconv.AppendInt(b, a.Micros(r), 10)
	if !r.Clock.Asserted() {
		b = append(b, `,"t_error":`...)
		b = strconv.AppendInt(b, a.TError, 10)
		b = append(b, `,"clock":"boot"`...)
	} else {
		b = append(b, `,"t_error":0`...)
	}
	if s != nil {
		if s.Text == nil {
			s.Text = seriesJSON(s)
		}
		b = append(b, s.Text...)
	} else {
		b = append(b, `,"kind":"`...)
		b = append(b, r.Kind.String()...)
		b = append(b, '"')
	}
	if s == nil || r.Type != s.Type {
		b = append(b, `,"type":"`...)
		b = append(b, r.Type.String()...)
		b = append(b, '"')
	}
	b = append(b, `,"value":`...)
	b = appendValue(b, r)
	b = append(b, `,"quality":"`...)
	b = append(b, r.Quality.String()...)
	b = append(b, '"')
	if d := r.Detail(); len(d) > 0 {
		b = append(b, `,"detail":"`...)
		b = base64.StdEncoding.AppendEncode(b, d)
		b = append(b, '"')
	}
	return append(b, '}')
}

func seriesJSON(s *ledger.Series) []byte {
	b := append([]byte(nil), `,"series":`...)
	b = appendString(b, []byte(s.Name))
	b = append(b, `,"labels":{`...)
	for i, l := range s.Labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, []byte(l.Key))
		b = append(b, ':')
		b = appendString(b, []byte(l.Value))
	}
	b = append(b, `},"unit":`...)
	return appendString(b, []byte(s.Unit))
}

func appendValue(b []byte, r *record.Record) []byte {
	switch r.Type.Base() {
	case record.TypeInt, record.TypeDecimal, record.TypeBool:
		return r.AppendText(b)
	case record.TypeFloat:
		if f := math.Float64frombits(uint64(r.Num)); math.IsInf(f, 0) { // which JSON has no number for
			b = append(b, '"')
			b = strconv.AppendFloat(b, f, 'g', -1, 64)
			return append(b, '"')
		}
		return r.AppendText(b)
	case record.TypeString:
		return appendString(b, r.Value())
	case record.TypeJSON:
		return append(b, r.Value()...)
	case record.TypeBytes:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, r.Value())
		return append(b, '"')
	}
	return append(b, "null"...)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; what is not UTF-8 becomes the replacement character.
func appendString(b, s []byte) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < 0x20 || c == 0x7f:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		b = utf8.AppendRune(b, r)
		i += n
	}
	return append(b, '"')
}
