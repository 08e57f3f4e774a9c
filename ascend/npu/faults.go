package npu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

func (w *Worker) raise(code, key, subject, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.faults[code+"/"+key]; !known {
		w.log.Warn(text, "code", code, "subject", subject)
	}
	w.last = cut(text)
	w.faults[code+"/"+key] = api.NPUFault{Code: code, Key: key, Subject: subject, Text: cut(text)}
}

func (w *Worker) clear(code, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, known := w.faults[code+"/"+key]; known {
		if w.last == f.Text {
			w.last = ""
		}
		delete(w.faults, code+"/"+key)
		w.log.Info("over", "code", code, "key", key)
	}
}

// forgetRebuilds ends the faults of models that have worked since their session was made anew.
func (w *Worker) forgetRebuilds(now time.Time) {
	var over []string
	w.mu.Lock()
	for model, at := range w.rebuilt {
		if now.Sub(at) > restartShown {
			over = append(over, model)
			delete(w.rebuilt, model)
		}
	}
	w.mu.Unlock()
	for _, model := range over {
		w.clear("N005", model)
	}
}

func (w *Worker) modelReady(g *generation) {
	w.clear("N004", g.m.Name)
	w.clear("N005", g.m.Name)
	w.log.Info("model ready", "model", g.m.Name, "version", g.m.Version, "sha256", g.sum, "self_test", g.selfTest, "batch", g.maxBatch)
	w.tell(w.noteRecord("npu.model", g.m.Name, fmt.Sprintf("model %s version %s is at work, self-test: %s", g.m.Name, g.m.Version, g.selfTest),
		map[string]any{"event": "ready", "version": g.m.Version, "sha256": g.sum, "self_test": g.selfTest, "max_batch": g.maxBatch}))
}

// modelRefused tells that a model is not taken; old says whether another version goes on working.
func (w *Worker) modelRefused(m Model, err error, old bool) {
	if errors.Is(err, context.Canceled) {
		return
	}
	code, subject := "N004", "model "+m.Name
	text := "cannot be used: " + err.Error()
	if old {
		text = "version " + m.Version + " was refused, the old one goes on: " + err.Error()
	}
	if !errors.Is(err, errModel) {
		code = "N005"
		w.mu.Lock()
		delete(w.rebuilt, m.Name) // it lasts until the model is at work
		w.mu.Unlock()
	}
	w.raise(code, m.Name, subject, text)
	w.tell(w.noteRecord("npu.model", m.Name, text, map[string]any{"event": "refused", "version": m.Version, "old_one_works": old}))
}

func (w *Worker) deviceFault(m Model, err error) {
	if deadly(err) {
		return // the process ends, and the next one tells
	}
	w.raise("N005", m.Name, "model "+m.Name, "the device failed and is used anew: "+err.Error())
	w.mu.Lock()
	w.rebuilt[m.Name] = time.Now()
	w.mu.Unlock()
	w.tell(w.noteRecord("npu.device", m.Name, "the device failed and is used anew: "+err.Error(), map[string]any{"event": "rebuilt"}))
}
