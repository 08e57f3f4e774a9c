package buffertest_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/buffertest"
)

var kills = flag.Int("kills", 10, "how often the writer process is killed")

// killDir tells this test binary to be the writer that is killed; its seed follows a blank.
const killDir = "EDGELOG_TEST_KILL"

func TestMain(m *testing.M) {
	var dir string
	var seed uint64
	if n, _ := fmt.Sscan(os.Getenv(killDir), &seed, &dir); n != 2 {
		os.Exit(m.Run())
	}
	if err := buffertest.KillWriter(context.Background(), dir, os.Stdout, seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestKill kills a real writer process with SIGKILL, again and again on one directory, and checks after each kill what
// it had promised.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var w buffertest.Witness
	rng := rand.New(rand.NewPCG(*first, 5))
	for i := range *kills {
		delay := time.Duration(rng.Int64N(int64(60 * time.Millisecond)))
		if err := killOne(dir, uint64(i), delay, i%4 == 3, &w); err != nil {
			t.Fatalf("kill %d after %s: %v", i, delay, err)
		}
		if err := w.Check(dir); err != nil {
			t.Fatalf("kill %d after %s, -first %d: %v", i, delay, *first, err)
		}
	}
	if w.Acked == 0 {
		t.Fatal("no writer was ever promised anything")
	}
	t.Logf("%d kills, %d messages acknowledged, 0 violations", *kills, w.Acked)
}

// killOne starts a writer and kills it, early: while it may still be opening, else some time after its first answer.
func killOne(dir string, seed uint64, delay time.Duration, early bool, w *buffertest.Witness) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+strconv.FormatUint(seed, 10)+" "+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var once sync.Once
	var timer *time.Timer
	kill := func() {
		once.Do(func() { timer = time.AfterFunc(delay, func() { _ = cmd.Process.Kill() }) })
	}
	if early {
		kill()
	}
	err = w.Listen(out, kill)
	once.Do(func() {})
	exit := cmd.Wait()
	if timer != nil {
		timer.Stop()
	}
	if err != nil {
		return err
	}
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the writer ended by itself: %w", exit)
	}
	return nil
}
