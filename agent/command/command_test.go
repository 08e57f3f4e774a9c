package command_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/command"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

var now = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fleet is metadata whose role commands has two keys, of which both must sign where threshold is 2.
func fleet(t *testing.T, threshold int) (*trust.View, []repo.Key) {
	r := repo.At(t.TempDir())
	key := func() (repo.Key, repo.Holders) {
		k, err := repo.NewKey()
		must(t, err)
		p, err := k.Public()
		must(t, err)
		return k, repo.Holders{Keys: []*metadata.Key{p}, Threshold: 1}
	}
	rootKey, root := key()
	a, both := key()
	b, other := key()
	both.Keys, both.Threshold = append(both.Keys, other.Keys...), threshold
	file, err := r.Root(map[string]repo.Holders{"root": root, "targets": root, "snapshot": root, "timestamp": root}, now)
	must(t, err)
	must(t, repo.Sign(file, rootKey))
	file, err = r.Targets([]repo.Delegation{{Name: "agent", Paths: []string{"agent/*"}, Holders: root},
		{Name: fleetwire.CommandRole, Paths: []string{"commands/*"}, Holders: both}}, now)
	must(t, err)
	must(t, repo.Sign(file, rootKey))
	must(t, r.Publish(rootKey, rootKey, now))
	v, err := r.Check(now)
	must(t, err)
	return v, []repo.Key{a, b, rootKey}
}

func message(t *testing.T, edit func(*fleetwire.Command), keys ...repo.Key) fleetwire.Message {
	t.Helper()
	c := fleetwire.Command{ID: "c1", Device: "box-17", Op: fleetwire.OpDiag, By: "anna", Issued: now, Expires: now.Add(time.Minute), Nonce: "0123456789abcdef"}
	if edit != nil {
		edit(&c)
	}
	body, err := json.Marshal(c)
	must(t, err)
	s := fleetwire.SignedCommand{Body: body}
	for _, k := range keys {
		sig, err := k.Detached(body)
		must(t, err)
		s.Signatures = append(s.Signatures, sig)
	}
	data, err := json.Marshal(s)
	must(t, err)
	return fleetwire.Message{Payload: data}
}

// TestTake: cases 28 and 29, and what else is not carried out.
func TestTake(t *testing.T) {
	v, keys := fleet(t, 1)
	retained := message(t, nil, keys[0])
	retained.Retained = true
	changed := message(t, nil, keys[0])
	var s fleetwire.SignedCommand
	must(t, json.Unmarshal(changed.Payload, &s))
	s.Body = []byte(`{"id":"c1","device":"box-17","op":"restart","issued_at":"2026-11-20T09:00:00Z","expires_at":"2026-11-20T09:01:00Z","nonce":"0123456789abcdef"}`)
	data, err := json.Marshal(s)
	must(t, err)
	changed.Payload = data
	bad := &trust.Error{}
	for name, c := range map[string]struct {
		m      fleetwire.Message
		at     time.Time
		untold bool
		want   error
	}{
		"good":              {m: message(t, nil, keys[0])},
		"28 retained":       {m: retained, want: command.ErrRetained},
		"29 over":           {m: message(t, nil, keys[0]), at: now.Add(2 * time.Minute), want: command.ErrOver},
		"not yet good":      {m: message(t, nil, keys[0]), at: now.Add(-time.Hour), want: command.ErrOver},
		"66 no clock":       {m: message(t, nil, keys[0]), at: time.Unix(0, 0), untold: true, want: command.ErrClock},
		"nobody's clock":    {m: message(t, nil, keys[0]), untold: true},
		"unsigned":          {m: fleetwire.Message{Payload: []byte(`{"body":"e30=","signatures":[{"keyid":"x","sig":"00"}]}`)}, want: bad},
		"signed by another": {m: message(t, nil, keys[2]), want: bad},
		"changed":           {m: changed, want: bad},
		"another box":       {m: message(t, func(c *fleetwire.Command) { c.Device = "box-18" }, keys[0]), want: command.ErrOther},
		"unknown operation": {m: message(t, func(c *fleetwire.Command) { c.Op = "shell" }, keys[0]), want: command.ErrUnknown},
		"lives for ever":    {m: message(t, func(c *fleetwire.Command) { c.Expires = now.Add(1000 * time.Hour) }, keys[0]), want: fleetwire.ErrMessage},
		"no nonce":          {m: message(t, func(c *fleetwire.Command) { c.Nonce = "" }, keys[0]), want: fleetwire.ErrMessage},
		"garbage":           {m: fleetwire.Message{Payload: []byte("\x00")}, want: fleetwire.ErrMessage},
	} {
		g, err := command.Open(vfs.NewMem(), "update", "box-17")
		must(t, err)
		at := now
		if !c.at.IsZero() {
			at = c.at
		}
		cmd, err := g.Take(c.m, v, at, !c.untold)
		var signature *trust.Error
		switch {
		case c.want == nil:
			if err != nil || cmd.Op != fleetwire.OpDiag {
				t.Errorf("%s: %v", name, err)
			}
		case cmd != nil || !errors.Is(err, c.want) && !(c.want == error(bad) && errors.As(err, &signature)):
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestThreshold: two keys must sign, and one that signs twice counts once.
func TestThreshold(t *testing.T) {
	v, keys := fleet(t, 2)
	for _, c := range []struct {
		keys []repo.Key
		ok   bool
	}{{keys[:1], false}, {[]repo.Key{keys[0], keys[0]}, false}, {keys[:2], true}} {
		g, err := command.Open(vfs.NewMem(), "update", "box-17")
		must(t, err)
		if _, err := g.Take(message(t, nil, c.keys...), v, now, true); (err == nil) != c.ok {
			t.Errorf("%d signatures: %v", len(c.keys), err)
		}
	}
}

// TestOnce: a command is taken once, over restarts and power cuts at any operation.
func TestOnce(t *testing.T) {
	v, keys := fleet(t, 1)
	m := message(t, nil, keys[0])
	for stop := int64(1); ; stop++ {
		for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll} {
			fs := vfs.NewMem()
			g, err := command.Open(fs, "update", "box-17")
			must(t, err)
			fs.StopAfter(stop)
			taken := 0
			if _, err := g.Take(m, v, now, true); err == nil {
				taken++ // and carried out
			}
			over := !fs.Stopped()
			fs = fs.CrashClone(vfs.CrashOptions{Keep: keep})
			g, err = command.Open(fs, "update", "box-17")
			must(t, err)
			id, err := g.Interrupted()
			must(t, err)
			if taken == 1 && id != "c1" {
				t.Fatalf("cut after %d: the interrupted command is not known", stop)
			}
			for range 2 {
				if _, err := g.Take(m, v, now, true); err == nil {
					taken++
				} else if !errors.Is(err, command.ErrRepeated) {
					t.Fatal(err)
				}
			}
			if taken > 1 || keep == vfs.KeepNone && taken == 0 {
				t.Fatalf("cut after %d, keep %v: taken %d times", stop, keep, taken)
			}
			if over && keep == vfs.KeepAll {
				return
			}
		}
	}
}

// TestLostMemory: where what was taken is not known any more, commands of before are not taken.
func TestLostMemory(t *testing.T) {
	v, keys := fleet(t, 1)
	fs := vfs.NewMem()
	g, err := command.Open(fs, "update", "box-17")
	must(t, err)
	_, err = g.Take(message(t, nil, keys[0]), v, now, true)
	must(t, err)
	must(t, vfs.WriteFileAtomic(fs, "update/commands.1", []byte("rot")))
	g, err = command.Open(fs, "update", "box-17")
	must(t, err)
	if _, err := g.Take(message(t, nil, keys[0]), v, now, true); !errors.Is(err, command.ErrRepeated) || len(g.Recovered) != 1 {
		t.Errorf("%v, %v", err, g.Recovered)
	}
	later := now.Add(10 * time.Minute)
	_, err = g.Take(message(t, func(c *fleetwire.Command) {
		c.Issued, c.Expires, c.Nonce = later, later.Add(time.Minute), "another nonce 123"
	}, keys[0]), v, later, true)
	must(t, err)
}

// TestClockSetBack: a command whose nonce was forgotten is not taken again when the clock is set back.
func TestClockSetBack(t *testing.T) {
	v, keys := fleet(t, 1)
	g, err := command.Open(vfs.NewMem(), "update", "box-17")
	must(t, err)
	first := message(t, nil, keys[0])
	_, err = g.Take(first, v, now, true)
	must(t, err)
	later := now.Add(time.Hour)
	_, err = g.Take(message(t, func(c *fleetwire.Command) {
		c.Issued, c.Expires, c.Nonce = later, later.Add(time.Minute), "another nonce 123"
	}, keys[0]), v, later, true)
	must(t, err)
	if _, err := g.Take(first, v, now, true); !errors.Is(err, command.ErrOver) {
		t.Errorf("taken again: %v", err)
	}
}
