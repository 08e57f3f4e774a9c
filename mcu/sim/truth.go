package sim

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Truth notes when a node queued each of its events, by looking into its memory: for tests of the times that an agent
// gives them. Hang Look into Line.Watch, and call Restarted with each reset from outside.
type Truth struct {
	Lives []*Life

	head, fill func() []byte // RELEASED and INCARNATION, words with their low byte first; events in the queue
	waits      bool          // for a program that has cleared its memory
	begun      bool
}

// Life is what a node did between two resets.
type Life struct {
	Incarnation uint64          // 0: nobody gave it one
	At          []time.Duration // of event 1, 2, …; negative: before anybody looked
}

// symbolOf finds an address in the map that SDCC's linker wrote.
var symbolOf = regexp.MustCompile(`^(?:\w:)?\s+([0-9A-F]{8})\s+_(\w+)`)

// NewTruth looks into a node that runs the image at path.
func NewTruth(n *Node, path string) (*Truth, error) {
	at, err := symbols(path)
	if err != nil {
		return nil, fmt.Errorf("find symbols of %s: %w", path, err)
	}
	for _, s := range []string{"queue_head", "queue_fill"} {
		if _, ok := at[s]; !ok {
			return nil, fmt.Errorf("%s has no symbol %s", path, s)
		}
	}
	head, fill := at["queue_head"], at["queue_fill"]
	t := &Truth{Lives: []*Life{{}}}
	switch c := n.Chip.(type) {
	case *AVR:
		t.head = func() []byte { return c.RAM()[head : head+12] }
		t.fill = func() []byte { return c.RAM()[fill:] }
	case *STC:
		t.head = func() []byte { return c.CPU.XRAM[head : head+12] }
		t.fill = func() []byte { return c.CPU.RAM[fill:] }
	default:
		return nil, fmt.Errorf("%s: memory of this chip cannot be read", n.Name)
	}
	return t, nil
}

func symbols(path string) (map[string]int, error) {
	at := map[string]int{}
	if strings.HasSuffix(path, ".elf") {
		f, err := elf.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		list, err := f.Symbols()
		for _, s := range list {
			at[s.Name] = int(s.Value & 0xffff)
		}
		return at, err
	}
	f, err := os.Open(filepath.Join(strings.TrimSuffix(path, ".ihx")+".d", "image.map"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if m := symbolOf.FindStringSubmatch(s.Text()); m != nil {
			v, _ := strconv.ParseUint(m[1], 16, 32)
			at[m[2]] = int(v)
		}
	}
	return at, nil
}

// Restarted says that the node was reset, or lost its power.
func (t *Truth) Restarted() { t.waits = true }

// Look notes what has been queued until now. A number may be half written when it is looked at: what makes no sense is
// left for the next look.
func (t *Truth) Look(now time.Duration) {
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint16(t.head()[2*i:])) }
	inc := word(0)<<48 | word(1)<<32 | word(2)<<16 | word(3)
	newest := int(word(4)<<16|word(5)) + int(t.fill()[0])
	cur := t.Lives[len(t.Lives)-1]
	if t.waits || inc == 0 && newest == 0 && len(cur.At) > 0 {
		if inc != 0 || newest != 0 {
			return
		}
		cur, t.waits = &Life{}, false
		t.Lives = append(t.Lives, cur)
	}
	if newest > len(cur.At)+256 {
		return
	}
	when := now
	if !t.begun {
		t.begun, when = true, -1
	}
	for len(cur.At) < newest {
		cur.At = append(cur.At, when)
	}
	if inc != 0 { // written byte by byte: the last look has it whole
		cur.Incarnation = inc
	}
}

// Of is the life with an incarnation, nil if there was none.
func (t *Truth) Of(incarnation uint64) *Life {
	for _, l := range t.Lives {
		if l.Incarnation == incarnation {
			return l
		}
	}
	return nil
}
