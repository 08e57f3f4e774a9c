package mqtt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/twoslot"
)

// kept is what survives a restart.
type kept struct {
	Generation uint64             `json:"gen"` // the highest that was seen
	Desired    *fleetwire.Desired `json:"desired,omitempty"`
	Paused     string             `json:"paused,omitempty"`   // who asked for it
	Retries    int                `json:"retries,omitempty"`  // that people here asked for, of the desired release
	Requests   int                `json:"requests,omitempty"` // to the updater, for this attempt
	Outcomes   []outcome          `json:"outcomes,omitempty"` // the newest first
	Events     uint64             `json:"events"`             // number of the last
	LastEvent  string             `json:"last_event"`         // its sha256, hex
	Outbox     []json.RawMessage  `json:"outbox,omitempty"`   // events that the server does not have
}

// outcome is how an attempt at a release ended.
type outcome struct {
	Manifest string          `json:"manifest"`
	Tries    int             `json:"tries"`
	State    fleetwire.State `json:"state"`
	Reason   string          `json:"reason,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	At       time.Time       `json:"at"`
}

func (c *Client) load() error {
	var content []byte
	var wrong []string
	var err error
	c.slots, content, wrong, err = twoslot.Open(c.o.FS, c.o.Dir, "state", maxStateBytes, func(b []byte) error {
		var k kept
		return json.Unmarshal(b, &k)
	})
	if err != nil {
		return fmt.Errorf("read state of updates: %w", err)
	}
	for _, w := range wrong {
		c.damaged(w)
	}
	if content == nil {
		return nil
	}
	return json.Unmarshal(content, &c.kept)
}

// save makes k what is kept, once it is durable.
func (c *Client) save(k kept) error {
	body, err := json.Marshal(k)
	if err == nil {
		err = c.slots.Write(body)
	}
	if err != nil {
		c.trouble(NoDisk, "what was decided about an update cannot be kept: "+err.Error())
		return err
	}
	c.kept = k
	return nil
}

// tries is the number of this attempt as the updater counts.
func (k *kept) tries() int { return max(k.Desired.Attempt, 1)*retryFactor + k.Retries }

// outcome is how the present attempt ended, nil if it has not.
func (k *kept) outcome() *outcome {
	for i := range k.Outcomes {
		if o := &k.Outcomes[i]; o.Manifest == k.Desired.Manifest && o.Tries == k.tries() {
			return o
		}
	}
	return nil
}

// desire takes a desired state. It reports whether anything is new.
func (c *Client) desire(d *fleetwire.Desired) bool {
	now, good := c.o.Now()
	limit := uint64(now.Add(maxAhead).UnixMilli())
	k := c.kept
	if good && k.Generation > limit { // somebody had sent one from far ahead: it blocks nothing for long
		k.Generation = 0
	}
	if good && d.Generation > limit || d.Generation < k.Generation {
		c.count(func(s *Stats) { s.Stale++ })
		c.o.Log.Info("a desired state of another time is ignored", "gen", d.Generation, "seen", k.Generation)
		return false
	}
	if d.Generation == k.Generation && k.Desired != nil {
		return false // the same, as after each connect
	}
	if k.Desired == nil || k.Desired.Manifest != d.Manifest || k.Desired.Attempt != d.Attempt {
		k.Retries, k.Requests = 0, 0
	}
	k.Generation, k.Desired = d.Generation, d
	return c.save(k) == nil
}

// finish remembers how the present attempt ended.
func (c *Client) finish(s fleetwire.State, reason, detail string) {
	k := c.kept
	now, _ := c.o.Now()
	o := outcome{Manifest: k.Desired.Manifest, Tries: k.tries(), State: s, Reason: reason, Detail: detail, At: now.UTC().Truncate(time.Second)}
	k.Outcomes = append([]outcome{o}, k.Outcomes...)
	k.Outcomes = k.Outcomes[:min(len(k.Outcomes), maxOutcomes)]
	// If it cannot be kept it counts until the next start, which finds it out again.
	if c.save(k) != nil {
		c.kept = k
	}
}

// event numbers a change of state and keeps it until the server has it.
func (c *Client) event(e fleetwire.Event) {
	k := c.kept
	k.Events++
	e.Number, e.Prev = k.Events, k.LastEvent
	body, err := json.Marshal(e)
	if err != nil {
		panic("update: event cannot be encoded: " + err.Error()) // numbers and text
	}
	sum := sha256.Sum256(body)
	k.LastEvent = hex.EncodeToString(sum[:])
	outbox := append([]json.RawMessage(nil), k.Outbox...)
	if outbox = append(outbox, body); len(outbox) > maxEvents {
		outbox = outbox[len(outbox)-maxEvents:] // the server sees the hole in the numbers
	}
	k.Outbox = outbox
	if c.save(k) != nil {
		c.kept = k
	}
}
