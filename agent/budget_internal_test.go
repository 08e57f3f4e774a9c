package agent

import (
	"context"
	"log/slog"
	"testing"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestBudgetOutlivesARestart: what the link has carried is counted on by the next run, a fault says that it is used up, and a
// larger budget takes the fault back.
func TestBudgetOutlivesARestart(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	run := func(carried uint64, m config.MQTT) (*Agent, *linkBudget) {
		c, err := newClock()
		if err != nil {
			t.Fatal(err)
		}
		a := &Agent{o: Options{FS: fs, Config: &config.Config{DataDir: "/data"}}, log: slog.New(slog.DiscardHandler), clock: c}
		a.faults = &faults{log: a.log}
		b := &linkBudget{a: a, bytes: func() (uint64, uint64) { return carried / 2, carried - carried/2 }}
		b.configure(&m)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.Run(ctx)
		return a, b
	}
	m := config.MQTT{BudgetPerMonth: 1000}
	a, b := run(600, m)
	if v := b.view(); v.MonthBytes != 600 || v.UsedUp || raised(a) {
		t.Errorf("first run: %+v, fault %v", v, raised(a))
	}
	a, b = run(500, m)
	if v := b.view(); v.MonthBytes != 1100 || !v.UsedUp || b.look() != "month" || !raised(a) {
		t.Errorf("second run: %+v, fault %v", v, raised(a))
	}
	a, b = run(0, config.MQTT{BudgetPerMonth: 2000, BudgetPerHour: 5000})
	if v := b.view(); v.MonthBytes != 1100 || v.UsedUp || raised(a) {
		t.Errorf("with a larger budget: %+v, fault %v", v, raised(a))
	}
	if _, b = run(5000, config.MQTT{}); b.view() != nil || b.look() != "" {
		t.Errorf("without a budget: %+v", b.view())
	}
}

func raised(a *Agent) bool {
	for _, f := range a.faults.List() {
		if f.Code == health.BudgetUsedUp && f.Until.IsZero() {
			return true
		}
	}
	return false
}
