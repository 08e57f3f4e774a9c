package genericserial

import (
	"context"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
)

// Feed gives chunks to a parser and checks what comes of them.
func Feed(t *testing.T, o Options, chunks ...[]byte) {
	t.Helper()
	o.Name, o.Open = "x", func(context.Context) (Port, error) { return nil, nil }
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var rest []byte
	for _, c := range chunks {
		rest = d.parse.feed(append(rest, c...), func(rs []door.Reading) {
			for _, r := range rs {
				s := r.Series
				if s.Normalize() != nil || r.Quality.Bad() != (r.Type == record.TypeNone) || r.Quality.Bad() && len(r.Detail) == 0 {
					t.Fatalf("%+v", r)
				}
			}
		}, func(error) {})
		if len(rest) > MaxLine+len(c) {
			t.Fatalf("%d bytes are kept", len(rest))
		}
	}
}
