package npu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// written is the state of a journal that its user relies on.
type written struct {
	Incarnation, Next, Acked uint64
	Pending                  map[uint64]entry
	Refs                     map[frame]uint64
}

func stateOf(j *journal) written {
	w := written{j.incarnation, j.next, j.acked, map[uint64]entry{}, map[frame]uint64{}}
	for k, v := range j.pending {
		w.Pending[k] = v
	}
	for k, v := range j.refs {
		w.Refs[k] = v
	}
	return w
}

// sampleJournal writes a journal with entries of every kind, and returns its bytes and the state after each line.
func sampleJournal(t testing.TB) (data []byte, states []written) {
	t.Helper()
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	states = append(states, stateOf(j))
	bind := func(e entry) uint64 {
		seq, err := j.bind(e)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, stateOf(j))
		return seq
	}
	for i := range 4 {
		bind(entry{Model: "gate", Refs: []ref{{Kind: refFile, Name: fmt.Sprintf("/in/%d.jpg", i), ID: "1/2/3", Root: "/in"}, {Kind: refFrame, Name: fmt.Sprint("frame-", i)}}})
	}
	if err := j.tried(3, 2); err != nil {
		t.Fatal(err)
	}
	states = append(states, stateOf(j))
	if err := j.forget(4, []string{"frame-3"}); err != nil {
		t.Fatal(err)
	}
	states = append(states, stateOf(j))
	if err := j.done(2, nil); err != nil {
		t.Fatal(err)
	}
	states = append(states, stateOf(j))
	bind(entry{Note: json.RawMessage(`[{"name":"npu.model"}]`)})
	bind(entry{Model: "pump", Refs: []ref{{Kind: refWindow, Name: "pump", ID: "telemetry/1/7"}}})
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte("\n")); n != len(states) {
		t.Fatalf("%d lines, %d states", n, len(states))
	}
	return data, states
}

// reread reads a journal of these bytes, and what it makes of them: that is the same, without damage.
func reread(t testing.TB, data []byte) (written, string) {
	t.Helper()
	j := readJournal("journal", data)
	first := stateOf(j)
	again := readJournal("journal", j.compacted())
	if again.damaged != "" || !reflect.DeepEqual(stateOf(again), first) {
		t.Fatalf("written anew and read: %+v (%q), was %+v", stateOf(again), again.damaged, first)
	}
	for s, e := range j.pending {
		if s != e.Seq || s >= j.next || s <= j.acked {
			t.Fatalf("sequence %d is pending, next is %d, acknowledged %d", s, j.next, j.acked)
		}
	}
	return first, j.damaged
}

// A damaged file does not stop the worker, and what is bound then is there at the next start.
func TestJournalFileDamaged(t *testing.T) {
	data, states := sampleJournal(t)
	for name, bad := range map[string][]byte{"empty": nil, "cut short": data[:len(data)-5], "its first line": append([]byte("x"), data[1:]...), "noise": bytes.Repeat([]byte("noise\n"), 50)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal"), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seq, err := j.bind(entry{Model: "m"})
		if err != nil || seq != stateOf(j).Next-1 || seq >= states[len(states)-1].Next {
			t.Errorf("%s: sequence %d, %v", name, seq, err)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		again, err := openJournal(dir)
		if err != nil || again.damaged != "" || again.pending[seq].Model != "m" {
			t.Errorf("%s: opened again: %+v (%q), %v", name, stateOf(again), again.damaged, err)
		}
		if err := again.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Cut at any byte, a journal is what its whole lines say; the torn line was never relied upon.
func TestJournalCutShort(t *testing.T) {
	data, states := sampleJournal(t)
	for n := range len(data) + 1 {
		got, damaged := reread(t, data[:n])
		whole := bytes.Count(data[:n], []byte("\n"))
		if damaged != "" {
			t.Errorf("cut at %d: a torn line is told as damage: %s", n, damaged)
		}
		if whole == 0 {
			if got.Incarnation == states[0].Incarnation || got.Next != 1 || len(got.Pending) != 0 {
				t.Errorf("cut at %d: %+v of nothing", n, got)
			}
			continue
		}
		if want := states[whole-1]; !reflect.DeepEqual(got, want) {
			t.Errorf("cut at %d: %+v, want %+v", n, got, want)
		}
	}
}

// With any byte changed, a journal is what the lines before it say; what follows is not used, and that is told. Only the
// last line may be taken for torn.
func TestJournalDamaged(t *testing.T) {
	data, states := sampleJournal(t)
	lines := len(states)
	for at := range data {
		for _, flip := range []byte{0x01, 0x20, 0x80, data[at] ^ '\n'} {
			if flip == 0 {
				continue
			}
			bad := append([]byte(nil), data...)
			bad[at] ^= flip
			got, damaged := reread(t, bad)
			before := bytes.Count(data[:at], []byte("\n")) // whole lines before the damage
			if before == 0 {
				if got.Incarnation == states[0].Incarnation {
					t.Fatalf("byte %d ^ %#x: the incarnation of a damaged line is used", at, flip)
				}
			} else if want := states[before-1]; !reflect.DeepEqual(got, want) {
				t.Fatalf("byte %d ^ %#x: %+v, want %+v", at, flip, got, want)
			}
			if damaged == "" && before < lines-2 {
				t.Fatalf("byte %d ^ %#x: damage in line %d of %d is not told", at, flip, before+1, lines)
			}
		}
	}
}

// A new incarnation carries over what is pending, in order, and never uses an old number.
func TestJournalRenewed(t *testing.T) {
	data, states := sampleJournal(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := states[len(states)-1]
	j.renew()
	if j.incarnation == last.Incarnation || j.acked != 0 || len(j.pending) != len(last.Pending) || j.next != uint64(len(last.Pending))+1 {
		t.Errorf("%+v of %+v", stateOf(j), last)
	}
	old := sorted(last.Pending)
	for i, s := range sorted(j.pending) {
		if got, want := j.pending[s], last.Pending[old[i]]; got.Seq != s || s != uint64(i)+1 || !reflect.DeepEqual(got.Refs, want.Refs) || got.Tried != want.Tried {
			t.Errorf("%+v, was %+v", got, want)
		}
	}
	if j.close() != nil {
		t.Error("close")
	}
}

// A journal that grew is written anew, and nothing of what counts is lost.
func TestJournalRewritten(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	j.size = maxJournalBytes // as after long work
	for i := range 3 {
		if _, err := j.bind(entry{Model: "gate", Refs: []ref{{Kind: refFrame, Name: fmt.Sprint("f", i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.done(2, []string{dir}); err != nil {
		t.Fatal(err)
	}
	if j.size >= maxJournalBytes {
		t.Error("it was not written anew")
	}
	want := stateOf(j)
	if want.Acked != 2 || len(want.Pending) != 1 || len(want.Refs) != 3 {
		t.Errorf("%+v", want)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(dir); err != nil || !reflect.DeepEqual(stateOf(j), want) {
		t.Errorf("%+v %v, want %+v", stateOf(j), err, want)
	}
	if j.known(frame{"gate", "f0"}) != 1 || j.known(frame{"gate", "f2"}) != 3 || j.known(frame{"gate", "f9"}) != 0 {
		t.Error("references are lost")
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	// What cannot be written must not be worked on.
	if _, err := j.bind(entry{Model: "gate"}); err == nil {
		t.Error("a journal that is closed binds")
	}
}

// A power cut may bring a file back that was put away. The journal on the disk must know it until its directory was
// synced: forgotten before, the file is new, and gives its result twice.
func TestJournalForgetsNoFileBeforeItsDirectory(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	synced, done := uint64(0), uint64(0)
	j.syncDir = func(d string) error {
		if d != "/in" {
			t.Errorf("sync of %s", d)
		}
		synced = done
		return nil
	}
	const files = 2 * awayMost
	for i := range uint64(files) {
		seq, err := j.bind(entry{Model: "gate", Refs: []ref{{Kind: refFile, Name: fmt.Sprintf("/in/%d.jpg", i), ID: "1/2/3", Root: "/in"}}})
		if err != nil {
			t.Fatal(err)
		}
		done = seq
		if err := j.done(seq, []string{"/in"}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		if got := readJournal("journal", data); got.acked > synced || len(got.pending) != int(done-got.acked) {
			t.Fatalf("behind file %d the disk has forgotten up to %d, directories are synced up to %d", seq, got.acked, synced)
		}
	}
	if synced < files-awayMost {
		t.Errorf("synced up to %d of %d only", synced, files)
	}
	if err := j.settle([]string{"/in"}); err != nil || synced != files {
		t.Errorf("in the end synced up to %d, %v", synced, err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(dir); err != nil || j.acked != files || len(j.pending) != 0 {
		t.Errorf("after all %d, %v", j.acked, err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(lines(entry{Incarnation: 7, Seq: 1}, entry{Seq: 1, Model: "gate", Refs: []ref{{Kind: refFile, Name: "/in/a.jpg", ID: "1/2/3", Root: "/in"}, {Kind: refFrame, Name: "a"}}},
		entry{Seq: 1, Forget: []string{"a"}}, entry{Seq: 1, Tried: 2}, entry{Acked: 1}, entry{Seq: 2, Note: json.RawMessage(`[]`)}))
	f.Add(lines(entry{Incarnation: 1, Seq: 1 << 63}, entry{Acked: 1 << 62}, entry{Seq: ^uint64(0)}))
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) { reread(t, data) })
}

// The check of a line, so that the fuzzer need not find a checksum: entries of any content are read back as they are.
func FuzzJournalEntries(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), 4, "gate", "/in/a.jpg")
	f.Add(^uint64(0), uint64(0), ^uint64(0), -1, "", "\x00\xff")
	f.Fuzz(func(t *testing.T, incarnation, seq, acked uint64, tried int, model, name string) {
		data := lines(entry{Incarnation: incarnation, Seq: seq}, entry{Seq: seq, Model: model, Refs: []ref{{Kind: refFrame, Name: name}}},
			entry{Seq: seq, Tried: tried}, entry{Seq: seq, Forget: []string{name}}, entry{Acked: acked}, entry{Seq: acked, Model: model})
		reread(t, data)
	})
}

// A frame whose sequence brought no result is one that was never posted, across restarts and renewals; one with a result stays
// known.
func TestJournalForgetsFramesWithoutResult(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	bind := func(frames ...string) uint64 {
		e := entry{Model: "gate"}
		for _, f := range frames {
			e.Refs = append(e.Refs, ref{Kind: refFrame, Name: f})
		}
		seq, err := j.bind(e)
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	first := bind("good", "bad")
	lost := bind("lost")
	if err := errors.Join(j.forget(first, []string{"bad"}), j.tried(lost, 1)); err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		if j.known(frame{"gate", "good"}) == 0 || j.known(frame{"gate", "bad"}) != 0 || j.known(frame{"gate", "lost"}) != 0 {
			t.Errorf("%s: %v", when, j.refs)
		}
	}
	look("at once")
	reopen := func() {
		t.Helper()
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		if j, err = openJournal(dir); err != nil || j.damaged != "" {
			t.Fatal(err, j.damaged)
		}
	}
	reopen() // from the lines
	look("after a restart")
	reopen() // from the lines of a rewrite
	look("after a second one")
	if err := j.done(lost, nil); err != nil {
		t.Fatal(err)
	}
	again := bind("lost")
	if j.known(frame{"gate", "lost"}) != again {
		t.Error("a frame that is bound again is not known")
	}
	if err := j.forget(lost, []string{"lost"}); err != nil || j.known(frame{"gate", "lost"}) != again {
		t.Error("the old sequence forgot the new one's frame")
	}
	reopen()
	if j.known(frame{"gate", "lost"}) != again || j.known(frame{"gate", "bad"}) != 0 {
		t.Error(j.refs)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}
