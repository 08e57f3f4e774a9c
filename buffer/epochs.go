package buffer

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// newEpoch mints a random epoch id. crypto/rand does not fail on the systems that Go supports.
func newEpoch() record.Epoch {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:])
		if e := record.Epoch(binary.LittleEndian.Uint64(b[:])); e != 0 {
			return e
		}
	}
}

// newSalt mints the salt of a segment. No byte of it is zero, so that unwritten space never looks like a block.
func newSalt() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:])
	for i := range b {
		if b[i] == 0 {
			b[i] = byte(i) + 1
		}
	}
	return binary.LittleEndian.Uint32(b[:])
}

// epochIndex is the place of an epoch in the table, -1 if it is not known. mu is held.
func (l *Log) epochIndex(e record.Epoch) int {
	for i := len(l.epochs) - 1; i >= 0; i-- {
		if l.epochs[i].Epoch == e {
			return i
		}
	}
	return -1
}

// epochAt is the epoch whose records stand at o. mu is held.
func (l *Log) epochAt(o record.Offset) (segment.Epoch, bool) {
	for i := len(l.epochs) - 1; i >= 0; i-- {
		if e := l.epochs[i]; e.First <= o && o < l.epochEnd(i) {
			return e, true
		}
	}
	return segment.Epoch{}, false
}

// epochEnd is the end of the i-th epoch: what is durable of the current one. mu is held.
func (l *Log) epochEnd(i int) record.Offset {
	if l.isCurrent(l.epochs[i].Epoch) {
		return l.durable
	}
	return l.epochs[i].End
}

func (l *Log) isCurrent(e record.Epoch) bool { return l.minted && l.cur.Epoch == e }

// epochLow is the oldest retained offset of the i-th epoch, its end if there is none. mu is held.
func (l *Log) epochLow(i int) record.Offset {
	low, end := l.epochs[i].First, l.epochEnd(i)
	for low < end {
		g, ok := l.gaps.at(low)
		if !ok {
			return low
		}
		low = g.To
	}
	return end
}

// holds reports whether a record or a gap of the i-th epoch survives. mu is held.
func (l *Log) holds(i int) bool {
	end := l.epochEnd(i)
	if l.epochLow(i) < end {
		return true
	}
	g, ok := l.gaps.next(l.epochs[i].First)
	return ok && g.From < end
}

func (l *Log) epochInfo(i int) EpochInfo {
	e := l.epochs[i]
	return EpochInfo{Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First, Low: l.epochLow(i),
		End: l.epochEnd(i), ChainFirst: e.ChainFirst, Boot: e.Boot, Current: l.isCurrent(e.Epoch)}
}

// Epochs are those that hold a record or a gap, oldest first.
func (l *Log) Epochs() []EpochInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]EpochInfo, 0, len(l.epochs))
	for i := range l.epochs {
		if l.holds(i) {
			out = append(out, l.epochInfo(i))
		}
	}
	return out
}

// mint names the epoch of this opening, in memory: the first segment makes it durable. Its opening records are the
// first to be appended. mu is held.
func (l *Log) mint() {
	if l.minted {
		return
	}
	l.startEpoch(l.durable, l.chainDurable)
	if l.heldTail {
		// The end of a segment of a newer format is not known: leave room for it and begin a root.
		l.cur.Parent, l.cur.ParentEnd, l.cur.ChainFirst = 0, 0, 0
		l.cur.First += heldRoom
		l.durable, l.end, l.chainDurable = l.cur.First, l.cur.First, 0
		l.heldTail = false
	}
	l.appendOpening()
}

// startEpoch makes a new current epoch that begins at first, the child of the last epoch that holds anything.
func (l *Log) startEpoch(first record.Offset, chain uint64) {
	cur := segment.Epoch{Epoch: newEpoch(), First: first, End: first}
	for i := len(l.epochs) - 1; i >= 0; i-- {
		if e := l.epochs[i]; l.holds(i) {
			cur.Parent, cur.ParentEnd, cur.ChainFirst = e.Epoch, l.epochEnd(i), chain
			break
		}
	}
	l.cur, l.minted, l.chainDurable = cur, true, cur.ChainFirst
}

// opening asks for the first records of a new epoch and notes its boot.
func (l *Log) opening() []record.Record {
	if l.set.opt.Opening == nil {
		return nil
	}
	recs := l.set.opt.Opening(l.name)
	if len(recs) > maxOpening {
		recs = recs[:maxOpening]
	}
	for i := range recs {
		if a, ok := record.AnchorOf(&recs[i]); ok && recs[i].Kind == record.KindBoot && len(a.Boot) <= segment.MaxBootBytes {
			l.cur.Boot = a.Boot
			break
		}
	}
	return recs
}

func (l *Log) appendOpening() {
	for _, r := range l.opening() {
		if checkRecord(&r, 0) == nil {
			l.push(&record.Draft{Records: []record.Record{r}})
		}
	}
}

// currentDefs are the series of the current epoch; the id is the place in list plus 1.
type currentDefs struct {
	byKey map[defKey]record.SeriesID
	list  []record.Series
}

// defKey is what makes a definition another one: a series whose type or unit changed, by another calibration say, gets
// another id, as it would in the next epoch.
type defKey struct {
	series, unit string
	typ          record.Type
}
