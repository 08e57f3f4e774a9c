package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Postgres is one PostgreSQL server.
type Postgres struct {
	Dir  string // holds data/ and the log
	Port int

	bin  string
	cred *syscall.Credential
	args []string
	p    process
}

// postgresBin finds the newest installed server.
func postgresBin() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(dirs) == 0 {
		return "", errMissing("PostgreSQL's server")
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(a)*1000 + strings.Compare(a, b) - len(b)*1000 })
	return filepath.Dir(dirs[len(dirs)-1]), nil
}

func newPostgres(settings []string) (*Postgres, error) {
	s := &Postgres{args: settings}
	var err error
	if s.bin, err = postgresBin(); err != nil {
		return nil, err
	}
	if s.cred, err = unprivileged("postgres"); err != nil {
		return nil, err
	}
	if s.Dir, err = os.MkdirTemp("", "edgelog-pg-"); err != nil {
		return nil, err
	}
	if err = s.own(s.Dir); err != nil {
		return nil, err
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	s.p = process{name: "postgres", log: filepath.Join(s.Dir, "log")}
	return s, nil
}

// own gives a file to the server's user.
func (s *Postgres) own(path string) error {
	if s.cred == nil {
		return nil
	}
	return os.Chown(path, int(s.cred.Uid), int(s.cred.Gid))
}

// StartPostgres makes a cluster and starts it with these settings ("name=value").
func StartPostgres(settings ...string) (*Postgres, error) {
	s, err := newPostgres(settings)
	if err != nil {
		return nil, err
	}
	if err := s.tool("initdb", "-D", s.data(), "-U", "hub", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.Start(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Standby makes a streaming replica of this server and starts it. A primary that waits for a standby is no model for
// what the standby waits for, so that setting is not taken over.
func (s *Postgres) Standby(name string) (*Postgres, error) {
	args := slices.DeleteFunc(slices.Clone(s.args), func(a string) bool { return strings.HasPrefix(a, "synchronous_standby_names=") })
	r, err := newPostgres(args)
	if err != nil {
		return nil, err
	}
	conn := fmt.Sprintf("host=127.0.0.1 port=%d user=hub application_name=%s", s.Port, name)
	if err := r.tool("pg_basebackup", "-D", r.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", conn); err != nil {
		r.Close()
		return nil, err
	}
	if err := r.Start(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (s *Postgres) data() string { return filepath.Join(s.Dir, "data") }

func (s *Postgres) tool(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+s.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Start starts the server, after Stop or Kill too, and waits until it takes connections.
func (s *Postgres) Start() error {
	var err error
	for range 20 { // after a kill its children take a moment to notice, and hold the memory that a new one finds in use
		if err = s.launch(); err == nil {
			return nil
		}
		if s.p.running() {
			return err
		}
		time.Sleep(250 * time.Millisecond)
	}
	return err
}

func (s *Postgres) launch() error {
	args := []string{"-D", s.data(), "-p", fmt.Sprint(s.Port), "-k", s.Dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "log_min_messages=warning", "-c", "wal_level=replica", "-c", "hot_standby=on"}
	for _, a := range s.args {
		args = append(args, "-c", a)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if err := s.p.start(cmd); err != nil {
		return err
	}
	return s.p.wait(time.Minute, func() bool { return s.SQL("SELECT 1") == nil })
}

// URL is where it is reached.
func (s *Postgres) URL() string {
	return fmt.Sprintf("postgres://hub@127.0.0.1:%d/postgres?sslmode=disable", s.Port)
}

// SQL runs statements with psql, a client that is not ours.
func (s *Postgres) SQL(sql string) error {
	_, err := s.Query(sql)
	return err
}

// Query is what psql prints, unaligned.
func (s *Postgres) Query(sql string) (string, error) {
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", s.URL(), "-c", sql)
	cmd.Env = append(os.Environ(), "PGCONNECT_TIMEOUT=5", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Promote makes a standby the primary.
func (s *Postgres) Promote() error { return s.tool("pg_ctl", "-D", s.data(), "-w", "promote") }

// Kill is a power cut for the processes: SIGKILL to all of them.
func (s *Postgres) Kill() { s.p.end(syscall.SIGKILL, 10*time.Second) }

// Stop lets it write everything down.
func (s *Postgres) Stop() { s.p.end(syscall.SIGINT, 30*time.Second) }

// Backup copies the data of the stopped server; Restore puts it back.
func (s *Postgres) Backup(to string) error    { return copyDir(s.data(), to) }
func (s *Postgres) Restore(from string) error { return copyDir(from, s.data()) }

// Close ends it and removes what it wrote.
func (s *Postgres) Close() error {
	s.p.end(syscall.SIGKILL, 10*time.Second)
	return os.RemoveAll(s.Dir)
}

// SQLs runs statements one by one in one session.
func (s *Postgres) SQLs(list ...string) error {
	args := []string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", s.URL()}
	for _, sql := range list {
		args = append(args, "-c", sql)
	}
	cmd := exec.Command(filepath.Join(s.bin, "psql"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w: %s", err, out)
	}
	return nil
}

// OwnedDir makes a directory that belongs to the server.
func (s *Postgres) OwnedDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := s.own(filepath.Dir(path)); err != nil {
		return err
	}
	return s.own(path)
}
