package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"sort"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// VerifyReport is what Verify found.
type VerifyReport = store.VerifyReport

func fault(r *VerifyReport, format string, a ...any) {
	if len(r.Faults) >= maxVerifyFaults {
		r.MoreFaults++
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, a...))
}

// epochProof is what the rows say of one epoch.
type epochProof struct {
	EpochAccount
	held []record.Range // of the rows seen, ascending, merged
	late []record.Range
	rows uint64
}

// Verify reads every row and proves by counting that no (epoch, offset) is there twice, that the offsets of an epoch
// are explained to the last one, and that rows came in order, late ones excepted. It works beside a running hub: it
// judges the positions of the moment it began, in short read transactions. progress may be nil.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (r VerifyReport, err error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	proofs, last, err := s.verifyStart(ctx)
	if err != nil {
		return r, err
	}
	var total, from int64
	for _, p := range proofs {
		total += int64(p.Rows)
	}
	for from < last {
		err := s.reading(ctx, func(c *conn) error {
			to, seen := from, 0
			err := c.query("SELECT id, epoch, record_offset FROM record WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
				func(v []driver.Value) error {
					to = asInt(v[0])
					seen++
					p := proofs[asInt(v[1])]
					if p == nil {
						r.Misplaced++
						fault(&r, "row %d belongs to no epoch", to)
						return nil
					}
					r.Rows++
					p.take(&r, record.Offset(asInt(v[2])))
					return nil
				}, from, last, int64(verifyChunk))
			if from = to; seen == 0 {
				from = last
			}
			return err
		})
		if err != nil {
			return r, err
		}
		progress(r.Rows, uint64(total))
	}
	return r, s.verifyEnd(ctx, proofs, &r)
}

func (s *Store) verifyStart(ctx context.Context) (proofs map[int64]*epochProof, last int64, err error) {
	proofs = map[int64]*epochProof{}
	err = s.reading(ctx, func(c *conn) error {
		all, err := accounts(c)
		if err != nil {
			return err
		}
		refs := make([]int64, 0, len(all))
		err = c.query(`SELECT e.ref FROM epoch e JOIN device d ON d.ref = e.device
			ORDER BY d.name, e.stream, e.first, e.ref`, func(v []driver.Value) error {
			refs = append(refs, asInt(v[0]))
			return nil
		})
		if err != nil {
			return err
		}
		for i, ref := range refs {
			proofs[ref] = &epochProof{EpochAccount: all[i]}
		}
		last, _, err = c.one("SELECT max(id) FROM record")
		if err != nil {
			return err
		}
		return c.query("SELECT epoch, first, next FROM late ORDER BY epoch, first", func(v []driver.Value) error {
			if p := proofs[asInt(v[0])]; p != nil {
				p.late = append(p.late, asRange(v[1], v[2]))
			}
			return nil
		})
	})
	return proofs, last, err
}

func asRange(from, to driver.Value) record.Range {
	return record.Range{From: record.Offset(asInt(from)), To: record.Offset(asInt(to))}
}

// take adds one row, in the order of arrival.
func (p *epochProof) take(r *VerifyReport, o record.Offset) {
	p.rows++
	if o < p.First || o >= p.Next {
		r.Misplaced++
		fault(r, "%s/%s %s: offset %d lies outside [%d,%d)", p.Device, p.Stream, p.Epoch, o, p.First, p.Next)
		return
	}
	n := len(p.held)
	switch {
	case n > 0 && p.held[n-1].To == o:
		p.held[n-1].To = o + 1
		return
	case n == 0 || p.held[n-1].To < o:
		p.held = append(p.held, record.Range{From: o, To: o + 1})
		return
	}
	i := sort.Search(n, func(i int) bool { return p.held[i].To > o })
	if p.held[i].From <= o {
		r.Duplicates++
		fault(r, "%s/%s %s: offset %d is there twice", p.Device, p.Stream, p.Epoch, o)
		return
	}
	if !contains(p.late, o) {
		r.Disorder++
		fault(r, "%s/%s %s: offset %d came after %d", p.Device, p.Stream, p.Epoch, o, p.held[n-1].To-1)
	}
	p.insert(i, o)
}

// insert adds o before the range i, joining what touches.
func (p *epochProof) insert(i int, o record.Offset) {
	left := i > 0 && p.held[i-1].To == o
	right := p.held[i].From == o+1
	switch {
	case left && right:
		p.held[i-1].To = p.held[i].To
		p.held = append(p.held[:i], p.held[i+1:]...)
	case left:
		p.held[i-1].To = o + 1
	case right:
		p.held[i].From = o
	default:
		p.held = append(p.held, record.Range{})
		copy(p.held[i+1:], p.held[i:])
		p.held[i] = record.Range{From: o, To: o + 1}
	}
}

func contains(rs []record.Range, o record.Offset) bool {
	i := sort.Search(len(rs), func(i int) bool { return rs[i].To > o })
	return i < len(rs) && rs[i].From <= o
}

// verifyEnd compares the rows with the account. Retention may have removed rows meanwhile: as many as its counters
// moved may be missing among those seen.
func (s *Store) verifyEnd(ctx context.Context, proofs map[int64]*epochProof, r *VerifyReport) error {
	return s.reading(ctx, func(c *conn) error {
		holes := map[int64][]record.Range{}
		for _, table := range []string{"gap", "skip"} {
			err := c.query("SELECT epoch, first, next FROM "+table, func(v []driver.Value) error {
				holes[asInt(v[0])] = append(holes[asInt(v[0])], asRange(v[1], v[2]))
				return nil
			})
			if err != nil {
				return err
			}
		}
		removed := map[int64]uint64{}
		err := c.query("SELECT ref, removed FROM epoch", func(v []driver.Value) error {
			removed[asInt(v[0])] = uint64(asInt(v[1]))
			return nil
		})
		if err != nil {
			return err
		}
		refs := make([]int64, 0, len(proofs))
		for ref := range proofs {
			refs = append(refs, ref)
		}
		sort.Slice(refs, func(i, j int) bool { return refs[i] < refs[j] })
		for _, ref := range refs {
			proofs[ref].judge(r, holes[ref], removed[ref])
		}
		return nil
	})
}

func (p *epochProof) judge(r *VerifyReport, holes []record.Range, removedNow uint64) {
	r.Epochs++
	name := fmt.Sprintf("%s/%s %s", p.Device, p.Stream, p.Epoch)
	if left := p.Remainder(); left != 0 {
		r.Missing += uint64(max(left, 0))
		fault(r, "%s: the account of [%d,%d) leaves %d", name, p.First, p.Next, left)
	}
	slack := removedNow - p.Removed
	if p.rows > p.Rows || p.rows+slack < p.Rows {
		r.Missing += p.Rows - min(p.rows, p.Rows)
		fault(r, "%s: %d rows are there, the account says %d", name, p.rows, p.Rows)
	}
	sort.Slice(holes, func(i, j int) bool { return holes[i].From < holes[j].From })
	i := 0
	for _, h := range holes {
		for i < len(p.held) && p.held[i].To <= h.From {
			i++
		}
		if i < len(p.held) && p.held[i].From < h.To {
			r.Misplaced++
			fault(r, "%s: rows [%d,%d) lie in a gap or skip [%d,%d)", name, p.held[i].From, p.held[i].To, h.From, h.To)
		}
	}
}
