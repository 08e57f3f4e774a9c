package w1

import (
	"bytes"
	"errors"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// errSlave says that the text of a w1_slave file is not what the kernel writes.
var errSlave = errors.New("w1_slave not understood")

// ParseSlave reads the text of a w1_slave file:
//
//	57 01 4b 46 7f ff 09 10 c7 : crc=c7 YES
//	57 01 4b 46 7f ff 09 10 c7 t=21437
//
// It returns the bytes of line 1, the read that was just done, and whether the kernel found their CRC right.
// Line 2 repeats the bytes of the last good read, but its t= is computed from the bytes of line 1 even when these
// are damaged; neither is used, since line 1 says everything.
func ParseSlave(text []byte) (s thermo.Scratchpad, yes bool, err error) {
	line1, rest, ok := bytes.Cut(text, []byte("\n"))
	if !ok || len(line1) < 27 {
		return s, false, errSlave
	}
	for i := range s {
		hi, lo := unhex(line1[3*i]), unhex(line1[3*i+1])
		if hi > 15 || lo > 15 || line1[3*i+2] != ' ' {
			return s, false, errSlave
		}
		s[i] = hi<<4 | lo
	}
	verdict, ok := bytes.CutPrefix(line1[27:], []byte(": crc="))
	if !ok || len(verdict) < 5 {
		return s, false, errSlave
	}
	if !bytes.Contains(rest, []byte(" t=")) {
		return s, false, errSlave // cut short: line 1 may belong to another read
	}
	switch string(verdict[2:]) {
	case " YES":
		return s, true, nil
	case " NO":
		return s, false, nil
	}
	return s, false, errSlave
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// judge turns the text of one read into a value in 1/10000 °C or the reason why there is none, and the bytes that
// belong into the detail of a bad reading.
func judge(f thermo.Family, h *thermo.History, text []byte) (t int64, q record.Quality, detail []byte) {
	if len(text) == 0 {
		// The kernel answers every error of its own (no presence pulse, bulk conversion still running) so.
		return 0, record.QualityBus, []byte("empty read")
	}
	s, yes, err := ParseSlave(text)
	if err != nil {
		return 0, record.QualityMalformed, text[:min(len(text), record.MaxDetailBytes)]
	}
	t, q = thermo.Judge(f, h, &s, yes)
	if q.Bad() {
		return 0, q, s[:]
	}
	return t, q, nil
}
