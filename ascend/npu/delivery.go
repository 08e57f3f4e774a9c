package npu

import (
	"context"
	"encoding/json"

	"github.com/edgelog/edgelog/internal/api"
)

// bind gives a message its sequence, when there is room for it; nil if the worker ends.
func (w *Worker) bind(ctx context.Context, model string, items []*item) *message {
	if !w.out.wait(ctx, func() uint64 { next, _ := w.journal.position(); return next }, MaxWaiting) {
		return nil
	}
	e := entry{Model: model}
	for _, it := range items {
		e.Refs = append(e.Refs, it.ref)
	}
	seq, err := w.journal.bind(e)
	if err != nil {
		w.fatal(err) // what is not bound must not be worked on
		return nil
	}
	return &message{seq: seq, model: model, items: items}
}

// complete hands a finished message to the outbox; one that is not recorded is answered at once.
func (w *Worker) complete(m *message) {
	if m.seq == 0 {
		w.answer(m)
		return
	}
	w.out.put(m)
}

// acked is called when a message is on the agent's disk: its files are put away, and then who waits is answered.
func (w *Worker) acked(m *message) error {
	for _, it := range m.items {
		if it.ref.Kind == refFile {
			w.putAway(it.ref)
		}
	}
	if err := w.journal.done(m.seq, w.fileDirs()); err != nil {
		return err
	}
	w.answer(m)
	return nil
}

func (w *Worker) answer(m *message) {
	for i, it := range m.items {
		if it.done != nil && i < len(m.results) {
			it.done(m.results[i])
		}
	}
}

// tell has records written that have no input; those that find no room are left out and counted.
func (w *Worker) tell(records ...api.IngestRecord) {
	select {
	case w.notes <- records:
	default:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.untold += uint64(len(records))
	}
}

// writeNotes binds and sends what tell was given.
func (w *Worker) writeNotes(ctx context.Context) error {
	for {
		select {
		case records := <-w.notes:
			w.note(ctx, records...)
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Worker) note(ctx context.Context, records ...api.IngestRecord) {
	if w.out == nil || len(records) == 0 {
		return
	}
	text, err := json.Marshal(records)
	if err != nil || !w.out.wait(ctx, func() uint64 { next, _ := w.journal.position(); return next }, MaxWaiting) {
		return
	}
	seq, err := w.journal.bind(entry{Note: text})
	if err != nil {
		w.fatal(err)
		return
	}
	w.out.put(&message{seq: seq, records: records})
}
