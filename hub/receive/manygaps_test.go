package receive_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/edgelog/edgelog/buffer/record"
)

// TestManyGaps: the hub has more gaps of an epoch than one answer or ack lists. Two copies of a disk have dropped what cannot
// be filled (each gap's beginning is nowhere); the second one holds the rest of each. At no moment it counts as delivered
// what no hub has, and in the end both accounts agree, also for what an answer of before had told.
func TestManyGaps(t *testing.T) {
	for _, n := range []int{63, 64, 65, 200, 1100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { manyGaps(t, n) })
		})
	}
}

func manyGaps(t *testing.T, n int) {
	p := newPair(t, &steps{})
	defer func() {
		for _, h := range p.hubs {
			h.end()
		}
	}()
	do := func(format string, args ...any) { p.do(strings.Fields(fmt.Sprintf(format, args...))) }
	do("box a")
	do("append a %d", 4*n)
	do("copy a card")
	for i := range n { // of each four the middle ones
		do("drop a %d %d retention", 4*i+1, 4*i+3)
	}
	do("settle")
	do("boot b card")
	for i := range n {
		do("drop b %d %d corrupt", 4*i+1, 4*i+2)
	}
	do("connect b")
	held := func() uint64 {
		st, err := p.store.Positions(context.Background(), "box")
		if err != nil || len(st.Positions) != 1 {
			t.Fatal(st, err)
		}
		return st.Positions[0].Rows
	}
	b := p.box("b")
	check := func() {
		for _, a := range b.s.Accounts() {
			if a.Delivered > held() || !a.Balanced {
				t.Fatalf("b counts %d as delivered, the hub has %d; %+v", a.Delivered, held(), a)
			}
		}
		if _, owed := b.log.Delivered(), b.log.Owed(); b.log.Position > 3 && len(owed) == 0 {
			t.Fatalf("the log was told %d, and of nothing that is owed below it", b.log.Position)
		}
	}
	for range 2 {
		for range 4 * n { // step by step, answers after every message
			if !p.pump(b, false) {
				break
			}
			for len(p.up) > 0 {
				p.take(1)
				for p.hear() {
					if n <= 200 {
						check()
					}
				}
			}
		}
		check()
		if n <= 1024 { // beyond, what is not known to be delivered waits for ever
			do("settle")
			check()
		}
	}
	a := b.s.Accounts()[0]
	want := uint64(2 * n)
	owed := uint64(min(n, 1024)) // as much as a box keeps
	switch {
	case n <= 1024 && (a.Delivered != want || a.Owed != owed || a.Dropped[record.ReasonCorrupt] != uint64(n)):
		t.Errorf("b: %+v; want %d delivered and %d owed", a, want, owed)
	case n > 1024 && (a.Owed != owed || a.Delivered >= want || a.Buffered == 0):
		t.Errorf("b: %+v; want %d owed and the rest not known to be delivered", a, owed)
	case held() != want:
		t.Errorf("the hub has %d rows, want %d", held(), want)
	}
}
