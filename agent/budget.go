package agent

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

// What the link has carried outlives a restart. A power cut forgets at most usageEvery of it.
const (
	usageFile    = "uplink-usage.json"
	maxUsageFile = 4 << 10
	usageEvery   = time.Minute
	budgetEvery  = 5 * time.Second // between two looks whether it is used up
)

// linkBudget counts the bytes of the uplink against what the configuration allows.
type linkBudget struct {
	a     *Agent
	bytes func() (sent, received uint64)

	mu    sync.Mutex // guards what follows
	meter *uplink.Meter
	saved uplink.Usage
}

// configure begins with the bounds of a configuration and goes on with what was used.
func (b *linkBudget) configure(m *config.MQTT) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.meter == nil {
		b.saved = b.load()
		b.meter = uplink.NewMeter(uplink.Budget{}, b.saved, time.Now())
	}
	b.meter.Budget = uplink.Budget{}
	if m != nil { // the way into Kafka has no budget
		b.meter.Budget = uplink.Budget{PerHour: uint64(m.BudgetPerHour), PerMonth: uint64(m.BudgetPerMonth)}
	}
}

func (b *linkBudget) load() (u uplink.Usage) {
	raw, err := vfs.ReadFile(b.a.o.FS, filepath.Join(b.a.o.Config.DataDir, usageFile), maxUsageFile)
	if errors.Is(err, vfs.ErrNotExist) {
		return u
	}
	if err == nil {
		err = json.Unmarshal(raw, &u)
	}
	if err != nil {
		b.a.log.Warn("what the link has carried is not known any more: the budget begins anew", "err", err)
		return uplink.Usage{}
	}
	return u
}

// look counts and says which bound is used up, "" if none.
func (b *linkBudget) look() string {
	sent, received := b.bytes()
	now, known := time.Now(), b.a.clock.anchor().Good()
	if known {
		now = b.a.clock.now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.meter == nil || b.meter.Budget == (uplink.Budget{}) {
		return ""
	}
	b.meter.Observe(sent+received, now, known)
	return b.meter.Exhausted()
}

// Run watches the budget and keeps what was used until ctx ends.
func (b *linkBudget) Run(ctx context.Context) {
	defer b.save()
	tick := time.NewTicker(budgetEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		switch what := b.look(); what {
		case "":
			b.a.faults.clear(health.BudgetUsedUp, "uplink")
		default:
			v := b.view()
			used, most := v.HourBytes, v.HourBudget
			if what == "month" {
				used, most = v.MonthBytes, v.MonthBudget
			}
			b.a.faults.raise(health.BudgetUsedUp, "uplink", "uplink", term.Bytes(int64(used))+" of "+term.Bytes(int64(most))+" a "+what)
		}
		if time.Since(last) >= usageEvery {
			last = time.Now()
			b.save()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.look()
			return
		}
	}
}

func (b *linkBudget) save() {
	b.mu.Lock()
	u, same := b.meter.Usage(), b.meter.Usage() == b.saved
	b.saved = u
	b.mu.Unlock()
	if same {
		return
	}
	raw, err := json.Marshal(u)
	if err == nil {
		err = vfs.WriteFileAtomic(b.a.o.FS, filepath.Join(b.a.o.Config.DataDir, usageFile), raw)
	}
	if err != nil {
		b.a.log.Warn("what the link has carried is not saved", "err", err)
	}
}

// view is the budget for people, nil if there is none.
func (b *linkBudget) view() *api.UplinkBudget {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.meter == nil || b.meter.Budget == (uplink.Budget{}) {
		return nil
	}
	u := b.meter.Usage()
	return &api.UplinkBudget{HourBytes: u.HourBytes, HourBudget: b.meter.PerHour, MonthBytes: u.MonthBytes, MonthBudget: b.meter.PerMonth,
		UsedUp: b.meter.Exhausted() != ""}
}
