package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/postgres"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// engine is a store with what every engine of a hub can tell; what else one can do is found by assertion.
type engine interface {
	store.Store
	store.Accountant
}

// Postgres is a store in PostgreSQL.
type Postgres struct {
	URL          string `yaml:"url,required"`  // as libpq has it; several hosts: the one that takes writes
	PasswordFile string `yaml:"password_file"` // its first line
	Schema       string `yaml:"schema"`        // of the tables
}

func (p *Postgres) options() (postgres.Options, error) {
	o := postgres.Options{URL: p.URL, Schema: p.Schema}
	var err error
	o.Password, err = secret(p.PasswordFile)
	return o, err
}

// secret is the first line of a file; "" where no file is named.
func secret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := readBounded(file, maxSecretBytes)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimRight(line, "\r"), nil
}

// engines is how many the configuration names.
func (s *Store) engines() (names []string) {
	if s.SQLite != "" {
		names = append(names, "sqlite")
	}
	if s.Postgres != nil {
		names = append(names, "postgres")
	}
	if s.Kafka != nil {
		names = append(names, "kafka")
	}
	return names
}

func (s *Store) validate(r *strictyaml.Report) {
	if n := s.engines(); len(n) > 1 {
		r.Addf("store", "store names %s: one of them, please; edge-hub migrate moves from one to another", strings.Join(n, " and "))
	}
	s.Kafka.validate(r)
	if p := s.Postgres; p != nil && p.URL != "" {
		if err := (postgres.Options{URL: p.URL, Schema: p.Schema}).Validate(); err != nil {
			r.Addf("store.postgres.url", "%v", err)
		}
		if strings.Contains(p.URL, "password=") || passwordInURL(p.URL) {
			r.Addf("store.postgres.url", "store.postgres.url holds a password; use password_file")
		}
	}
}

func passwordInURL(url string) bool {
	_, rest, ok := strings.Cut(url, "://")
	user, _, at := strings.Cut(rest, "@")
	return ok && at && strings.Contains(user, ":") && !strings.Contains(user, "/")
}

// place is the engine and where it is, for people; without secrets.
func (s *Store) place() string {
	switch {
	case s.Postgres != nil:
		return "PostgreSQL"
	case s.Kafka != nil:
		return s.Kafka.place()
	}
	return s.SQLite
}

// open opens the configured engine.
func (s *Store) open(ctx context.Context, readOnly bool, now func() time.Time) (engine, error) {
	switch {
	case s.Postgres != nil:
		o, err := s.Postgres.options()
		if err != nil {
			return nil, err
		}
		o.ReadOnly, o.Now = readOnly, now
		return postgres.Open(ctx, o)
	case s.Kafka != nil:
		o := s.Kafka.options()
		o.ReadOnly, o.Now = readOnly, now
		return kafka.Open(ctx, o)
	}
	return sqlite.Open(s.SQLite, sqlite.Options{ReadOnly: readOnly, Now: now})
}

// local reports whether the engine is a file that must be there before a tool writes to it.
func (s *Store) mustExist() error {
	if s.SQLite == "" {
		return nil
	}
	if _, err := os.Stat(s.SQLite); err != nil {
		return fmt.Errorf("open hub store: %w", err)
	}
	return nil
}

// unable says that an engine cannot do what was asked.
func unable(e engine, what, instead string) error {
	return usagef("%s: the store %s cannot do that; %s", what, e.Path(), instead)
}

// openWaiting opens the store of a hub that starts; one that is away is waited for, as it is later.
func (h *hub) openWaiting(ctx context.Context) (engine, error) {
	said := ""
	for wait := time.Second; ; wait = min(2*wait, maxStoreWait) {
		e, err := h.c.Store.open(ctx, false, nil)
		if err == nil || ctx.Err() != nil || !errors.Is(err, store.ErrUnavailable) || h.c.Store.SQLite != "" {
			return e, err
		}
		if err.Error() != said {
			said = err.Error()
			h.log.Error("the store is not there yet; it is tried again", keyError, err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, nil
		}
	}
}
