package carry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

const (
	magic   = "edgcarry"
	version = 1

	headBytes = 9 // of a record, before its payload

	recHeader  = 1
	recHello   = 2
	recFrame   = 3
	recAnswer  = 4
	recTrailer = 255
)

// Kind says what a file is.
type Kind uint8

// The kinds. The numbers stand in files and never change.
const (
	Export Kind = 1 // hellos and frames of a box
	Ack    Kind = 2 // the hub's answers to an export
)

// Header is what a file says of itself.
type Header struct {
	Kind    Kind
	Nonce   wire.Nonce // of the export; never 0
	Device  string     // wire.ValidDevice
	Made    time.Time
	Program string // that wrote it, with its version; at most MaxProgramBytes
}

// Sentinel errors.
var (
	ErrFormat = errors.New("not a portable log file")
	ErrNewer  = errors.New("portable log file of a newer format version")
	// ErrCut: the file ends before its trailer. Everything read before is good.
	ErrCut = errors.New("the file was cut off: its end is missing")
	// ErrDamaged is wrapped by *DamageError.
	ErrDamaged = errors.New("damaged record")
)

// DamageError says where a file is not what was written.
type DamageError struct {
	Pos int64 // byte position of the record
	Err error
}

func (e *DamageError) Error() string { return fmt.Sprintf("byte %d: %v", e.Pos, e.Err) }
func (e *DamageError) Unwrap() error { return e.Err }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum binds a record to its file and its place.
func checksum(nonce wire.Nonce, index uint64, typ byte, payload []byte) uint32 {
	var b [17]byte
	binary.LittleEndian.PutUint64(b[:], uint64(nonce))
	binary.LittleEndian.PutUint64(b[8:], index)
	b[16] = typ
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, payload)
}

func appendHeader(dst []byte, h *Header) []byte {
	dst = append(dst, version, byte(h.Kind))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Nonce))
	dst = appendStr(dst, h.Device)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Made.UnixNano()))
	return appendStr(dst, h.Program)
}

func parseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) == 0 {
		return h, ErrFormat
	}
	if b[0] > version {
		return h, fmt.Errorf("%w: version %d, this program reads up to %d", ErrNewer, b[0], version)
	}
	if len(b) < 10 || b[0] != version {
		return h, ErrFormat
	}
	h.Kind, h.Nonce = Kind(b[1]), wire.Nonce(binary.LittleEndian.Uint64(b[2:]))
	device, b, ok := cutStr(b[10:], wire.MaxDeviceBytes)
	if !ok || len(b) < 8 {
		return h, ErrFormat
	}
	h.Device, h.Made = device, time.Unix(0, int64(binary.LittleEndian.Uint64(b))).UTC()
	program, b, ok := cutStr(b[8:], MaxProgramBytes)
	if !ok || len(b) != 0 {
		return h, ErrFormat
	}
	h.Program = program
	return h, h.check()
}

func (h *Header) check() error {
	switch {
	case h.Kind != Export && h.Kind != Ack:
		return fmt.Errorf("%w: kind %d", ErrFormat, h.Kind)
	case h.Nonce == 0:
		return fmt.Errorf("%w: no nonce", ErrFormat)
	case !wire.ValidDevice(h.Device):
		return fmt.Errorf("%w: device %q", ErrFormat, h.Device)
	case len(h.Program) > MaxProgramBytes:
		return fmt.Errorf("%w: program name of %d bytes", ErrFormat, len(h.Program))
	}
	return nil
}

func appendStr(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func cutStr(b []byte, limit int) (string, []byte, bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(limit) || n > uint64(len(b)-k) {
		return "", nil, false
	}
	return string(b[k : k+int(n)]), b[k+int(n):], true
}
