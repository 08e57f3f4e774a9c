package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/cli"
	"github.com/edgelog/edgelog/internal/vfs"
)

// deadBox writes a log of 40 readings, the first 10 of them delivered, and returns its data directory.
func deadBox(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	opening := func(string) []record.Record {
		mark := record.BootMark{Anchor: record.Anchor{Boot: "b1", UTC: ago(time.Hour).UnixNano(), Source: record.SourceNTP, State: "synchronised"}, Agent: "test"}
		r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot}, mark)
		if err != nil {
			t.Error(err)
		}
		return []record.Record{r}
	}
	set, err := buffer.Open(ctx, vfs.OS{}, filepath.Join(data, "log"), buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}, Opening: opening})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- set.Run(ctx) }()
	l, err := set.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "name", Value: "cold room 1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		ticket, err := l.Append(ctx, record.Draft{Records: []record.Record{{Kind: record.KindObservation, Series: id, Type: record.Decimal(4), Num: -180000 + int64(i),
			Clock: record.ClockBoot, Time: int64(i) * int64(time.Minute)}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ticket.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	l.SetDelivered(10)
	if err := l.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDeadAgentsLogIsRead(t *testing.T) {
	data := deadBox(t)
	before := listing(t, data)
	do := func(args ...string) (int, string, string) {
		return run{args: append(args, "--run-dir", data, "--dir", data), style: utf8}.do(t)
	}
	code, out, stderr := do("status")
	if code != cli.ExitUnreachable || !strings.Contains(out, "telemetry   41         10          0        31        0  yes") {
		t.Errorf("status: exit %d\n%s%s", code, out, stderr)
	}
	code, out, stderr = do("tail", "-n", "2")
	want := fmt.Sprintf("%s  temperature{name=\"cold room 1\"}  -17.9962 °C\n%s  temperature{name=\"cold room 1\"}  -17.9961 °C\n",
		ago(22*time.Minute).Format("2006-01-02T15:04:05.000Z07:00"), ago(21*time.Minute).Format("2006-01-02T15:04:05.000Z07:00"))
	if code != 0 || out != want || !strings.Contains(stderr, "reading "+data+"/log itself") {
		t.Errorf("tail: exit %d\n%s%s", code, out, stderr)
	}
	code, out, stderr = do("query", "--json", "--since", "30m", "--until", "25m", "--series", "temperature")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var first struct{ Offset uint64 }
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || code != 0 || len(lines) != 6 || first.Offset != 31 {
		t.Errorf("query: exit %d\n%s%s", code, out, stderr)
	}
	code, out, stderr = do("account")
	if code != 0 || !strings.Contains(out, "The account balances.") {
		t.Errorf("account: exit %d\n%s%s", code, out, stderr)
	}
	code, out, _ = do("doctor")
	if code != cli.ExitUnreachable || !strings.Contains(out, "stream telemetry: 41 records") || !strings.Contains(out, "no gap") || !strings.HasPrefix(out, "FAIL  agent       agent is not") {
		t.Errorf("doctor: exit %d\n%s", code, out)
	}
	if _, _, stderr = do("query", "--stream", "nothing"); !strings.Contains(stderr, `"nothing"; there are telemetry`) {
		t.Errorf("unknown stream: %s", stderr)
	}
	// The configuration names the directory too.
	conf := fstest.MapFS{"c.yaml": {Data: []byte("data_dir: " + data)}}
	if _, out, _ := (run{args: []string{"status", "--run-dir", data, "--config", "/c.yaml"}, files: conf}).do(t); !strings.Contains(out, "telemetry") {
		t.Errorf("by configuration:\n%s", out)
	}
	if after := listing(t, data); after != before {
		t.Errorf("reading changed the directory:\n%s\n%s", before, after)
	}
}

// listing names every file with its size and time.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
