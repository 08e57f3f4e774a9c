package page_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

var shots = flag.String("shots", "", "directory for pictures of the page")

// freezerKey is the series of freezer.
const freezerKey = `temperature{name="freezer <b>2</b>",rom="28-0416a1b2c3ff"}`

const token = "correct-horse-battery"

// box is a running agent with a page.
type box struct {
	t    *testing.T
	dir  string
	addr string
	stop func()
	api  *api.Client
}

// configure writes the configuration. The uplink goes nowhere, so that the box has a fault to show.
func (b *box) configure(http string) {
	b.t.Helper()
	text := fmt.Sprintf(`device: box-17
data_dir: %[1]s/data
run_dir: %[1]s/run
sources:
  - {name: host, driver: system, interval: 1s}
  - {name: load, driver: synthetic, interval: 1s, synthetic: {series: 40}}
uplink:
  mqtt: {broker: "tcp://127.0.0.1:1"}
control:
  producers: {rooms: {}}
%s`, b.dir, http)
	if err := os.WriteFile(filepath.Join(b.dir, "agent.yaml"), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// page is the block that opens it, with the token where one is wanted.
func (b *box) page(secret bool) string {
	text := "  http:\n    address: " + b.addr + "\n"
	if secret {
		text += "    token_file: token\n"
	}
	return text
}

func (b *box) start() {
	b.t.Helper()
	file := filepath.Join(b.dir, "agent.yaml")
	c, err := config.Load(file, config.OS{})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(b.log(), nil))
	a, err := agent.New(ctx, agent.Options{Config: c, File: file, Log: log})
	if err != nil {
		cancel()
		b.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("the agent ended with %v", err)
		}
	}
}

func (b *box) log() io.Writer {
	f, err := os.OpenFile(filepath.Join(b.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { f.Close() })
	return f
}

func newBox(t *testing.T) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "page") // a socket's path may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := &box{t: t, dir: dir, addr: l.Addr().String(), api: api.NewClient(filepath.Join(dir, "run")), stop: func() {}}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "agent.log"))
			t.Logf("%s", text[max(0, len(text)-4000):])
		}
		os.RemoveAll(dir)
	})
	return b
}

// freezer is what the log holds of one thermometer: an hour, a reading every 10 s, no reading for 15 minutes, and bad ones
// for two.
func (b *box) freezer(now time.Time) {
	b.t.Helper()
	var recs []api.IngestRecord
	for at := now.Add(-50 * time.Minute); at.Before(now); at = at.Add(10 * time.Second) {
		age := now.Sub(at)
		r := api.IngestRecord{Name: "temperature", Labels: map[string]string{"rom": "28-0416a1b2c3ff", "name": "freezer <b>2</b>"}, Unit: "Cel", Type: "decimal4",
			Value: json.RawMessage(fmt.Sprintf("%.4f", -18-2*float64(int(age.Seconds())%420)/420)), Time: at}
		switch {
		case age > 20*time.Minute && age < 35*time.Minute:
			continue
		case age > 5*time.Minute && age < 7*time.Minute:
			r.Value, r.Quality = json.RawMessage("null"), "bad:crc"
		}
		recs = append(recs, r)
	}
	if _, err := b.api.Ingest(context.Background(), "rooms", api.IngestRequest{Incarnation: 1, Sequence: 1, Records: recs}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) get(path, auth string) (int, string) {
	req, err := http.NewRequest("GET", "http://"+b.addr+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", "Bearer "+auth)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// TestAddressInUse: an agent whose page cannot be served works, says A006, and serves it once it can; a reload exchanges
// and closes it.
func TestAddressInUse(t *testing.T) {
	b := newBox(t)
	l, err := net.Listen("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.configure(b.page(false))
	b.start()
	ctx := context.Background()
	told := func() bool {
		f, err := b.api.Faults(ctx)
		return err == nil && slices.ContainsFunc(f.Faults, func(f api.Fault) bool { return f.Code == string(health.PageClosed) && f.Active })
	}
	until(t, "the fault", told)
	if s, err := b.api.Status(ctx); err != nil || s.Sources.OK == 0 {
		t.Errorf("the agent does not work without its page: %+v, %v", s, err)
	}
	l.Close()
	until(t, "the page", func() bool { status, _ := b.get("/v1/status", ""); return status == 200 })
	until(t, "the end of the fault", func() bool { return !told() })
	for _, step := range []struct {
		block, auth string
		status      int
	}{{b.page(true), "", 401}, {b.page(true), token, 200}, {"", "", 0}} {
		b.configure(step.block)
		if r, err := b.api.Reload(ctx); err != nil || r.Error != "" {
			t.Fatalf("reload: %+v, %v", r, err)
		}
		until(t, fmt.Sprintf("answer %d", step.status), func() bool { status, _ := b.get("/v1/status", step.auth); return status == step.status })
	}
}

// TestPage is what a person sees on a phone.
func TestPage(t *testing.T) {
	b := newBox(t)
	b.configure(b.page(true))
	b.start()
	until(t, "the agent", func() bool { _, err := b.api.Status(context.Background()); return err == nil })
	now := time.Now()
	b.freezer(now)
	c, err := b.api.Chart(context.Background(), api.ChartQuery{Stream: "telemetry", Series: []string{freezerKey}, Since: now.Add(-time.Hour), Until: now, Points: 100})
	if err != nil {
		t.Fatal(err)
	}
	var sum api.ChartPoint
	for _, p := range c.Series[0].Points {
		sum.Readings, sum.Bad = sum.Readings+p.Readings, sum.Bad+p.Bad
	}
	if sum.Readings != 211 || sum.Bad != 11 || c.Sampled || c.Truncated || c.Series[0].Unit != "Cel" {
		t.Errorf("over the socket: %d readings, %d bad, %+v", sum.Readings, sum.Bad, c)
	}
	w := newBrowser(t)
	w.screen(360, 740, "light")
	w.open("http://" + b.addr + "/")
	w.await("the form", `document.getElementById("token")`)
	w.shot("login")
	w.eval(`document.getElementById("token").value = "wrong-horse-battery"; document.querySelector("form").submit()`) //nolint:errcheck // the next line tells
	w.await("the refusal", `document.querySelector("[role=alert]")`)
	w.eval(fmt.Sprintf(`document.getElementById("token").value = %q; document.querySelector("form").submit()`, token)) //nolint:errcheck // as above
	w.await("the box", `document.getElementById("device")?.textContent === "box-17" && document.querySelector("#sources .row")`)
	if cookie, err := w.eval("document.cookie"); err != nil || cookie != "" {
		t.Errorf("a script can read the cookie: %v, %v", cookie, err)
	}
	if s := w.text("#state"); s != "! DEGRADED" {
		t.Errorf("state %q", s)
	}
	if at := w.text("#times"); !strings.Contains(at, "UTC+05:45") {
		t.Errorf("times: %s", at)
	}
	t.Run("words", func(t *testing.T) { sameWords(t, w) })
	t.Run("faults", func(t *testing.T) { faultsOf(t, w) })
	w.await("small charts", `document.querySelectorAll("#sources svg.spark .line, #sources svg.spark .dot").length > 3`)
	t.Run("chart", func(t *testing.T) { chartOf(t, b, w) })
	w.eval(`location.hash = ""`) //nolint:errcheck // the next line tells
	w.await("all sensors again", `!document.getElementById("box").hidden`)
	for _, s := range []struct {
		width, height int
		scheme        string
	}{{360, 740, "light"}, {360, 740, "dark"}, {1280, 800, "light"}, {1280, 800, "dark"}} {
		w.screen(s.width, s.height, s.scheme)
		name := fmt.Sprintf("%dx%d-%s", s.width, s.height, s.scheme)
		w.eval("scrollTo(0, 0)") //nolint:errcheck // a picture
		w.shot("box-" + name)
		if wide, err := w.eval("document.documentElement.scrollWidth"); err != nil || wide.(float64) > float64(s.width) {
			t.Errorf("%s: the page is %v wide, %v", name, wide, err)
		}
	}
	w.eval(`document.getElementById("match").value = "freezer"; document.getElementById("match").dispatchEvent(new Event("input"))`) //nolint:errcheck // the next line tells
	w.await("what was looked for", `document.querySelectorAll("#sources .row").length === 0`)                                        // a producer is no source
	w.eval(`document.getElementById("match").value = "load.1m"; document.getElementById("match").dispatchEvent(new Event("input"))`) //nolint:errcheck // as above
	w.await("what was looked for", `document.querySelectorAll("#sources .row").length === 1`)
	b.stop()
	w.await("that the box does not answer", `/^no answer for \d+s/.test(document.getElementById("live").textContent)`)
	if w.text("#sources .row") == "" || w.text("#device") != "box-17" {
		t.Error("the page does not keep what it had")
	}
	w.shot("silent")
	b.start()
	w.await("that it answers again", `document.getElementById("live").textContent === "live"`)
	if said := w.said(); len(said) > 0 {
		t.Errorf("the browser complains:\n%s", strings.Join(said, "\n"))
	}
}

// sameWords: the page writes numbers, lengths of time and names as edgectl does.
func sameWords(t *testing.T, w *browser) {
	type vector struct{ call, want string }
	var vs []vector
	for _, n := range []int64{0, 1, 999, 1000, 1023, 1024, 10188, 10189, 1047552, 1048063, 1048064, 104882113, 5 << 30, 1 << 50, 9007199254740991} {
		vs = append(vs, vector{fmt.Sprintf("bytes(%d)", n), term.Bytes(n)}, vector{fmt.Sprintf("comma(%d)", n), term.Comma(n)},
			vector{fmt.Sprintf(`decimal("-%d.50")`, n), term.Decimal(fmt.Sprintf("-%d.50", n))})
	}
	for _, d := range []time.Duration{0, 900 * time.Nanosecond, 20 * time.Microsecond, 4 * time.Millisecond, 999 * time.Millisecond, time.Second, 59 * time.Second, time.Minute,
		3599 * time.Second, time.Hour, 3*time.Hour + 6*time.Minute, 24 * time.Hour, 25 * time.Hour, 12*24*time.Hour + 4*time.Hour, 30 * 24 * time.Hour, 151*24*time.Hour + time.Hour} {
		vs = append(vs, vector{fmt.Sprintf("duration(%g)", d.Seconds()), term.Duration(d)})
		if d < time.Hour && d >= time.Second {
			vs = append(vs, vector{fmt.Sprintf("ago(1000000, %f)", 1000000+d.Seconds()), term.Duration(d) + " ago"})
		}
	}
	for _, r := range []float64{0, 0.0001, 0.002, 0.02, 0.094, 0.095, 0.2, 1, 9.94, 9.96, 118.4, 250000} {
		vs = append(vs, vector{fmt.Sprintf("rate(%g)", r), term.Rate(r)})
	}
	for _, s := range []string{"21.0625", "12345", "-12345.678", "012345", "1234", "a12345", "12345e3", ""} {
		vs = append(vs, vector{fmt.Sprintf("decimal(%q)", s), term.Decimal(s)})
	}
	vs = append(vs, vector{`names({series: 'disk.free{mount="/"}'}).flat().join("|")`, `disk.free /`},
		vector{`names({series: 'temperature{name="cold \\"2\\"",rom="28-1"}', label: 'cold "2"', id: "28-1"}).flat().join("|")`, `cold "2"|temperature|28-1`},
		vector{`shown("5368709120", "By").join(" ")`, "5.0 GiB"}, vector{`shown("21.0625", "Cel").join(" ")`, "21.0625 °C"}, vector{`shown("", "Cel").join("")`, "–"},
		vector{`firstSentence("Check it. Then go.")`, "Check it."}, vector{`clock(1795734840, 1795734840)`, "04:59"}, vector{`offset(1795734840)`, "+05:45"})
	for _, v := range vs {
		got, err := w.eval(`import("/words.mjs").then((m) => { with (m) { return eval(` + fmt.Sprintf("%q", v.call) + `) } })`)
		if err != nil {
			got, err = w.eval(`import("/words.mjs").then((m) => m.` + v.call + `)`)
		}
		if err != nil || fmt.Sprint(got) != v.want {
			t.Errorf("%s is %v, %v; edgectl writes %q", v.call, got, err, v.want)
		}
	}
}

// faultsOf: the fault has the texts of the table, and unfolds to what `edgectl explain` says.
func faultsOf(t *testing.T, w *browser) {
	d, _ := health.Lookup(health.UplinkUnreachable)
	card := w.text("#faults .fault.warn")
	for _, part := range []string{d.Title, "since ", "+05:45", "explain U001"} {
		if !strings.Contains(card, part) {
			t.Errorf("%q is not in %s", part, card)
		}
	}
	w.eval(`document.querySelector("#faults .fault.warn summary").click()`) //nolint:errcheck // the next line tells
	w.await("the explanation", `document.querySelector("#faults .fault.warn dd")`)
	card = strings.Join(strings.Fields(w.text("#faults .fault.warn")), " ")
	for _, part := range []string{d.Means, d.Found, d.Do, d.Risk} {
		if part = strings.Join(strings.Fields(strings.ReplaceAll(part, "`", "")), " "); !strings.Contains(card, part) {
			t.Errorf("%q is not in %s", part, card)
		}
	}
}

// chartOf: the course of the freezer has its gap, its bad readings and its band, by finger, by key and as a table.
func chartOf(t *testing.T, b *box, w *browser) {
	w.eval(`location.hash = "#" + encodeURIComponent('telemetry|` + freezerKey + `')`) //nolint:errcheck // the next line tells
	w.await("the chart", `document.querySelectorAll("#one svg.chart path.line").length >= 3`)
	for what, expression := range map[string]string{
		"the quarter of an hour without readings": `[...document.querySelectorAll("#one rect.gap")].some((r) => r.getAttribute("width") > 40)`,
		"the bad readings":                        `document.querySelectorAll("#one path.bad").length >= 3 && /1[0-2] bad/.test(document.querySelector("#one").innerText)`,
		"the band":                                `document.querySelector("#one path.band")`,
		"the extremes":                            `/lowest -19\.9\d* °C, highest -18 °C/.test(document.querySelector("#one").innerText)`,
		"the words for those who do not see it":   `document.querySelector("#one svg").getAttribute("aria-label").includes("lowest")`,
	} {
		if got, err := w.eval("Boolean(" + expression + ")"); err != nil || got != true {
			t.Errorf("%s: %v %v\n%s", what, got, err, w.text("#one"))
		}
	}
	w.shot("chart-1h")
	w.eval(`const c = document.querySelector("#one svg.chart"); c.focus(); c.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}))`) //nolint:errcheck // the next line tells
	w.await("the value by key", `/\d\d:\d\d.* \+05:45 · -\d+.* °C · .*\d+ reading/.test(document.querySelector("#one [role=status]").innerText)`)
	w.eval(`document.querySelector("#one [data-key=table]").click()`) //nolint:errcheck // the next line tells
	w.await("the table", `document.querySelectorAll("#one tbody tr").length > 50`)
	w.eval(`document.querySelector("#one [data-key=range2]").click()`) //nolint:errcheck // as above
	w.await("the week", `document.querySelector("#one [data-key=range2]").getAttribute("aria-pressed") === "true" && document.querySelector("#one svg.chart")`)
	w.shot("chart-7d")
}
