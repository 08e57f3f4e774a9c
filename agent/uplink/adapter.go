package uplink

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// Log makes a Source of a *buffer.Log. It keeps one reader open, so that reading on costs no seek; Close it.
type Log struct {
	log    *buffer.Log
	reader *buffer.Reader
	item   buffer.Item   // last item of reader
	held   bool          // item is valid
	next   record.Offset // where reader goes on
	epochs []buffer.EpochInfo
	defs   definitions
}

// definitions caches how many definitions an epoch has.
type definitions struct {
	epoch record.Epoch
	n     int
	valid bool
}

// NewLog adapts a log.
func NewLog(l *buffer.Log) *Log { return &Log{log: l} }

// Stream is the log's name.
func (l *Log) Stream() string { return l.log.Name() }

// Epochs implements Reader.
func (l *Log) Epochs() []Epoch {
	l.epochs = l.log.Epochs()
	l.defs.valid = false
	out := make([]Epoch, len(l.epochs))
	for i, e := range l.epochs {
		out[i] = Epoch{Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First, Low: e.Low, End: e.End, Current: e.Current}
	}
	return out
}

// At implements Reader.
func (l *Log) At(e record.Epoch, o record.Offset) (Item, error) {
	if l.held {
		if r := l.item.Range(); r.From <= o && o < r.To {
			return l.current(e, o)
		}
	}
	if l.reader == nil || l.next != o {
		if err := l.Close(); err != nil {
			return Item{}, err
		}
		l.reader = l.log.Read(o)
	}
	l.held = false
	item, err := l.reader.Next()
	if err != nil {
		l.next = o
		if errors.Is(err, buffer.ErrEnd) {
			return Item{}, ErrEnd
		}
		l.Close()
		return Item{}, err
	}
	l.item, l.held, l.next = item, true, item.Range().To
	return l.current(e, o)
}

func (l *Log) current(e record.Epoch, o record.Offset) (Item, error) {
	if r := l.item.Range(); o < r.From || r.To <= o || l.item.Header.Epoch != e {
		return Item{}, fmt.Errorf("offset %d of epoch %s: the log yields %d to %d of epoch %s", o, e, r.From, r.To, l.item.Header.Epoch)
	}
	return Item{Batch: l.item.Batch, Gap: l.item.Gap}, nil
}

// Chain implements Reader. At the border of two epochs the child's header knows the chain there if it continues the
// parent; where the epoch that begins there is no child, the log speaks of that one only.
func (l *Log) Chain(e record.Epoch, o record.Offset) (uint64, bool) {
	other := false
	for i := range l.epochs {
		info := &l.epochs[i]
		switch {
		case info.First != o:
		case info.Epoch == e, info.Parent == e && info.ParentEnd == o:
			return info.ChainFirst, true
		default:
			other = true
		}
	}
	if other {
		return 0, false
	}
	return l.log.Chain(o)
}

// Series implements Reader.
func (l *Log) Series(e record.Epoch, id record.SeriesID) (record.Series, bool) {
	return l.log.Series(e, id)
}

// Defined implements Reader. A series is defined before the first batch that uses it is durable, so that the count
// need be read again only when the log has changed (Epochs is called then).
func (l *Log) Defined(e record.Epoch) int {
	if !l.defs.valid || l.defs.epoch != e {
		l.defs = definitions{epoch: e, n: len(l.log.Definitions(e)), valid: true}
	}
	return l.defs.n
}

// DeclareGap implements Repairer.
func (l *Log) DeclareGap(_ record.Epoch, r record.Range) error {
	if err := l.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), repairTimeout)
	defer cancel()
	return l.log.DeclareGap(ctx, r, record.ReasonUnsendable)
}

// CloseEpoch implements Repairer.
func (l *Log) CloseEpoch(e record.Epoch, at record.Offset) error {
	if err := l.Close(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), repairTimeout)
	defer cancel()
	return l.log.CloseEpoch(ctx, e, at)
}

// SetDelivered implements Repairer.
func (l *Log) SetDelivered(o record.Offset, owed ...record.Owed) { l.log.SetDelivered(o, owed...) }

// Owed implements Repairer.
func (l *Log) Owed() []record.Owed { return l.log.Owed() }

// Delivered implements Repairer.
func (l *Log) Delivered() record.Offset { return l.log.Delivered() }

// Gaps implements Repairer.
func (l *Log) Gaps() []record.Gap { return l.log.Info().Gaps }

// Changed is closed when there is more to read, a new gap or a new epoch. It may be called from any goroutine.
func (l *Log) Changed() <-chan struct{} { return l.log.Changed() }

// Close closes the reader. The adapter can be used again afterwards.
func (l *Log) Close() error {
	l.held = false
	if l.reader == nil {
		return nil
	}
	r := l.reader
	l.reader = nil
	return r.Close()
}
