package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

var _ ledger.Mover = (*Store)(nil)

// Devices implements ledger.Mover.
func (s *Store) Devices(ctx context.Context) (out []string, err error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	for _, p := range s.parts {
		if err := s.refresh(ctx, p); err != nil {
			return nil, err
		}
		for name, d := range p.devices {
			if len(d.Epochs) > 0 {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// Export implements ledger.Mover. What it returns belongs to the store: Moved copies it.
func (s *Store) Export(ctx context.Context, device string) (*ledger.Device, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	p := s.part(device)
	if err := s.refresh(ctx, p); err != nil {
		return nil, err
	}
	return p.device(device).Moved(), nil
}

// Import implements ledger.Mover.
func (s *Store) Import(ctx context.Context, d *ledger.Device) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	sc := s.scope("")
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if claimed, err := s.claim(ctx, sc); err != nil {
		return unavailable(err)
	} else if claimed {
		s.inits++
	}
	p := s.part(d.Name)
	if err := s.refresh(ctx, p); err != nil {
		return err
	}
	if old := p.devices[d.Name]; old != nil && len(old.Epochs) > 0 {
		return fmt.Errorf("import %s: %w", d.Name, ledger.ErrThere)
	}
	out := writer{s: s}
	w := &work{Device: d, part: p}
	for _, e := range d.Epochs {
		key := epochKey(d.Name, e.Stream, e.Epoch)
		for _, id := range e.Series {
			def := record.Definition{ID: id, Series: e.Definitions[id].Series}
			out.state(w, key+"/series/"+strconv.FormatUint(uint64(id), 10), encode(seriesRecord{def.Series.Key(), record.AppendDefinition(nil, def)}))
		}
		if len(e.Gaps)+len(e.Skipped) > 0 {
			for n := range holesParts(e) {
				out.state(w, holesKey(key, n), encodeHoles(holesOf(e, n)))
			}
		}
		out.state(w, key, encodePosition(e))
	}
	for _, q := range d.Producers {
		out.state(w, producerKey(d.Name, q), encodeProducer(q))
	}
	for _, b := range d.Boots {
		out.state(w, d.Name+"//boot/"+b.ID, encodeBoot(b))
	}
	err := s.run(ctx, sc, out.records)
	p.reader.next, p.devices, p.holes = -1, nil, nil // whatever became of it is read by the next call
	if err != nil {
		return fmt.Errorf("import %s: %w", d.Name, unavailable(err))
	}
	return nil
}
