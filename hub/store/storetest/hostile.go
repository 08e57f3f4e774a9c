package storetest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// testHostile: whatever a device may say within the rules of the wire, the store takes it or refuses it as a lost
// compare-and-set. An error would be taken for a store that is down, and stop all other devices.
func testHostile(t *testing.T, s store.Store) {
	one := newHistory("good", "telemetry", 1)
	apply(t, s, one.create(2))
	e := record.Epoch(100)
	play := func(name string, changes ...store.Change) {
		t.Run(name, func(t *testing.T) {
			apply(t, s, changes...)
			last := changes[len(changes)-1]
			p := position(t, s, "evil", last.Epoch)
			if p.Next != last.To || p.ChainNext != last.ToChain {
				t.Errorf("stands at %d, want %d", p.Next, last.To)
			}
			apply(t, s, one.rows(1)) // the next one is served
		})
	}
	fresh := func(at record.Offset) *history {
		e++
		h := newHistory("evil", "telemetry", e)
		h.next = at
		return h
	}
	for _, at := range []record.Offset{1<<53 - 1, record.MaxOffset - 8} {
		h := fresh(at)
		play(fmt.Sprintf("rows from offset %d", at), h.create(5), h.rows(3))
		h = fresh(at)
		play(fmt.Sprintf("a gap from offset %d", at), h.create(1), h.gap(5, record.ReasonRetention), h.rows(2))
	}
	h := fresh(0)
	c := h.create(1)
	g := h.gap(1, 200)
	g.Gaps[0].TimeMin, g.Gaps[0].TimeMax = math.MinInt64, math.MaxInt64
	g.Gaps[0].To, g.To = record.MaxOffset, record.MaxOffset
	play("a gap over everything, for a reason that nobody knows", c, g)

	h = fresh(0)
	c = h.create(2)
	c.Producers = []store.Producer{producer("a", 1, math.MaxUint64), producer(strings.Repeat("z", record.MaxProducerName), math.MaxUint64, 0)}
	play("names of producers", c)

	h = fresh(0)
	c = h.create(1)
	c.Definitions = append(c.Definitions, record.Definition{ID: record.MaxSeriesPerEpoch, Series: record.Series{Name: "x", Unit: "a\x00\\u0000b",
		Labels: []record.Label{{Key: "k", Value: "\x00" + strings.Repeat("\U0010ffff", 200)}}, Type: record.TypeInt}})
	play("units and labels", c)

	for i, boot := range []string{"'", strings.Repeat("~", record.MaxMarkWord), "\\u0000"} {
		h = fresh(0)
		c = h.create(3)
		for k := range c.Rows {
			c.Rows[k].Clock, c.Rows[k].Time = record.ClockBoot, []int64{math.MinInt64, 0, math.MaxInt64}[k]
		}
		h.chain = record.FoldChain(0, c.Rows)
		c.ToChain = h.chain
		c.Boot = boot
		c.Anchors = []record.Anchor{{Boot: boot, BootTime: math.MinInt64, UTC: math.MaxInt64, Error: math.MinInt64, Source: record.ClockSource(boot), State: boot},
			{Boot: boot, BootTime: math.MaxInt64, UTC: math.MinInt64, Error: math.MaxInt64, Source: record.SourceNTP}}
		d := h.rows(1)
		d.Anchors = []record.Anchor{{Boot: boot, BootTime: 1, UTC: math.MinInt64, Error: -1, Source: record.SourceSystem}, {Boot: boot + "x", Source: "?"}}
		play(fmt.Sprintf("boots and anchors %d", i), c, d)
	}

	h = fresh(0)
	c = h.create(6)
	text := func(i int, typ record.Type, v string) {
		c.Rows[i].Type, c.Rows[i].Num, c.Rows[i].Data = typ, 0, &record.Data{Value: []byte(v), Detail: []byte("\x00\xff")}
	}
	text(0, record.TypeJSON, `{"a":"\u0000","\u0000":1,"a":2}`)
	text(1, record.TypeJSON, strings.Repeat("[", 9000)+strings.Repeat("]", 9000))
	text(2, record.TypeJSON, `[1e99999,-0,"\ud800"]`)
	text(3, record.TypeString, "\x00")
	c.Rows[4].Quality, c.Rows[4].Time = 255, math.MaxInt64
	c.Rows[5].Type, c.Rows[5].Num = record.TypeFloat, int64(math.Float64bits(math.Inf(1)))
	h.chain = record.FoldChain(0, c.Rows)
	c.ToChain = h.chain
	play("values", c)
}
