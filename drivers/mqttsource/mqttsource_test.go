package mqttsource_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/mqttsource"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func show(r door.Reading) string {
	text := r.Quality.String()
	if !r.Quality.Bad() {
		x := record.Record{Type: r.Type, Num: r.Num, Data: &record.Data{Value: r.Value}}
		text = r.Type.String() + " " + string(x.AppendText(nil))
		if !r.Quality.Good() {
			text += " " + r.Quality.String()
		}
	}
	s := r.Series.Key() + " " + text
	if r.Series.Unit != "" {
		s += " " + r.Series.Unit
	}
	if r.At.Clock != 0 {
		s += fmt.Sprintf(" @%d", (r.At.Time-1700000000e9)/1e6)
	}
	return s
}

type step struct {
	topic, payload string
	retained       bool
	want           string // lines; "! missed reason", "? topic of a command"
}

func play(t *testing.T, s mqttsource.Subscription, steps []step) {
	t.Helper()
	r, err := mqttsource.NewReader(s)
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range steps {
		var got []string
		rs, ask := r.Read(mqttclient.Message{Topic: st.topic, Payload: []byte(st.payload), Retained: st.retained},
			func(w door.Missed, n int, _ error) { got = append(got, fmt.Sprintf("! %s %d", w, n)) })
		for _, x := range rs {
			got = append(got, show(x))
		}
		if ask != "" {
			got = append(got, "? "+ask)
		}
		if g := strings.Join(got, "\n"); g != strings.TrimSpace(st.want) {
			t.Errorf("step %d %s\n--- got\n%s\n--- want\n%s", i, st.topic, g, strings.TrimSpace(st.want))
		}
	}
}

func TestDialects(t *testing.T) {
	play(t, mqttsource.Subscription{Format: "json", Topic: "plant/{line}/+/state", JSON: door.Mapping{Decimals: map[string]int{"t": 1}}}, []step{
		{"plant/7/oven/state", `{"t":21.5,"on":true}`, false, "on{line=\"7\"} bool true\nt{line=\"7\"} decimal1 21.5"},
		{"plant/7/oven/state", `21.5`, true, `state{line="7"} float 21.5 uncertain:stale`},
		{"plant/7/oven/state", `{"t":`, false, "! malformed 1"},
		{"plant/7/oven/state", ``, false, "! malformed 1"},
	})
	play(t, mqttsource.Subscription{Format: "tasmota"}, []step{
		{"tele/plug1/SENSOR", `{"Time":"2026-01-02T03:04:05","AM2301":{"Temperature":21.5,"Humidity":40.1},"ENERGY":{"Total":3.185,"Power":12},"TempUnit":"C"}`, false,
			"am2301.humidity{device=\"plug1\"} float 40.1 %\nam2301.temperature{device=\"plug1\"} float 21.5 Cel\nenergy.power{device=\"plug1\"} float 12 W\nenergy.total{device=\"plug1\"} float 3.185 kW.h"},
		{"tele/plug1/LWT", "Offline", true, `online{device="plug1"} bool false`},
		{"tele/plug1/LWT", "?", true, "! malformed 1"},
	})
	play(t, mqttsource.Subscription{Format: "esphome", Topic: "{node}"}, []step{
		{"cellar/sensor/room_temperature/state", "21.4", false, `room_temperature{component="sensor",node="cellar"} float 21.4`},
		{"cellar/sensor/room_temperature/state", "nan", false, `room_temperature{component="sensor",node="cellar"} bad:nan`},
		{"cellar/binary_sensor/door/state", "ON", false, `door{component="binary_sensor",node="cellar"} bool true`},
		{"cellar/binary_sensor/door/state", "open", false, `door{component="binary_sensor",node="cellar"} bad:malformed`},
		{"cellar/text_sensor/mode/state", "eco", false, `mode{component="text_sensor",node="cellar"} string eco`},
		{"cellar/status", "online", false, `online{node="cellar"} bool true`},
	})
	play(t, mqttsource.Subscription{Format: "zigbee2mqtt"}, []step{
		{"zigbee2mqtt/floor 1/window", `{"battery":97,"contact":true,"linkquality":120,"temperature":19.5,"update":{"state":"idle"},"last_seen":"x"}`, false,
			"battery{device=\"floor 1/window\"} float 97 %\ncontact{device=\"floor 1/window\"} bool true\nlinkquality{device=\"floor 1/window\"} float 120\ntemperature{device=\"floor 1/window\"} float 19.5 Cel"},
		{"zigbee2mqtt/floor 1/window/availability", `{"state":"offline"}`, true, `online{device="floor 1/window"} bool false`},
		{"zigbee2mqtt/bridge/info", `{"version":1}`, true, ""},
		{"zigbee2mqtt/lamp/set", `{"state":"ON"}`, false, ""},
		{"zigbee2mqtt/lamp", `ON`, false, "! malformed 1"},
	})
}

// The payloads in testdata were made by npm sparkplug-payload.
func TestSparkplug(t *testing.T) {
	bin := func(name string) string {
		b, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const n = `edge_node="pump",group="plant"`
	play(t, mqttsource.Subscription{Format: "sparkplug"}, []step{
		{"spBv1.0/plant/NDATA/pump", bin("ndata2"), false, "! unknown 3\n? spBv1.0/plant/NCMD/pump"},
		{"spBv1.0/plant/NBIRTH/pump", bin("nbirth"), false, `
outside.temp{` + n + `,metric="Outside/Temp"} float 21.5 Cel @0
count8{` + n + `} int -5 @0
count64{` + n + `} int -9007199254740993 @0
big{` + n + `} bad:overflow @0
ok{` + n + `} bool true @0
text{` + n + `} string grüezi @0
exact{` + n + `} float 0.1 @0
none{` + n + `} bad @0`},
		{"spBv1.0/plant/DBIRTH/pump/tank", bin("dbirth"), false, `level{device="tank",` + n + `} int 65535 @0`},
		{"spBv1.0/plant/NDATA/pump", bin("ndata2"), false, `
outside.temp{` + n + `,metric="Outside/Temp"} float -3.25 Cel @500
count8{` + n + `} int 100 uncertain:stale @500
ok{` + n + `} bad:device @500`},
		{"spBv1.0/plant/DDATA/pump/tank", bin("ddata3"), false, `level{device="tank",` + n + `} int 7 @600`},
		{"spBv1.0/plant/NDEATH/pump", bin("ndeath-old"), false, ``}, // the will of an earlier session
		{"spBv1.0/plant/NDATA/pump", bin("ndata6"), false, `
! gap 2
! unknown 1
outside.temp{` + n + `,metric="Outside/Temp"} float 1 uncertain Cel @0
count8{` + n + `} int 1 @0
? spBv1.0/plant/NCMD/pump`},
		{"spBv1.0/plant/DDEATH/pump/tank", bin("ddeath7"), false, `level{device="tank",` + n + `} bad:absent` + "\n? spBv1.0/plant/NCMD/pump"},
		{"spBv1.0/plant/NBIRTH/pump", bin("dbirth"), false, `level{` + n + `} int 65535 @0`},
		{"spBv1.0/plant/NDEATH/pump", bin("ndeath"), false, `level{` + n + `} bad:absent`},
		{"spBv1.0/plant/NDATA/pump", "\xff", false, `! malformed 1`},
		{"spBv1.0/STATE/host", "{}", false, ``},
		{"spBv1.0/plant/NCMD/pump", "", false, ``},
	})
}

func TestConfig(t *testing.T) {
	client := mqttclient.Options{Broker: "tcp://127.0.0.1:1", ClientID: "x"}
	for _, s := range []mqttsource.Subscription{{Format: "xml"}, {Format: "json"}, {Format: "json", Topic: "a/b+"}, {Format: "json", Topic: "a/{B}"},
		{Format: "tasmota", Topic: "+"}, {Format: "sparkplug", Topic: "a/b"}, {Format: "json", Topic: "a", JSON: door.Mapping{TimeUnit: "d"}}} {
		if _, err := mqttsource.New(mqttsource.Options{Client: client, Subscriptions: []mqttsource.Subscription{s}}); !errors.Is(err, drivers.ErrConfig) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := mqttsource.New(mqttsource.Options{Client: client}); !errors.Is(err, drivers.ErrConfig) {
		t.Errorf("no subscription: %v", err)
	}
}

// mosquitto starts the broker on a free port.
func mosquitto(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	conf := filepath.Join(t.TempDir(), "m.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\nlog_type all\nlog_dest stderr\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mosquitto", "-c", conf)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs Mosquitto (apt-get install mosquitto): %v", err)
	}
	read := make(chan struct{})
	up := make(chan struct{})
	go func() {
		defer close(read)
		once := sync.OnceFunc(func() { close(up) })
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.Contains(s.Text(), "running") {
				once()
			}
		}
		once()
	}()
	t.Cleanup(func() { cmd.Process.Kill(); <-read; cmd.Wait() })
	<-up
	return "tcp://127.0.0.1:" + port
}

func TestOverMosquitto(t *testing.T) {
	broker := mosquitto(t)
	got := make(chan string, 100)
	s, err := mqttsource.New(mqttsource.Options{Client: mqttclient.Options{Broker: broker, ClientID: "edgelog-source"}, Labels: []record.Label{{Key: "site", Value: "x"}},
		Subscriptions: []mqttsource.Subscription{{Format: "sparkplug"}, {Format: "json", Topic: "a/{k}"}},
		Events:        door.Events{Up: func() { got <- "up" }, Missed: func(w door.Missed, n int, _ error) { got <- fmt.Sprintf("! %s %d", w, n) }}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(_ context.Context, m door.Message) error {
			for _, r := range m.Readings {
				got <- show(r)
			}
			return nil
		})
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case g := <-got:
			if g != want {
				t.Errorf("got %s, want %s", g, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing came, want %s", want)
		}
	}
	expect("up")
	peer, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: broker, ClientID: "node"})
	if err != nil {
		t.Fatal(err)
	}
	commands := make(chan []byte, 10)
	if err := peer.Subscribe(t.Context(), "spBv1.0/g/NCMD/n", 1, func(m mqttclient.Message) { commands <- m.Payload }); err != nil {
		t.Fatal(err)
	}
	publish := func(topic, file, text string) {
		b := []byte(text)
		if file != "" {
			if b, err = os.ReadFile(filepath.Join("testdata", file)); err != nil {
				t.Fatal(err)
			}
		}
		if err := peer.Publish(t.Context(), topic, 1, false, b); err != nil {
			t.Fatal(err)
		}
	}
	publish("a/b", "", `{"t":1}`)
	expect(`t{k="b",site="x"} float 1`)
	publish("spBv1.0/g/NDATA/n", "ndata2.bin", "")
	expect("! unknown 3")
	if c := <-commands; !strings.Contains(string(c), "Node Control/Rebirth") {
		t.Errorf("command %q", c)
	}
	publish("spBv1.0/g/NBIRTH/n", "dbirth.bin", "")
	expect(`level{edge_node="n",group="g",site="x"} int 65535 @0`)
	peer.Close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

func FuzzSparkplug(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.bin")
	for _, name := range files {
		b, _ := os.ReadFile(name)
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, birth, data []byte) {
		r, err := mqttsource.NewReader(mqttsource.Subscription{Format: "sparkplug"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []mqttclient.Message{{Topic: "spBv1.0/g/NBIRTH/n", Payload: birth}, {Topic: "spBv1.0/g/NDATA/n", Payload: data}, {Topic: "spBv1.0/g/NDEATH/n", Payload: data}} {
			rs, _ := r.Read(m, func(door.Missed, int, error) {})
			for _, x := range rs {
				if x.Series.Normalize() != nil || x.Quality.Bad() != (x.Type == record.TypeNone) || x.Quality.Bad() && len(x.Detail) == 0 {
					t.Fatalf("%+v", x)
				}
			}
		}
	})
}

func TestConformance(t *testing.T) {
	broker := mosquitto(t)
	driverstest.RunDoor(t, func(t *testing.T, e door.Events) door.Source {
		s, err := mqttsource.New(mqttsource.Options{Client: mqttclient.Options{Broker: broker, ClientID: "edgelog-source"}, Events: e,
			Subscriptions: []mqttsource.Subscription{{Format: "json", Topic: "a/{k}"}}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, driverstest.DoorOptions{Feed: func(ctx context.Context, t *testing.T) {
		peer, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: broker, ClientID: "node"})
		if err != nil {
			t.Error(err)
			return
		}
		defer peer.Close()
		for ctx.Err() == nil {
			if err := peer.Publish(ctx, "a/b", 1, false, []byte(`{"t":1,"ok":true}`)); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}})
}
