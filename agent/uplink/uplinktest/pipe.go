package uplinktest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// ErrPipe ends a pipe.
var ErrPipe = errors.New("pipe is closed")

// Pipe is a wire.Link in memory; its other end is Up and Down. Lose, if not nil, swallows messages of either
// direction.
type Pipe struct {
	Up   chan wire.Message // from the agent
	Down chan wire.Message // to the agent
	Lose func(wire.Message) bool
	done chan struct{}
	once sync.Once
}

// NewPipe makes a pipe that holds n messages in each direction.
func NewPipe(n int) *Pipe {
	return &Pipe{Up: make(chan wire.Message, n), Down: make(chan wire.Message, n), done: make(chan struct{})}
}

// Send implements wire.Link.
func (p *Pipe) Send(ctx context.Context, m wire.Message) error {
	select {
	case <-p.done:
		return ErrPipe
	default:
	}
	if d, ok := m.(*wire.Data); ok { // the body is the sender's
		c := *d
		c.Body = append([]byte(nil), d.Body...)
		m = &c
	}
	if p.Lose != nil && p.Lose(m) {
		return nil
	}
	select {
	case p.Up <- m:
		return nil
	case <-p.done:
		return ErrPipe
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Recv implements wire.Link.
func (p *Pipe) Recv(ctx context.Context) (wire.Message, error) {
	select {
	case m := <-p.Down:
		return m, nil
	case <-p.done:
		return nil, ErrPipe
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Serve lets a hub answer until the pipe is closed.
func (p *Pipe) Serve(h interface{ Handle(wire.Message) *wire.Ack }) {
	for {
		select {
		case m := <-p.Up:
			if a := h.Handle(m); a != nil && (p.Lose == nil || !p.Lose(a)) {
				select {
				case p.Down <- a:
				case <-p.done:
				}
			}
		case <-p.done:
			return
		}
	}
}

// Close implements wire.Link.
func (p *Pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Far is the hub's end of a link under test.
type Far struct {
	Recv func(t *testing.T) wire.Message // the next message that the agent sent
	Ack  func(t *testing.T, a *wire.Ack)
}

// TestLink is the conformance suite of wire.Link on the agent's side.
func TestLink(t *testing.T, open func(t *testing.T) (wire.Link, Far)) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	link, far := open(t)
	header := wire.FrameHeader{Stream: "telemetry", Epoch: 7, Nonce: 3}
	var sent []wire.Message
	sent = append(sent, &wire.Hello{Nonce: 3, Parts: 1, Agent: "test"})
	for i := range 40 { // order holds within a stream
		body := make([]byte, 1000*i+1)
		sent = append(sent, &wire.Data{FrameHeader: header, Base: record.Offset(i), Count: 1, Body: body, RawLen: uint32(len(body)), CRC: wire.Checksum(body)})
	}
	sent = append(sent, &wire.Gap{FrameHeader: header, Range: record.Range{From: 40, To: 50}, Reason: record.ReasonRetention})
	for _, m := range sent {
		if err := link.Send(ctx, m); err != nil {
			t.Fatal(err)
		}
		if got := far.Recv(t); !reflect.DeepEqual(got, m) {
			t.Fatalf("the hub got %+v\nsent was    %+v", got, m)
		}
	}
	for i := range 20 {
		want := &wire.Ack{Nonce: 3, Credit: uint32(i)}
		far.Ack(t, want)
		got, err := link.Recv(ctx)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("received %+v, %v; want %+v", got, err, want)
		}
	}
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if _, err := link.Recv(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Recv with an ended context: %v", err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := link.Recv(ctx)
		waiting <- err
	}()
	if err := link.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err == nil {
		t.Error("Recv on a closed link has no error")
	}
	if err := link.Send(ctx, sent[0]); err == nil {
		t.Error("Send on a closed link has no error")
	}
	if err := link.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
