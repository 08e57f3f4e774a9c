package sim

// Board holds the devices at a chip's pins.
type Board struct{}
