package npu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/ascend/dcmi"
	"github.com/edgelog/edgelog/internal/api"
)

// monitor reads the chips through the management library, independently of the runtime: it goes on when that hangs.
type monitor struct {
	w             *Worker
	skipped, lost uint64            // events of a storm; these four are of the goroutine that reads
	told          time.Time         // when the gauges were recorded
	identities    map[string]string // of the chips, as they were recorded

	call underWay

	mu     sync.Mutex
	driver string
	chips  []api.NPUChip
	errors map[string]int // of the management library, by code; replaced, never changed
	at     time.Time
}

func newMonitor(w *Worker) *monitor { return &monitor{w: w, identities: map[string]string{}} }

// run reads at each interval; without the library it says so once.
func (m *monitor) run(ctx context.Context) error {
	if m.w.c.DCMI == "none" {
		return nil
	}
	tick := time.NewTicker(m.w.c.Monitor)
	defer tick.Stop()
	var lib *dcmi.Library
	var events <-chan dcmi.Event
	for left, look := maxEventRecords, true; ; {
		if lib == nil {
			var err error
			m.call.begin()
			lib, err = dcmi.Open(m.w.c.DCMI)
			m.call.end()
			if err != nil {
				lib = nil
				m.w.raise("N010", "dcmi", "NPU", err.Error())
			} else {
				m.w.clear("N010", "dcmi")
				events = m.subscribe(lib)
			}
		}
		if lib != nil && look {
			m.call.begin()
			m.read(lib)
			m.call.end()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.leftOut(lib)
			left, look = maxEventRecords, true
		case e := <-events: // a fault, or the end of one: look at once
			if left, look = left-1, left > 1; left < 0 {
				m.skipped++ // a storm
				continue
			}
			m.event(e)
		}
	}
}

// hung declares a call of the management library that does not come back. Nothing else waits for it.
func (m *monitor) hung(now time.Time) {
	if at := m.call.since(); !at.IsZero() && now.Sub(at) > hungManagement {
		m.w.raise("N010", "dcmi", "NPU", fmt.Sprintf("a call into the management library has not come back since %s; models are not touched, a restart of edge-npu tries again", at.UTC().Format(time.RFC3339)))
	}
}

// leftOut records how many events of a storm were not recorded one by one.
func (m *monitor) leftOut(lib *dcmi.Library) {
	if lib == nil {
		return
	}
	lost := lib.EventsLost()
	n := m.skipped + lost - m.lost
	m.skipped, m.lost = 0, lost
	if n > 0 {
		m.w.tell(m.w.noteRecord("npu.event", "", fmt.Sprintf("%d further events of the driver were not recorded one by one", n), map[string]any{"event": "left out", "count": n}))
	}
}

// eventSeverity is that of the events that are recorded: major and worse.
const eventSeverity = 2

// subscribe has the driver tell of faults. A driver or chip without it is asked at each interval only.
func (m *monitor) subscribe(lib *dcmi.Library) <-chan dcmi.Event {
	chips, _ := lib.Chips() // an error is of cards that do not answer; read declares it
	if len(chips) == 0 {
		return nil
	}
	events, err := lib.Events(chips, eventSeverity)
	if err != nil {
		m.w.log.Info("faults of the chips are seen at the next reading only", "err", err)
		return nil
	}
	return events
}

// event records a fault that the driver told of.
func (m *monitor) event(e dcmi.Event) {
	word := "raised"
	if e.Over {
		word = "over"
	}
	m.w.tell(m.w.noteRecord("npu.event", "", fmt.Sprintf("the driver tells: %s (0x%08X) is %s", e.Name, e.ID, word),
		map[string]any{"event": word, "id": fmt.Sprintf("0x%08X", e.ID), "severity": e.Severity, "raised": e.Raised.Format(time.RFC3339Nano), "name": e.Name}))
}

func (m *monitor) read(lib *dcmi.Library) {
	chips, err := lib.Chips()
	if err == nil {
		m.w.clear("N010", "dcmi")
	} else if m.w.raise("N010", "dcmi", "NPU", err.Error()); len(chips) == 0 {
		return
	}
	all := map[string]string{}
	if lib.Simulated() != "" {
		all["simulated"] = "true"
	}
	well, unknown, cards := 0, 0, map[int32]bool{}
	var out []api.NPUChip
	var records []api.IngestRecord
	for _, c := range chips {
		cards[c.Card] = true
		chip, of, state := m.chip(lib, c)
		switch state {
		case chipWell:
			well++
		case chipUnknown:
			unknown++
		}
		out, records = append(out, chip), append(records, of...)
	}
	records = append(records, count("npu.cards", all, len(cards)), count("npu.chips", all, len(chips)), count("npu.chips_ok", all, well), count("npu.chips_unknown", all, unknown))
	for code, n := range lib.Errors() {
		records = append(records, count("npu.driver_errors", with(all, "code", code), n))
	}
	if n := lib.Grown(); n > 0 {
		m.w.raise("N012", "dcmi", "NPU driver", fmt.Sprintf("%d answers were longer than documented: this driver is newer than what it was made for; the known part is used", n))
	}
	if now := time.Now(); now.Sub(m.told) > m.w.c.Monitor/2 { // an extra look writes no extra gauges
		m.told = now
		m.w.tell(records...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.driver, m.chips, m.at = lib.Versions().Driver, out, time.Now()
	m.errors = maps.Clone(lib.Errors())
}

// What is known of a chip's health.
type chipState int

const (
	chipWell chipState = iota
	chipIll
	chipUnknown // it cannot be asked
)

// chip reads everything of one chip, and declares what is wrong with it.
func (m *monitor) chip(lib *dcmi.Library, c dcmi.Chip) (chip api.NPUChip, records []api.IngestRecord, state chipState) {
	id, err := lib.Identity(c) // a chip that is gone has no name; its health says so
	chip = api.NPUChip{ID: fmt.Sprintf("%d/%d", c.Card, c.Device), Name: id.Name, Product: id.Product, Serial: id.Serial, PCI: id.PCI, Gauges: map[string]float64{}}
	labels := map[string]string{"chip": chip.ID}
	if id.Serial != "" {
		labels["serial"] = id.Serial
	}
	if lib.Simulated() != "" {
		labels["simulated"] = "true"
	}
	if err == nil {
		m.identify(lib, chip.ID, id)
	}
	add := func(name, unit, kind string, value float64, err error) {
		if errors.Is(err, dcmi.ErrUnsupported) || errors.Is(err, dcmi.ErrMissing) {
			return // what a chip does not have has no series
		}
		r := api.IngestRecord{Name: seriesName(name), Labels: labels, Unit: unit, Type: kind, Value: json.RawMessage("null"), Quality: "bad:device"}
		if err == nil {
			r.Value, r.Quality = json.RawMessage(strconv.FormatFloat(value, 'f', -1, 64)), ""
		}
		records = append(records, r)
	}
	for _, g := range lib.Gauges(c) {
		if add(g.Name, g.Unit, "float", g.Value, g.Err); g.Err == nil {
			chip.Gauges[g.Name] = g.Value
		}
	}
	list, err := lib.Processes(c)
	held := uint64(0)
	for _, p := range list {
		held += p.Bytes
		chip.Processes = append(chip.Processes, api.NPUProcess{PID: p.PID, Bytes: p.Bytes})
	}
	if err == nil {
		chip.Gauges["processes"], chip.Gauges["memory.processes"] = float64(len(list)), float64(held)
	}
	add("processes", "1", "int", float64(len(list)), err)
	add("memory.processes", "By", "int", float64(held), err)
	faults, ferr := lib.Faults(c)
	for i, f := range faults[:min(len(faults), maxErrorCodes)] {
		chip.Errors = append(chip.Errors, f.String())
		records = append(records, api.IngestRecord{Name: "npu.error_code", Labels: with(labels, "place", strconv.Itoa(i)), Type: "int", Value: json.RawMessage(strconv.FormatUint(uint64(f.Code), 10))})
	}
	add("errors", "1", "int", float64(len(faults)), ferr)
	h, herr := lib.Health(c)
	if chip.Health = h.String(); herr != nil {
		chip.Health = "unknown"
	}
	add("health", "", "int", float64(h), herr)
	switch unasked := errors.Is(herr, dcmi.ErrUnsupported) || errors.Is(herr, dcmi.ErrMissing); {
	case len(faults) > 0, herr == nil && h != dcmi.Healthy, herr != nil && !unasked:
		m.w.raise("N011", chip.ID, "NPU chip "+chip.ID, strings.TrimSpace("health "+chip.Health+" "+strings.Join(chip.Errors, ", ")))
		state = chipIll
	default:
		m.w.clear("N011", chip.ID)
	}
	if herr != nil {
		state = chipUnknown
	}
	return chip, records, state
}

// identify records who a chip is and what drives it, once and whenever that changes.
func (m *monitor) identify(lib *dcmi.Library, chip string, id dcmi.Identity) {
	v := lib.Versions()
	text := fmt.Sprintf("chip %s: %s %s, driver %s", chip, id.Name, id.Product, v.Driver)
	more := map[string]any{"identity": id, "driver": v.Driver, "library": v.DCMI}
	if now := fmt.Sprint(more); m.identities[chip] != now {
		r := m.w.noteRecord("npu.chip", "", text, more)
		r.Labels["chip"] = chip
		m.identities[chip] = now
		m.w.tell(r)
	}
}

// with is labels and one more.
func with(labels map[string]string, name, value string) map[string]string {
	out := maps.Clone(labels)
	out[name] = value
	return out
}

func count(name string, labels map[string]string, n int) api.IngestRecord {
	return api.IngestRecord{Name: name, Labels: labels, Unit: "1", Type: "int", Value: json.RawMessage(strconv.Itoa(n))}
}

func (m *monitor) snapshot() (driver string, chips []api.NPUChip, errors map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	chips = []api.NPUChip{}
	for _, c := range m.chips {
		c.Age = time.Since(m.at).Seconds()
		chips = append(chips, c)
	}
	return m.driver, chips, m.errors
}
