package store_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m store.Meter
		for i := range 3000 { // the latest thousand take 2,001 to 3,000 ms
			m.Committed(time.Duration(i+1) * time.Millisecond)
		}
		m.Failed(errors.New("no"))
		m.Count(func(h *store.Health) { h.Aborted++ })
		m.Begin()
		time.Sleep(2 * time.Second)
		h := m.Health()
		if want := (store.Health{Transactions: 3000, Aborted: 1, LastSeconds: 3, P99Seconds: 2.991, LagSeconds: 2, Error: "no"}); h != want {
			t.Errorf("%+v, want %+v", h, want)
		}
		m.End()
		m.Failed(nil)
		if h := m.Health(); h.LagSeconds != 0 || h.Error != "" {
			t.Errorf("%+v", h)
		}
	})
}
