package hub

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/wire"
)

const commandHelp = `  edge-hub command box-17 diag --key commands.key    status and updates, as JSON
  edge-hub command box-17 logs --key commands.key    the agent's last lines
  edge-hub command box-17 restart --key commands.key
  edge-hub command box-17 hold --why "shift" --key commands.key

Also unhold, pause, resume, abort and retry, as edgectl update does at the box. The
key is one of the role "commands" in the fleet's roles.yaml; --key FILE may be
given as often as its threshold asks. A command is for one box, good for --life
(1m), and carried out once; edgectl update events at the box shows it.
Exit code 3: the box failed to carry it out; 4: no answer.

`

// files are repeated --key flags.
type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

func (a *app) cmdCommand(ctx context.Context, args []string) error {
	var keys files
	life, why := time.Minute, ""
	words, err := a.parse("command", args, 2, func(f *flag.FlagSet) {
		f.Var(&keys, "key", "")
		f.DurationVar(&life, "life", life, "")
		f.StringVar(&why, "why", "", "")
	})
	if err != nil {
		return err
	}
	if len(words) != 2 {
		return usagef("its form is edge-hub command DEVICE OP --key FILE; OP is one of %s", strings.Join(fleetwire.Operations, ", "))
	}
	device, op := words[0], words[1]
	if !wire.ValidDevice(device) {
		return usagef("%q is no device id", device)
	}
	if !slices.Contains(fleetwire.Operations, op) {
		return usage(cmdline.Then(cmdline.Unknown("operation", op, fleetwire.Operations), "there are "+strings.Join(fleetwire.Operations, ", ")))
	}
	if len(keys) == 0 {
		return usagef("command: which --key FILE? It is signed with a key of the role \"commands\"; edge-hub help command says more")
	}
	if life < 10*time.Second || life > fleetwire.MaxCommandLife {
		return usagef("--life %v: want 10s to %v", life, fleetwire.MaxCommandLife)
	}
	c, err := Load(a.file)
	if err != nil {
		return err
	}
	cmd, signed, err := signCommand(device, op, why, life, keys, a.Now())
	if err != nil {
		return err
	}
	r, err := a.send(ctx, c, cmd, signed)
	if err != nil {
		return err
	}
	if a.asJSON {
		err = a.enrolJSON(struct {
			SchemaVersion int `json:"schema_version"`
			fleetwire.Result
		}{1, *r})
	} else {
		err = a.commandText(r)
	}
	if err == nil && r.State != fleetwire.ResultDone {
		err = &exit{code: ExitDegraded}
	}
	return err
}

func (a *app) commandText(r *fleetwire.Result) error {
	var lines string
	switch {
	case len(r.Output) == 0:
		_, err := fmt.Fprintln(a.Stdout, strings.TrimSuffix(r.State+": "+a.Style.Text(r.Text), ": "))
		return err
	case json.Unmarshal(r.Output, &lines) == nil:
		_, err := fmt.Fprint(a.Stdout, a.Style.Text(lines))
		return err
	}
	return a.enrolJSON(r.Output)
}

// signCommand makes a command and signs it with every key.
func signCommand(device, op, why string, life time.Duration, keys []string, now time.Time) (*fleetwire.Command, []byte, error) {
	var id [10]byte
	var nonce [16]byte
	rand.Read(id[:])    // never fails
	rand.Read(nonce[:]) // never fails
	now = now.UTC().Truncate(time.Second)
	cmd := &fleetwire.Command{ID: strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(id[:])), Device: device, Op: op, Why: why,
		By: operator(), Issued: now, Expires: now.Add(life), Nonce: hex.EncodeToString(nonce[:])}
	body, err := json.Marshal(cmd)
	if err != nil {
		return nil, nil, fmt.Errorf("encode command: %w", err)
	}
	s := fleetwire.SignedCommand{Body: body, Signatures: []trust.Signature{}}
	for _, file := range keys {
		k, err := repo.LoadKey(file)
		if err != nil {
			return nil, nil, err
		}
		sig, err := k.Detached(body)
		if err != nil {
			return nil, nil, err
		}
		s.Signatures = append(s.Signatures, sig)
	}
	data, err := json.Marshal(s)
	return cmd, data, err
}

// send publishes a command, never retained, and waits for its result.
func (a *app) send(ctx context.Context, c *Config, cmd *fleetwire.Command, signed []byte) (*fleetwire.Result, error) {
	if c.Broker == nil {
		return nil, fmt.Errorf("%s has an embedded broker, which only the hub itself can reach: name a broker to send commands", a.file)
	}
	b := c.Broker
	ctx, cancel := context.WithDeadline(ctx, cmd.Expires)
	defer cancel()
	conn, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: b.URL, ClientID: "edge-hub-command-" + cmd.ID, Username: b.Username, PasswordFile: b.PasswordFile,
		TLS: mqttclient.TLS{CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile}})
	if err != nil {
		return nil, &exit{ExitUnreachable, err}
	}
	defer conn.Close() //nolint:errcheck // the answer is there, or will not come
	t := fleetwire.Topics{Topics: c.Topics(), Device: cmd.Device}
	results := make(chan *fleetwire.Result, 1)
	err = conn.Subscribe(ctx, t.Result(cmd.ID), 1, func(m mqttclient.Message) {
		r, err := fleetwire.Decode[fleetwire.Result](m.Payload)
		if err != nil || r.ID != cmd.ID {
			return
		}
		select {
		case results <- r:
		default:
		}
	})
	if err == nil {
		err = conn.Publish(ctx, t.Command(), 1, false, signed)
	}
	if err != nil {
		return nil, &exit{ExitUnreachable, err}
	}
	select {
	case r := <-results:
		return r, nil
	case <-ctx.Done():
		return nil, &exit{ExitUnreachable, fmt.Errorf("%s has not answered within its life of %v; it refuses what is not signed by the role commands: edgectl faults there", cmd.Device, cmd.Expires.Sub(cmd.Issued))}
	}
}
