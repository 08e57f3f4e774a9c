package logtool_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestAckFilesThatDoNotCount: what an ack file says of an epoch counts only where its history is this log's; a file for another
// device, with another nonce, or cut off does not count at all.
func TestAckFilesThatDoNotCount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, 1, 200)
	d := dir(path)
	r, err := d.Export(context.Background(), filepath.Join(t.TempDir(), "x.edge"), logtool.ExportOptions{Device: "box-1", Program: "test", Now: start})
	if err != nil || !r.Remembered {
		t.Fatal(err, r)
	}
	n, err := strconv.ParseUint(r.Nonce, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	e, mid, chain := middle(t, path)
	file := func(nonce wire.Nonce, device string, p wire.Position) []byte {
		var b bytes.Buffer
		w, err := carry.NewWriter(&b, carry.Header{Kind: carry.Ack, Nonce: nonce, Device: device, Made: start, Program: "hub"})
		if err == nil {
			err = w.Answer(&wire.Ack{Nonce: nonce, Answer: true, Parts: 1, Positions: []wire.Position{p}})
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	at := func(next record.Offset, chain uint64) wire.Position {
		return wire.Position{Stream: "telemetry", Epoch: e.Epoch, Known: true, Next: next, ChainNext: chain}
	}
	conflict := at(mid, chain)
	conflict.Verdict = wire.VerdictConflict
	good := file(wire.Nonce(n), "box-1", at(mid, chain))
	for _, c := range []struct {
		what  string
		bytes []byte
		err   bool
		want  record.Offset
		note  string
	}{
		{"another nonce", file(wire.Nonce(n+1), "box-1", at(mid, chain)), true, 0, ""},
		{"another device", file(wire.Nonce(n), "box-2", at(mid, chain)), true, 0, ""},
		{"cut off", good[:len(good)-9], true, 0, ""},
		{"another history", file(wire.Nonce(n), "box-1", at(mid, chain+1)), false, 0, "another history"},
		{"another history at the end", file(wire.Nonce(n), "box-1", at(e.End, chain)), false, 0, "another history"},
		{"in quarantine", file(wire.Nonce(n), "box-1", conflict), false, 0, "another history"},
		{"nothing of it", file(wire.Nonce(n), "box-1", wire.Position{Stream: "telemetry", Epoch: e.Epoch}), false, 0, "nothing of it"},
		{"this history", good, false, mid, ""},
		{"less than before", file(wire.Nonce(n), "box-1", at(0, e.ChainFirst)), false, mid, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := d.Deliver(context.Background(), bytes.NewReader(c.bytes))
			if (err != nil) != c.err {
				t.Fatalf("%+v, %v", got, err)
			}
			if err == nil {
				for _, s := range got.Streams {
					if s.Stream == "telemetry" && !strings.Contains(strings.Join(s.Notes, " "), c.note) {
						t.Errorf("notes: %q", s.Notes)
					}
				}
			}
			if x := delivered(t, path); x != c.want {
				t.Errorf("%d is delivered, want %d", x, c.want)
			}
		})
	}
}

// middle is an offset of the only epoch of telemetry, and the chain there.
func middle(t *testing.T, path string) (buffer.EpochInfo, record.Offset, uint64) {
	t.Helper()
	var e buffer.EpochInfo
	var chain uint64
	look(t, path, func(l *buffer.Log) {
		e = l.Epochs()[0]
		c, ok := l.Chain(e.End / 2)
		if !ok {
			t.Error("no chain")
		}
		chain = c
	})
	return e, e.End / 2, chain
}

func delivered(t *testing.T, path string) (at record.Offset) {
	t.Helper()
	look(t, path, func(l *buffer.Log) { at = l.Delivered() })
	return at
}

func look(t *testing.T, path string, f func(*buffer.Log)) {
	t.Helper()
	set, err := buffer.OpenReadOnly(context.Background(), vfs.OS{}, path)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, l := range set.Logs() {
		if l.Name() == "telemetry" {
			f(l)
		}
	}
}
