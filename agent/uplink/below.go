package uplink

import (
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// A disk that lied may have lost the beginning of an epoch and everything that told where it was: the log lets the epoch
// begin where it can still be read. A hub that took some of it stands below and can take nothing else before what follows
// its position. That records stood there, its position and the dense offsets say; that this log has them no more, nobody
// but the sender can tell: it names them, from the hub's position up to the epoch's beginning.

// begins lets the epoch begin where the hub stands, if that is below what the log knows of it.
func (e *epoch) begins(p *wire.Position) {
	e.begin, e.chainBegin = e.First, 0
	if p.Known && p.Next < e.First {
		e.begin, e.chainBegin = p.Next, p.ChainNext
	}
}

// item is what stands at an offset: a batch or a gap of the log, or the gap below it. That one begins where the hub's
// answer said, whose chain is known, wherever an ack says that another box has brought the hub meanwhile.
func (st *stream) item(e *epoch, at record.Offset) (Item, error) {
	if at >= e.First {
		return st.src.At(e.Epoch.Epoch, at)
	}
	chain, ok := st.src.Chain(e.Epoch.Epoch, e.First)
	if !ok {
		return Item{}, fmt.Errorf("chain at the beginning of epoch %s, offset %d, is not known", e.Epoch.Epoch, e.First)
	}
	return Item{Gap: &record.Gap{Epoch: e.Epoch.Epoch, Range: record.Range{From: e.begin, To: e.First},
		Reason: record.ReasonDiskLost, ChainFrom: e.chainBegin, ChainTo: chain}}, nil
}
