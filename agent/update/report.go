package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
)

// ReportName is the file, below the updater's state directory, in which edge-updater tells people of the box what it
// does: those who may look at the agent may read it, whether the agent answers or not.
const ReportName = "report.json"

const maxReportBytes = 2 << 20

// Report is what edge-updater knows.
type Report struct {
	SchemaVersion int              `json:"schema_version"`
	Written       time.Time        `json:"written"`
	Stable        string           `json:"stable"`
	Candidate     string           `json:"candidate,omitempty"`
	Previous      string           `json:"previous,omitempty"`
	Counter       uint64           `json:"counter"`
	Installed     []Part           `json:"installed,omitempty"` // components of the release in force
	Trust         trust.Have       `json:"trust"`
	Expires       time.Time        `json:"metadata_expires,omitzero"`
	Problem       string           `json:"trust_problem,omitempty"`
	Free          uint64           `json:"free_bytes,omitempty"` // of the disk of the releases
	Journal       install.Journal  `json:"journal"`
	Progress      install.Progress `json:"progress"`
}

// Part is one component that is installed.
type Part struct {
	Name    string       `json:"name"`
	Kind    release.Kind `json:"kind"`
	Version string       `json:"version"`
	SHA256  string       `json:"sha256"`
}

// Report is what there is to say now. What cannot be read is told in Problem.
func (s *Session) Report() Report {
	r := Report{SchemaVersion: 1, Written: time.Now().UTC(), Counter: s.Trust.Floor(releaseFloor), Trust: s.Trust.Have(), Journal: s.Journal(),
		Progress: s.Progress()}
	var errs []error
	for link, to := range map[string]*string{install.Stable: &r.Stable, install.Candidate: &r.Candidate, install.Previous: &r.Previous} {
		var err error
		*to, err = s.Layout.Release(link)
		errs = append(errs, err)
	}
	if tree, err := s.Layout.Tree(r.Stable); err == nil {
		for _, c := range tree.Components {
			r.Installed = append(r.Installed, Part{c.Name, c.Kind, c.Version, c.SHA256})
		}
	}
	if v, err := s.Trust.View(s.now()); err == nil {
		r.Expires = v.Expires
	} else if r.Trust.Timestamp > 0 { // a new box believes the factory root only: that is no problem
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		r.Problem = err.Error()
	}
	if usage, err := s.box.FS.Usage(s.box.Root); err == nil {
		r.Free = usage.Free
	}
	return r
}

// publish lets people know. That it cannot be done never stops an update.
func (s *Session) publish() {
	if s.box.Publish != nil {
		s.box.Publish(s.Report())
	}
}

// Write puts the report into the updater's state directory, readable for its group. It is a view: a power cut may leave
// an older one.
func (r Report) Write(stateDir string, group int) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	f, err := os.CreateTemp(stateDir, ".report-*")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o640))
	if group >= 0 {
		err = errors.Join(err, f.Chown(-1, group))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(stateDir, ReportName))
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // the first error counts
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// ReadReport reads the report below an updater's state directory; an empty one where no updater has run yet.
func ReadReport(stateDir string) (*Report, error) {
	f, err := os.Open(filepath.Join(stateDir, ReportName))
	if errors.Is(err, os.ErrNotExist) {
		return &Report{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the updater's report: %w", err)
	}
	defer f.Close()
	var r Report
	if err := json.NewDecoder(io.LimitReader(f, maxReportBytes)).Decode(&r); err != nil {
		return nil, fmt.Errorf("read the updater's report: %w", err)
	}
	return &r, nil
}
