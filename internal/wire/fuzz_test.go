package wire_test

import (
	"reflect"
	"testing"

	"github.com/edgelog/edgelog/internal/wire"
)

// fuzz checks of one message kind: parsing never panics, and what parses comes back equal from its own bytes.
func fuzz(f *testing.F, kind string, parse func([]byte) (wire.Message, error), appendTo func(wire.Message) []byte) {
	for _, c := range codecs() {
		if reflect.TypeOf(c.m).Elem().Name() == kind {
			f.Add(c.append(nil), true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend { // a right checksum lets the fuzzer past it
			b = wire.MendForTest(b, "telemetry")
		}
		m, err := parse(b)
		if err != nil {
			return
		}
		again, err := parse(appendTo(m))
		if err != nil {
			t.Fatalf("own bytes of %+v do not parse: %v", m, err)
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("got  %+v\nwant %+v", again, m)
		}
	})
}

func FuzzData(f *testing.F) {
	fuzz(f, "Data", func(b []byte) (wire.Message, error) { return wrap(wire.ParseData("telemetry", b)) },
		func(m wire.Message) []byte { return wire.AppendData(nil, m.(*wire.Data)) })
}

func FuzzGap(f *testing.F) {
	fuzz(f, "Gap", func(b []byte) (wire.Message, error) { return wrap(wire.ParseGap("telemetry", b)) },
		func(m wire.Message) []byte { return wire.AppendGap(nil, m.(*wire.Gap)) })
}

func FuzzHello(f *testing.F) {
	fuzz(f, "Hello", func(b []byte) (wire.Message, error) { return wrap(wire.ParseHello(b)) },
		func(m wire.Message) []byte { return wire.AppendHello(nil, m.(*wire.Hello)) })
}

func FuzzAck(f *testing.F) {
	fuzz(f, "Ack", func(b []byte) (wire.Message, error) { return wrap(wire.ParseAck(b)) },
		func(m wire.Message) []byte { return wire.AppendAck(nil, m.(*wire.Ack)) })
}

func FuzzHubUp(f *testing.F) {
	fuzz(f, "HubUp", func(b []byte) (wire.Message, error) { return wrap(wire.ParseHubUp(b)) },
		func(m wire.Message) []byte { return wire.AppendHubUp(nil, m.(*wire.HubUp)) })
}

func FuzzParseTopic(f *testing.F) {
	f.Add("edge/v1/box/d/telemetry")
	f.Fuzz(func(t *testing.T, s string) {
		var p wire.Topics
		got, ok := p.ParseTopic(s)
		if !ok {
			return
		}
		back := map[wire.Channel]string{wire.ChannelData: p.Data(got.Device, got.Stream), wire.ChannelHello: p.Hello(got.Device),
			wire.ChannelAnswer: p.Answer(got.Device), wire.ChannelState: p.State(got.Device), wire.ChannelValues: p.Values(got.Device), wire.ChannelHub: p.Hub()}[got.Channel]
		if back != s {
			t.Fatalf("%q parses as %+v, which is %q", s, got, back)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add(wire.AppendState(nil, &wire.State{Online: true, Agent: "0.1", Boot: "b", Run: "r"}))
	f.Add([]byte(`{"online":1e999}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := wire.ParseState(b)
		if err != nil {
			return
		}
		own := wire.AppendState(nil, s)
		if len(own) > wire.MaxStateBytes {
			return // of texts that take six bytes a character
		}
		again, err := wire.ParseState(own)
		if err != nil || string(wire.AppendState(nil, again)) != string(own) {
			t.Fatalf("own bytes %s: %+v %v", own, again, err)
		}
	})
}
