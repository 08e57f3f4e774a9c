package segment

import (
	"errors"
	"fmt"
	"io"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Contents is what a file holds, as found on opening it.
type Contents struct {
	Path     string
	Header   Header
	FromCopy bool  // the header was damaged and its copy was taken
	Lost     bool  // header and copy are damaged: Header holds only what blocks and the caller know
	Size     int64 // of the file
	Start    int64 // position of the first block
	EndPos   int64 // behind the last good block; for a sealed file, where its index stands
	Sealed   bool
	Scanned  bool // every block was read, there was no usable index
	Index    Index
	State    State // as of the end
	Torn     int64 // bytes of an unfinished tail
	Damage   []Damage
	Notes    []error  // *CorruptionError, one for each damaged place
	Key      *DataKey // set it before Load, so that bodies are decrypted while the file is scanned

	headerBytes int64
}

// Damage is a range of records that were there and cannot be read.
type Damage struct {
	record.Range
	ChainFrom, ChainTo uint64
}

// Peek reads the header of a file, or its copy. ErrNewer: a segment of a newer format. ErrFormat: neither header nor
// copy is readable.
func Peek(f vfs.File, path string) (*Contents, error) {
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of %s: %w", path, err)
	}
	c := &Contents{Path: path, Size: size}
	b := Blocks{r: f, path: path, any: true, limit: size}
	p, err := b.at(0, 4096, 4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	n, err := headerLen(p)
	if errors.Is(err, ErrNewer) {
		return c, &CorruptionError{path, 0, err}
	}
	if err == nil {
		if p, err = b.at(0, n, n); err != nil {
			return nil, err
		}
		if c.Header, n, err = ParseHeader(p); err == nil {
			c.headerBytes = int64(n)
			c.Start = c.blocksAt()
			return c, nil
		}
	}
	return peekCopy(c, &b)
}

// blocksAt is where the first block stands.
func (c *Contents) blocksAt() int64 {
	if c.Header.Encrypted {
		return slots(c.headerBytes) + slotArea
	}
	return c.headerBytes
}

// peekCopy looks for the copy of the header: the first block, wherever it begins.
func peekCopy(c *Contents, b *Blocks) (*Contents, error) {
	k, ok, err := b.Resync(0)
	if err != nil {
		return nil, err
	}
	c.FromCopy = true
	if ok && k.Type == BlockHeaderCopy {
		if body, err := b.Body(&k); err == nil {
			if h, n, err := ParseHeader(body); err == nil {
				c.Header, c.Start, c.headerBytes = h, k.Pos, int64(n)
				c.Notes = append(c.Notes, &CorruptionError{c.Path, 0, ErrDamaged})
				return c, nil
			}
		}
	}
	if !ok {
		return c, &CorruptionError{c.Path, 0, ErrFormat}
	}
	c.Lost, c.Header.Salt, c.Start = true, k.salt, k.Pos
	c.Header.Base, c.Header.ChainBase = k.Base, k.ChainBase
	c.Notes = append(c.Notes, &CorruptionError{c.Path, 0, fmt.Errorf("%w: header and its copy", ErrDamaged)})
	return c, nil
}

// Load finds out what the file holds: from the index of a sealed segment, else by reading every block. reach is an
// offset that is known from elsewhere to have been durable in this file, 0 if none: what is bad below it is damage,
// never a torn tail.
func (c *Contents) Load(f vfs.File, reach record.Offset) error {
	b := NewBlocks(f, c.Path, c.Header.Salt, c.Size)
	if !c.FromCopy && c.loadIndex(b) {
		return nil
	}
	return c.Scan(f, reach)
}

// Scan is Load that reads every block, whatever the index says.
func (c *Contents) Scan(f vfs.File, reach record.Offset) error {
	s := scan{c: c, b: NewBlocks(f, c.Path, c.Header.Salt, c.Size), reach: reach}
	s.b.SetKey(c.Key)
	return s.run()
}

// ReadIndex reads the index of a sealed file; ok is false if there is none that can be used.
func ReadIndex(f vfs.File, path string, salt uint32) (x Index, ok bool, err error) {
	size, err := f.Size()
	if err != nil {
		return Index{}, false, fmt.Errorf("size of %s: %w", path, err)
	}
	c := Contents{Path: path, Size: size}
	c.Header.Salt = salt
	ok = c.readIndex(NewBlocks(f, path, salt, size))
	return c.Index, ok, nil
}

// loadIndex takes the index if trailer, index and header agree.
func (c *Contents) loadIndex(b *Blocks) bool {
	if c.readIndex(b) && c.Index.Base == c.Header.Base && c.Index.ChainBase == c.Header.ChainBase {
		return true
	}
	c.Sealed = false
	return false
}

func (c *Contents) readIndex(b *Blocks) bool {
	p, err := b.at(max(c.Size-trailerLen, 0), trailerLen, trailerLen)
	if err != nil || len(p) < trailerLen || string(p[8:]) != trailerMagic {
		return false
	}
	at := int64(p[0]) | int64(p[1])<<8 | int64(p[2])<<16 | int64(p[3])<<24
	k, err := b.Header(at)
	if err != nil || k.Type != BlockIndex || at+k.Size != c.Size-trailerLen {
		return false
	}
	body, err := b.Body(&k)
	if err != nil {
		return false
	}
	x, s, err := parseIndex(body)
	if err != nil || x.End != k.Base || x.ChainEnd != k.ChainEnd {
		return false
	}
	c.Index, c.State, c.EndPos, c.Sealed = x, s, at, true
	return true
}

type scan struct {
	c         *Contents
	b         *Blocks
	reach     record.Offset
	witnessed bool // whether witness is known
	witness   int64
	doubt     bool // a state may have stood in what is damaged
}

func (s *scan) run() error {
	c := s.c
	c.Scanned, c.Sealed, c.Damage, c.Notes = true, false, nil, c.headerNotes()
	c.State, s.doubt = c.Header.State, c.Lost
	c.Index = Index{Base: c.Header.Base, End: c.Header.Base, ChainBase: c.Header.ChainBase, ChainEnd: c.Header.ChainBase}
	pos := c.Start
	for !c.Sealed {
		k, err := s.b.Header(pos)
		var body []byte
		if err == nil {
			body, err = s.b.checked(&k)
		}
		var bad *CorruptionError
		switch {
		case err == nil:
			err = s.take(&k, body)
			if err == nil {
				pos += k.Size
				continue
			}
			bad = &CorruptionError{c.Path, pos, err}
		case errors.Is(err, io.EOF):
			c.EndPos = pos
			return nil
		case !errors.As(err, &bad):
			return err
		}
		next, err := s.bad(pos, k, bad)
		if err != nil {
			return err
		}
		if next == 0 {
			c.EndPos, c.Torn = pos, c.Size-pos
			return nil
		}
		pos = next
	}
	return nil
}

// headerNotes are those about the header: the rest of an earlier pass is found again.
func (c *Contents) headerNotes() []error {
	if c.FromCopy && len(c.Notes) > 0 {
		return c.Notes[:1]
	}
	return nil
}

// take applies a good block.
func (s *scan) take(k *Block, body []byte) error {
	c := s.c
	if k.Base > c.Index.End {
		s.damage(c.Index.End, k.Base, c.Index.ChainEnd, k.ChainBase)
	} else if k.Base < c.Index.End {
		return fmt.Errorf("%w: block of offset %d behind %d", ErrDamaged, k.Base, c.Index.End)
	}
	switch k.Type {
	case BlockHeaderCopy:
		return nil
	case BlockState:
		st, err := ParseState(body)
		if err != nil {
			return err
		}
		c.State, s.doubt = st, false
	case BlockIndex:
		c.EndPos, c.Sealed = k.Pos, true
		if _, st, err := parseIndex(body); err == nil {
			c.State, s.doubt = st, false
		}
	}
	c.Index.Add(k)
	s.apply(&k.Ext)
	return nil
}

// apply takes over what a batch says has changed. Behind a state that is lost the delivered position does not rise: it may
// have passed gaps that only that state named, and what stands there again would be taken for delivered.
func (s *scan) apply(e *Ext) {
	x := *e
	x.HasDelivered = e.HasDelivered && !(s.doubt && e.Delivered > s.c.State.Delivered)
	s.c.State.Apply(&x)
}

// bad decides on a bad block: the position to go on at, or 0 if this is the torn tail. k is the block's header if
// that was readable.
func (s *scan) bad(pos int64, k Block, why *CorruptionError) (int64, error) {
	if err := s.findWitness(pos); err != nil {
		return 0, err
	}
	if s.witness <= pos && s.c.Index.End >= s.reach {
		return 0, nil
	}
	s.c.Notes = append(s.c.Notes, why)
	if k.Size > 0 {
		if k.Type == BlockBatch && k.Base >= s.c.Index.End {
			if k.Base > s.c.Index.End {
				s.damage(s.c.Index.End, k.Base, s.c.Index.ChainEnd, k.ChainBase)
			}
			s.damage(k.Base, k.End(), k.ChainBase, k.ChainEnd)
			s.apply(&k.Ext)
		}
		s.doubt = s.doubt || k.Type != BlockBatch
		return pos + k.Size, nil
	}
	s.doubt = true
	next, ok, err := s.b.Resync(pos + 1)
	if err != nil || !ok {
		return 0, err
	}
	return next.Pos, nil
}

// findWitness looks through what follows for the largest position that was stated to be durable.
func (s *scan) findWitness(pos int64) error {
	if s.witnessed {
		return nil
	}
	s.witnessed = true
	for {
		k, ok, err := s.b.Resync(pos + 1)
		if err != nil || !ok {
			return err
		}
		for ok := true; ok; {
			s.witness = max(s.witness, int64(k.Synced))
			pos = k.Pos + k.Size - 1
			next, err := s.b.Header(pos + 1)
			k, ok = next, err == nil
		}
	}
}

func (s *scan) damage(from, to record.Offset, chainFrom, chainTo uint64) {
	c := s.c
	if n := len(c.Damage); n > 0 && c.Damage[n-1].To == from {
		c.Damage[n-1].To, c.Damage[n-1].ChainTo = to, chainTo
	} else {
		c.Damage = append(c.Damage, Damage{record.Range{From: from, To: to}, chainFrom, chainTo})
	}
	c.Index.End, c.Index.ChainEnd = to, chainTo
}

// Apply takes over what a batch says has changed.
func (s *State) Apply(e *Ext) {
	if e.HasDelivered {
		s.Delivered, s.Owed = e.Delivered, e.Owed
	}
	for _, c := range e.Cursors {
		s.SetCursor(c)
	}
	for _, p := range e.Spans {
		s.SetProducer(p.ProducerPosition)
	}
	for _, a := range e.Anchors {
		s.AddAnchor(a)
	}
}

// SetCursor sets one named position.
func (s *State) SetCursor(c CursorPos) {
	for i := range s.Cursors {
		if s.Cursors[i].Name == c.Name {
			s.Cursors[i] = c
			return
		}
	}
	s.Cursors = append(s.Cursors, c)
}

// SetProducer sets the position of a producer; a new incarnation takes the place of the old one.
func (s *State) SetProducer(p record.ProducerPosition) {
	for i := range s.Producers {
		if s.Producers[i].Name == p.Name {
			s.Producers[i] = p
			return
		}
	}
	s.Producers = append(s.Producers, p)
}

// AddAnchor keeps of each boot the best anchor, the last guess and the last anchor: what record.Timeline makes of
// these is what it makes of all.
func (s *State) AddAnchor(a record.Anchor) {
	guess, best, last := -1, -1, -1
	for i := range s.Anchors {
		o := &s.Anchors[i]
		switch {
		case o.Boot != a.Boot:
		case !o.Good():
			guess = i
		case best < 0:
			best = i
		default:
			last = i
		}
	}
	switch {
	case !a.Good() && guess >= 0:
		s.Anchors[guess] = a
	case !a.Good() || best < 0:
		s.Anchors = append(s.Anchors, a)
	case a.Error < s.Anchors[best].Error:
		s.Anchors[best] = a
	case last >= 0:
		s.Anchors[last] = a
	default:
		s.Anchors = append(s.Anchors, a)
	}
	if len(s.Anchors) > MaxBoots {
		s.Anchors = s.Anchors[len(s.Anchors)-MaxBoots:]
	}
}
