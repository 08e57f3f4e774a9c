package w1_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
	"github.com/edgelog/edgelog/drivers/w1"
)

func FuzzParseSlave(f *testing.F) {
	f.Add([]byte("57 01 4b 46 7f ff 09 10 c7 : crc=c7 YES\n57 01 4b 46 7f ff 09 10 c7 t=21437\n"))
	f.Add([]byte("57 01 4b 46 7f ff 09 10 c7 : crc=00 NO\n57 01 4b 46 7f ff 09 10 c7 t=21437\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, yes, err := w1.ParseSlave(text)
		if err != nil {
			if yes {
				t.Error("YES and an error")
			}
			return
		}
		// What was understood can be written again and reads the same.
		verdict := map[bool]string{true: "YES", false: "NO"}[yes]
		again := fmt.Appendf(nil, "% x : crc=%02x %s\n% x t=0\n", s[:], s[8], verdict, s[:])
		s2, yes2, err := w1.ParseSlave(again)
		if err != nil || s2 != s || yes2 != yes {
			t.Errorf("%q reads as % x %v %v", again, s2, yes2, err)
		}
		if !bytes.EqualFold(text[:26], again[:26]) {
			t.Errorf("%q became %q", text, again)
		}
		for _, fam := range []thermo.Family{thermo.DS18B20, thermo.DS18S20, thermo.DS1825, thermo.DS28EA00} {
			s.Temperature(fam)
		}
	})
}
