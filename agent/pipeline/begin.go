package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// begin finds out where to go on, and saves it before anything is computed: from a checkpoint there is always a way back.
//
//	checkpoint fits the logs               there, in its incarnation
//	it is lost, results are there          behind the last result, in its incarnation: none is written twice, and what
//	                                       was open then is marked
//	its definition is another one          as the definition says (start), in a new incarnation
//	it does not fit                        the same, and it is told
//	neither checkpoint nor results         the same: this is the first start
func (r *Runner) begin(ctx context.Context) error {
	def := r.o.Definition
	last, wrote := r.o.Out.LastProducer(def.Producer())
	same := wrote && uint32(last.Incarnation>>32) == def.id()
	k, err := r.load()
	if errors.Is(err, fs.ErrPermission) { // it is there: to begin without it would be wrong
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if err == nil {
		err = r.fits(k, last, wrote)
	}
	how, why := BeganResumed, ""
	switch durable := r.o.In.Info().Durable; {
	case err == nil:
		r.core, r.incarnation, r.before, r.chain, r.chained = k.core, k.incarnation, k.before, k.chain, k.chained
		if r.last = 0; wrote && last.Incarnation == k.incarnation {
			r.last = last.Sequence
		}
	case k == nil && same && offsetOf(last.Sequence) < durable:
		how, why = BeganBehind, r.whyNot(err)
		r.core, r.incarnation, r.last = r.fresh(offsetOf(last.Sequence)+1), last.Incarnation, last.Sequence
		err = r.learn()
	default:
		how, why = BeganAnew, r.whyNot(err)
		switch {
		case errors.Is(err, errOtherDefinition), k == nil && wrote && !same:
			how = BeganChanged
		case errors.Is(err, vfs.ErrNotExist) && !wrote:
			how, why = BeganFirst, ""
		}
		at := durable
		if def.Earliest {
			at = r.o.In.Info().Low
		}
		r.core, r.incarnation, r.before = r.fresh(at), r.mint(last.Incarnation), last.Incarnation
		err = r.learn()
	}
	if err != nil {
		return err
	}
	s := &r.core.stats
	r.told = [3]uint64{s.Late, s.Untimed, s.Left}
	if how != BeganResumed {
		if err := r.save(ctx, false); err != nil {
			return err
		}
	}
	if ev := r.o.Events.Began; ev != nil {
		ev(how, why)
	}
	r.mu.Lock()
	r.status.Beginning = how
	r.mu.Unlock()
	r.publish()
	return nil
}

// whyNot says, for people, why a checkpoint does not serve.
func (r *Runner) whyNot(err error) string {
	switch {
	case errors.Is(err, vfs.ErrNotExist):
		return "its checkpoint " + r.file + " is not there"
	case errors.Is(err, ErrState):
		return "its checkpoint " + r.file + " does not serve: " + strings.TrimPrefix(err.Error(), ErrState.Error()+": ")
	}
	return "its checkpoint cannot be read: " + err.Error()
}

// fresh is a core without state that begins at an offset.
func (r *Runner) fresh(at record.Offset) *Core {
	c := NewCore(r.o.Definition, r.o.In.Series)
	c.next = at
	return c
}

// mint makes an incarnation: its upper half tells the definition.
func (r *Runner) mint(old uint64) uint64 {
	for {
		n := uint64(r.o.Definition.id())<<32 | r.o.Random()&0xffffffff
		if n != old && n != 0 {
			return n
		}
	}
}

// load reads the checkpoint. Of one that is of another definition, more than its incarnation is not known.
func (r *Runner) load() (*checkpoint, error) {
	b, err := vfs.ReadFile(r.o.FS, r.file, maxStateBytes)
	if err != nil {
		return nil, err
	}
	return decode(b, r.o.Definition, r.o.In.Series)
}

// fits says why a checkpoint is not of these logs; nil if it is.
func (r *Runner) fits(k *checkpoint, last record.ProducerPosition, wrote bool) error {
	in := r.o.In.Info()
	switch at, known := r.o.In.Chain(k.core.next); {
	case wrote && last.Incarnation != k.incarnation && (last.Incarnation != k.before || k.core.stats.Messages > 0):
		return fmt.Errorf("%w: the results are of another incarnation: the checkpoint is older or newer than the log", ErrState)
	case wrote && last.Incarnation == k.incarnation && offsetOf(last.Sequence) >= in.Durable:
		return fmt.Errorf("%w: results were computed from offset %d, and stream %s ends at %d: its disk has lost records",
			ErrState, offsetOf(last.Sequence), r.o.In.Name(), in.Durable)
	case k.core.next > in.Durable:
		return fmt.Errorf("%w: it is at offset %d, and stream %s ends at %d: its disk has lost records", ErrState, k.core.next, r.o.In.Name(), in.Durable)
	case known && k.chained && at != k.chain:
		return fmt.Errorf("%w: stream %s has another history at offset %d", ErrState, r.o.In.Name(), k.core.next)
	}
	return nil
}
