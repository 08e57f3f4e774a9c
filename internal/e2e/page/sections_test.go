package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/page"
	"github.com/edgelog/edgelog/internal/api"
)

// worst is a box on which everything is there, and much is wrong.
func worst(now time.Time) *api.Status {
	hot := 71.0
	return &api.Status{SchemaVersion: 1, Device: "box-17", State: api.StateFailed, Version: "0.4.2", Time: now, Started: now.Add(-292 * time.Hour),
		Clock:   api.Clock{Synchronised: true, Source: "ntp", ErrorSeconds: 0.004},
		Sources: api.Sources{OK: 24, Degraded: 1, Dead: 1, Rate: 118, MissedToday: 1102, MissedText: "all cold room 2"},
		Buffer: api.Buffer{Bytes: 1288490188, MaxBytes: 21474836480, Oldest: now.Add(-216 * time.Hour), WrittenToday: 41 << 20, DiskFree: 9 << 30, WearPerDay: 430 << 20,
			WearLimit: 20 << 30, RoomSeconds: 151 * 86400},
		Uplink: api.Uplink{State: api.UplinkWaiting, Broker: "ssl://broker.example:8883", Since: now.Add(-25 * time.Minute), LastAck: now.Add(-26 * time.Minute), Held: "pace",
			Budget: &api.UplinkBudget{HourBytes: 1 << 20, HourBudget: 1 << 20, UsedUp: true}, NotAfter: now.Add(9 * 24 * time.Hour)},
		NPU: &api.NPUSummary{State: api.NPUOnline, Chips: 2, ChipsOK: 1, Temperature: &hot, Models: 2, Ready: 1, Done: 41211, Dropped: 3},
		Streams: []api.Stream{{Name: "telemetry", State: "ok", Durable: 104882113, Delivered: 104705001, Buffered: 177112, Balanced: true},
			{Name: "events", State: "failing", Error: "no space left on device", Durable: 17, Dropped: 4, Balanced: false}, {Name: "alarms", Balanced: true}},
		Update: &api.Update{State: "DOWNLOADING", Release: "2026.11.1", Desired: "2026.11.2", Since: now.Add(-3 * time.Minute), DoneBytes: 10 << 20, TotalBytes: 40 << 20,
			Hold: &api.UpdateOrder{By: "anna", Since: now}},
		Pipelines: []api.Pipeline{{Name: "too-warm", Kind: "alarm", Text: "above 8, clear 7, for 10m", State: api.PipelineOK, Lag: 1200, Results: 31, Severity: "critical", Raised: 3,
			Alarms: []api.PipelineAlarm{{Series: `temperature{name="cold room 2",rom="28-0416a1b2c3ff"}`, Since: now.Add(-66 * time.Minute), Text: "close the door"}}},
			{Name: "means", Kind: "window", Text: "10m mean", State: api.PipelineWaits, Error: "stream telemetry is full", Results: 41472}},
		Faults: api.FaultsOf([]health.Fault{
			{ID: 9, Code: health.LogFull, Key: "events", Subject: "stream events", Text: "takes no readings", Since: now.Add(-time.Hour), Count: 1},
			{ID: 4, Code: health.SensorPowerOn, Key: "rooms/t", Subject: "28-0416a1b2c3ff (cold room 2)", Text: "reads 85 °C <script>alert(1)</script>", Since: now.Add(-186 * time.Minute), Count: 3},
			{ID: 2, Code: health.ClockStepped, Key: "clock", Since: now.Add(-40 * time.Hour), Until: now.Add(-40 * time.Hour), Count: 1},
		})}
}

func sensorsOf(now time.Time) *api.Sensors {
	dead := api.Source{Name: "meter", Driver: "modbus", State: api.SourceDead, Error: "no answer on /dev/ttyUSB0", Stream: "telemetry", Interval: 10, Missed: map[string]uint64{"timeout": 40}, Sensors: []api.Sensor{}}
	rooms := api.Source{Name: "rooms", Driver: "w1", State: api.SourceDegraded, Stream: "telemetry", Interval: 10, Taken: 4711, Rate: 0.5}
	for i := range 30 {
		x := api.Sensor{Series: fmt.Sprintf(`temperature{name="room %d"}`, i), Label: fmt.Sprintf("room %d", i), Unit: "Cel", Value: fmt.Sprintf("%d.0625", i), Quality: "good", Time: now.Add(-3 * time.Second)}
		if i == 20 {
			x.Value, x.Quality = "", "bad:power-on"
		}
		rooms.Sensors = append(rooms.Sensors, x)
	}
	return &api.Sensors{SchemaVersion: 1, Time: now, Sources: []api.Source{rooms, dead}}
}

// TestEverySection shows a box on which all is there that a status can have, over an API that answers it.
func TestEverySection(t *testing.T) {
	now := time.Now().UTC()
	mux := http.NewServeMux()
	give := func(path string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }) //nolint:errcheck // the page asks again
	}
	give("/v1/status", worst(now))
	give("/v1/sensors", sensorsOf(now))
	give("/v1/chart", api.Chart{SchemaVersion: 1, Since: now.Add(-time.Hour), Until: now, PointSeconds: 60, Series: []api.ChartSeries{}})
	give("/v1/nodes", api.Nodes{Lines: []api.NodeLine{{Name: "line-1", Nodes: []api.Node{
		{Name: "pump", Unit: 3, State: api.NodeOnline, Chip: "stm32f103", Version: "1.2.0", Heard: now, Events: 12345},
		{Name: "gate", Unit: 4, State: api.NodeOffline, Error: "does not answer"}}}}})
	up := make(chan string, 1)
	p := page.New(page.Options{Config: func() *config.HTTP { return &config.HTTP{Address: "127.0.0.1:0"} }, Changed: make(chan struct{}), Names: func() []string { return nil },
		API: mux, Up: func(url string) { up <- url }, Down: func(err error) { t.Error(err) }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	w := newBrowser(t)
	w.screen(360, 740, "dark")
	w.open(<-up)
	w.await("the nodes", `document.querySelectorAll("#nodes .card").length === 2`)
	for section, parts := range map[string][]string{
		"body":     {"!! FAILED", "up 12d 4h", "clock synchronised (ntp, ±4 ms)"},
		"#faults":  {"stream events: ", "reads 85 °C <script>alert(1)</script>", "(3h 06m, 3 times)", "1 past fault nobody has acknowledged", "cold room 2 temperature · 28-0416a1b2c3ff", "close the door.", "and 2 more of too-warm"},
		"#sums":    {"24 ok, 1 degraded, 1 dead", "118 readings/s", "missed today 1,102 (all cold room 2)", "1.2 GiB of 20 GiB", "room for 151d", "wear 430 MiB/day of 20 GiB", "the hub does not answer", "backlog paced", "BUDGET USED UP", "means waits, 1 ok", "41,503 results", "1,200 records behind", "1 of 2 chips ok", "71 °C", "3 dropped", "2026.11.2 DOWNLOADING", "held by anna", "10 MiB of 40 MiB"},
		"#sources": {"meter", "dead", "40 missed (timeout 40)", "no answer on /dev/ttyUSB0", "bad:power-on", "show 18 more"},
		"#streams": {"NOT BALANCED", "104,882,113", "no space left on device", "empty and balanced: alarms"},
		"#nodes":   {"pump", "heard ", "12,345 events", "gate", "does not answer", "offline"},
	} {
		text := strings.Join(strings.Fields(w.text(section)), " ")
		for _, part := range parts {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(part)) { // headings are capitals by style
				t.Errorf("%q is not in %s:\n%s", part, section, text)
			}
		}
	}
	first := strings.Fields(w.text("#sources h3"))
	if len(first) == 0 || first[0] != "meter" || !strings.HasPrefix(w.text("#sources .rows .row .name"), "room 20") {
		t.Errorf("the worst does not come first: %v, %s", first, w.text("#sources"))
	}
	w.eval(`document.querySelector("#sources .link").click()`) //nolint:errcheck // the next line tells
	w.await("all rooms", `document.querySelectorAll("#sources .row").length === 30`)
	if wide, err := w.eval("document.documentElement.scrollWidth"); err != nil || wide.(float64) > 360 {
		t.Errorf("the page is %v wide, %v", wide, err)
	}
	w.shot("worst-phone")
	w.screen(1280, 2600, "light")
	w.shot("worst-wide")
	if said := w.said(); len(said) > 0 {
		t.Errorf("the browser complains:\n%s", strings.Join(said, "\n"))
	}
}
