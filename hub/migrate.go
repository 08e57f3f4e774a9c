package hub

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/edgelog/edgelog/hub/store/ledger"
	"github.com/edgelog/edgelog/internal/term"
)

// MigrateReport is the answer of `edge-hub migrate --json`.
type MigrateReport struct {
	SchemaVersion int    `json:"schema_version"`
	From          string `json:"from"`
	To            string `json:"to"`
	Devices       int    `json:"devices"`
	Epochs        int    `json:"epochs"`
	Rows          uint64 `json:"rows"`    // that stay in the old store
	Already       int    `json:"already"` // devices that an earlier run had moved
}

// cmdMigrate moves what decides about the next frame from the configured store to that of another configuration. It may
// be repeated after an interruption: devices that are there and stand where they did are passed over.
func (a *app) cmdMigrate(ctx context.Context, args []string) error {
	to := ""
	if _, err := a.parse("migrate", args, 0, func(f *flag.FlagSet) { f.StringVar(&to, "to", "", "") }); err != nil {
		return err
	}
	if to == "" {
		return usagef("migrate needs --to FILE: a configuration of the hub with the new store")
	}
	from, socket, err := a.place()
	if err != nil {
		return err
	}
	target, err := Load(to)
	if err != nil {
		return err
	}
	for _, s := range []string{socket, target.StatusSocket()} {
		if s == "" {
			continue
		}
		if _, err := askLive(ctx, s); err == nil {
			return &exit{ExitError, fmt.Errorf("a hub runs (%s answers): stop every hub on the old store first, or what it takes meanwhile is not moved", s)}
		}
	}
	if err := from.mustExist(); err != nil {
		return err
	}
	old, err := from.open(ctx, true, a.Now)
	if err != nil {
		return err
	}
	defer old.Close()
	now, err := target.Store.open(ctx, false, a.Now)
	if err != nil {
		return err
	}
	defer now.Close()
	if old.Path() == now.Path() {
		return usagef("migrate: both configurations name the store %s", old.Path())
	}
	r, err := a.migrate(ctx, old, now)
	if err != nil {
		return fmt.Errorf("%w. Nothing is lost: run the same command again", err)
	}
	if a.asJSON {
		return a.json(r)
	}
	return a.text(fmt.Sprintf("Moved %s devices with %s epochs from %s\nto %s. %s rows stay in the old store;\nthe new account counts them as removed. Start the hub with %s now, and never again\nwith the old store.\n",
		term.Comma(int64(r.Devices)), term.Comma(int64(r.Epochs)), r.From, r.To, term.CommaU(r.Rows), to))
}

func (a *app) migrate(ctx context.Context, old, now engine) (*MigrateReport, error) {
	source, ok := old.(ledger.Mover)
	if !ok {
		return nil, unable(old, "migrate", "it has no positions to move")
	}
	sink, ok := now.(ledger.Mover)
	if !ok {
		return nil, unable(now, "migrate", "it takes none")
	}
	devices, err := source.Devices(ctx)
	if err != nil {
		return nil, err
	}
	r := &MigrateReport{SchemaVersion: SchemaVersion, From: old.Path(), To: now.Path()}
	p := &term.Progress{Out: a.Stderr, Style: a.Style, Label: "migrate", Start: a.Now(), Total: int64(len(devices))}
	defer p.Clear()
	for i, name := range devices {
		d, err := source.Export(ctx, name)
		if err != nil {
			return nil, err
		}
		r.Devices++
		r.Epochs += len(d.Epochs)
		for _, e := range d.Epochs {
			r.Rows += e.Rows
		}
		err = sink.Import(ctx, d)
		if errors.Is(err, ledger.ErrThere) {
			if err = sameDevice(ctx, sink, d); err == nil {
				r.Already++
			}
		}
		if err != nil {
			return nil, err
		}
		p.Update(a.Now(), int64(i)+1)
	}
	return r, nil
}

// sameDevice passes over a device that an earlier run has moved, and refuses one that the new store has gone on with.
func sameDevice(ctx context.Context, sink ledger.Mover, d *ledger.Device) error {
	there, err := sink.Export(ctx, d.Name)
	if err != nil {
		return err
	}
	for _, e := range d.Epochs {
		x := there.Find(e.Stream, e.Epoch)
		if x == nil || x.Next < e.Next || x.Next == e.Next && x.ChainNext != e.ChainNext {
			return fmt.Errorf("%s: the new store has other positions of %s %s: it is no store that this one was moved to; give an empty one", d.Name, e.Stream, e.Epoch)
		}
	}
	return nil
}
