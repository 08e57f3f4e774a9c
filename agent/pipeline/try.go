package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// Trial is what a pipeline would have made of a part of the past.
type Trial struct {
	Stats
	Series   int // followed
	Open     int // of them, with a window that is not over
	Raised   int // alarms at the end
	Standing []Standing
}

// Try runs a pipeline over what is in its input from an offset on, and writes nothing. each is called for every result;
// its error ends the trial. The log may be open for reading only.
func Try(ctx context.Context, d Definition, in *buffer.Log, from record.Offset, each func(*Result) error) (t Trial, err error) {
	c := NewCore(d, in.Series)
	c.next = from
	items := in.Read(from)
	defer func() { err = errors.Join(err, items.Close()) }()
	var dec record.Decoder
	var recs []record.Record
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return t, err
		}
		it, err := items.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return c.trial(), nil
		}
		if err != nil {
			return t, fmt.Errorf("read stream %s: %w", in.Name(), err)
		}
		c.Enter(it.Header.Epoch)
		if it.Gap != nil {
			c.Gap(it.Gap.To)
			continue
		}
		b := &it.Batch
		if recs, err = dec.Decode(recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
			return t, fmt.Errorf("read stream %s at offset %d: %w", in.Name(), b.Base, err)
		}
		if first {
			c.next = max(c.next, b.Base)
		}
		c.Gap(b.Base)
		if a, ok := anchorOf(in, &it.Header); ok && !c.knows(it.Header.Boot) && recs[c.next-b.Base].Kind != record.KindBoot {
			c.Anchor(a)
		}
		for i := int(c.next - b.Base); i < len(recs); i++ {
			c.Record(&recs[i])
			for _, m := range c.Messages() {
				for k := range m.Results {
					if err := each(&m.Results[k]); err != nil {
						return c.trial(), err
					}
				}
			}
		}
	}
}

func (c *Core) trial() Trial {
	t := Trial{Stats: c.stats, Series: len(c.series)}
	t.Standing, t.Raised = c.standings(maxStanding)
	for _, s := range c.series {
		if len(s.panes) > 0 {
			t.Open++
		}
	}
	return t
}
