package agent

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/vfs"
)

// The lines of faults outlive a restart, because a person may not have seen them yet. The file is a convenience: a
// missing or damaged one costs nothing but these lines.
const (
	faultsFile    = "faults.json"
	maxFaultsFile = 4 << 20
)

func (a *Agent) saveFaults() {
	b, err := json.Marshal(a.faults.List())
	if err == nil {
		err = vfs.WriteFileAtomic(a.o.FS, filepath.Join(a.o.Config.DataDir, faultsFile), b)
	}
	if err != nil {
		a.log.Warn("faults not saved", "err", err)
	}
}

func (a *Agent) restoreFaults() {
	b, err := vfs.ReadFile(a.o.FS, filepath.Join(a.o.Config.DataDir, faultsFile), maxFaultsFile)
	if errors.Is(err, vfs.ErrNotExist) {
		return
	}
	var saved []health.Fault
	if err == nil {
		err = json.Unmarshal(b, &saved)
	}
	if err != nil {
		a.log.Warn("saved faults cannot be read", "err", err)
		return
	}
	a.faults.Restore(time.Now(), saved)
}
