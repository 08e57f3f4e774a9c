package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	journalTimeout = 2 * time.Second
	journalLines   = 4
)

// logDir is where the log of a dead agent lies: below the data directory of --dir or, if that flag is not given and
// there is a readable configuration, of the configuration.
func (a *app) logDir() string {
	dir := a.g.dataDir
	if dir == config.DefaultDataDir {
		if c, err := config.Load(a.g.config, a.Host); err == nil {
			dir = c.DataDir
		}
	}
	if _, err := a.Host.Stat(config.LogDir(dir)); errors.Is(err, fs.ErrNotExist) {
		return dir // the log directory itself may be given, for instance of a pulled disk
	}
	return config.LogDir(dir)
}

// noLogError says that there is no log directory. It is an fs.ErrNotExist.
type noLogError struct {
	dir   string
	named bool // as an argument of its own
}

func (e *noLogError) Error() string {
	if e.named {
		return "there is no log in " + e.dir
	}
	return "there is no log in " + e.dir + "; --dir names another data directory"
}

func (e *noLogError) Is(target error) bool { return target == fs.ErrNotExist }

// keys are those that the configuration names. Without a configuration, or where its key may not be read, the log is
// opened without: what is encrypted shows as held.
func (a *app) keys() buffer.Keys {
	c, err := config.Load(a.g.config, a.Host)
	if err != nil {
		return buffer.Keys{}
	}
	keys, err := c.Storage.Encryption.Keys(a.Host.ReadFile)
	if err != nil {
		return buffer.Keys{}
	}
	return keys
}

// openLog opens a log directory for reading only.
func (a *app) openLog(ctx context.Context) (*buffer.Set, error) {
	dir := a.logDir()
	if _, err := a.Host.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, &noLogError{dir: dir}
	} else if err != nil {
		return nil, fmt.Errorf("read log directory: %w", err)
	}
	set, err := buffer.OpenReadOnlyKeys(ctx, vfs.OS{}, dir, a.keys())
	if err != nil {
		return nil, fmt.Errorf("read log directory %s: %w", dir, err)
	}
	return set, nil
}

// offline lets f read the log directory itself, after saying so. The exit code stays that of an unreachable agent
// only where the log cannot be read.
func (a *app) offline(ctx context.Context, cause error, f func(*logquery.Reader) error) (err error) {
	set, err := a.openLog(ctx)
	if err != nil {
		return &exit{ExitUnreachable, fmt.Errorf("%w, and the log cannot be read: %w", cause, err)}
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	fmt.Fprintf(a.Stderr, "edgectl: %s; reading %s itself.\n", a.Style.Text(cause.Error()), a.logDir())
	return f(logquery.New(set))
}

// offlineAccount is the account from the log alone: nothing is in flight, sources are not known.
func (a *app) offlineAccount(r *logquery.Reader) *api.Account {
	acc := &api.Account{SchemaVersion: api.SchemaVersion, Time: a.Now().UTC(), Balanced: true}
	for _, s := range r.Sources() {
		l, ok := s.Log.(*buffer.Log)
		if !ok {
			continue
		}
		sa := logquery.Account(l.Name(), l.Info(), l.Epochs(), 0, nil)
		acc.Streams = append(acc.Streams, sa)
		for _, e := range sa.Epochs {
			acc.Balanced = acc.Balanced && e.Remainder == 0
		}
	}
	return acc
}

// deadStatus is what can be said of a box whose agent does not answer.
func (a *app) deadStatus(ctx context.Context, cause error) (*api.Status, []string) {
	s := &api.Status{SchemaVersion: api.SchemaVersion, State: api.StateDown, Time: a.Now().UTC(), Uplink: api.Uplink{State: api.UplinkNone},
		Streams: []api.Stream{}, DataDir: a.g.dataDir}
	if c, err := config.Load(a.g.config, a.Host); err == nil {
		s.Device, s.DataDir, s.Config = c.Device, c.DataDir, a.g.config
	}
	now := a.Now()
	why := strings.TrimPrefix(cause.Error(), api.ErrUnreachable.Error()+": ")
	down := health.Fault{Code: health.AgentNotActive, Since: now, Count: 1, Text: why}
	s.Faults = []api.Fault{api.FaultOf(down)}
	set, err := a.openLog(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		s.Faults[0].Text += "; " + err.Error()
		return s, a.journal(ctx)
	}
	if err != nil {
		s.Faults = append(s.Faults, api.FaultOf(health.Fault{Code: health.LogUnavailable, Since: now, Count: 1, Text: err.Error()}))
		return s, a.journal(ctx)
	}
	for _, l := range set.Logs() {
		info := l.Info()
		st := logquery.Current(logquery.Account(l.Name(), info, l.Epochs(), 0, nil), info)
		s.Streams = append(s.Streams, st)
		s.Buffer.Bytes += info.Bytes
		s.Buffer.MaxBytes += info.MaxBytes
		if oldest := time.Unix(0, info.OldestUTC).UTC(); info.OldestUTC > 0 && (s.Buffer.Oldest.IsZero() || oldest.Before(s.Buffer.Oldest)) {
			s.Buffer.Oldest = oldest
		}
		for _, held := range info.Held {
			s.Faults = append(s.Faults, api.FaultOf(health.Fault{Code: health.LogHeld, Since: now, Count: 1, Subject: l.Name(), Text: held}))
		}
	}
	if err := set.Close(); err != nil {
		s.Faults = append(s.Faults, api.FaultOf(health.Fault{Code: health.LogUnavailable, Since: now, Count: 1, Text: err.Error()}))
	}
	return s, a.journal(ctx)
}

// journal is the agent's last words, oldest first; none where there is no journal.
func (a *app) journal(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	out, err := a.Run(ctx, "journalctl", "-u", "edge-agent", "-n", fmt.Sprint(journalLines), "-o", "short-iso", "--no-pager", "-q")
	if err != nil {
		return nil // no systemd, or no permission: then there is nothing to show, and doctor says so
	}
	var lines []string
	for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if l != "" && !strings.HasPrefix(l, "-- ") {
			lines = append(lines, l)
		}
	}
	return lines
}

// offlineJSON is the status of a dead agent for programs.
type offlineJSON struct {
	*api.Status
	Journal []string `json:"journal,omitempty"`
}

func (a *app) offlineStatus(ctx context.Context, cause error) error {
	s, journal := a.deadStatus(ctx, cause)
	var err error
	if a.g.json {
		err = a.json(offlineJSON{s, journal})
	} else {
		err = a.text(a.view().down(s, journal))
	}
	if err != nil {
		return err
	}
	return &exit{code: ExitUnreachable}
}

func (v view) down(s *api.Status, journal []string) string {
	var b strings.Builder
	b.WriteString(v.fields(3, v.clean(or(s.Device, "this box")), v.state(s.State), "the agent does not answer: no readings are taken"))
	for _, f := range s.Faults {
		b.WriteString("\n" + v.style.Paint(term.Red, "!!") + " " + term.Wrap(v.clean(f.Title+": "+f.Text), v.style.Width(), "   ") + "\n")
		b.WriteString("   " + term.Wrap(v.clean(f.Do), v.style.Width(), "   ") + "\n   edgectl explain " + f.Code + "\n")
	}
	if len(journal) > 0 {
		b.WriteString("\nLAST WORDS (journalctl -u edge-agent)\n")
		for _, l := range journal {
			b.WriteString("  " + v.style.Clip(v.clean(l), v.style.Width()-2) + "\n")
		}
	}
	if len(s.Streams) > 0 {
		b.WriteString("\nOn the disk, safe, delivered after the next start:\n")
		b.WriteString(v.clean(v.streams(s.Streams)))
	}
	return b.String()
}
