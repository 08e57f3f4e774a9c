// Command compare runs one storm on Edgelog and on what people use in its place: Telegraf with its memory and its disk
// buffer, and a NATS JetStream leaf node. Every system gets the same records from the same producer, the same faults at
// the same moments, and its safest configuration. What a producer was told is safe is then looked for at the centre.
// docs/comparison.md has the configurations and a table; `make compare` makes it again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var (
	records = flag.Int("records", 5000, "records that the producer gets acknowledged")
	pace    = flag.Duration("pace", 10*time.Millisecond, "time between two records at least")
	every   = flag.Duration("fault-every", 3*time.Second, "time between faults")
	drain   = flag.Duration("drain", 90*time.Second, "time for what is buffered after the last fault")
	tools   = flag.String("tools", "", "directory of telegraf and nats-server")
	bin     = flag.String("bin", "", "directory of Edgelog's programs")
	scratch = flag.String("scratch", "", "directory for data and logs")
	only    = flag.String("only", "", "names of systems, part of one is enough; all if empty")
)

// system is one way from a box to the centre.
type system interface {
	Start(ctx context.Context) error
	// Send hands over one record; nil means that the system says that it is safe.
	Send(ctx context.Context, seq int) error
	Parts() parts
	// Received is what the centre has, in the order of arrival.
	Received(ctx context.Context) ([]int, error)
}

// parts are what faults are about.
type parts struct {
	box, broker, receiver *process
	link                  *link
}

func main() {
	flag.Parse()
	for _, dir := range []*string{tools, bin, scratch} { // programs count relative paths from their configuration's place
		abs, err := filepath.Abs(*dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "compare:", err)
			os.Exit(1)
		}
		*dir = abs
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := compare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context) error {
	fmt.Println("| system | acknowledged | lost | doubled | out of order | exited by itself | last record arrived | acknowledged/s |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, c := range []struct {
		name string
		make func(dir string) system
	}{
		{"Edgelog", newEdgelog},
		{"Telegraf, memory buffer", func(dir string) system { return newTelegraf(dir, "memory") }},
		{"Telegraf, disk buffer", func(dir string) system { return newTelegraf(dir, "disk") }},
		{"NATS JetStream leaf node", newNATS},
	} {
		if !strings.Contains(c.name, *only) {
			continue
		}
		dir := filepath.Join(*scratch, strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(c.name)))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		r, err := run(ctx, c.make(dir))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("| %s | %d | %d | %d | %d | %s | %s | %.0f |\n", c.name, r.acked, r.lost, r.doubled, r.disordered,
			times(r.exits), map[bool]string{true: "yes", false: "no"}[r.last], r.rate)
	}
	return ctx.Err()
}

func times(n int) string {
	if n == 0 {
		return "no"
	}
	return fmt.Sprintf("%d times", n)
}

// stuck is much longer than any fault: what takes nothing for so long was not set up right.
const stuck = 2 * time.Minute

type result struct {
	acked, lost, doubled, disordered, exits int
	last                                    bool
	rate                                    float64
}

// faults are one round; rounds repeat until all records are acknowledged.
func faults() []func(p parts) {
	kill := func(down time.Duration, which ...func(parts) *process) func(parts) {
		return func(p parts) {
			for _, w := range which {
				w(p).kill()
			}
			time.Sleep(down)
			for i := len(which) - 1; i >= 0; i-- {
				which[i](p).start() // where one program is two of them, the second word changes nothing
			}
		}
	}
	box, broker := func(p parts) *process { return p.box }, func(p parts) *process { return p.broker }
	receiver := func(p parts) *process { return p.receiver }
	cut := func(d time.Duration) func(parts) {
		return func(p parts) { p.link.cut(); time.Sleep(d); p.link.restore() }
	}
	return []func(parts){
		kill(300*time.Millisecond, box),
		cut(time.Second),
		kill(time.Second, broker),
		kill(time.Second, receiver),
		func(p parts) { p.link.cut(); kill(300*time.Millisecond, box)(p); p.link.restore() },
		kill(time.Second, box, broker),
		cut(2 * time.Second),
		kill(500*time.Millisecond, broker, receiver),
		kill(time.Second, box, receiver),
		kill(time.Second, box, receiver, broker),
	}
}

func run(ctx context.Context, s system) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		return result{}, err
	}
	p := s.Parts()
	all := []*process{p.box, p.broker, p.receiver}
	defer func() {
		for _, x := range all {
			x.end()
		}
		p.link.close()
	}()
	done := make(chan struct{})
	go func() { // faults while the producer works, each whole
		defer close(done)
		list := faults()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(*every):
				list[i%len(list)](p)
			}
		}
	}()
	began := time.Now()
	last := began // that something was acknowledged
	for seq := 1; seq <= *records; {
		next := time.Now().Add(*pace)
		call, cancelCall := context.WithTimeout(ctx, 5*time.Second)
		err := s.Send(call, seq)
		cancelCall()
		switch {
		case ctx.Err() != nil:
			cancel()
			<-done
			return result{}, ctx.Err()
		case err == nil:
			last = time.Now()
			seq++
			time.Sleep(time.Until(next))
		case time.Since(last) > stuck:
			cancel()
			<-done
			return result{}, fmt.Errorf("nothing was acknowledged for %v: %w", stuck, err)
		default: // not acknowledged: the same one again
			time.Sleep(50 * time.Millisecond)
		}
	}
	took := time.Since(began)
	cancel()
	<-done
	after, cancelAfter := context.WithTimeout(context.Background(), *drain+time.Minute)
	defer cancelAfter()
	return judge(after, s, all, took)
}

// judge waits until everything has arrived, or nothing more comes, and counts.
func judge(ctx context.Context, s system, all []*process, took time.Duration) (result, error) {
	var got []int
	var changed time.Time
	for end := time.Now().Add(*drain); ; time.Sleep(time.Second) {
		now, err := s.Received(ctx)
		if err == nil && (len(now) != len(got) || changed.IsZero()) {
			got, changed = now, time.Now()
		}
		r := count(got)
		complete := r.lost == 0 && time.Since(changed) > 5*time.Second
		if complete || time.Now().After(end) || !changed.IsZero() && time.Since(changed) > *drain/2 {
			if changed.IsZero() {
				return r, fmt.Errorf("the centre cannot be read: %w", err)
			}
			r.rate = float64(*records) / took.Seconds()
			for _, p := range all {
				r.exits += p.exits()
			}
			return r, nil
		}
	}
}

func count(got []int) (r result) {
	seen := map[int]bool{}
	most := 0
	for _, n := range got {
		if seen[n] {
			r.doubled++
			continue
		}
		seen[n] = true
		if n < most {
			r.disordered++
		}
		most = max(most, n)
	}
	for n := 1; n <= *records; n++ {
		if !seen[n] {
			r.lost++
		}
	}
	r.acked, r.last = *records, seen[*records]
	return r
}
