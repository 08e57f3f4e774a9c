package kafka

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// Accounts implements store.Accountant: from the positions, which are read to their end.
func (s *Store) Accounts(ctx context.Context) (out []store.EpochAccount, err error) {
	if err := s.eachEpoch(ctx, func(a store.EpochAccount, _ *ledger.Epoch) { out = append(out, a) }); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b store.EpochAccount) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.First, b.First), cmp.Compare(a.Epoch, b.Epoch))
	})
	return out, nil
}

// eachEpoch calls f for every epoch as it is now. f must not keep the epoch.
func (s *Store) eachEpoch(ctx context.Context, f func(store.EpochAccount, *ledger.Epoch)) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	for _, p := range s.parts {
		if err := s.refresh(ctx, p); err != nil {
			return err
		}
		for _, d := range p.devices {
			for _, e := range d.Epochs {
				a := store.EpochAccount{Device: d.Name, Stream: e.Stream, Epoch: e.Epoch, Parent: e.Parent, First: e.First, Next: e.Next, End: e.End,
					Rows: e.Rows - e.Removed, Removed: e.Removed, Late: e.Late, Skipped: map[string]uint64{}, Gaps: map[string]uint64{}, Quarantined: e.Quarantined,
					Arrived: e.Arrived, LastTime: e.LastTime, Series: uint64(len(e.Series))}
				for _, k := range e.Skipped {
					a.Skipped[k.Reason] += k.Len()
				}
				for _, g := range e.Gaps {
					a.Gaps[g.Reason.String()] += g.Len()
				}
				f(a, e)
			}
		}
	}
	return nil
}

// Schema is the version of the records in PREFIX-offsets.
const Schema = 1

// Info implements store.Accountant. Bytes are what the topics of the prefix take on the brokers, replicas included.
func (s *Store) Info(ctx context.Context) (i store.Info, err error) {
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return i, err
	}
	i.Schema = Schema
	for _, a := range accounts {
		i.DeadLetters += int64(a.Skipped["dead-letter"])
	}
	// A cluster that does not tell of its disks is no reason to tell nothing.
	if all, err := s.adm.DescribeAllLogDirs(ctx, nil); err == nil {
		for _, dirs := range all {
			dirs.EachPartition(func(p kadm.DescribedLogDirPartition) {
				if s.o.owns(p.Topic) {
					i.FileBytes += p.Size
				}
			})
		}
		i.UsedBytes = i.FileBytes
	}
	return i, nil
}
