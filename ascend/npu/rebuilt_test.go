package npu

import (
	"errors"
	"log/slog"
	"testing"
	"time"
)

// The fault of a session that was made anew goes when its model has worked long enough since; that of a model that cannot
// be brought up stays until it is at work.
func TestFaultOfARebuiltSessionGoes(t *testing.T) {
	w, err := New(Options{Config: &Config{StateDir: t.TempDir()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.deviceFault(Model{Name: "a"}, errors.New("507015"))
	w.deviceFault(Model{Name: "b"}, errors.New("507015"))
	w.modelRefused(Model{Name: "b"}, errors.New("507033"), false)
	w.forgetRebuilds(time.Now())
	if len(w.faults) != 2 {
		t.Errorf("%v", w.faults)
	}
	w.forgetRebuilds(time.Now().Add(2 * restartShown))
	if _, stays := w.faults["N005/b"]; len(w.faults) != 1 || !stays {
		t.Errorf("%v", w.faults)
	}
	if err := w.journal.close(); err != nil {
		t.Fatal(err)
	}
}
