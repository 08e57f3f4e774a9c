package airsensor

import "time"

// Bounds of the package.
const (
	baud      = 9600
	maxFrame  = 64
	maxDetail = maxFrame
	maxPeriod = 30 // minutes

	framePatience  = 4 * time.Second // of a sensor that reports once a second, or every 2.3 s while the air is still
	answerPatience = time.Second
	// settingPatience is for the answer to a question about a setting.
	settingPatience = 300 * time.Millisecond
	warmUpPatience  = 35 * time.Second // of a sensor that sleeps between measurements, on top of its period
)
