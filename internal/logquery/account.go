package logquery

import (
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
)

// Account is the account of one stream: for each epoch, where every record is. sent is up to where records were
// published and wait for the hub (≤ delivered: nothing is in flight); skipped tells, by reason, how many records of an
// epoch the hub did not take, and may be nil.
//
// What is delivered follows from the position and the gaps; what waits is counted from what the log holds. A record
// that is neither held nor in a gap nor delivered is the remainder.
func Account(name string, info buffer.Info, epochs []buffer.EpochInfo, sent record.Offset, skipped func(record.Epoch) map[string]uint64) api.StreamAccount {
	out := api.StreamAccount{Name: name, Epochs: []api.EpochAccount{}}
	for _, e := range epochs {
		a := api.EpochAccount{Epoch: e.Epoch.String(), First: uint64(e.First), End: uint64(e.End), Current: e.Current}
		all := record.Range{From: e.First, To: e.End}
		if below := clip(all, 0, info.Delivered); below.Len() > 0 {
			a.Delivered = below.Len() - inGaps(info.Gaps, e.Epoch, below, nil)
		}
		a.Dropped = map[string]uint64{}
		inGaps(info.Gaps, e.Epoch, all, a.Dropped)
		for _, o := range info.Owed { // below the position, and the hub has named them as a gap
			r := clip(all, o.From, min(o.To, info.Delivered))
			n := r.Len() - inGaps(info.Gaps, e.Epoch, r, nil)
			if n > 0 {
				a.Owed += n
				a.Delivered -= n
				a.Dropped[o.Reason.String()] += n
			}
		}
		held := clip(all, max(info.Low, e.Low, info.Delivered), info.End)
		flying := clip(held, 0, sent)
		waiting := clip(held, max(sent, held.From), info.End)
		a.InFlight = flying.Len() - inGaps(info.Gaps, e.Epoch, flying, nil)
		a.Buffered = waiting.Len() - inGaps(info.Gaps, e.Epoch, waiting, nil)
		if skipped != nil {
			a.Skipped = skipped(e.Epoch)
			for _, n := range a.Skipped {
				a.Delivered -= min(n, a.Delivered) // the position passed them, the hub has no row of them
			}
		}
		a.Balance()
		out.Epochs = append(out.Epochs, a)
	}
	out.Sum = Sum(out.Epochs)
	return out
}

// Current reports the line of a stream for status.
func Current(a api.StreamAccount, info buffer.Info) api.Stream {
	s := api.Stream{
		Name: a.Name, State: info.State.String(), Error: info.Error,
		Low: uint64(info.Low), Durable: uint64(info.Durable), End: uint64(info.End), Delivered: uint64(info.Delivered),
		InFlight: a.Sum.InFlight, Buffered: a.Sum.Buffered, Bytes: info.Bytes, MaxBytes: info.MaxBytes, Balanced: a.Sum.Remainder == 0,
	}
	for _, n := range a.Sum.Dropped {
		s.Dropped += n
	}
	for _, e := range a.Epochs {
		s.Balanced = s.Balanced && e.Remainder == 0
	}
	return s
}

// Sum is the line of a stream: the sum over its epochs, which are ordered oldest first.
func Sum(epochs []api.EpochAccount) api.EpochAccount {
	t := api.EpochAccount{Dropped: map[string]uint64{}, Skipped: map[string]uint64{}}
	for i, e := range epochs {
		if i == 0 {
			t.First = e.First
		}
		t.End = max(t.End, e.End)
		t.Delivered += e.Delivered
		t.InFlight += e.InFlight
		t.Buffered += e.Buffered
		t.Owed += e.Owed
		t.LocallyLost += e.LocallyLost
		t.Remainder += e.Remainder
		for why, n := range e.Dropped {
			t.Dropped[why] += n
		}
		for why, n := range e.Skipped {
			t.Skipped[why] += n
		}
	}
	return t
}

func clip(r record.Range, from, to record.Offset) record.Range {
	return record.Range{From: max(r.From, from), To: min(r.To, to)}
}

// inGaps counts the records of r that lie in gaps of the epoch, and adds them up by reason.
func inGaps(gaps []record.Gap, e record.Epoch, r record.Range, by map[string]uint64) uint64 {
	var n uint64
	for _, g := range gaps {
		if g.Epoch != e {
			continue
		}
		part := clip(r, g.From, g.To).Len()
		n += part
		if by != nil && part > 0 {
			by[g.Reason.String()] += part
		}
	}
	return n
}
