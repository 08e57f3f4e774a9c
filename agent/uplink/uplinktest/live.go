package uplinktest

import (
	"sync"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
)

// Live is a Log that may grow while a loop reads it. It implements uplink.Source and uplink.Changer.
type Live struct {
	mu      sync.Mutex // guards all
	log     *Log
	changed chan struct{}
}

// NewLive makes a live log.
func NewLive(l *Log) *Live { return &Live{log: l, changed: make(chan struct{})} }

// Do changes the log.
func (l *Live) Do(f func(*Log)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.log)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Changed implements uplink.Changer.
func (l *Live) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Stream implements uplink.Source.
func (l *Live) Stream() string { return l.log.Name }

// Epochs implements uplink.Reader.
func (l *Live) Epochs() []uplink.Epoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Epochs()
}

// At implements uplink.Reader.
func (l *Live) At(e record.Epoch, o record.Offset) (uplink.Item, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.At(e, o)
}

// Chain implements uplink.Reader.
func (l *Live) Chain(e record.Epoch, o record.Offset) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Chain(e, o)
}

// Series implements uplink.Reader.
func (l *Live) Series(e record.Epoch, id record.SeriesID) (record.Series, bool) {
	return l.log.Series(e, id)
}

// Defined implements uplink.Reader.
func (l *Live) Defined(e record.Epoch) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Defined(e)
}

// DeclareGap implements uplink.Repairer.
func (l *Live) DeclareGap(e record.Epoch, r record.Range) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.DeclareGap(e, r)
}

// CloseEpoch implements uplink.Repairer.
func (l *Live) CloseEpoch(e record.Epoch, at record.Offset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.CloseEpoch(e, at)
}

// SetDelivered implements uplink.Repairer.
func (l *Live) SetDelivered(o record.Offset, owed ...record.Owed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log.SetDelivered(o, owed...)
}

// Owed implements uplink.Repairer.
func (l *Live) Owed() []record.Owed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Owed()
}

// Delivered implements uplink.Repairer.
func (l *Live) Delivered() record.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Delivered()
}

// Gaps implements uplink.Repairer.
func (l *Live) Gaps() []record.Gap {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Gaps()
}
