package hub

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
)

func (a *app) cmdVerify(ctx context.Context, args []string) error {
	if _, err := a.parse("verify", args, 0, nil); err != nil {
		return err
	}
	s, _, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	p := &term.Progress{Out: a.Stderr, Style: a.Style, Label: "verify", Start: a.Now()}
	v, ok := s.(store.Verifier)
	if !ok {
		return unable(s, "verify", "edge-hub account shows whether it balances")
	}
	r, err := v.Verify(ctx, func(done, total uint64) {
		p.Total = int64(total)
		p.Update(a.Now(), int64(done))
	})
	p.Clear()
	if err != nil {
		return err
	}
	ok = len(r.Faults) == 0
	if a.asJSON {
		err = a.json(struct {
			SchemaVersion int      `json:"schema_version"`
			OK            bool     `json:"ok"`
			Rows          uint64   `json:"rows"`
			Epochs        uint64   `json:"epochs"`
			Duplicates    uint64   `json:"duplicates"`
			Disorder      uint64   `json:"out_of_order"`
			Misplaced     uint64   `json:"misplaced"`
			Missing       uint64   `json:"missing"`
			Faults        []string `json:"faults,omitempty"`
			MoreFaults    int      `json:"more_faults,omitempty"`
		}{SchemaVersion, ok, r.Rows, r.Epochs, r.Duplicates, r.Disorder, r.Misplaced, r.Missing, r.Faults, r.MoreFaults})
	} else {
		err = a.narrow(verifyText(&r))
	}
	if err == nil && !ok {
		return &exit{code: ExitDegraded}
	}
	return err
}

func verifyText(r *store.VerifyReport) string {
	head := fmt.Sprintf("%s of %s: %s duplicates, %s out of order, %s misplaced, %s missing.\n",
		term.Count(r.Rows, "row"), term.Count(r.Epochs, "epoch"), term.CommaU(r.Duplicates), term.CommaU(r.Disorder),
		term.CommaU(r.Misplaced), term.CommaU(r.Missing))
	if len(r.Faults) == 0 {
		return head + "Every offset is there once or explained.\n"
	}
	for _, f := range r.Faults {
		head += "!  " + f + "\n"
	}
	if r.MoreFaults > 0 {
		head += fmt.Sprintf("   and %d more\n", r.MoreFaults)
	}
	return head
}

func (a *app) cmdCount(ctx context.Context, args []string) error {
	var f store.Filter
	_, err := a.parse("count", args, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&f.SeriesLike, "series", "", "")
		fs.StringVar(&f.Device, "device", "", "")
		fs.StringVar(&f.Stream, "stream", "", "")
	})
	if err != nil {
		return err
	}
	s, _, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	counter, ok := s.(store.Counter)
	if !ok {
		return unable(s, "count", "Kafka has no index over rows. edge-hub account has their number for every stream; for a series read the topic, as docs/stores.md shows")
	}
	n, err := counter.Count(ctx, f)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.json(struct {
			SchemaVersion int   `json:"schema_version"`
			Rows          int64 `json:"rows"`
		}{SchemaVersion, n})
	}
	return a.text(fmt.Sprintf("%d\n", n))
}

func (a *app) cmdPurge(ctx context.Context, args []string) error {
	var before, size string
	var dry, yes, keepFile bool
	_, err := a.parse("purge", args, 0, func(f *flag.FlagSet) {
		f.StringVar(&before, "before", "", "")
		f.StringVar(&size, "max-bytes", "", "")
		f.BoolVar(&dry, "dry-run", false, "")
		f.BoolVar(&yes, "yes", false, "")
		f.BoolVar(&keepFile, "keep-file", false, "")
	})
	if err != nil {
		return err
	}
	o := sqlite.PurgeOptions{DryRun: true}
	if before != "" {
		t, err := cmdline.Time(before, a.now())
		if err != nil {
			return usagef("--before %w", err)
		}
		o.Before = t.UnixMicro()
	}
	if size != "" {
		n, err := strictyaml.ParseBytes(size)
		if err != nil || n <= 0 {
			return usagef("--max-bytes %q is not a size; write 50GiB", size)
		}
		o.MaxBytes = int64(n)
	}
	if o.Before == 0 && o.MaxBytes == 0 {
		return usagef("purge needs --before or --max-bytes: what shall go?")
	}
	e, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	s, ok := e.(*sqlite.Store)
	if !ok {
		return unable(e, "purge", purgeInstead(e))
	}
	plan, err := s.Purge(ctx, o, nil)
	if err != nil || dry {
		return a.purged(plan, err, dry)
	}
	if plan.Rows == 0 {
		return a.purged(plan, nil, false)
	}
	if !yes {
		if err := a.confirm(fmt.Sprintf("About %s rows of %s will be removed for good.", term.Comma(plan.Rows), s.Path())); err != nil {
			return err
		}
	}
	o.DryRun, o.Compact = false, !keepFile
	p := &term.Progress{Out: a.Stderr, Style: a.Style, Label: "purge", Start: a.Now(), Total: plan.Rows}
	r, err := s.Purge(ctx, o, func(r sqlite.PurgeResult) { p.Update(a.Now(), r.Rows) })
	return a.purged(r, err, false)
}

// purgeInstead is what removes rows in an engine that has no purge.
func purgeInstead(e engine) string {
	if _, ok := e.(*kafka.Store); ok {
		return "Kafka removes rows by age or size itself. Change it with: kafka-configs.sh --alter --entity-type topics --entity-name edge.STREAM --add-config retention.ms=…"
	}
	return "retention of the store in hub.yaml removes rows by age"
}

func (a *app) purged(r sqlite.PurgeResult, err error, dry bool) error {
	if err != nil && r.Rows > 0 {
		return fmt.Errorf("%s rows were removed and are counted; then: %w", term.Comma(r.Rows), err)
	}
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.json(struct {
			SchemaVersion int   `json:"schema_version"`
			DryRun        bool  `json:"dry_run"`
			Rows          int64 `json:"rows"`
			UsedBytes     int64 `json:"used_bytes"`
			FileBytes     int64 `json:"file_bytes"`
		}{SchemaVersion, dry, r.Rows, r.UsedBytes, r.FileBytes})
	}
	if dry {
		return a.text(fmt.Sprintf("About %s rows would go, %s would be in use then. Nothing was changed.\n",
			term.Comma(r.Rows), term.Bytes(r.UsedBytes)))
	}
	return a.text(fmt.Sprintf("%s rows were removed. %s are in use, the file has %s.\n", term.Comma(r.Rows),
		term.Bytes(r.UsedBytes), term.Bytes(r.FileBytes)))
}

// confirm asks a person to type yes; without one --yes is needed.
func (a *app) confirm(what string) error {
	if !a.StdinTTY {
		return usagef("%s Nobody can be asked here: add --yes, or see --dry-run", what)
	}
	fmt.Fprint(a.Stderr, a.Style.Text(what)+" Type yes: ")
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if strings.TrimSpace(line) != "yes" {
		if err != nil {
			fmt.Fprintln(a.Stderr)
		}
		return &exit{ExitError, fmt.Errorf("not confirmed; nothing was changed")}
	}
	return nil
}

func (a *app) cmdQuarantine(ctx context.Context, args []string) error {
	words, err := a.parse("quarantine", args, 4, nil)
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] == "list" && len(words) == 1 {
		return a.listQuarantine(ctx)
	}
	if words[0] != "resolve" || len(words) != 4 {
		return usagef("quarantine: want list, or resolve DEVICE STREAM EPOCH")
	}
	e, err := record.ParseEpoch(words[3])
	if err != nil {
		return usagef("%w", err)
	}
	s, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	rel, ok := s.(store.Releaser)
	if !ok {
		return unable(s, "quarantine resolve", "on Kafka it would shut out the hub that runs, since a transactional id has one owner. The device goes on in a new epoch anyway: nothing waits")
	}
	if err := rel.Release(ctx, words[1], words[2], e); err != nil {
		return err
	}
	return a.text(fmt.Sprintf("Released: %s/%s %s.\nThe hub takes its frames again from the device's next hello on.\n", words[1], words[2], e))
}

// quarantined is one line of `edge-hub quarantine`.
type quarantined struct {
	Device     string    `json:"device"`
	Stream     string    `json:"stream"`
	Epoch      string    `json:"epoch"`
	Next       uint64    `json:"next"`
	LastStored time.Time `json:"last_stored"`
}

func (a *app) listQuarantine(ctx context.Context) error {
	s, _, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	epochs, err := s.Accounts(ctx)
	if err != nil {
		return err
	}
	list := []quarantined{}
	for _, e := range epochs {
		if e.Quarantined {
			list = append(list, quarantined{e.Device, e.Stream, e.Epoch.String(), uint64(e.Next), micros(e.Arrived)})
		}
	}
	if a.asJSON {
		return a.json(struct {
			SchemaVersion int           `json:"schema_version"`
			Epochs        []quarantined `json:"epochs"`
		}{SchemaVersion, list})
	}
	if len(list) == 0 {
		return a.text("No epoch is in quarantine.\n")
	}
	t := term.Table{Head: []string{"DEVICE", "STREAM", "EPOCH", "TAKEN UP TO", "LAST ROW"}, Right: []bool{false, false, false, true, false}, Gap: 2}
	for _, q := range list {
		t.Row(q.Device, q.Stream, q.Epoch, term.CommaU(q.Next), term.Clock(q.LastStored.In(a.Zone), a.now()))
	}
	return a.narrow(a.table(&t) + "\nThe devices have closed these epochs and go on in new ones: nothing waits.\nedge-hub help quarantine says more.\n")
}
