package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/internal/api"
)

// ingester takes the messages of local producers into the one stream that each is configured for. It implements
// control.Ingester. A message is answered when it is fsynced; a resend is recognised by (producer, incarnation,
// sequence), also after a restart.
type ingester struct {
	set   *buffer.Set
	stamp func() record.Stamp

	mu        sync.Mutex
	producers map[string]config.Producer
	busy      map[string]bool // one message of a producer at a time
}

func newIngester(set *buffer.Set, stamp func() record.Stamp, producers map[string]config.Producer) *ingester {
	return &ingester{set: set, stamp: stamp, producers: producers, busy: map[string]bool{}}
}

// configure exchanges the list of producers (reload).
func (g *ingester) configure(p map[string]config.Producer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.producers = p
}

func (g *ingester) enter(producer string) (*buffer.Log, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.producers[producer]
	if !ok {
		return nil, fmt.Errorf("%w: no producer %q in the configuration (control.producers)", control.ErrNotFound, producer)
	}
	if g.busy[producer] {
		return nil, fmt.Errorf("%w: another message of producer %q is being taken", control.ErrUnavailable, producer)
	}
	log, err := g.set.Log(p.Stream)
	if err != nil {
		return nil, err
	}
	g.busy[producer] = true
	return log, nil
}

func (g *ingester) leave(producer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.busy, producer)
}

// Ingest returns once the messages are durable. If a later one of several cannot be taken, those before it are, and
// the position says so; the error then comes when it is sent alone.
func (g *ingester) Ingest(ctx context.Context, producer string, r *api.IngestRequest) (*api.IngestPosition, error) {
	log, err := g.enter(producer)
	if err != nil {
		return nil, err
	}
	defer g.leave(producer)
	if known, seen := g.set.Producer(producer, r.Incarnation); seen && r.Sequence > known.Sequence+1 {
		return nil, fmt.Errorf("%w: sequence %d came, %d is next", control.ErrOrder, r.Sequence, known.Sequence+1)
	}
	ticket, repeated, err := g.take(ctx, log, producer, r.Incarnation, r.Sequence, r.Records)
	if err != nil {
		return nil, err
	}
	tickets := []buffer.Ticket{ticket}
	for _, m := range r.More {
		if ticket, repeated, err = g.take(ctx, log, producer, r.Incarnation, m.Sequence, m.Records); err != nil {
			break
		}
		tickets = append(tickets, ticket)
	}
	for _, t := range tickets {
		if _, err := t.Wait(ctx); err != nil {
			return nil, ingestError(err)
		}
	}
	pos, err := g.Position(producer, r.Incarnation)
	if err != nil {
		return nil, err
	}
	pos.Repeated = repeated
	return pos, nil
}

// take appends one message.
func (g *ingester) take(ctx context.Context, log *buffer.Log, producer string, incarnation, sequence uint64, records []api.IngestRecord) (buffer.Ticket, bool, error) {
	d := record.Draft{Producer: &record.ProducerPosition{Name: producer, Incarnation: incarnation, Sequence: sequence}}
	at := g.stamp()
	for i := range records {
		rec, err := ingestRecord(log, &records[i], at)
		if err != nil {
			return buffer.Ticket{}, false, fmt.Errorf("%w: record %d: %v", control.ErrBadRequest, i, err)
		}
		d.Records = append(d.Records, rec)
	}
	ticket, err := log.Append(ctx, d)
	repeated := errors.Is(err, buffer.ErrRepeated)
	if err != nil && !repeated {
		return ticket, false, ingestError(err)
	}
	return ticket, repeated, nil
}

func ingestError(err error) error {
	for _, m := range []struct{ from, to error }{
		{buffer.ErrFull, control.ErrFull}, {buffer.ErrStopped, control.ErrStopped},
		{buffer.ErrTooLarge, control.ErrTooLarge}, {buffer.ErrInvalid, control.ErrBadRequest},
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %v", m.to, err)
		}
	}
	return err
}

// Position tells what is durable of a producer's incarnation.
func (g *ingester) Position(producer string, incarnation uint64) (*api.IngestPosition, error) {
	g.mu.Lock()
	_, ok := g.producers[producer]
	g.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w: no producer %q in the configuration (control.producers)", control.ErrNotFound, producer)
	}
	out := &api.IngestPosition{SchemaVersion: api.SchemaVersion, Producer: producer, Incarnation: incarnation}
	if p, ok := g.set.Producer(producer, incarnation); ok {
		out.Incarnation, out.Sequence, out.Known = p.Incarnation, p.Sequence, true
	}
	return out, nil
}

// admit says, as door.Emit does, why a numbered message that came through a door cannot be taken now.
func (g *ingester) admit(p record.ProducerPosition) error {
	g.mu.Lock()
	_, ok := g.producers[p.Name]
	g.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w %q in the configuration (control.producers)", door.ErrProducer, p.Name)
	}
	if known, seen := g.set.Producer(p.Name, p.Incarnation); seen && p.Sequence > known.Sequence+1 {
		return &door.OrderError{Next: known.Sequence + 1}
	}
	return nil
}

// ingestRecord turns one JSON observation into a record of the log.
func ingestRecord(log *buffer.Log, in *api.IngestRecord, at record.Stamp) (record.Record, error) {
	r := record.Record{Kind: record.KindObservation, Time: at.Time, Clock: at.Clock}
	if !in.Time.IsZero() {
		if y := in.Time.UTC().Year(); y < 1970 || y > 2261 { // ns since 1970 end in 2262
			return r, fmt.Errorf("time %s is not of this age", in.Time.Format(time.RFC3339))
		}
		r.Time, r.Clock = in.Time.UnixNano(), record.ClockApp
	}
	q, err := parseQuality(in.Quality)
	if err != nil {
		return r, err
	}
	r.Quality = q
	t, err := setValue(&r, in.Type, in.Value)
	if err != nil {
		return r, err
	}
	s := record.Series{Name: in.Name, Unit: in.Unit, Type: t}
	for k, v := range in.Labels {
		s.Labels = append(s.Labels, record.Label{Key: k, Value: v})
	}
	if err := s.Normalize(); err != nil {
		return r, err
	}
	r.Series, err = log.Define(s)
	return r, err
}

func parseQuality(text string) (record.Quality, error) {
	if text == "" {
		return record.QualityGood, nil
	}
	for _, q := range record.Qualities() {
		if q.String() == text {
			return q, nil
		}
	}
	return 0, fmt.Errorf("quality %q is not one of the list", text)
}

// setValue reads a JSON value of the named type ("" takes it from the value) and returns the series' type.
func setValue(r *record.Record, name string, raw json.RawMessage) (record.Type, error) {
	raw = bytes.TrimSpace(raw)
	text := string(raw)
	declared, err := typeOf(name, text)
	if err != nil {
		return 0, err
	}
	if text == "" || text == "null" {
		if r.Quality.Good() {
			return 0, errors.New("a record without a value needs a bad quality that says why")
		}
		r.Type = record.TypeNone
		return declared, nil
	}
	if r.Quality.Bad() {
		return 0, errors.New("a bad record has no value")
	}
	r.Type = declared
	switch declared.Base() {
	case record.TypeInt:
		r.Num, err = strconv.ParseInt(text, 10, 64)
	case record.TypeFloat:
		var f float64
		if f, err = strconv.ParseFloat(text, 64); err == nil {
			r.Num = int64(math.Float64bits(f))
		}
	case record.TypeDecimal:
		r.Num, err = parseDecimal(text, declared.Decimals())
	case record.TypeBool:
		var b bool
		if b, err = strconv.ParseBool(text); b {
			r.Num = 1
		}
	case record.TypeString:
		var s string
		if err = json.Unmarshal(raw, &s); err == nil {
			r.Data = &record.Data{Value: []byte(s)}
		}
	case record.TypeJSON:
		if text[0] != '{' && text[0] != '[' {
			return 0, errors.New("a json value is an object or a list")
		}
		var b bytes.Buffer
		if err = json.Compact(&b, raw); err == nil {
			r.Data = &record.Data{Value: b.Bytes()}
		}
	}
	if err != nil {
		return 0, fmt.Errorf("value %.40s is not a %s", text, declared)
	}
	return declared, nil
}

func typeOf(name, text string) (record.Type, error) {
	switch name {
	case "int":
		return record.TypeInt, nil
	case "float":
		return record.TypeFloat, nil
	case "bool":
		return record.TypeBool, nil
	case "string":
		return record.TypeString, nil
	case "json":
		return record.TypeJSON, nil
	case "":
	default:
		if n, ok := strings.CutPrefix(name, "decimal"); ok {
			if d, err := strconv.Atoi(n); err == nil && d >= 0 && d <= record.MaxDecimals {
				return record.Decimal(d), nil
			}
		}
		return 0, fmt.Errorf("type %q is not known", name)
	}
	switch {
	case text == "" || text == "null":
		return record.TypeFloat, nil
	case text[0] == '"':
		return record.TypeString, nil
	case text[0] == '{' || text[0] == '[':
		return record.TypeJSON, nil
	case text == "true" || text == "false":
		return record.TypeBool, nil
	case strings.ContainsAny(text, ".eE"):
		return record.TypeFloat, nil
	}
	return record.TypeInt, nil
}

// parseDecimal reads a JSON number exactly; more decimals than the type has are refused, not rounded.
func parseDecimal(text string, decimals int) (int64, error) {
	whole, frac, _ := strings.Cut(text, ".")
	if strings.ContainsAny(text, "eE") || len(frac) > decimals {
		return 0, fmt.Errorf("%s does not fit %d decimals", text, decimals)
	}
	return strconv.ParseInt(whole+frac+strings.Repeat("0", decimals-len(frac)), 10, 64)
}
