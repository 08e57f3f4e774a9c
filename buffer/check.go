package buffer

import (
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// check looks at everything in a draft that does not depend on the log's state.
func (l *Log) check(d *record.Draft) error {
	if len(d.Records) == 0 {
		return fmt.Errorf("%w: empty draft", ErrInvalid)
	}
	if len(d.Records) > record.MaxBatchRecords {
		return fmt.Errorf("%w: draft of %d records, at most %d", ErrTooLarge, len(d.Records), record.MaxBatchRecords)
	}
	total := 0
	for i := range d.Records {
		if d.Records[i].Data != nil {
			total += d.Records[i].CanonicalLen()
		} else {
			total += 24
		}
	}
	if total > maxDraftBytes {
		return fmt.Errorf("%w: draft of %d canonical bytes, at most %d", ErrTooLarge, total, maxDraftBytes)
	}
	if p := d.Producer; p != nil {
		if !record.ValidProducer(p.Name) {
			return fmt.Errorf("%w: producer name %q", ErrInvalid, p.Name)
		}
		if total > record.MaxRecordBytes {
			return fmt.Errorf("%w: message of producer %s of %d canonical bytes, at most %d", ErrTooLarge, p.Name, total, record.MaxRecordBytes)
		}
	}
	return nil
}

// checkSeries looks at each record. mu is held, because series are defined at any time.
func (l *Log) checkSeries(d *record.Draft) error {
	n := record.SeriesID(len(l.defs.list))
	for i := range d.Records {
		if err := checkRecord(&d.Records[i], n); err != nil {
			return fmt.Errorf("record %d of %d: %w", i+1, len(d.Records), err)
		}
	}
	return nil
}

func checkRecord(r *record.Record, series record.SeriesID) error {
	switch {
	case r.Kind == record.KindObservation && (r.Series == 0 || r.Series > series):
		return fmt.Errorf("%w: series %d is not defined", ErrInvalid, r.Series)
	case r.Kind != record.KindObservation && (r.Kind < record.KindBoot || r.Kind > record.KindConfig || r.Series != 0):
		return fmt.Errorf("%w: %s with series %d", ErrInvalid, r.Kind, r.Series)
	case r.Clock != record.ClockBoot && !r.Clock.Asserted():
		return fmt.Errorf("%w: clock %d", ErrInvalid, r.Clock)
	case r.Data != nil && (len(r.Data.Detail) > record.MaxDetailBytes || r.CanonicalLen() > record.MaxRecordBytes):
		return fmt.Errorf("%w: %d canonical bytes, %d of detail", ErrTooLarge, r.CanonicalLen(), len(r.Data.Detail))
	}
	if err := r.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
