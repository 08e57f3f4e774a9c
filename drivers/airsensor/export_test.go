package airsensor

import "github.com/edgelog/edgelog/drivers"

// Parse finds and decodes the first frame in b, as Read would.
func Parse(o Options, b []byte) (skip, size int, ok bool, samples []drivers.Sample) {
	m, err := o.model()
	if err != nil {
		panic(err)
	}
	skip, size, ok = m.frame(b)
	if ok {
		samples = m.decode(b[skip:skip+size], nil)
	}
	return skip, size, ok, samples
}
