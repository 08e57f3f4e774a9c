package fleetwire_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestTopics: every topic is read as what it was made for, and no other text is.
func TestTopics(t *testing.T) {
	d := fleetwire.Topics{Topics: wire.Topics{Prefix: "site/a"}, Device: "box-1"}
	for topic, want := range map[string]fleetwire.Channel{d.Desired(): fleetwire.ChannelDesired, d.MetaRequest(): fleetwire.ChannelMetaRequest,
		d.Meta("k1"): fleetwire.ChannelMeta, d.Meta("+"): fleetwire.ChannelMeta, d.ChunkRequest(): fleetwire.ChannelChunkRequest,
		d.Chunk("k1", 12): fleetwire.ChannelChunk, d.ChunkFilter(): fleetwire.ChannelChunk, d.Refused("k1"): fleetwire.ChannelRefused,
		d.Reported(): fleetwire.ChannelReported, d.Event(): fleetwire.ChannelEvent, d.Command(): fleetwire.ChannelCommand,
		d.Result("k1"): fleetwire.ChannelResult} {
		device, ch, _, ok := fleetwire.Parse(d.Topics, topic)
		if !ok || device != "box-1" || ch != want {
			t.Errorf("%s: %q, %d, %v", topic, device, ch, ok)
		}
		if _, _, _, ok := fleetwire.Parse(wire.Topics{}, topic); ok {
			t.Errorf("%s is read under another prefix", topic)
		}
	}
	for _, topic := range []string{"site/a/box-1/update", "site/a/box-1/update/desired/", "site/a/#", "site/a/box-1/#", "site/a/+/update/desired",
		"site/a/box-1/update/chunk/res/k1", "site/a/box-1/update/chunk/res/k1/x", "site/a/box-1/update/chunk/res/K1/1", "site/a/box-1/update/meta/res/",
		"site/a/box-1/update/meta/res/a/b", "site/a/hub/update/desired", "site/a/box-1/d/telemetry"} {
		if device, ch, _, ok := fleetwire.Parse(d.Topics, topic); ok {
			t.Errorf("%s: %q, %d", topic, device, ch)
		}
	}
	if id, i, ok := d.ParseChunk(d.Chunk("z9", 77)); !ok || id != "z9" || i != 77 {
		t.Errorf("%s %d %v", id, i, ok)
	}
}

// TestWindow: spans over midnight belong to the day on which they begin.
func TestWindow(t *testing.T) {
	friday := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	night := fleetwire.Window{Days: []string{"fri"}, From: "22:00", To: "04:00"}
	for hours, want := range map[int]bool{21: false, 22: true, 23: true, 25: true, 27: true, 28: false, 2: false, 46: false} {
		if open, err := night.Open(friday.Add(time.Duration(hours) * time.Hour)); err != nil || open != want {
			t.Errorf("Friday + %d h: %v, %v", hours, open, err)
		}
	}
	for _, w := range []fleetwire.Window{{From: "24:00", To: "01:00"}, {From: "1:00pm", To: "02:00"}, {From: "01:00", To: "02:00", Days: []string{"freitag"}}} {
		if _, err := w.Open(friday); err == nil {
			t.Errorf("%+v is taken", w)
		}
	}
}

func fuzz[T fleetwire.Desired | fleetwire.MetaRequest | fleetwire.MetaAnswer | fleetwire.ChunkRequest | fleetwire.Refusal | fleetwire.Reported | fleetwire.Event | fleetwire.SignedCommand | fleetwire.Command | fleetwire.Result](t *testing.T, data []byte) {
	m, err := fleetwire.Decode[T](data)
	if err != nil {
		return
	}
	again, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleetwire.Decode[T](again); err != nil && len(again) <= 8<<10 {
		t.Errorf("%s was read, and what it is written as is not: %v", data, err)
	}
}

// FuzzDecode: no message panics, and what is read is written and read again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"gen":1,"release":"2026.1","manifest":"aa","attempt":1}`, `{"id":"k1","path":"models/a","o":0,"b":"3","c":16}`,
		`{"id":"k1","nonce":"x","have":{"root":1}}`, `{"nonce":"x","bundle":{"targets":{"a":"YQ=="}}}`, `{"code":"Busy"}`, `{"n":1,"t":"2026-01-01T00:00:00Z"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzz[fleetwire.Desired](t, data)
		fuzz[fleetwire.MetaRequest](t, data)
		fuzz[fleetwire.MetaAnswer](t, data)
		fuzz[fleetwire.ChunkRequest](t, data)
		fuzz[fleetwire.Refusal](t, data)
		fuzz[fleetwire.Reported](t, data)
		fuzz[fleetwire.Event](t, data)
		fuzz[fleetwire.SignedCommand](t, data)
		fuzz[fleetwire.Command](t, data)
		fuzz[fleetwire.Result](t, data)
	})
}
