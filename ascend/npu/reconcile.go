package npu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// reconcile asks the agent how far it has taken our messages and returns what is bound beyond, oldest first. It waits
// for the agent as long as it takes.
func (w *Worker) reconcile(ctx context.Context) ([]entry, error) {
	pos, err := w.position(ctx)
	if err != nil || pos == nil {
		return nil, err
	}
	j := w.journal
	known := pos.Known && pos.Incarnation == j.incarnation
	at := uint64(0)
	if known {
		at = pos.Sequence
	}
	for _, s := range sorted(j.pending) {
		if s > at {
			break
		}
		for _, r := range j.pending[s].Refs { // acknowledged, and not put away before the end
			if r.Kind == refFile {
				w.putAway(r)
			}
		}
	}
	next, acked := j.position()
	if known {
		if err := errors.Join(j.done(at, w.fileDirs()), j.settle(w.fileDirs())); err != nil {
			return nil, err
		}
	}
	if j.damaged != "" || at >= next || !known && acked > 0 {
		why := j.damaged
		switch {
		case at >= next:
			why = fmt.Sprintf("the agent has our messages up to %d, the journal ends at %d", at, next-1)
		case why == "":
			why = "the agent does not know our messages any more"
		}
		w.raise("N006", "journal", "edge-npu", why+"; numbers begin anew")
		j.mu.Lock()
		j.renew()
		err := j.rewrite()
		j.damaged = ""
		j.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	var left []entry
	for _, s := range sorted(j.pending) {
		left = append(left, j.pending[s])
	}
	_, acked = j.position()
	first := acked + 1
	if len(left) > 0 {
		first = left[0].Seq
	}
	w.out = newOutbox(agentDoor{w.agent}, w.c.Producer, j.incarnation, first, w.acked, func(err error) {
		if err == nil {
			w.clear("N007", "agent")
			return
		}
		w.raise("N007", "agent", "edge-npu", "results wait: "+err.Error())
	})
	return left, nil
}

// agentDoor is the agent's client.
type agentDoor struct{ *api.Client }

func (w *Worker) position(ctx context.Context) (*api.IngestPosition, error) {
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		pos, err := w.agent.Position(ctx, w.c.Producer, w.journal.incarnation)
		if err == nil {
			w.clear("N007", "agent")
			return pos, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		text := "waits for the agent: " + err.Error()
		var no *api.Error
		if errors.As(err, &no) && no.Code == api.CodeNotFound {
			text = fmt.Sprintf("the agent does not know the producer: add to agent.yaml under control.producers: \"%s: {stream: events}\" and reload (%v)", w.c.Producer, err)
		}
		w.raise("N007", "agent", "edge-npu", text)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// redo works again on what was bound before the end of the last process, under the same numbers.
func (w *Worker) redo(ctx context.Context, left []entry) error {
	patience := time.Now().Add(redoPatience)
	for _, e := range left {
		if e.Note != nil {
			m := &message{seq: e.Seq, model: e.Model}
			if err := json.Unmarshal(e.Note, &m.records); err != nil || len(m.records) == 0 {
				replace(m, fmt.Errorf("note of the journal: %w", err))
			}
			w.out.put(m)
			continue
		}
		if err := w.journal.tried(e.Seq, e.Tried+1); err != nil {
			return err
		}
		m := &message{seq: e.Seq, model: e.Model, plain: true} // a picture may be what ended the last process
		for _, r := range e.Refs {
			m.items = append(m.items, w.itemOf(r))
		}
		r := w.runners[e.Model]
		if r == nil || e.Tried >= maxAttempts {
			why := fmt.Errorf("given up after %d starts of the worker: this input, or what was with it, may be what ends it", e.Tried)
			if r == nil {
				why = fmt.Errorf("model %s is not configured any more", e.Model)
			}
			w.giveUp(m, why)
			continue
		}
		g := r.await(ctx, patience)
		if g == nil {
			if ctx.Err() != nil {
				return nil
			}
			w.giveUp(m, errors.New("the model cannot be loaded"))
			continue
		}
		r.work(ctx, g, m)
		g.users.Done()
	}
	return nil
}

// await waits until the model is ready, for a device that does not open until patience is over; nil if it cannot be had or the worker ends.
func (r *runner) await(ctx context.Context, patience time.Time) *generation {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r.mu.Lock()
		g, state, hopeless := r.gen, r.state, r.hopeless
		if state == stateReady {
			g.users.Add(1)
		}
		r.mu.Unlock()
		if state == stateReady {
			return g
		}
		if state == stateFailed && (hopeless || time.Now().After(patience)) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// giveUp completes a message with records that say why there is no result.
func (w *Worker) giveUp(m *message, why error) {
	labels := map[string]string{"model": m.model}
	if w.simulated() {
		labels["simulated"] = "true"
	}
	for _, it := range m.items {
		m.add(badRecords(labels, it, "bad:device", why.Error()), api.NPUResult{SchemaVersion: api.SchemaVersion, Model: m.model, Quality: "bad:device", Error: why.Error(), Recorded: true})
	}
	w.complete(m)
}

// itemOf finds an input again after a restart. Frames and windows were in memory only; who posted a frame got no answer.
func (w *Worker) itemOf(r ref) *item {
	it := &item{ref: r, at: time.Now(), record: true}
	if r.Kind == refFile {
		w.claim(r.Name)
		it.read = func() ([]byte, error) { return readFile(r) }
	} else {
		it.read = func() ([]byte, error) {
			return nil, fmt.Errorf("the %s was in the memory of a worker process that has ended", r.Kind)
		}
	}
	return it
}
