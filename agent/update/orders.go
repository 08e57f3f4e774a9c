package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/vfs"
)

// OrdersName is the file of orders below the agent's directory of updates.
const OrdersName = "orders.json"

const (
	maxOrdersBytes = 8 << 10
	maxOrderText   = 200 // bytes of who and why
)

// Orders are what operators have said about updates of this box. The agent keeps them in its directory, where
// edge-updater reads them: they can delay and end an update, never start one or choose its content.
type Orders struct {
	SchemaVersion int              `json:"schema_version"`
	Hold          *api.UpdateOrder `json:"hold,omitempty"`  // no install starts
	Pause         *api.UpdateOrder `json:"pause,omitempty"` // nor is content fetched
	Abort         *Abort           `json:"abort,omitempty"`
}

// Abort gives up one transaction.
type Abort struct {
	api.UpdateOrder
	Transaction string `json:"transaction"`
}

// Errors of Apply.
var (
	ErrNothingOpen = errors.New("no update is under way")
	ErrDecided     = errors.New("the decision for the new release has been made; it is completed, and going back is an update of its own")
	ErrNotFailed   = errors.New("nothing has failed on this box, so there is nothing to try again; edgectl update history shows what was done")
	ErrOrder       = errors.New("there is no such order")
)

// ReadOrders reads the file of orders; there are none where there is no file. The directory belongs to others: only a
// regular file of bounded size is read, whatever stands there.
func ReadOrders(file string) (Orders, error) {
	var o Orders
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("read orders: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxOrdersBytes) {
		err = fmt.Errorf("%s is no file of at most %d bytes", file, maxOrdersBytes)
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(f, maxOrdersBytes))
	}
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return Orders{}, fmt.Errorf("read orders: %w", err)
	}
	return o, nil
}

// Save replaces the file of orders.
func (o Orders) Save(fs vfs.FS, file string) error {
	o.SchemaVersion = 1
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode orders: %w", err)
	}
	if err := errors.Join(fs.MkdirAll(path.Dir(file)), vfs.WriteFileAtomic(fs, file, data)); err != nil {
		return fmt.Errorf("save orders: %w", err)
	}
	return nil
}

// Change applies an operator's request to the orders. open is the transaction of the box.
func (o Orders) Change(r api.UpdateRequest, by string, open install.Txn, now time.Time) (Orders, error) {
	cut := func(s string) string { return s[:min(len(s), maxOrderText)] }
	order := api.UpdateOrder{By: cut(by), Why: cut(r.Why), Since: now.UTC().Truncate(time.Second), Until: r.Until.UTC()}
	switch r.Op {
	case api.UpdateHold:
		o.Hold = &order
	case api.UpdateUnhold:
		o.Hold = nil
	case api.UpdatePause:
		o.Pause = &order
	case api.UpdateResume:
		o.Pause = nil
	case api.UpdateAbort:
		switch {
		case open.State.Terminal():
			return o, ErrNothingOpen
		case open.State == install.Decided:
			return o, ErrDecided
		}
		o.Abort = &Abort{order, open.ID}
	case api.UpdateRetry:
		if !open.State.Terminal() || open.State == install.Committed || open.State == "" {
			return o, ErrNotFailed
		}
		o.Abort = nil
	default:
		return o, fmt.Errorf("%w: %q", ErrOrder, r.Op)
	}
	return o, nil
}

// Held says why no install may start at the time now, "" if it may. The clock of the box need not be right: a hold
// without an end lasts until it is taken back.
func (o Orders) Held(now time.Time) string {
	for _, x := range []struct {
		what  string
		order *api.UpdateOrder
	}{{"held", o.Hold}, {"paused", o.Pause}} {
		if x.order == nil || !x.order.Until.IsZero() && now.After(x.order.Until) {
			continue
		}
		text := x.what + " by " + x.order.By
		if !x.order.Until.IsZero() {
			text += " until " + x.order.Until.Format(time.RFC3339)
		}
		if x.order.Why != "" {
			text += ": " + x.order.Why
		}
		return text
	}
	return ""
}

// Stops says why a transaction is to end, "" if nobody wants it to.
func (o Orders) Stops(t install.Txn) string {
	a := o.Abort
	if a == nil || a.Transaction != t.ID {
		return ""
	}
	text := "aborted by " + a.By
	if a.Why != "" {
		text += ": " + a.Why
	}
	return text
}
