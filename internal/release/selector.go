package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Facts are what a box or node says of itself, e.g. product, hw_rev, arch, soc_version, cann, driver, node_type, chip.
type Facts map[string]string

// constraint is a conjunction such as ">=8.0,<8.6"; a bare word must be equal.
type constraint []comparison

type comparison struct{ op, value string }

var operators = []string{">=", "<=", "==", ">", "<", "="}

func parseConstraint(s string) (constraint, error) {
	if s == "" || len(s) > MaxName {
		return nil, fmt.Errorf("constraint %q: %w", s, ErrFormat)
	}
	var c constraint
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		cmp := comparison{op: "=", value: part}
		for _, op := range operators {
			if rest, ok := strings.CutPrefix(part, op); ok {
				cmp = comparison{op: strings.Replace(op, "==", "=", 1), value: strings.TrimSpace(rest)}
				break
			}
		}
		if cmp.value == "" || strings.ContainsAny(cmp.value, "<>= ") {
			return nil, fmt.Errorf("constraint %q: %w", s, ErrFormat)
		}
		c = append(c, cmp)
	}
	return c, nil
}

func (c constraint) holds(value string) bool {
	for _, cmp := range c {
		order := CompareVersions(value, cmp.value)
		ok := false
		switch cmp.op {
		case "=":
			ok = value == cmp.value
		case ">=":
			ok = order >= 0
		case ">":
			ok = order > 0
		case "<=":
			ok = order <= 0
		case "<":
			ok = order < 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// Select tells why facts do not fit the wanted constraints: an error that wraps ErrSelect and names the first fact
// that is missing or does not fit, in the order of their names; nil if all fit. A fact that nobody knows does not fit.
func Select(wanted map[string][]string, facts Facts) error {
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		have, known := facts[name]
		if !known {
			return fmt.Errorf("%s is unknown here, wanted %s: %w", name, strings.Join(wanted[name], " or "), ErrSelect)
		}
		fits := slices.ContainsFunc(wanted[name], func(s string) bool {
			c, err := parseConstraint(s)
			return err == nil && c.holds(have)
		})
		if !fits {
			return fmt.Errorf("%s is %s, wanted %s: %w", name, have, strings.Join(wanted[name], " or "), ErrSelect)
		}
	}
	return nil
}

// CompareVersions orders versions by their parts: runs of digits as numbers, everything else as text; a longer version
// that begins with the shorter one is greater, except that a part behind '-' marks a pre-release, which is smaller.
func CompareVersions(a, b string) int {
	pa, prea, _ := strings.Cut(a, "-")
	pb, preb, _ := strings.Cut(b, "-")
	if c := compareParts(pa, pb); c != 0 {
		return c
	}
	switch {
	case prea == preb:
		return 0
	case prea == "":
		return 1
	case preb == "":
		return -1
	}
	return compareParts(prea, preb)
}

func compareParts(a, b string) int {
	split := func(r rune) bool { return r == '.' || r == '+' || r == '_' }
	as, bs := strings.FieldsFunc(a, split), strings.FieldsFunc(b, split)
	for i := range max(len(as), len(bs)) {
		var x, y string
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		nx, ex := strconv.ParseUint(x, 10, 64)
		ny, ey := strconv.ParseUint(y, 10, 64)
		if (ex == nil || x == "") && (ey == nil || y == "") {
			if nx != ny {
				return compareUint(nx, ny)
			}
			continue
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func compareUint(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

func validVersion(s string) bool {
	return s != "" && len(s) <= MaxName && !strings.ContainsAny(s, "/<>=, \t\n\x00") && ValidPath(s)
}

// parseRequirement splits config/base>=37 into its component and constraint.
func parseRequirement(s string) (name string, c constraint, err error) {
	i := strings.IndexAny(s, "<>=")
	if i < 0 {
		i = len(s)
	}
	name = s[:i]
	if !ValidName(name) {
		return "", nil, fmt.Errorf("requires %q: %w", s, ErrFormat)
	}
	if i == len(s) {
		return name, nil, nil
	}
	if c, err = parseConstraint(s[i:]); err != nil {
		return "", nil, fmt.Errorf("requires %q: %w", s, err)
	}
	return name, c, nil
}

// Plan is what of a release one box takes, in the order of installation.
type Plan struct {
	Manifest   *Manifest
	Components []Component
}

// For selects what facts of a box take from the resolved manifest and checks that what each component requires is in
// the plan. Firmware is selected by the nodes, not here: all of it is taken whose box facts fit, a fact of nodes
// (node_type, chip, bootloader) being left to the node.
func (m *Manifest) For(facts Facts) (*Plan, error) {
	if err := Select(m.Compatible, facts); err != nil {
		return nil, fmt.Errorf("release %s: %w", m.Release, err)
	}
	p := &Plan{Manifest: m}
	for _, c := range m.Components {
		if err := Select(boxFacts(c), facts); err == nil {
			p.Components = append(p.Components, c)
		} else if c.Kind == Model {
			return nil, fmt.Errorf("release %s: %s: %w", m.Release, c.Name, err)
		}
	}
	slices.SortStableFunc(p.Components, func(a, b Component) int { return a.Order - b.Order })
	for _, c := range p.Components {
		for _, r := range c.Requires {
			name, constraint, err := parseRequirement(r)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(p.Components, func(c Component) bool { return c.Name == name })
			if i < 0 || !constraint.holds(p.Components[i].Version) {
				return nil, fmt.Errorf("release %s: %s requires %s: %w", m.Release, c.Name, r, ErrRequire)
			}
		}
	}
	return p, nil
}

// NodeFacts are facts that only a node knows.
var NodeFacts = []string{"node_type", "chip", "bootloader"}

func boxFacts(c Component) map[string][]string {
	if c.Kind != Firmware {
		return c.Selector
	}
	of := map[string][]string{}
	for fact, wanted := range c.Selector {
		if !slices.Contains(NodeFacts, fact) {
			of[fact] = wanted
		}
	}
	return of
}
