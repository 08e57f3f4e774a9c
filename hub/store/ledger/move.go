package ledger

import (
	"context"
	"errors"
)

// Mover takes what decides about the next frame out of one store and puts it into another, device by device: a hub that
// goes from one engine to another. Rows stay where they are; in the new store they count as removed.
type Mover interface {
	// Devices lists every device that the store knows, ascending.
	Devices(ctx context.Context) ([]string, error)
	// Export reads everything of a device.
	Export(ctx context.Context, device string) (*Device, error)
	// Import writes a device that the store does not have, durably before it returns. ErrThere: it has.
	Import(ctx context.Context, d *Device) error
}

// ErrThere: the store has the device already.
var ErrThere = errors.New("the store knows this device already")

// Moved is a copy of a device for another store: its rows are counted as removed, and no reference of the old engine is
// left.
func (d *Device) Moved() *Device {
	out := &Device{Name: d.Name, Producers: append([]Producer(nil), d.Producers...)}
	for i, e := range d.Epochs {
		c := *e
		c.Ref, c.FirstMark, c.Removed = 0, int64(i)+1, c.Rows
		out.Epochs = append(out.Epochs, &c)
	}
	for i, b := range d.Boots {
		c := *b
		c.Ref = int64(i) + 1
		out.Boots = append(out.Boots, &c)
	}
	return out
}
