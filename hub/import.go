package hub

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// Bounds of an import.
const (
	importFrames = 64      // of one round, at most …
	importBytes  = 4 << 20 // … and so many bytes of bodies
	importPasses = 3       // over the file: a running hub may win a race for a position
)

// ImportReport is the answer of `edge-hub import --json`.
type ImportReport struct {
	SchemaVersion int           `json:"schema_version"`
	File          string        `json:"file"`
	AckFile       string        `json:"ack_file"`
	Device        string        `json:"device"`
	Nonce         string        `json:"nonce"`
	Made          time.Time     `json:"made"`
	Program       string        `json:"program"`
	Damage        string        `json:"damage,omitempty"` // where the file ends early; what stands before is imported
	Complete      bool          `json:"complete"`         // everything in the file is in the store
	Epochs        []ImportEpoch `json:"epochs"`
	Notices       []string      `json:"notices,omitempty"`
}

// ImportEpoch is one epoch of the file.
type ImportEpoch struct {
	Stream string `json:"stream"`
	Epoch  string `json:"epoch"`
	From   uint64 `json:"from"` // what the file has of it
	To     uint64 `json:"to"`
	Before uint64 `json:"before"` // the hub's position
	Next   uint64 `json:"next"`
	Why    string `json:"why,omitempty"` // why it is not To
}

var errNoFile = errors.New("there is no such file")

func (a *app) cmdImport(ctx context.Context, args []string) error {
	ackFile := ""
	words, err := a.parse("import", args, 1, func(f *flag.FlagSet) { f.StringVar(&ackFile, "ack", "", "") })
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("import: which FILE? edgectl log export makes one at the box")
	}
	if ackFile == "" {
		ackFile = words[0] + carry.AckSuffix
	}
	f, err := os.Open(words[0])
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("import: %w: %s. edgectl log export makes one at the box", errNoFile, words[0])
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	im := importer{a: a, f: f, store: s}
	r, err := im.run(ctx)
	if err != nil {
		return fmt.Errorf("import %s: %w", words[0], err)
	}
	r.File, r.AckFile = words[0], ackFile
	if err := im.writeAck(ackFile); err != nil {
		return fmt.Errorf("everything is in the store, but the ack file is not written: %w", err)
	}
	if err := a.showImport(r); err != nil {
		return err
	}
	if !r.Complete || r.Damage != "" {
		return &exit{code: ExitDegraded}
	}
	return nil
}

// importer feeds a portable file through the hub's own rules: hub/receive decides and commits, as it does for frames
// that come over the network. It may run beside a running hub: every commit compares and sets the position.
type importer struct {
	a     *app
	f     *os.File
	store store.Store

	recv    *receive.Receiver
	head    carry.Header
	hellos  []*wire.Hello
	epochs  []*importEpoch // in the order of the file
	damage  string
	answers []*wire.Ack // the last ones, one for each hello
	replies replies
	notices []string
}

type importEpoch struct {
	stream  string
	state   wire.EpochState
	held    bool // the hello names it
	in      record.Range
	data    []record.Range // of it, not gaps
	gaps    []record.Gap   // that the hub has recorded: an answer lists the oldest only
	before  record.Offset
	pos     wire.Position
	verdict wire.Verdict
	parent  record.Epoch
}

// replies collects what the receiver answers.
type replies struct {
	mu   sync.Mutex // guards acks
	acks []*wire.Ack
	wake chan struct{}
}

func (r *replies) put(a *wire.Ack) {
	r.mu.Lock()
	r.acks = append(r.acks, a)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *replies) take() []*wire.Ack {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.acks
	r.acks = nil
	return out
}

func (im *importer) run(ctx context.Context) (*ImportReport, error) {
	if err := im.survey(); err != nil {
		return nil, err
	}
	im.replies.wake = make(chan struct{}, 1)
	im.recv = receive.New(receive.Options{Store: im.store, Linger: -1, Events: receive.Events{
		StoreDown: func(err error) {
			fmt.Fprintf(im.a.Stderr, "edge-hub: the store takes nothing now; tried again until interrupted: %v\n", err)
		},
		Notice: func(_, text string) { im.notices = append(im.notices, text) },
	}})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- im.recv.Run(ctx) }()
	err := im.deliver(ctx)
	cancel()
	if err = errors.Join(err, <-done); err != nil {
		return nil, err
	}
	return im.report(), nil
}

// survey reads the file once: nothing is imported of a file that is no export, and hellos come first.
func (im *importer) survey() error {
	r, err := im.open()
	if err != nil {
		return err
	}
	im.head = r.Header
	if im.head.Kind != carry.Export {
		return fmt.Errorf("%w: it is an ack file; it belongs to the box: edgectl log import", carry.ErrFormat)
	}
	err = im.read(r, func(m wire.Message) error {
		switch m := m.(type) {
		case *wire.Hello:
			im.hellos = append(im.hellos, m)
		case *wire.Data:
			r := record.Range{From: m.Base, To: m.Base + record.Offset(m.Count)}
			im.epoch(&m.FrameHeader).addData(r)
		case *wire.Gap:
			im.epoch(&m.FrameHeader).add(m.Range)
		}
		return nil
	})
	if err == nil && len(im.hellos) == 0 {
		err = fmt.Errorf("nothing in it can be used: %s", im.damage)
	}
	return err
}

func (im *importer) open() (*carry.Reader, error) {
	if _, err := im.f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return carry.NewReader(im.f)
}

// read gives every message up to the end or to the first damage, which it notes.
func (im *importer) read(r *carry.Reader, each func(wire.Message) error) error {
	for {
		m, err := r.Next()
		var bad *carry.DamageError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, carry.ErrCut), errors.As(err, &bad):
			im.damage = fmt.Sprintf("after byte %d: %v", r.Pos(), err)
			return nil
		case err != nil:
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

func (im *importer) epoch(h *wire.FrameHeader) *importEpoch {
	for _, e := range im.epochs {
		if e.stream == h.Stream && e.state.Epoch == h.Epoch {
			return e
		}
	}
	e := &importEpoch{stream: h.Stream, state: wire.EpochState{Epoch: h.Epoch, Parent: h.Parent, ParentEnd: h.ParentEnd, First: h.First}}
	for _, hello := range im.hellos {
		for _, s := range hello.Streams {
			for _, x := range s.Epochs {
				if s.Stream == h.Stream && x.Epoch == h.Epoch {
					e.state, e.held = x, true
				}
			}
		}
	}
	im.epochs = append(im.epochs, e)
	return e
}

func (e *importEpoch) add(r record.Range) {
	if e.in.Len() == 0 {
		e.in = r
	}
	e.in = record.Range{From: min(e.in.From, r.From), To: max(e.in.To, r.To)}
}

func (e *importEpoch) addData(r record.Range) {
	e.add(r)
	if n := len(e.data); n > 0 && e.data[n-1].To == r.From {
		e.data[n-1].To = r.To
		return
	}
	e.data = append(e.data, r)
}

// open counts the gaps that the hub has recorded and that records of the file could fill (H3).
func (e *importEpoch) open() (n int) {
	for _, g := range e.gaps {
		for _, r := range e.data {
			if r.Contains(g.From) {
				n++
			}
		}
	}
	return n
}

// deliver asks where the hub stands and brings the frames in rounds, until all are there or nothing moves any more.
func (im *importer) deliver(ctx context.Context) error {
	if err := im.look(ctx); err != nil {
		return err
	}
	for _, e := range im.epochs {
		e.before = e.pos.Next
	}
	p := &term.Progress{Out: im.a.Stderr, Style: im.a.Style, Label: "import", Start: im.a.Now(), Unit: term.Bytes}
	if st, err := im.f.Stat(); err == nil {
		p.Total = st.Size()
	}
	for pass := 0; pass < importPasses && !im.complete(); pass++ {
		moved := im.sum()
		if err := im.pass(ctx, p); err != nil {
			return err
		}
		if err := im.look(ctx); err != nil {
			return err
		}
		if im.sum() == moved {
			break
		}
	}
	return nil
}

// look says hello for the positions, of which the last ones go into the ack file, and reads all gaps of them.
func (im *importer) look(ctx context.Context) error {
	if err := im.greet(ctx, im.hellos); err != nil {
		return err
	}
	st, err := im.store.Positions(ctx, im.head.Device)
	if err != nil {
		return err
	}
	for i := range st.Positions {
		p := &st.Positions[i]
		for _, e := range im.epochs {
			if e.stream == p.Stream && e.state.Epoch == p.Epoch {
				e.gaps = p.Gaps
			}
		}
	}
	return nil
}

func (im *importer) complete() bool {
	for _, e := range im.epochs {
		if !e.pos.Known || e.pos.Next < e.in.To || e.open() > 0 {
			return false
		}
	}
	return true
}

// sum changes whenever a position moves or a gap shrinks.
func (im *importer) sum() (n uint64) {
	for _, e := range im.epochs {
		n += uint64(e.pos.Next)
		for _, g := range e.gaps {
			n -= g.Len()
		}
	}
	return n
}

// pass brings all frames once.
func (im *importer) pass(ctx context.Context, p *term.Progress) error {
	r, err := im.open()
	if err != nil {
		return err
	}
	for _, e := range im.epochs {
		e.verdict, e.parent = wire.VerdictOK, 0
	}
	frames, bytes := 0, 0
	touched := map[*importEpoch]bool{}
	flush := func() error {
		if frames == 0 {
			return nil
		}
		// An answer comes after what was committed of the frames before it.
		h := &wire.Hello{Nonce: im.head.Nonce, Parts: uint16(len(im.hellos)), Agent: im.hellos[0].Agent}
		for e := range touched {
			h.Streams = append(h.Streams, wire.StreamState{Stream: e.stream, Epochs: []wire.EpochState{e.state}})
		}
		frames, bytes = 0, 0
		clear(touched)
		p.Update(im.a.Now(), r.Pos())
		return im.greet(ctx, []*wire.Hello{h})
	}
	err = im.read(r, func(m wire.Message) error {
		f, ok := m.(wire.Frame)
		if !ok {
			return nil
		}
		e := im.epoch(f.Header())
		im.recv.Handle(im.head.Device, m, im.replies.put)
		touched[e] = true
		frames++
		if d, ok := m.(*wire.Data); ok {
			bytes += len(d.Body)
		}
		if frames >= importFrames || bytes >= importBytes || len(touched) >= wire.MaxHelloStreams {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// greet says hellos one after the other and takes what comes until each is answered.
func (im *importer) greet(ctx context.Context, hellos []*wire.Hello) error {
	var got []*wire.Ack
	for _, h := range hellos {
		own := *h
		im.recv.Handle(im.head.Device, &own, im.replies.put)
		for answered := false; !answered; {
			for _, a := range im.replies.take() {
				im.learn(a)
				if a.Answer {
					answered = true
					got = append(got, a)
				}
			}
			if answered {
				break
			}
			select {
			case <-im.replies.wake:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	im.answers = got
	return nil
}

// learn takes the positions of an answer, and the verdicts of an ack.
func (im *importer) learn(a *wire.Ack) {
	for i := range a.Positions {
		p := &a.Positions[i]
		for _, e := range im.epochs {
			if e.stream != p.Stream || e.state.Epoch != p.Epoch {
				continue
			}
			if a.Answer {
				e.pos = *p
			}
			if p.Verdict != wire.VerdictOK {
				e.verdict, e.parent = p.Verdict, p.Parent
			}
		}
	}
}

func (im *importer) report() *ImportReport {
	r := &ImportReport{SchemaVersion: SchemaVersion, Device: im.head.Device, Nonce: fmt.Sprintf("%016x", uint64(im.head.Nonce)),
		Made: im.head.Made, Program: im.head.Program, Damage: im.damage, Complete: im.complete(), Epochs: []ImportEpoch{}, Notices: im.notices}
	for _, e := range im.epochs {
		r.Epochs = append(r.Epochs, ImportEpoch{Stream: e.stream, Epoch: e.state.Epoch.String(), From: uint64(e.in.From), To: uint64(e.in.To),
			Before: uint64(e.before), Next: uint64(e.pos.Next), Why: im.why(e)})
	}
	return r
}

// why says why an epoch is not whole at the hub.
func (im *importer) why(e *importEpoch) string {
	whole := e.pos.Known && e.pos.Next >= e.in.To
	switch {
	case whole && e.open() > 0:
		return fmt.Sprintf("%d gaps that the hub has recorded could not be filled from the file", e.open())
	case whole:
		return ""
	case e.verdict == wire.VerdictConflict:
		return "the hub has another history of this epoch: it is in quarantine (edge-hub quarantine)"
	case e.verdict == wire.VerdictWait:
		return fmt.Sprintf("it waits for epoch %s, which is not whole at the hub: import the earlier file first, or let the box connect", e.parent)
	case e.in.From > e.pos.Next:
		return fmt.Sprintf("the hub has it up to offset %s and the file begins at %s: import the earlier file first, or let the box connect",
			term.CommaU(uint64(e.pos.Next)), term.CommaU(uint64(e.in.From)))
	case e.verdict == wire.VerdictDefinitions:
		return "a series is not defined in the file: export it again, whole"
	}
	return "the hub did not take the rest: " + e.verdict.String()
}

// writeAck writes the answers, whole or not at all.
func (im *importer) writeAck(name string) error {
	var b strings.Builder
	w, err := carry.NewWriter(&b, carry.Header{Kind: carry.Ack, Nonce: im.head.Nonce, Device: im.head.Device, Made: im.a.Now(), Program: "edge-hub " + version.String()})
	if err != nil {
		return err
	}
	for _, a := range im.answers {
		if err := w.Answer(a); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return vfs.WriteFileAtomic(vfs.OS{}, filepath.ToSlash(name), []byte(b.String()))
}

func (a *app) showImport(r *ImportReport) error {
	if a.asJSON {
		return a.json(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: device %s, made %s by %s\n\n", filepath.Base(r.File), r.Device, term.Clock(r.Made.In(a.Zone), a.now()), r.Program)
	t := term.Table{Head: []string{"STREAM", "EPOCH", "IN THE FILE", "HAD", "HAS NOW", "NEW"}, Right: []bool{false, false, true, true, true, true}, Gap: 2}
	for _, e := range r.Epochs {
		t.Row(e.Stream, e.Epoch, term.CommaU(e.From)+"-"+term.CommaU(e.To), term.CommaU(e.Before), term.CommaU(e.Next), term.CommaU(e.Next-e.Before))
	}
	b.WriteString(a.table(&t) + "\n")
	for _, e := range r.Epochs {
		if e.Why != "" {
			b.WriteString("!  " + term.Wrap(e.Stream+" "+e.Epoch+": "+e.Why, a.Style.Width(), "   ") + "\n")
		}
	}
	for _, n := range r.Notices {
		b.WriteString("!  " + n + "\n")
	}
	switch {
	case r.Damage != "":
		b.WriteString("!  " + term.Wrap("The file is damaged "+r.Damage+". What stands before is in the store. Keep the stick and the box's log; export once more.", a.Style.Width(), "   ") + "\n")
	case r.Complete:
		b.WriteString("Everything in the file is in the store, once.\n")
	default:
		b.WriteString("Keep the file: not all of it is in the store.\n")
	}
	return a.text(b.String() + "Take " + filepath.Base(r.AckFile) + " back to the box: edgectl log import\n")
}
