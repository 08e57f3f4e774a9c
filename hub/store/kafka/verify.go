package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

var _ store.Verifier = (*Store)(nil)

// checked is one epoch with the rows that were found of it.
type checked struct {
	store.EpochAccount
	holes []record.Range // gaps and skips
	seen  []record.Range // ascending, apart
	last  record.Offset  // in order: the next one that may come
	cut   bool           // the beginning of its partition is gone
}

// verifier is one run of Verify.
type verifier struct {
	report store.VerifyReport
	by     map[string]*checked // by epochKey
	strays uint64
}

// Verify implements store.Verifier: it reads the topics of all streams to their end, committed records only, and holds
// what is there against the positions of the beginning. What arrives meanwhile is left out. Rows that retention has
// removed from the front of a partition are not missed.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (store.VerifyReport, error) {
	v := &verifier{by: map[string]*checked{}}
	order, err := s.epochs(ctx, v)
	if err != nil {
		return v.report, err
	}
	total := uint64(0)
	var streams []string
	for _, e := range order {
		total += e.Rows
		if !slices.Contains(streams, e.Stream) {
			streams = append(streams, e.Stream)
		}
	}
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	progress(0, total)
	there, err := s.ours(ctx)
	if err != nil {
		return v.report, unavailable(err)
	}
	for _, stream := range streams {
		for _, topic := range []string{s.o.rowsTopic(stream), s.o.lateTopic(stream)} {
			if there[topic] == nil {
				continue // of a stream without rows, or without late ones
			}
			if err := s.verifyTopic(ctx, v, topic, topic == s.o.lateTopic(stream), func() { progress(min(v.report.Rows, total), total) }); err != nil {
				return v.report, err
			}
		}
	}
	for _, e := range order {
		v.balance(e)
	}
	if v.strays > 0 {
		v.report.Misplaced += v.strays
		v.report.Faults = append(v.report.Faults, fmt.Sprintf("%d rows belong to no epoch", v.strays))
	}
	progress(total, total)
	return v.report, nil
}

// epochs copies what the positions say now.
func (s *Store) epochs(ctx context.Context, v *verifier) (order []*checked, err error) {
	err = s.eachEpoch(ctx, func(a store.EpochAccount, x *ledger.Epoch) {
		e := &checked{EpochAccount: a, last: a.First}
		for _, g := range x.Gaps {
			e.holes = append(e.holes, g.Range)
		}
		for _, k := range x.Skipped {
			e.holes = append(e.holes, k.Range)
		}
		v.by[epochKey(a.Device, a.Stream, a.Epoch)] = e
		order = append(order, e)
	})
	v.report.Epochs = uint64(len(order))
	return order, err
}

// home is the partition of a topic that the rows of a device lie in.
func home(device string, partitions int) int32 {
	return int32(byDevice{}.Partition(&kgo.Record{Partition: -1, Key: []byte(device)}, partitions))
}

func (s *Store) verifyTopic(ctx context.Context, v *verifier, topic string, late bool, step func()) error {
	starts, err := s.adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return unavailable(err)
	}
	for n := range int32(len(starts[topic])) {
		start := starts[topic][n]
		if start.Err != nil {
			return unavailable(start.Err)
		}
		for _, e := range v.by {
			if start.Offset > 0 && !late && s.o.rowsTopic(e.Stream) == topic && home(e.Device, len(starts[topic])) == n {
				e.cut = true
			}
		}
		records := 0
		_, err := s.reader(topic, n).barrier(ctx, s.c, func(r *kgo.Record) error {
			if records++; records%100_000 == 0 {
				step()
			}
			return v.take(r, late)
		})
		if err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// take counts what one record says that it is.
func (v *verifier) take(r *kgo.Record, late bool) error {
	var stream string
	var epoch record.Epoch
	var at uint64
	count := uint64(1)
	var err error
	for _, h := range r.Headers {
		switch h.Key {
		case headStream:
			stream = string(h.Value)
		case headEpoch:
			epoch, err = record.ParseEpoch(string(h.Value))
		case headOffset:
			at, err = strconv.ParseUint(string(h.Value), 10, 64)
		case headCount:
			count, err = strconv.ParseUint(string(h.Value), 10, 32)
		}
		if err != nil {
			return fmt.Errorf("header %s is %q: %w", h.Key, h.Value, err)
		}
	}
	v.report.Rows += count
	e := v.by[epochKey(string(r.Key), stream, epoch)]
	if e == nil {
		v.strays += count
		return nil
	}
	rows := record.Range{From: record.Offset(at), To: record.Offset(at + count)}
	if rows.From >= e.Next { // came after the positions were read
		v.report.Rows -= count
		return nil
	}
	if !late {
		if rows.From < e.last {
			v.fault(e, &v.report.Disorder, count, "%d rows at %d come behind %d", count, rows.From, e.last)
		}
		e.last = max(e.last, rows.To)
	}
	if twice := e.add(rows); twice > 0 {
		v.fault(e, &v.report.Duplicates, twice, "%d rows at %d are there already", twice, rows.From)
	}
	return nil
}

// add notes rows as seen and returns how many of them were seen before.
func (e *checked) add(r record.Range) (twice uint64) {
	i, _ := slices.BinarySearchFunc(e.seen, r.From, func(x record.Range, at record.Offset) int { return cmp.Compare(x.To, at) })
	j := i
	for ; j < len(e.seen) && e.seen[j].From <= r.To; j++ {
		twice += overlap(e.seen[j], r)
		r = record.Range{From: min(r.From, e.seen[j].From), To: max(r.To, e.seen[j].To)}
	}
	e.seen = slices.Replace(e.seen, i, j, r)
	return twice
}

func overlap(a, b record.Range) uint64 {
	from, to := max(a.From, b.From), min(a.To, b.To)
	if to <= from {
		return 0
	}
	return uint64(to - from)
}

// balance holds what was seen of an epoch against its account.
func (v *verifier) balance(e *checked) {
	expected := func(r record.Range) uint64 {
		n := overlap(r, record.Range{From: e.First, To: e.Next})
		for _, h := range e.holes {
			n -= overlap(r, h)
		}
		return n
	}
	whole := record.Range{From: e.First, To: e.Next}
	front := whole // before the first row that is there
	good, wrong := uint64(0), uint64(0)
	for i, r := range e.seen {
		in := expected(r)
		good, wrong = good+in, wrong+r.Len()-in
		if i == 0 {
			front.To = max(front.From, r.From)
		}
	}
	v.fault(e, &v.report.Misplaced, wrong, "%d rows lie outside the epoch, in a gap or in a skip", wrong)
	missing, gone := expected(whole)-good, expected(front)
	if !e.cut {
		gone = min(gone, e.Removed) // in the store that the hub had before
	}
	missing -= min(missing, gone)
	v.fault(e, &v.report.Missing, missing, "%d rows of [%d,%d) are not there and nothing explains it", missing, e.First, e.Next)
	if left := e.Remainder(); left != 0 {
		v.fault(e, &v.report.Missing, uint64(max(left, -left)), "the account of [%d,%d) leaves %d", e.First, e.Next, left)
	}
}

func (v *verifier) fault(e *checked, into *uint64, n uint64, format string, args ...any) {
	if n == 0 {
		return
	}
	*into += n
	if len(v.report.Faults) >= maxVerifyFaults {
		v.report.MoreFaults++
		return
	}
	v.report.Faults = append(v.report.Faults, fmt.Sprintf("%s/%s %s: ", e.Device, e.Stream, e.Epoch)+fmt.Sprintf(format, args...))
}
