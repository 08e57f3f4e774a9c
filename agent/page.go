package agent

import (
	"os"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/page"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
)

// newPage is the door for browsers. What it serves is bounded more closely than the sockets: who looks at a box must not
// slow it down.
func newPage(a *Agent) *page.Page {
	view := control.NewView(control.Options{View: &lately{Viewer: a.view}, Records: logquery.New(a.set), Nodes: a.nodes, Updates: a.desk},
		control.Bounds{Streams: page.MaxStreams, Records: page.MaxRecords, QueryTime: page.MaxQueryTime, TailTime: page.MaxTailTime,
			Sensors: page.MaxSensors, Spare: true})
	return page.New(page.Options{
		Config:  func() *config.HTTP { return a.configuration().Control.HTTP },
		Changed: a.pageChanged,
		Names: func() []string {
			names := []string{a.configuration().Device}
			if host, err := os.Hostname(); err == nil {
				names = append(names, host)
			}
			for _, n := range slices.Clone(names) {
				names = append(names, n+".local") // as multicast DNS calls it
			}
			return names
		},
		API: view,
		Up: func(url string) {
			a.faults.clear(health.PageClosed, "page")
			a.log.Info("page is served", "url", url)
		},
		Down: func(err error) {
			if err == nil {
				a.faults.clear(health.PageClosed, "page")
				return
			}
			a.faults.raise(health.PageClosed, "page", "web page", err.Error())
		},
		Log: a.log,
	})
}

// lately is a viewer that answers all who ask within page.SameAnswer with one answer.
type lately struct {
	control.Viewer

	mu      sync.Mutex // guards what follows; held while an answer is made, so that others wait for it
	status  *api.Status
	sensors *api.Sensors
	at      [2]time.Time // of the two
}

// Status implements control.Viewer.
func (l *lately) Status() *api.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status == nil || time.Since(l.at[0]) > page.SameAnswer {
		l.status, l.at[0] = l.Viewer.Status(), time.Now()
	}
	return l.status
}

// Sensors implements control.Viewer. Each caller gets a list of its own, which it may shorten.
func (l *lately) Sensors() *api.Sensors {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sensors == nil || time.Since(l.at[1]) > page.SameAnswer {
		l.sensors, l.at[1] = l.Viewer.Sensors(), time.Now()
	}
	out := *l.sensors
	out.Sources = slices.Clone(out.Sources)
	return &out
}
