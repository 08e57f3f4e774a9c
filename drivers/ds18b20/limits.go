package ds18b20

import "time"

// Bounds of the driver.
const (
	// MaxChips is how many chips one bus gives; Read reports further ones as an error.
	MaxChips = 1024

	tries             = 3 // of one transaction that was disturbed
	defaultRescan     = 30 * time.Second
	minRescan         = time.Second
	maxRescan         = time.Hour
	maxConversion     = 5 * time.Second
	fullConversion    = 750 * time.Millisecond // at 12 bits (DS18B20 datasheet p. 20)
	voltageConversion = 10 * time.Millisecond  // DS2438 datasheet p. 25
	eepromWrite       = 10 * time.Millisecond
)
