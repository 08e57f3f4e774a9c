package e2e_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNewerFormat: a program that is older than the last segment of a log, as after a rollback, keeps that segment to the
// byte and says so, and goes on recording and delivering, in an epoch that is a root because what stands before it is not
// known. Once the newer program is back the segment is delivered too: everything once, each epoch in order, without a gap.
func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	port, _ := defaultMosquitto(t, dir)
	b := &broker{port: port}
	hub := sharedHub(t, dir, "hub", onSQLite(dir), port)
	hub.Start()
	x := newBox(t, dir, b, boxOptions{device: "box-1", plain: true, data: filepath.Join(dir, "data"), sources: syntheticSource("load", 10, 20)})
	recorded := func() uint64 {
		st, err := x.status()
		if err != nil {
			return 0
		}
		for _, s := range st.Streams {
			if s.Name == "telemetry" {
				return s.End
			}
		}
		return 0
	}
	x.link.Cut()
	x.up()
	waitFor(t, 2*time.Minute, "records are in the log", func() bool { return recorded() > 100 })
	x.Stop()

	file, raw := newestSegment(t, filepath.Join(x.data, "log", "telemetry"))
	newer := slices.Clone(raw)
	setVersion(newer, binary.LittleEndian.Uint16(raw[8:])+1)
	rewriteFile(t, file, newer)
	x.link.Restore()
	x.up()
	before := recorded()
	waitFor(t, 2*time.Minute, "it says that a segment waits for a newer program", func() bool { return strings.Contains(faultsOf(t, x), "B010") })
	waitFor(t, 2*time.Minute, "it goes on recording", func() bool { return recorded() > before+100 })
	waitFor(t, 2*time.Minute, "what is new is delivered", func() bool {
		return hub.query("SELECT count(*) FROM readings WHERE device = 'box-1' AND stream = 'telemetry'")[0] != "0"
	})
	x.Stop()
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, newer) {
		t.Errorf("the segment of the newer format was changed: %v", err)
	}

	rewriteFile(t, file, raw)
	x.up()
	if acc := x.quiet(b, 3*time.Minute); !acc.Balanced {
		t.Errorf("the account of the box does not balance: %+v", acc.Streams)
	}
	x.Stop()
	compare(t, x, hub)
	if gaps := hub.query("SELECT * FROM gap"); len(gaps) > 0 {
		t.Errorf("gaps at the hub: %v", gaps)
	}
	hub.Stop()
}

// newestSegment is the last file of a stream of the log that holds records.
func newestSegment(t *testing.T, dir string) (file string, raw []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, f := range slices.Backward(files) {
		if raw, err = os.ReadFile(f); err == nil && bytes.HasPrefix(raw, []byte("edgeseg\n")) {
			return f, raw
		}
	}
	t.Fatalf("no segment among %v", files)
	return "", nil
}

// setVersion is what a newer program would have written: the first 20 bytes are the same in every version (FORMAT.md).
func setVersion(raw []byte, v uint16) {
	binary.LittleEndian.PutUint16(raw[8:], v)
	binary.LittleEndian.PutUint32(raw[16:], crc32.Checksum(raw[:16], crc32.MakeTable(crc32.Castagnoli)))
}

// rewriteFile keeps the file itself: its name, owner and place.
func rewriteFile(t *testing.T, file string, raw []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
