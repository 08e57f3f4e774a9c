package receive

import (
	"slices"
	"sync"

	"github.com/edgelog/edgelog/internal/wire"
)

// item is one queued message.
type item struct {
	device string
	m      wire.Message // nil: the device's state changed
	online bool
	reply  Reply
	size   int // bytes of memory, about
}

// cost is what a message counts against a credit; a data frame at least so much.
func (it *item) cost(frame int) int {
	if _, ok := it.m.(*wire.Data); ok {
		return max(it.size, frame)
	}
	return it.size
}

// urgent reports whether the message is of a stream that goes before history, as at the agent.
func (it *item) urgent() bool {
	f, ok := it.m.(wire.Frame)
	if !ok {
		return false
	}
	switch f.Header().Stream {
	case "alarms", "events", "health":
		return true
	}
	return false
}

// queue is bounded by bytes.
type queue struct {
	wake  chan struct{}
	limit int
	frame int // what a data frame costs at least

	mu      sync.Mutex // guards what follows
	urgent  []item     // frames of streams that a backlog must not delay; the order within a stream stays
	items   []item     // all others
	rows    int        // of frames among both
	hellos  int        // among items
	cost    int        // of both
	bytes   int        // of both, and of those that a round is working on
	dropped map[string]int
}

func (q *queue) put(it item, rows, limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+it.size > limit {
		if q.dropped == nil {
			q.dropped = map[string]int{}
		}
		if len(q.dropped) < maxDropNames || q.dropped[it.device] > 0 {
			q.dropped[it.device]++
		} else {
			q.dropped[""]++
		}
		return
	}
	if it.urgent() {
		q.urgent = append(q.urgent, it)
	} else {
		q.items = append(q.items, it)
	}
	q.bytes += it.size
	q.rows += rows
	q.cost += it.cost(q.frame)
	if _, hello := it.m.(*wire.Hello); hello {
		q.hellos++
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// cut takes the messages of one round, oldest first, and at least one. Urgent frames come first, but take no more than
// half of a round while others wait.
func (q *queue) cut(maxRows, maxCost int) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.urgent) == 0 {
		out, _, _ := q.take(&q.items, maxRows, maxCost, maxRoundFrames)
		return out
	}
	part := 1
	if len(q.items) > 0 {
		part = 2
	}
	first, rows, cost := q.take(&q.urgent, maxRows/part, maxCost/part, maxRoundFrames/part)
	rest, _, _ := q.take(&q.items, maxRows-rows, maxCost-cost, maxRoundFrames-len(first))
	return append(first, rest...)
}

// take takes the oldest of a list, and at least one, unless there are none.
func (q *queue) take(from *[]item, maxRows, maxCost, maxFrames int) (out []item, rows, cost int) {
	items, n := *from, 0
	for n < len(items) && (n == 0 || rows < maxRows && cost < maxCost && n < maxFrames) {
		switch m := items[n].m.(type) {
		case *wire.Data:
			rows += int(m.Count)
		case *wire.Hello:
			q.hellos--
		}
		cost += items[n].cost(q.frame)
		n++
	}
	q.rows -= rows
	q.cost -= cost
	out = slices.Clone(items[:n])
	clear(items[:n])
	*from = items[n:]
	return out, rows, cost
}

// done forgets the messages of a round.
func (q *queue) done(items []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range items {
		q.bytes -= items[i].size
	}
	clear(items)
}

// state is what waits: messages, whether a round should begin without waiting for more, and what was dropped since.
func (q *queue) state(maxRows int) (waiting int, now bool, dropped map[string]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped, q.dropped = q.dropped, nil
	waiting = len(q.items) + len(q.urgent)
	return waiting, q.hellos > 0 || q.rows >= maxRows || waiting >= maxRoundFrames, dropped
}
