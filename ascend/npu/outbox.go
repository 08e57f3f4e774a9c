package npu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// message is what one sequence number stands for: the inputs it is bound to and, once they are worked on, the records.
type message struct {
	seq     uint64
	model   string
	items   []*item
	plain   bool // the processor decodes its pictures
	records []api.IngestRecord
	results []api.NPUResult
}

func (m *message) add(records []api.IngestRecord, result api.NPUResult) {
	m.records = append(m.records, records...)
	m.results = append(m.results, result)
}

// ingester is the agent's door.
type ingester interface {
	Ingest(ctx context.Context, producer string, r api.IngestRequest) (*api.IngestPosition, error)
	Position(ctx context.Context, producer string, incarnation uint64) (*api.IngestPosition, error)
}

// outbox sends finished messages in the order of their sequence and calls after for each when the agent has it on its
// disk. What the agent can never take is replaced by a record that says so, so that the order goes on.
type outbox struct {
	agent       ingester
	producer    string
	incarnation uint64
	after       func(*message) error
	failed      func(error) // nil: the agent answers again

	mu      sync.Mutex
	next    uint64 // to send
	ready   map[uint64]*message
	wake    chan struct{}
	changed chan struct{} // closed and made anew when something was acknowledged
}

func newOutbox(agent ingester, producer string, incarnation, next uint64, after func(*message) error, failed func(error)) *outbox {
	return &outbox{agent: agent, producer: producer, incarnation: incarnation, next: next, after: after, failed: failed,
		ready: map[uint64]*message{}, wake: make(chan struct{}, 1), changed: make(chan struct{})}
}

func (o *outbox) put(m *message) {
	o.mu.Lock()
	o.ready[m.seq] = m
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// wait returns when fewer than limit sequences up to bound are not acknowledged.
func (o *outbox) wait(ctx context.Context, bound func() uint64, limit uint64) bool {
	for {
		o.mu.Lock()
		ok, changed := bound()-o.next < limit, o.changed
		o.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// gather takes the messages that may go in one request: the next ones, as far as they are finished and fit.
func (o *outbox) gather() (out []*message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size := 0
	for {
		m := o.ready[o.next+uint64(len(out))]
		if m == nil || len(out) == 64 {
			return out
		}
		for i := range m.records {
			size += len(m.records[i].Value) + 512
		}
		if len(out) > 0 && size > api.MaxRequestBytes/2 {
			return out
		}
		out = append(out, m)
	}
}

func (o *outbox) run(ctx context.Context) error {
	delay := 50 * time.Millisecond
	for {
		list := o.gather()
		if len(list) == 0 {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		n, err := o.send(ctx, list)
		if n > 0 {
			delay = 50 * time.Millisecond
			o.failed(nil)
			if err := o.settle(list[:n]); err != nil {
				return err
			}
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err) {
			replace(list[n], err)
			continue
		}
		o.failed(err)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
		delay = min(2*delay, 5*time.Second)
	}
}

// send returns how many of the messages the agent has.
func (o *outbox) send(ctx context.Context, list []*message) (int, error) {
	req := api.IngestRequest{Incarnation: o.incarnation, Sequence: list[0].seq, Records: list[0].records}
	for _, m := range list[1:] {
		req.More = append(req.More, api.IngestMessage{Sequence: m.seq, Records: m.records})
	}
	pos, err := o.agent.Ingest(ctx, o.producer, req)
	if err != nil {
		var no *api.Error
		if errors.As(err, &no) && len(list) > 1 { // find out which one it is
			pos, perr := o.agent.Position(ctx, o.producer, o.incarnation)
			if perr != nil || !pos.Known || pos.Incarnation != o.incarnation || pos.Sequence < list[0].seq {
				return o.send(ctx, list[:1])
			}
			return min(int(pos.Sequence-list[0].seq)+1, len(list)), nil
		}
		return 0, err
	}
	if pos.Sequence < list[0].seq {
		return 0, fmt.Errorf("the agent took sequence %d and says %d", list[0].seq, pos.Sequence)
	}
	return min(int(pos.Sequence-list[0].seq)+1, len(list)), nil
}

// permanent reports whether the agent can never take a message.
func permanent(err error) bool {
	var no *api.Error
	return errors.As(err, &no) && (no.Code == api.CodeBadRequest || no.Code == api.CodeTooLarge)
}

// replace puts a small record that says why in place of what cannot be taken.
func replace(m *message, why error) {
	body, err := json.Marshal(map[string]any{"schema": api.NPUSchema, "error": cut(why.Error()), "model": m.model, "records": len(m.records)})
	if err != nil {
		body = []byte(`{"schema":1}`)
	}
	m.records = []api.IngestRecord{{Name: "npu.refused", Type: "json", Value: body, Quality: "uncertain"}}
}

// settle puts acknowledged messages away and lets what waits for room go on.
func (o *outbox) settle(list []*message) error {
	for _, m := range list {
		if err := o.after(m); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range list {
		delete(o.ready, m.seq)
	}
	o.next += uint64(len(list))
	close(o.changed)
	o.changed = make(chan struct{})
	return nil
}
