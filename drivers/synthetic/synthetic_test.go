package synthetic_test

import (
	"context"
	"errors"
	"testing"

	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/driverstest"
	"github.com/edgelog/edgelog/drivers/synthetic"
)

func open(t testing.TB, o synthetic.Options) *synthetic.Source {
	t.Helper()
	s, err := synthetic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWalk(t *testing.T) {
	a, b := open(t, synthetic.Options{Series: 130, Seed: 3}), open(t, synthetic.Options{Series: 130, Seed: 3})
	last := map[int]int64{}
	for range 2000 {
		x, err := a.Read(t.Context(), nil)
		if err != nil || len(x) != 130 {
			t.Fatalf("%d samples, %v", len(x), err)
		}
		y, _ := b.Read(t.Context(), nil)
		for i, s := range x {
			if s.Num != y[i].Num {
				t.Fatal("the same seed walked another way")
			}
			d := s.Num - last[i]
			if old, ok := last[i]; ok && d != 625 && d != -625 && !(d == 0 && (old == 640000 || old == -640000)) {
				t.Fatalf("series %d moved by %d", i, d)
			}
			last[i] = s.Num
		}
	}
}

func TestOptions(t *testing.T) {
	for _, n := range []int{-1, synthetic.MaxSeries + 1} {
		if _, err := synthetic.New(synthetic.Options{Series: n}); !errors.Is(err, drivers.ErrConfig) {
			t.Errorf("%d series: %v", n, err)
		}
	}
}

func TestConformance(t *testing.T) {
	driverstest.Run(t, func(t *testing.T) drivers.Sensor {
		return open(t, synthetic.Options{Series: 5000, Group: "a"})
	}, driverstest.Options{})
}

func BenchmarkRead(b *testing.B) {
	s := open(b, synthetic.Options{Series: 5000})
	var dst []drivers.Sample
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		dst, _ = s.Read(context.Background(), dst[:0])
		n += len(dst)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/sample")
}
