package fleet

import (
	"sync"

	"github.com/edgelog/edgelog/internal/fleetwire"
)

// late holds what devices say of themselves while the loop is behind, the newest of each topic: the broker says it only once, at
// the beginning of a connection, and a device whose state was dropped would count as offline until the next one.
type late struct {
	mu    sync.Mutex     // guards what follows
	at    map[string]int // topic → place in list, of those that wait
	list  []fleetwire.Message
	next  int // of list
	bytes int
}

// put takes a message; false: there are too many bytes.
func (l *late) put(m fleetwire.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, waits := l.at[m.Topic]
	more := len(m.Payload)
	if waits {
		more -= len(l.list[i].Payload)
	}
	if l.bytes+more > maxLateBytes {
		return false
	}
	l.bytes += more
	if waits {
		l.list[i] = m
		return true
	}
	if l.at == nil {
		l.at = map[string]int{}
	}
	l.at[m.Topic] = len(l.list)
	l.list = append(l.list, m)
	return true
}

// empty tells whether nothing waits.
func (l *late) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next == len(l.list)
}

// take takes the message that waits longest.
func (l *late) take() (m fleetwire.Message, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == len(l.list) {
		return m, false
	}
	m, l.list[l.next] = l.list[l.next], fleetwire.Message{}
	delete(l.at, m.Topic)
	l.bytes -= len(m.Payload)
	if l.next++; l.next == len(l.list) {
		l.list, l.next = nil, 0
	}
	return m, true
}
