package mcu

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Registers that this package uses; firmware/REGISTERS.md has them all, and a test compares.
const (
	RegMagic       = 0x0000
	RegBoots       = 0x000c
	RegStats       = 0x0020
	RegSensorTable = 0x0040
	RegOutputs     = 0x0080
	RegOverride    = 0x0084
	RegClock       = 0x0090
	RegClockState  = 0x0094
	RegSettings    = 0x00a0
	RegState       = 0x00c0
	RegSave        = 0x00c2
	RegArm         = 0x00d0
	RegCommand     = 0x00d1
	RegRescan      = 0x00d2
	RegTestEvents  = 0x00d3
	RegQueue       = 0x0100 // INCARNATION, RELEASED, FILL, LOST, READ_MS, events

	Magic      = 0x454c
	MapVersion = 2 // 1 lacks functionTake

	functionTake = 65 // acknowledges, and reads what is left, in few bytes

	saveWord    = 0x5341
	armWord     = 0xb007
	commandBoot = 0x424c
	commandRst  = 0x5253

	identityWords = 0x14
	statsWords    = 0x0b
	queueHead     = 10 // words before the events
	eventWords    = 4
	sensorSlots   = 8
	slotWords     = 8
	settingsWords = 0x1d
	blockEvents   = 28 // in one answer to a plain read
	takeHead      = 12 // bytes before the events of an answer to functionTake
	takeEvent     = 6
	takeOld       = 0xffff // ms and more: the age does not fit
)

// Errors that callers tell apart.
var (
	ErrNotANode  = errors.New("this device is no Edgelog node")
	ErrMap       = errors.New("the node's register map is of another version")
	ErrShort     = errors.New("answer of the node is too short")
	ErrNoNode    = errors.New("no such node")
	ErrOffline   = errors.New("node does not answer")
	ErrSetting   = errors.New("bad setting")
	ErrRefused   = errors.New("the node refuses")
	ErrBusy      = errors.New("too many requests wait for this line")
	ErrStopped   = errors.New("line is stopped")
	ErrDeclared  = errors.New("declared in the configuration")
	ErrNotTaken  = errors.New("the node did not take the value")
	ErrUnable    = errors.New("the node cannot do that")
	ErrIdentity  = errors.New("another node answers at this address")
	ErrImpatient = errors.New("the node's queue did not run empty in time")
)

// Chip numbers of the map.
var chips = []string{"unknown", "STC89C52", "ATmega328P", "STM32F1", "STM32F4", "host"}

// causes of a reset.
var causes = []string{"unknown", "power on", "brown-out", "reset pin", "watchdog", "command", "bootloader", "fault"}

func nameOf(list []string, n uint16) string {
	if int(n) < len(list) {
		return list[n]
	}
	return fmt.Sprint(n)
}

// Features of a node.
const (
	FeatureLCD        = 1 << 0
	FeatureClock      = 1 << 1
	FeatureBootloader = 1 << 2
	FeatureSettings   = 1 << 3
	FeatureOneWire    = 1 << 4
)

// Identity is what a node says of itself.
type Identity struct {
	Chip     string
	Version  string // "1.4.0"
	Serial   uint32 // 0: never set
	Queue    int    // events that it holds
	Block    int    // events in one answer
	Features uint16 // bits Feature…
	Boots    uint32 // 0: not kept
	Cause    string // of the last reset
	Timers   int
}

func u32(w []uint16) uint32 { return uint32(w[0])<<16 | uint32(w[1]) }

func u64(w []uint16) uint64 { return uint64(u32(w))<<32 | uint64(u32(w[2:])) }

func words64(v uint64) []uint16 {
	return []uint16{uint16(v >> 48), uint16(v >> 32), uint16(v >> 16), uint16(v)}
}

// ParseIdentity reads the registers from RegMagic on.
func ParseIdentity(w []uint16) (Identity, error) {
	switch {
	case len(w) < identityWords:
		return Identity{}, ErrShort
	case w[0] != Magic:
		return Identity{}, ErrNotANode
	case w[1] < 1 || w[1] > MapVersion:
		return Identity{}, fmt.Errorf("%w: %d, known is %d", ErrMap, w[1], MapVersion)
	}
	return Identity{Chip: nameOf(chips, w[2]), Version: fmt.Sprintf("%d.%d.%d", w[3]>>8, w[3]&0xff, w[4]), Serial: u32(w[5:]),
		Queue: int(w[7]), Block: max(1, min(int(w[8]), blockEvents)), Timers: int(w[10]), Features: w[11], Boots: u32(w[12:]),
		Cause: nameOf(causes, w[14])}, nil
}

// Block is one look at a node's queue; its parts belong together.
type Block struct {
	Incarnation uint64  // of this life; 0: it was given none yet
	Released    uint32  // last sequence that was acknowledged
	Fill        int     // events that wait
	Lost        uint16  // low word of the overflows of this life
	ReadMS      uint32  // ms since boot when it answered, modulo 2³²
	Events      []Event // from Released+1 on, as many as the answer carries
}

// Event is one event of a node (firmware/REGISTERS.md).
type Event struct {
	Sequence uint32 // within the life of the node
	Kind     uint8  // Kind…, 4 bits
	Source   uint8  // slot or output, by Kind; 4 bits
	Quality  uint8  // of a reading: a record.Quality
	MS       uint32 // since boot when it happened
	Value    uint16 // by Kind
}

// Kinds of events.
const (
	KindReading  = 1
	KindOutput   = 2
	KindSensor   = 3
	KindBoot     = 4
	KindSettings = 5
	KindClock    = 6
	KindTest     = 7
	KindFault    = 8
)

// ParseBlock reads the registers from RegQueue on.
func ParseBlock(w []uint16) (Block, error) {
	if len(w) < queueHead {
		return Block{}, ErrShort
	}
	b := Block{Incarnation: u64(w), Released: u32(w[4:]), Fill: int(w[6]), Lost: w[7], ReadMS: u32(w[8:])}
	n := min(b.Fill, (len(w)-queueHead)/eventWords)
	for i := range n {
		e := w[queueHead+i*eventWords:]
		b.Events = append(b.Events, Event{Sequence: b.Released + 1 + uint32(i), Kind: uint8(e[0] >> 12), Source: uint8(e[0] >> 8 & 15),
			Quality: uint8(e[0]), MS: u32(e[1:]), Value: e[3]})
	}
	return b, nil
}

// parseTake reads an answer to functionTake. whole is false if an event is too old for its age to be told: the registers
// have its time.
//
//	RELEASED u32 | FILL u16 | LOST u16 | READ_MS u32 | events × (kind, source and quality u16 | age ms u16 | value u16)
func parseTake(life uint64, p []byte) (b Block, whole bool, err error) {
	if len(p) < takeHead {
		return Block{}, false, ErrShort
	}
	be := binary.BigEndian
	b = Block{Incarnation: life, Released: be.Uint32(p), Fill: int(be.Uint16(p[4:])), Lost: be.Uint16(p[6:]), ReadMS: be.Uint32(p[8:])}
	p = p[takeHead:]
	for i := range min(len(p)/takeEvent, b.Fill) {
		e := p[i*takeEvent:]
		age := be.Uint16(e[2:])
		if age == takeOld {
			return b, false, nil
		}
		b.Events = append(b.Events, Event{Sequence: b.Released + 1 + uint32(i), Kind: e[0] >> 4, Source: e[0] & 15, Quality: e[1],
			MS: b.ReadMS - uint32(age), Value: be.Uint16(e[4:])})
	}
	return b, true, nil
}

// take are the bytes that ask for a life's events behind a sequence, which is acknowledged.
func take(life uint64, sequence uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(life)), sequence)
}

// release are the words that acknowledge every event up to a sequence.
func release(incarnation uint64, sequence uint32) []uint16 {
	return append(words64(incarnation), uint16(sequence>>16), uint16(sequence))
}

// Slot is one sensor of a node.
type Slot struct {
	ROM     string // 28-0416a1b2c3ff; "" is empty
	Value   int16  // 1/16 °C
	Quality uint8
	AgeS    uint16 // s since it was read
	Errors  uint16 // readings that failed
}

// ParseSlots reads the sensor table.
func ParseSlots(w []uint16) ([sensorSlots]Slot, error) {
	var out [sensorSlots]Slot
	if len(w) < sensorSlots*slotWords {
		return out, ErrShort
	}
	for i := range out {
		s := w[i*slotWords:]
		out[i] = Slot{ROM: romName(u64(s)), Value: int16(s[4]), Quality: uint8(s[5]), AgeS: s[6], Errors: s[7]}
	}
	return out, nil
}

// romName is the form of the kernel: family, dash, serial number with its most significant digit first. The ROM comes
// first byte first: family, serial number low byte first, CRC.
func romName(rom uint64) string {
	if rom == 0 {
		return ""
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rom)
	return fmt.Sprintf("%02x-%02x%02x%02x%02x%02x%02x", b[0], b[6], b[5], b[4], b[3], b[2], b[1])
}

// parseROM turns a name into the ROM with its CRC.
func parseROM(name string) (uint64, error) {
	if name == "" || name == "first" {
		return 0, nil
	}
	var family uint8
	var serial uint64
	if len(name) != 15 || name[2] != '-' {
		return 0, fmt.Errorf("%w: %q is no sensor id; they look like 28-0416a1b2c3ff", ErrSetting, name)
	}
	if _, err := fmt.Sscanf(name, "%02x-%012x", &family, &serial); err != nil {
		return 0, fmt.Errorf("%w: %q is no sensor id; they look like 28-0416a1b2c3ff", ErrSetting, name)
	}
	b := [8]byte{family}
	for i := range 6 {
		b[1+i] = byte(serial >> (8 * i))
	}
	for _, c := range b[:7] { // Dallas CRC-8
		b[7] ^= c
		for range 8 {
			if b[7]&1 != 0 {
				b[7] = b[7]>>1 ^ 0x8c
			} else {
				b[7] >>= 1
			}
		}
	}
	return binary.BigEndian.Uint64(b[:]), nil
}
