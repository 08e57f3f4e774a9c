package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/sdnotify"
	"github.com/edgelog/edgelog/internal/term"
)

// stallAfter is how long a part may take to answer before it counts as standing still.
const stallAfter = 30 * time.Second

// watch tells systemd that the agent is alive as long as it is: this goroutine turns, every part that status asks
// gives up its lock, and the log answers. A hung bus, a full disk or a dead link are faults, not reasons to restart,
// so nothing here touches them.
func (a *Agent) watch(ctx context.Context) error {
	every := 5 * time.Second
	if limit := sdnotify.WatchdogInterval(); limit > 0 {
		every = min(every, limit/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var probe chan string
	var asked time.Time
	for {
		if probe == nil {
			probe, asked = make(chan string, 1), time.Now()
			go a.probe(ctx, probe) // joined by reading probe, here or in a later turn; a lock held for ever is why we end
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		select {
		case sentence := <-probe:
			probe = nil
			a.faults.clear(health.Stalled, "agent")
			a.notify("WATCHDOG=1\n" + sdnotify.Status(sentence))
		default:
			if time.Since(asked) > stallAfter {
				a.faults.raise(health.Stalled, "agent", "agent", "a part of the agent has not answered for "+term.Duration(time.Since(asked)))
			}
		}
	}
}

// probe takes every lock that a reader takes and waits for a no-op of each stream's writer; then it yields the line for
// systemd. A writer that waits for room answers; one whose disk does not answer does not.
func (a *Agent) probe(ctx context.Context, done chan<- string) {
	sentence := a.sentence()
	if err := a.set.Ping(ctx); err != nil && ctx.Err() == nil {
		a.log.Debug("log writer", "err", err) // stopped: the log's own fault says why
	}
	done <- sentence
}

// sentence is the line of `systemctl status`.
func (a *Agent) sentence() string {
	s := a.view.Status()
	waiting := uint64(0)
	for _, st := range s.Streams {
		waiting += st.Buffered + st.InFlight
	}
	return fmt.Sprintf("%s: %d sources ok, %d degraded, %d dead; uplink %s; %s records wait", s.State, s.Sources.OK, s.Sources.Degraded,
		s.Sources.Dead, s.Uplink.State, term.CommaU(waiting))
}

func (a *Agent) notify(state string) {
	if err := sdnotify.Notify(state); err != nil {
		a.log.Debug("systemd was not told", "err", err)
	}
}
