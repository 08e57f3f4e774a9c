package updates_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/broker"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// TestAccess: case 30. On a Mosquitto with the shipped access list a device reaches its own topics of updates and nobody
// else's, and never stands in the hub's place.
func TestAccess(t *testing.T) {
	m := newMosquitto(t, t.TempDir())
	dial := func(name string) *mqttclient.Conn {
		t.Helper()
		c, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: fmt.Sprintf("tcp://127.0.0.1:%d", m.port), ClientID: name, Username: name})
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	got := make(chan string, 64)
	conns := map[string]*mqttclient.Conn{"hub": dial("hub"), "box-1": dial("box-1"), "box-2": dial("box-2")}
	listen := func(who string, filters ...string) {
		for _, f := range filters {
			// A refused subscription is an answer too: then nothing comes.
			_ = conns[who].Subscribe(t.Context(), f, 1, func(m mqttclient.Message) { got <- who + " heard " + m.Topic })
		}
	}
	any, one, two := fleetwire.Topics{Device: "+"}, fleetwire.Topics{Device: "box-1"}, fleetwire.Topics{Device: "box-2"}
	listen("hub", any.MetaRequest(), any.ChunkRequest(), any.Reported(), any.Event(), any.Result("+"))
	for who, t := range map[string]fleetwire.Topics{"box-1": one, "box-2": two} {
		listen(who, t.Desired(), t.Meta("+"), t.ChunkFilter(), t.Refused("+"), t.Command())
	}
	listen("box-2", any.Desired(), one.Desired(), one.ChunkFilter(), one.Meta("+"), one.Command(), one.Reported(), "edge/v1/#", "edge/v1/box-1/#")
	device := []string{one.MetaRequest(), one.ChunkRequest(), one.Reported(), one.Event(), one.Result("k1")}
	server := []string{one.Desired(), one.Meta("k1"), one.Chunk("k1", 3), one.Refused("k1"), one.Command()}
	check := func(who, topic, want string) {
		t.Helper()
		must(t, conns[who].Publish(t.Context(), topic, 1, false, []byte("x")))
		// A second message that always arrives bounds the wait for the first; one that comes later still is found by the
		// next check.
		must(t, conns["box-2"].Publish(t.Context(), two.Event(), 1, false, []byte("x")))
		marker, wanted := "hub heard "+two.Event(), want == ""
		for end, marked := time.After(90*time.Second), false; !marked || !wanted; {
			select {
			case h := <-got:
				switch h {
				case marker:
					marked = true
				case want:
					wanted = true
				default:
					t.Errorf("%s publishes to %s: %s", who, topic, h)
				}
			case <-end:
				t.Fatalf("%s publishes to %s: not heard: %q", who, topic, want)
			}
		}
	}
	for _, topic := range device {
		check("box-1", topic, "hub heard "+topic)
		check("box-2", topic, "")
		check("hub", topic, "")
	}
	for _, topic := range server {
		check("hub", topic, "box-1 heard "+topic)
		check("box-1", topic, "")
		check("box-2", topic, "")
	}
	// The broker inside the hub has the same rules.
	for _, topic := range append(device, one.Result("+")) {
		for _, c := range []struct {
			name  string
			write bool
			want  bool
		}{{"box-1", true, topic != one.Result("+")}, {"box-2", true, false}, {"box-1", false, false}, {"hub", false, true}} {
			if got := broker.May(c.name, topic, c.write); got != c.want {
				t.Errorf("embedded: %s, write %v, %s: %v", c.name, c.write, topic, got)
			}
		}
	}
	for _, topic := range append(server, one.ChunkFilter(), one.Meta("+"), one.Refused("+")) {
		for _, c := range []struct {
			name  string
			write bool
			want  bool
		}{{"box-1", false, true}, {"box-1", true, false}, {"box-2", false, false}, {"box-2", true, false}, {"hub", true, true}} {
			if got := broker.May(c.name, topic, c.write); got != c.want {
				t.Errorf("embedded: %s, write %v, %s: %v", c.name, c.write, topic, got)
			}
		}
	}
}
