package smpwire_test

import (
	"bytes"
	"testing"

	"github.com/edgelog/edgelog/mcu/boot/smpwire"
)

func FuzzCBOR(f *testing.F) {
	f.Add(smpwire.AppendCBOR(nil, []smpwire.Pair{{Key: "off", Value: 128}, {Key: "data", Value: []byte{1, 2}}, {Key: "match", Value: true}}))
	f.Add([]byte{0xbf, 0x61, 'a', 0x9f, 0x20, 0xff, 0xff})
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := smpwire.ParseCBOR(data)
		if b, ok := v.([]byte); err == nil && ok && !bytes.Contains(data, b) {
			t.Errorf("bytes that were not there: %x", b)
		}
	})
}

func FuzzLines(f *testing.F) {
	packet := smpwire.Packet{Op: 2, Group: 1, ID: 1, Sequence: 7, Body: bytes.Repeat([]byte{0xf5}, 200)}.Append(nil)
	f.Add(packet, []byte("\x06\x09AAAA"))
	f.Fuzz(func(t *testing.T, packet, noise []byte) {
		var l smpwire.Lines
		for line := range bytes.SplitSeq(noise, []byte("\n")) {
			if p, ok := l.Line(line); ok {
				_, _ = smpwire.ParsePacket(p)
			}
		}
		if len(packet) < smpwire.HeaderLen || len(packet) > smpwire.MaxPacket {
			return
		}
		var got []byte
		for line := range bytes.SplitSeq(smpwire.AppendLines(nil, packet), []byte("\n")) {
			if p, ok := l.Line(line); ok {
				got = p
			}
		}
		if !bytes.Equal(got, packet) {
			t.Errorf("%x came through as %x", packet, got)
		}
	})
}
