package updatetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
)

// Net is a broker and its links in memory. Its time is that of the goroutines that use it, so that it runs on virtual
// time in a testing/synctest bubble.
type Net struct {
	mu       sync.Mutex // guards what follows
	links    map[*Link]bool
	retained map[string][]byte
}

// NewNet makes an empty one.
func NewNet() *Net { return &Net{links: map[*Link]bool{}, retained: map[string][]byte{}} }

// Link is one connection (fleetwire.Link). What goes to it passes a line with a rate and a delay, one message after
// another.
type Link struct {
	net   *Net
	rate  float64 // bytes a second towards this end; 0: as fast as may be
	delay time.Duration
	// Drop loses a message on its way to this end.
	drop func(fleetwire.Message) bool

	line chan arrival
	done chan struct{}

	mu   sync.Mutex // guards what follows
	subs []subscription
	free time.Time
	over bool
}

type subscription struct {
	filter string
	h      func(fleetwire.Message)
}

type arrival struct {
	at time.Time
	m  fleetwire.Message
}

// ErrOver says that a link has ended.
var ErrOver = errors.New("the link is over")

const lineMessages = 1 << 14

// Dial makes a link. rate is in bytes a second towards this end (0: no limit), delay is one way; drop may be nil.
func (n *Net) Dial(rate float64, delay time.Duration, drop func(fleetwire.Message) bool) *Link {
	l := &Link{net: n, rate: rate, delay: delay, drop: drop, line: make(chan arrival, lineMessages), done: make(chan struct{})}
	n.mu.Lock()
	n.links[l] = true
	n.mu.Unlock()
	go l.carry() // until Close
	return l
}

func (l *Link) carry() {
	for {
		select {
		case <-l.done:
			return
		case a := <-l.line:
			if wait := time.Until(a.at); wait > 0 {
				select {
				case <-time.After(wait):
				case <-l.done:
					return
				}
			}
			l.mu.Lock()
			subs := append([]subscription(nil), l.subs...)
			l.mu.Unlock()
			for _, s := range subs {
				if matches(s.filter, a.m.Topic) {
					s.h(a.m)
					break
				}
			}
		}
	}
}

// Close ends the link: what was under way is lost.
func (l *Link) Close() error {
	l.mu.Lock()
	again := l.over
	l.over = true
	l.mu.Unlock()
	if !again {
		l.net.mu.Lock()
		delete(l.net.links, l)
		l.net.mu.Unlock()
		close(l.done)
	}
	return nil
}

// Done implements fleetwire.Link.
func (l *Link) Done() <-chan struct{} { return l.done }

// Enqueue implements fleetwire.Link.
func (l *Link) Enqueue(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	select {
	case <-l.done:
		return ErrOver
	default:
	}
	return l.net.publish(fleetwire.Message{Topic: topic, Payload: payload}, retain)
}

// Publish implements fleetwire.Link.
func (l *Link) Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return l.Enqueue(ctx, topic, qos, retain, payload)
}

// Subscribe implements fleetwire.Link.
func (l *Link) Subscribe(_ context.Context, filter string, _ byte, h func(fleetwire.Message)) error {
	l.mu.Lock()
	l.subs = append(l.subs, subscription{filter, h})
	l.mu.Unlock()
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for topic, payload := range l.net.retained {
		if matches(filter, topic) {
			l.send(fleetwire.Message{Topic: topic, Payload: payload, Retained: true})
		}
	}
	return nil
}

func (n *Net) publish(m fleetwire.Message, retain bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if retain {
		if len(m.Payload) == 0 {
			delete(n.retained, m.Topic)
		} else {
			n.retained[m.Topic] = m.Payload
		}
	}
	for l := range n.links {
		l.mu.Lock()
		wanted := false
		for _, s := range l.subs {
			wanted = wanted || matches(s.filter, m.Topic)
		}
		l.mu.Unlock()
		if wanted {
			l.send(m)
		}
	}
	return nil
}

// Close ends all links.
func (n *Net) Close() {
	n.mu.Lock()
	var all []*Link
	for l := range n.links {
		all = append(all, l)
	}
	n.mu.Unlock()
	for _, l := range all {
		l.Close()
	}
}

// Forget loses what the broker holds, as its restart without a disk does.
func (n *Net) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.retained)
}

// Retained is what stands under a topic.
func (n *Net) Retained(topic string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.retained[topic]
}

func (l *Link) send(m fleetwire.Message) {
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	if l.rate > 0 {
		l.free = l.free.Add(time.Duration(float64(len(m.Payload)+len(m.Topic)) / l.rate * float64(time.Second)))
	}
	a := arrival{l.free.Add(l.delay), m}
	l.mu.Unlock()
	if l.drop != nil && l.drop(m) {
		return
	}
	select {
	case l.line <- a:
	case <-l.done:
	default: // a full queue loses messages, as a broker's does
	}
}

func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	if len(f) != len(t) {
		return false
	}
	for i := range f {
		if f[i] != "+" && f[i] != t[i] {
			return false
		}
	}
	return true
}
