package receive

import (
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

// queue is bounded by bytes.
type queue struct {
	wake  chan struct{}
	limit int
	frame int // what a data frame costs at least

	mu      sync.Mutex // guards what follows
	items   []item
	rows    int // of frames among items
	hellos  int // among items
	cost    int // of items
	bytes   int // of items, and of those that a round is working on
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
	q.items = append(q.items, it)
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

// cut takes the messages of one round, oldest first, and at least one.
func (q *queue) cut(maxRows, maxCost int) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	rows, cost, n := 0, 0, 0
	for n < len(q.items) && rows < maxRows && cost < maxCost && n < maxRoundFrames {
		switch m := q.items[n].m.(type) {
		case *wire.Data:
			rows += int(m.Count)
		case *wire.Hello:
			q.hellos--
		}
		cost += q.items[n].cost(q.frame)
		n++
	}
	out := q.items[:n:n]
	q.items = q.items[n:]
	q.rows -= rows
	q.cost -= cost
	return out
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
	return len(q.items), q.hellos > 0 || q.rows >= maxRows || len(q.items) >= maxRoundFrames, dropped
}
