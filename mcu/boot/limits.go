package boot

import "time"

// Bounds of an update.
const (
	MaxImageBytes = 2 << 20 // of flash that one image may cover, holes included
	MaxFileBytes  = 8 << 20 // of a file with an image: hexadecimal text and debug sections are larger than the code

	defaultPatience = 30 * time.Second
	maxPatience     = 5 * time.Minute

	slice        = 50 * time.Millisecond // a blocked read looks that often whether it should stop
	answerWait   = time.Second           // for one answer of a bootloader
	eraseWait    = 40 * time.Second      // for a mass erase: 32 s is the longest in STM32F4 datasheets
	connectFor   = 20 * time.Second      // sends its sync for so long
	byHandFor    = 2 * time.Minute       // when a person cycles the power
	blockRetries = 3                     // of one block or command before the attempt ends
	maxFrame     = 4 << 10               // bytes of one answer
	maxReverts   = 4                     // restarts until a trial has ended: a marked image runs once more first
)
