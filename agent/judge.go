package agent

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	unbalancedLooks = 3                // in a row, judgeEvery apart: what is in motion between two snapshots is no fault
	silentHub       = time.Minute      // a broker that takes a hello and no hub that answers it
	noCredit        = 3 * time.Minute  // a hub that lets us wait
	nothingTaken    = 5 * time.Minute  // the longest time-out of an ack
	fruitlessTries  = 3                // time-outs and connections within it
	slowWindow      = time.Minute      // over which a source is called too slow for its interval …
	slowWindows     = 2                // … so often in a row
	slowShare       = 0.1              // of the readings that were due
	judgeEvery      = 10 * time.Second // between two looks at what costs more than a number
)

// judge declares what no part notices by itself, only who looks at the whole box now and then: a disk that fills up, an
// account that does not balance, a hub that is silent, a source that is too slow. It is used by one goroutine and takes
// the time as a value.
type judge struct {
	raise func(code health.Code, key, subject, text string)
	clear func(code health.Code, key string)

	waiting, broke time.Time // since when no hub answers, since when there is no credit
	unbalanced     int       // looks in a row
	waits          map[string]wait
	sources        map[string]*pace
}

// wait is a stream of which something waits, and how the link stood when the last of it was settled.
type wait struct {
	settled, tries, answers uint64
	since                   time.Time
}

// pace is what a source had given and missed when its window began.
type pace struct {
	at                   time.Time
	read, late, tooLarge uint64
	slow                 int // windows in a row
}

// look judges everything once.
func (a *Agent) look(j *judge, now time.Time) {
	c := a.configuration()
	a.view.mu.Lock()
	usage := a.view.usage
	a.view.mu.Unlock()
	j.disk(usage, c.DataDir)
	acc := a.view.Account()
	j.balance(acc.Balanced)
	st, _ := a.deliver.status() // without an uplink there is nothing to say against it
	j.link(now, st, c.Uplink.To())
	j.taken(now, st, acc.Streams)
	for _, s := range a.collector.Overview() {
		j.source(now, s)
	}
}

// disk holds free space against the reserve of the file system that the log lies on. A usage of nothing is not known.
func (j *judge) disk(u vfs.Usage, dir string) {
	reserve := config.DiskReserve(u.Total)
	switch {
	case u.Total == 0:
	case u.Free < reserve:
		j.raise(health.DiskSpaceLow, "disk", "disk", fmt.Sprintf("%s free of %s where %s lies; below %s it is called nearly full",
			term.Bytes(int64(u.Free)), term.Bytes(int64(u.Total)), dir, term.Bytes(int64(reserve))))
	case u.Free > reserve+reserve/4:
		j.clear(health.DiskSpaceLow, "disk")
	}
}

// balance is told whether every stream's account balances.
func (j *judge) balance(balanced bool) {
	if balanced {
		j.unbalanced = 0
		j.clear(health.Unbalanced, "account")
		return
	}
	if j.unbalanced++; j.unbalanced >= unbalancedLooks {
		j.raise(health.Unbalanced, "account", "account", "records are neither delivered, dropped nor waiting: `edgectl account` shows which stream and how many")
	}
}

// link judges a connection to the broker.
func (j *judge) link(now time.Time, st uplink.Status, broker string) {
	since := func(at *time.Time, is bool, limit time.Duration) bool {
		switch {
		case !is:
			*at = time.Time{}
		case at.IsZero():
			*at = now
		}
		return is && now.Sub(*at) >= limit
	}
	if since(&j.waiting, st.Phase == uplink.PhaseHello || st.Phase == uplink.PhaseWaiting, silentHub) {
		j.raise(health.HubSilent, "uplink", "uplink", broker+" takes our hello and no hub answers it")
	} else if j.waiting.IsZero() {
		j.clear(health.HubSilent, "uplink")
	}
	if since(&j.broke, st.Phase == uplink.PhaseStreaming && st.Credit == 0, noCredit) {
		j.raise(health.NoCredit, "uplink", "uplink", "the hub gives no room to send")
	} else if j.broke.IsZero() {
		j.clear(health.NoCredit, "uplink")
	}
	if st.Unreadable > 0 {
		j.raise(health.UplinkUnreadable, "uplink", "uplink", term.Count(st.Unreadable, "stream")+": the hub could not read a frame, also not a smaller one")
	} else {
		j.clear(health.UplinkUnreadable, "uplink")
	}
}

// taken judges whether what waits is taken by anybody, stream by stream: a broker may carry hellos and drop frames.
func (j *judge) taken(now time.Time, st uplink.Status, streams []api.StreamAccount) {
	if j.waits == nil {
		j.waits = map[string]wait{}
	}
	bad := ""
	for i := range streams {
		s := &streams[i]
		left := s.Sum.Buffered + s.Sum.InFlight
		is := wait{settled: s.Sum.End - min(left, s.Sum.End), tries: st.Timeouts + st.Connects, answers: st.Acks, since: now}
		w, known := j.waits[s.Name]
		if !known || left == 0 || w.settled != is.settled || is.tries < w.tries || st.Held == "budget" {
			j.waits[s.Name] = is
			continue
		}
		if now.Sub(w.since) >= nothingTaken && is.tries-w.tries >= fruitlessTries && is.answers-w.answers >= 2 {
			bad = fmt.Sprintf("stream %s: the hub has answered, and taken nothing of it for %v, over %d time-outs and connections",
				s.Name, now.Sub(w.since).Round(time.Minute), is.tries-w.tries) + tooLarge(st.Stuck, s.Name)
			break
		}
	}
	if bad != "" {
		j.raise(health.NothingTaken, "uplink", "uplink", bad)
	} else {
		j.clear(health.NothingTaken, "uplink")
	}
}

// tooLarge is what is known of the frame that does not arrive: how large it is, and whether a smaller one is left to try.
func tooLarge(k uplink.Stuck, stream string) string {
	switch {
	case k.Stream != stream:
		return ""
	case k.Whole:
		return fmt.Sprintf("; next is one record or message, which cannot be divided: a packet of %s bytes. If the broker drops or refuses packets of that size, raise its max_packet_size and message_size_limit to 262144", term.Comma(int64(k.Bytes)))
	}
	return fmt.Sprintf("; packets of %s bytes do not arrive, smaller ones are tried", term.Comma(int64(k.Bytes)))
}

// source judges whether a source keeps its interval, and whether what it gives can be kept.
func (j *judge) source(now time.Time, s collect.SourceStatus) {
	late, tooLarge := s.Missed[collect.MissedLate.String()], s.Missed[collect.MissedTooLarge.String()]
	p := j.sources[s.Name]
	read := readings(s)
	if p == nil || read < p.read || late < p.late { // new, or begun anew by a reload
		if j.sources == nil {
			j.sources = map[string]*pace{}
		}
		j.sources[s.Name] = &pace{now, read, late, tooLarge, 0}
		return
	}
	if now.Sub(p.at) < max(slowWindow, 3*s.Interval) {
		return
	}
	got, missed := read-p.read, late-p.late
	if float64(missed) > slowShare*float64(got+missed) {
		if p.slow++; p.slow >= slowWindows {
			j.raise(health.SourceMissed, s.Name, s.Name, fmt.Sprintf("%s of the last %s came too late to be taken", term.CommaU(missed), term.Count(got+missed, "reading")))
		}
	} else {
		p.slow = 0
		j.clear(health.SourceMissed, s.Name)
	}
	if n := tooLarge - min(p.tooLarge, tooLarge); n > 0 {
		j.raise(health.RecordRefused, s.Name, s.Name, term.Count(n, "message")+" beyond the bound in bytes; edgectl sensors shows what was missed and why")
	} else {
		j.clear(health.RecordRefused, s.Name)
	}
	p.at, p.read, p.late, p.tooLarge = now, read, late, tooLarge
}
