package boot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/mcu/boot/smpwire"
)

// ProtocolSMP names the Simple Management Protocol of mcumgr: Zephyr applications and MCUboot's serial recovery.
const ProtocolSMP = "smp"

// SMPOptions describe the way to a device with MCUboot and two slots.
type SMPOptions struct {
	Baud      int   // default 115200
	SlotBytes int   // room for an image, default MaxImageBytes: the device refuses what does not fit
	Enter     Enter // usually nil: the running application takes the update
}

// SMP updates a device with two slots. The image goes to the slot that does not run, is tried once, and becomes
// permanent when Keep is called; a device that is cut before that runs the old image again. An upload that was cut goes
// on where it stopped.
type SMP struct {
	o     SMPOptions
	w     wire
	seq   byte
	in    []byte
	lines smpwire.Lines
	image *Image
	hash  []byte // of the image that Write uploaded
	chunk int
}

const (
	mcubootMagic = 0x96f3b83d
	tlvInfo      = 0x6907
	tlvProtected = 0x6908
	tlvSHA256    = 0x10
	chunkDefault = 256
)

// NewSMP makes a flasher; nothing is sent yet.
func NewSMP(l Line, o SMPOptions) *SMP {
	if o.Baud == 0 {
		o.Baud = 115200
	}
	if o.SlotBytes == 0 {
		o.SlotBytes = MaxImageBytes
	}
	return &SMP{o: o, w: wire{Line: l}, chunk: chunkDefault}
}

func mcubootHead(head []byte) error {
	if le32(head) != mcubootMagic {
		return errors.New("it is no MCUboot image (sign it with imgtool)")
	}
	return nil
}

// MCUbootHash finds the hash that names an image to MCUboot, and its version. The parts of the file:
//
//	header 32 bytes (magic, load address, header size u16, protected size u16, image size u32, flags u32, version) |
//	image | TLVs: magic u16, length u16, then type u8, 0, length u16, value           all little-endian
func MCUbootHash(b []byte) (hash []byte, version string, err error) {
	bad := func(why string) ([]byte, string, error) {
		return nil, "", fmt.Errorf("%w: MCUboot: %s", ErrImage, why)
	}
	if len(b) < 32 || le32(b) != mcubootMagic {
		return bad("no header")
	}
	le := binary.LittleEndian
	at := uint64(le.Uint16(b[8:])) + uint64(le.Uint32(b[12:]))
	version = fmt.Sprintf("%d.%d.%d", b[20], b[21], le.Uint16(b[22:]))
	if build := le.Uint32(b[24:]); build != 0 {
		version += fmt.Sprintf(".%d", build)
	}
	for areas := 0; areas < 2 && at+4 <= uint64(len(b)); areas++ {
		magic, total := le.Uint16(b[at:]), uint64(le.Uint16(b[at+2:]))
		if magic != tlvInfo && magic != tlvProtected || total < 4 || at+total > uint64(len(b)) {
			break
		}
		for p := at + 4; p+4 <= at+total; {
			n := uint64(le.Uint16(b[p+2:]))
			if p+4+n > at+total {
				return bad("a trailer entry is cut short")
			}
			if b[p] == tlvSHA256 && n == sha256.Size {
				return b[p+4 : p+4+n], version, nil
			}
			p += 4 + n
		}
		at += total
	}
	return bad("no SHA-256 in its trailer")
}

// slot is one line of the image state.
type slot struct {
	number                                int64
	version                               string
	hash                                  []byte
	active, confirmed, pending, permanent bool
}

func (s *SMP) state(ctx context.Context) ([]slot, error) {
	m, err := s.call(ctx, smpwire.OpRead, smpwire.GroupImage, 0, answerWait, nil)
	if err != nil {
		return nil, fmt.Errorf("read image state: %w", err)
	}
	return slotsOf(m)
}

func slotsOf(m map[string]any) ([]slot, error) {
	list, ok := m["images"].([]any)
	if !ok {
		return nil, fmt.Errorf("%w: image state without images", ErrProtocol)
	}
	var out []slot
	for _, x := range list {
		d, ok := x.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: image state", ErrProtocol)
		}
		var v slot
		v.number, _ = d["slot"].(int64)
		v.version, _ = d["version"].(string)
		v.hash, _ = d["hash"].([]byte)
		v.active, _ = d["active"].(bool)
		v.confirmed, _ = d["confirmed"].(bool)
		v.pending, _ = d["pending"].(bool)
		v.permanent, _ = d["permanent"].(bool)
		out = append(out, v)
	}
	return out, nil
}

func running(slots []slot) (slot, bool) {
	for _, v := range slots {
		if v.active {
			return v, true
		}
	}
	return slot{}, false
}

// Identify reads what runs and how large a packet may be.
func (s *SMP) Identify(ctx context.Context) (Chip, error) {
	if err := s.w.SetMode(ctx, Mode{Baud: s.o.Baud}); err != nil {
		return Chip{}, fmt.Errorf("set line: %w", err)
	}
	if s.o.Enter != nil {
		if err := s.o.Enter(ctx); err != nil {
			return Chip{}, fmt.Errorf("enter bootloader: %w", err)
		}
	}
	var slots []slot
	var err error
	for end := time.Now().Add(connectFor); ; {
		if slots, err = s.state(ctx); err == nil {
			break
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return Chip{}, fmt.Errorf("%w: %w", ErrNoBootloader, err)
		}
	}
	c := Chip{Protocol: ProtocolSMP, Name: "MCUboot device", Machine: MachineARM, Flash: Span{0, uint32(s.o.SlotBytes)}}
	if v, ok := running(slots); ok {
		c.Running, c.ID = v.version, hex.EncodeToString(v.hash[:min(8, len(v.hash))])
	}
	if m, err := s.call(ctx, smpwire.OpRead, smpwire.GroupOS, 6, answerWait, nil); err == nil { // older servers do not tell
		if n, ok := m["buf_size"].(int64); ok && n >= 128 {
			s.chunk = int(min(n, smpwire.MaxPacket))/4*3 - 96 // base64 is counted by some, CBOR and header take the rest
		}
	}
	return c, nil
}

// Write uploads the image to the slot that does not run. What the device holds of it already is not sent again.
func (s *SMP) Write(ctx context.Context, img *Image, step Step) error {
	file := img.Flat(img.Span(), 0xff)
	hash, _, err := MCUbootHash(file)
	if err != nil {
		return err
	}
	s.image, s.hash = img, hash
	slots, err := s.state(ctx)
	if err != nil {
		return err
	}
	for _, v := range slots {
		if bytes.Equal(v.hash, hash) && !v.active {
			step.tell(len(file), len(file))
			return nil
		}
		if bytes.Equal(v.hash, hash) {
			return nil // it runs
		}
	}
	sum := sha256.Sum256(file)
	stuck := 0
	for off := 0; off < len(file); {
		if err := ctx.Err(); err != nil {
			return err
		}
		data := file[off:min(off+s.chunk, len(file))]
		body := []smpwire.Pair{{Key: "off", Value: off}, {Key: "data", Value: data}}
		limit := 2 * time.Second
		if off == 0 { // len and sha let the server go on where an upload of the same file was cut; it erases now
			body = []smpwire.Pair{{Key: "image", Value: 0}, {Key: "len", Value: len(file)}, {Key: "off", Value: 0}, {Key: "sha", Value: sum[:]}, {Key: "data", Value: data}}
			limit = eraseWait
		}
		m, err := s.call(ctx, smpwire.OpWrite, smpwire.GroupImage, 1, limit, body)
		if err != nil {
			return fmt.Errorf("upload at %d: %w", off, err)
		}
		next, ok := m["off"].(int64)
		if !ok || next < 0 || next > int64(len(file)) {
			return fmt.Errorf("upload at %d: %w: next is %v", off, ErrProtocol, m["off"])
		}
		if int(next) <= off {
			if stuck++; stuck > blockRetries {
				return fmt.Errorf("upload at %d: %w: the device does not go on", off, ErrProtocol)
			}
		} else {
			stuck = 0
		}
		off = int(next)
		step.tell(off, len(file))
	}
	return nil
}

// Verify asks the device for the hash of what it holds.
func (s *SMP) Verify(ctx context.Context, img *Image, step Step) error {
	slots, err := s.state(ctx)
	if err != nil {
		return err
	}
	for _, v := range slots {
		if s.image == img && bytes.Equal(v.hash, s.hash) {
			step.tell(img.Len(), img.Len())
			return nil
		}
	}
	return fmt.Errorf("%w: no slot holds the image %x", ErrVerify, s.hash)
}

// Start marks the new image to be tried once and resets the device. An image that runs already is left alone.
func (s *SMP) Start(ctx context.Context) error {
	if s.hash == nil {
		return nil
	}
	slots, err := s.state(ctx)
	if err != nil {
		return err
	}
	if v, ok := running(slots); ok && bytes.Equal(v.hash, s.hash) {
		return nil
	}
	if _, err := s.call(ctx, smpwire.OpWrite, smpwire.GroupImage, 0, answerWait, []smpwire.Pair{{Key: "hash", Value: s.hash}, {Key: "confirm", Value: false}}); err != nil {
		return fmt.Errorf("test image: %w", err)
	}
	if _, err := s.call(ctx, smpwire.OpWrite, smpwire.GroupOS, 5, answerWait, nil); err != nil && !errors.Is(err, ErrTimeout) {
		return fmt.Errorf("reset: %w", err)
	}
	return nil
}

// Confirm waits until the device answers with the new image running and returns its version. It is Job.Confirm.
func (s *SMP) Confirm(ctx context.Context) (string, error) {
	if err := pause(ctx, time.Second); err != nil { // the old one may still answer
		return "", err
	}
	for {
		slots, err := s.state(ctx)
		if err == nil {
			v, ok := running(slots)
			switch {
			case ok && bytes.Equal(v.hash, s.hash):
				return v.version, nil
			case ok:
				err = fmt.Errorf("version %s runs: the new image was not taken or did not stay", v.version)
				return "", err
			}
		}
		if ctx.Err() != nil {
			return "", errors.Join(err, ctx.Err())
		}
	}
}

// Keep makes the running image permanent. It is Job.Keep.
func (s *SMP) Keep(ctx context.Context) error {
	if _, err := s.call(ctx, smpwire.OpWrite, smpwire.GroupImage, 0, answerWait, []smpwire.Pair{{Key: "hash", Value: s.hash}, {Key: "confirm", Value: true}}); err != nil {
		return fmt.Errorf("confirm image: %w", err)
	}
	return nil
}
