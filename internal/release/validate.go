package release

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ProbationChecks are the checks that a manifest may name; nodes may carry a share, as nodes>=90%.
var ProbationChecks = []string{"ingest", "acks", "npu", "nodes"}

// Validate checks what a manifest says of itself.
func (m *Manifest) Validate() error {
	switch {
	case m.Schema != Schema:
		return fmt.Errorf("manifest: schema %d: %w", m.Schema, ErrFormat)
	case !ValidName(m.Release):
		return fmt.Errorf("manifest: release %q is not a name: %w", m.Release, ErrFormat)
	case m.Counter == 0:
		return fmt.Errorf("manifest: counter must be above 0: %w", ErrFormat)
	case m.MinFrom > m.Counter:
		return fmt.Errorf("manifest: min_from %d is above counter %d: %w", m.MinFrom, m.Counter, ErrFormat)
	case m.Created.IsZero():
		return fmt.Errorf("manifest: created is missing: %w", ErrFormat)
	case len(m.Components) > MaxComponents:
		return fmt.Errorf("manifest: %d components, at most %d: %w", len(m.Components), MaxComponents, ErrFormat)
	case len(m.Components) == 0 && m.Include == nil:
		return fmt.Errorf("manifest: no components: %w", ErrFormat)
	}
	if m.Include != nil {
		if err := m.Include.validate("include", MaxManifestBytes); err != nil {
			return err
		}
	}
	if err := validateFacts("compatible", m.Compatible); err != nil {
		return err
	}
	if err := m.Probation.validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range m.Components {
		c := &m.Components[i]
		if err := c.validate(); err != nil {
			return err
		}
		if seen[c.Name] {
			return fmt.Errorf("manifest: component %s stands twice: %w", c.Name, ErrFormat)
		}
		seen[c.Name] = true
	}
	for name := range seen { // they become files and directories side by side
		for i := range len(name) {
			if name[i] == '/' && seen[name[:i]] {
				return fmt.Errorf("manifest: component %s lies below component %s: %w", name, name[:i], ErrFormat)
			}
		}
	}
	return nil
}

func (c *Component) validate() error {
	where := "component " + strconv.Quote(c.Name)
	if !ValidName(c.Name) {
		return fmt.Errorf("manifest: %s is not a name: %w", where, ErrFormat)
	}
	if c.Name == TreeName {
		return fmt.Errorf("manifest: %s: a release has a file of its own of that name: %w", where, ErrFormat)
	}
	// What stands there is run, and only the signers of programs say what is.
	if part, _, _ := strings.Cut(c.Name, "/"); c.Kind != Agent && part == string(Agent) {
		return fmt.Errorf("manifest: %s: only what is of kind agent has that name: %w", where, ErrFormat)
	}
	if !slices.Contains([]Kind{Agent, Config, Model, Firmware}, c.Kind) {
		return fmt.Errorf("manifest: %s: kind %q is unknown, it needs a newer agent: %w", where, c.Kind, ErrFormat)
	}
	if !validVersion(c.Version) {
		return fmt.Errorf("manifest: %s: version %q: %w", where, c.Version, ErrFormat)
	}
	if err := c.Pin.validate(where, MaxComponentBytes); err != nil {
		return err
	}
	if c.Index == nil && c.Size > MaxUnindexed {
		return fmt.Errorf("manifest: %s: %d bytes need an index: %w", where, c.Size, ErrFormat)
	}
	if c.Index != nil {
		if err := c.Index.validate(where+": index", MaxIndexBytes); err != nil {
			return err
		}
	}
	if len(c.Deltas) > MaxDeltas {
		return fmt.Errorf("manifest: %s: %d deltas, at most %d: %w", where, len(c.Deltas), MaxDeltas, ErrFormat)
	}
	for i := range c.Deltas {
		if err := c.Deltas[i].validate(where + ": delta"); err != nil {
			return err
		}
	}
	for _, r := range c.Requires {
		if _, _, err := parseRequirement(r); err != nil {
			return fmt.Errorf("manifest: %s: %w", where, err)
		}
	}
	return validateFacts(where+": selector", c.Selector)
}

func (d *Delta) validate(where string) error {
	if !validHash(d.From) {
		return fmt.Errorf("manifest: %s: from is not 64 lower-case hex digits: %w", where, ErrFormat)
	}
	if err := d.Pin.validate(where, MaxComponentBytes); err != nil {
		return err
	}
	if d.Index == nil && d.Size > MaxUnindexed {
		return fmt.Errorf("manifest: %s: %d bytes need an index: %w", where, d.Size, ErrFormat)
	}
	if d.Index == nil {
		return nil
	}
	return d.Index.validate(where+": index", MaxIndexBytes)
}

func (p *Pin) validate(where string, limit int64) error {
	if !ValidPath(p.Path) {
		return fmt.Errorf("manifest: %s: path %q: %w", where, p.Path, ErrPath)
	}
	if p.Size <= 0 || p.Size > limit {
		return fmt.Errorf("manifest: %s: size %d is not in 1…%d: %w", where, p.Size, limit, ErrSize)
	}
	if !validHash(p.SHA256) {
		return fmt.Errorf("manifest: %s: sha256 is not 64 lower-case hex digits: %w", where, ErrFormat)
	}
	return nil
}

func (p *Probation) validate() error {
	if p.SoakSeconds < 0 || p.SoakSeconds > p.DeadlineSeconds || p.DeadlineSeconds > maxProbation {
		return fmt.Errorf("manifest: probation: 0 ≤ soak_s %d ≤ deadline_s %d ≤ %d must hold: %w",
			p.SoakSeconds, p.DeadlineSeconds, maxProbation, ErrFormat)
	}
	if p.SoakSeconds > MaxSoak {
		return fmt.Errorf("manifest: probation: soak_s %d is above %d: a candidate is ended after %v whatever it does: %w", p.SoakSeconds, MaxSoak, CandidateLife, ErrFormat)
	}
	for _, c := range p.Checks {
		name, _, _ := strings.Cut(c, ">=")
		if !slices.Contains(ProbationChecks, name) {
			return fmt.Errorf("manifest: probation: check %q is unknown, it needs a newer agent: %w", c, ErrFormat)
		}
		if _, err := CheckShare(c); err != nil {
			return err
		}
	}
	return nil
}

// CheckShare is the share in per cent that a check such as nodes>=90% demands; 100 where it names none.
func CheckShare(check string) (int, error) {
	name, share, ok := strings.Cut(check, ">=")
	if !ok {
		return 100, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(share, "%"))
	if err != nil || name != "nodes" || !strings.HasSuffix(share, "%") || n < 0 || n > 100 {
		return 0, fmt.Errorf("manifest: probation: check %q: %w", check, ErrFormat)
	}
	return n, nil
}

func validateFacts(where string, facts map[string][]string) error {
	for fact, constraints := range facts {
		if !ValidName(fact) || len(constraints) == 0 || len(constraints) > MaxConstraints {
			return fmt.Errorf("manifest: %s: fact %q: %w", where, fact, ErrFormat)
		}
		for _, c := range constraints {
			if _, err := parseConstraint(c); err != nil {
				return fmt.Errorf("manifest: %s: %s: %w", where, fact, err)
			}
		}
	}
	return nil
}

// ValidName tells whether s is a name: parts of [a-z0-9._-] that begin with a letter or digit, joined by slashes.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || part[0] == '-' || part[0] == '_' {
			return false
		}
		for _, r := range []byte(part) {
			if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
				return false
			}
		}
	}
	return true
}

// ValidPath tells whether s is a target path: a name whose letters may be upper case and which may hold a plus.
func ValidPath(s string) bool {
	return ValidName(strings.ReplaceAll(strings.ToLower(s), "+", "-"))
}

func validHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256Size && strings.ToLower(s) == s
}
