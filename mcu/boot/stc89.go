package boot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// ProtocolSTC89 names the ISP monitor in the ROM of STC89C5x (8N1; the "A" series speaks another dialect).
const ProtocolSTC89 = "stc89"

// STC89Options describe the way to an STC89C5x.
type STC89Options struct {
	Handshake int   // baud of the first contact, default 2400
	Baud      int   // of the transfer, default 9600
	Enter     Enter // switches the supply off and on again and returns at once; nil: a person does, within two minutes
}

// STC89 flashes an STC89C5x. The monitor listens only right after power-on, and always then: whatever the flash holds,
// switching the supply off and on is the way back. It erases before it writes and cannot read flash: each block is
// confirmed by the checksum of what it wrote. The block of the reset vector is written last; a chip that loses its
// supply before that, or within that block (some 10 ms), and gets it back while nobody talks to it, runs from an empty
// vector into whatever follows, or a part of the image. Outputs of such a node must be safe by hardware.
type STC89 struct {
	o       STC89Options
	w       wire
	chip    stcChip
	clock   float64 // Hz, as the monitor measured it against our baud
	sixT    bool
	magic   uint16
	written *Image // confirmed block by block in this session
}

type stcChip struct {
	magic uint16
	name  string
	flash int
}

var stcChips = []stcChip{
	{0xf001, "STC89C51RC", 4 << 10}, {0xf002, "STC89C52RC", 8 << 10}, {0xf004, "STC89C53RC", 14 << 10},
	{0xf050, "STC89C51", 4 << 10}, {0xf051, "STC89C52", 8 << 10}, {0xf052, "STC89C53", 12 << 10}, {0xf061, "STC89LE52", 8 << 10},
	{0xf102, "STC89C52RD+", 8 << 10}, {0xf104, "STC89C54RD+", 16 << 10}, {0xf108, "STC89C58RD+", 32 << 10},
}

const (
	stcSync     = 0x7f
	stcFromHost = 0x6a
	stcFromChip = 0x68
	stcEnd      = 0x16
	stcStatus   = 0x00
	stcPing     = 0x80
	stcFinish   = 0x82
	stcErase    = 0x84
	stcSetBaud  = 0x8e
	stcTryBaud  = 0x8f
	stcBlock    = 128

	// stcHold is between a request and the change of speed that it asks for: USB adapters hold bytes that they call sent.
	// The monitor waits for longer than that.
	stcHold = 80 * time.Millisecond
)

// NewSTC89 makes a flasher; nothing is sent yet.
func NewSTC89(l Line, o STC89Options) *STC89 {
	if o.Handshake == 0 {
		o.Handshake = 2400
	}
	if o.Baud == 0 {
		o.Baud = 9600
	}
	return &STC89{o: o, w: wire{Line: l}}
}

// send writes one frame:
//
//	46 b9 6a | length u16 | payload | sum u8 of all from 6a on | 16        length = payload + 5
func (s *STC89) send(payload ...byte) error {
	return s.w.write(stcFrame(stcFromHost, payload))
}

func stcFrame(direction byte, payload []byte) []byte {
	b := []byte{0x46, 0xb9, direction}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)+5))
	b = append(b, payload...)
	sum := byte(0)
	for _, c := range b[2:] {
		sum += c
	}
	return append(b, sum, stcEnd)
}

// receive reads one frame of the chip and returns its payload. Bytes before a frame are skipped: echo, noise.
func (s *STC89) receive(ctx context.Context, limit time.Duration) ([]byte, error) {
	end := time.Now().Add(limit)
	head := make([]byte, 0, 5)
	for skipped := 0; ; {
		var c [1]byte
		if err := s.w.full(ctx, c[:], time.Until(end)); err != nil {
			return nil, err
		}
		head = append(head, c[0])
		want := []byte{0x46, 0xb9, stcFromChip}
		if len(head) <= 3 && head[len(head)-1] != want[len(head)-1] {
			if skipped += len(head); skipped > maxFrame {
				return nil, fmt.Errorf("%w: %d bytes without a frame", ErrProtocol, skipped)
			}
			head = head[:0]
			if c[0] == want[0] {
				head = append(head, c[0])
			}
		}
		if len(head) == 5 {
			break
		}
	}
	n := int(binary.BigEndian.Uint16(head[3:]))
	if n < 6 || n > 512 {
		return nil, fmt.Errorf("%w: frame of %d bytes", ErrProtocol, n)
	}
	rest := make([]byte, n-3) // payload, sum, end
	if err := s.w.full(ctx, rest, max(time.Until(end), answerWait)); err != nil {
		return nil, err
	}
	sum := byte(0)
	for _, c := range head[2:] {
		sum += c
	}
	body := rest[:len(rest)-2]
	for _, c := range body {
		sum += c
	}
	if rest[len(rest)-1] != stcEnd || rest[len(rest)-2] != sum {
		return nil, fmt.Errorf("%w: checksum of a frame is wrong", ErrProtocol)
	}
	return body, nil
}

// ask sends and waits for an answer that begins with code; lost or damaged ones are asked for again.
func (s *STC89) ask(ctx context.Context, what string, code byte, limit time.Duration, payload ...byte) (answer []byte, err error) {
	for range blockRetries {
		if err = s.send(payload...); err != nil {
			break
		}
		if answer, err = s.receive(ctx, limit); err == nil && len(answer) > 0 && answer[0] == code {
			return answer, nil
		}
		if err == nil {
			err = fmt.Errorf("%w: % x", ErrProtocol, answer[:min(len(answer), 8)])
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if qerr := s.w.quiet(ctx, 20*time.Millisecond); qerr != nil {
			return nil, qerr
		}
	}
	return nil, fmt.Errorf("%s: %w", what, err)
}

// Identify cycles the power while it calls, until the monitor answers; then it agrees on the transfer speed.
func (s *STC89) Identify(ctx context.Context) (Chip, error) {
	s.written = nil
	status, err := s.connect(ctx)
	if err != nil {
		return Chip{}, err
	}
	sum := 0
	for i := range 8 {
		sum += int(binary.BigEndian.Uint16(status[1+2*i:]))
	}
	s.sixT = status[19]&1 == 0
	s.clock = float64(s.o.Handshake) * float64(sum) / 8 * 12 / 7
	if s.sixT {
		s.clock /= 2
	}
	s.magic = binary.BigEndian.Uint16(status[20:])
	found := false
	for _, c := range stcChips {
		if c.magic == s.magic {
			s.chip, found = c, true
		}
	}
	if !found {
		return Chip{}, fmt.Errorf("%w: model %04x is not in the table", ErrWrongChip, s.magic)
	}
	if err := s.speed(ctx); err != nil {
		return Chip{}, err
	}
	return Chip{Protocol: ProtocolSTC89, Name: s.chip.name, ID: fmt.Sprintf("%04x", s.magic), Machine: MachineMCS51,
		Flash: Span{0, uint32(s.chip.flash)}, Loader: fmt.Sprintf("%d.%d%c", status[17]>>4, status[17]&15, status[18])}, nil
}

// connect returns the status packet that the monitor sends when it is called within its time.
func (s *STC89) connect(ctx context.Context) ([]byte, error) {
	if err := s.w.SetMode(ctx, Mode{Baud: s.o.Handshake}); err != nil {
		return nil, fmt.Errorf("set line: %w", err)
	}
	patience := connectFor
	if s.o.Enter == nil {
		patience = byHandFor
	}
	last := error(ErrTimeout)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if s.o.Enter != nil {
			if err := s.o.Enter(ctx); err != nil {
				return nil, fmt.Errorf("cycle power: %w", err)
			}
		}
		for again := time.Now().Add(2 * time.Second); time.Now().Before(again); {
			if err := s.w.write([]byte{stcSync}); err != nil {
				return nil, err
			}
			status, err := s.receive(ctx, 30*time.Millisecond)
			if err == nil && len(status) >= 22 && status[0] == stcStatus {
				return status, nil
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err != nil {
				last = err
			}
		}
	}
	return nil, fmt.Errorf("%w: it listens only right after power-on: %w", ErrNoBootloader, last)
}

// speed agrees on the transfer speed in two steps, as the monitor wants it, and tries it.
func (s *STC89) speed(ctx context.Context) error {
	samples := 32.0
	if s.sixT {
		samples = 16
	}
	ticks := math.Round(s.clock / (float64(s.o.Baud) * samples))
	if ticks < 1 || ticks > 255 {
		return fmt.Errorf("%w: %d baud cannot be made from %.2f MHz", ErrRefused, s.o.Baud, s.clock/1e6)
	}
	if actual := s.clock / (ticks * samples); math.Abs(actual/float64(s.o.Baud)-1) > 0.05 {
		return fmt.Errorf("%w: %d baud from %.2f MHz would be %.0f; choose 9600 or less", ErrRefused, s.o.Baud, s.clock/1e6, actual)
	}
	brt := uint16(65536 - int(ticks))
	wait := byte(0x80)
	switch {
	case s.clock < 5e6:
		wait = 0x83
	case s.clock < 10e6:
		wait = 0x82
	case s.clock < 20e6:
		wait = 0x81
	}
	const delay = 0xa0
	common := []byte{byte(brt >> 8), byte(brt), 0xff - byte(brt>>8), byte(2 * (256 - int(brt))), delay}
	for _, step := range []struct {
		code    byte
		payload []byte
		back    bool
	}{{stcTryBaud, append(append([]byte{stcTryBaud}, common...), wait), true}, {stcSetBaud, append([]byte{stcSetBaud}, common...), false}} {
		if err := s.send(step.payload...); err != nil {
			return err
		}
		if err := pause(ctx, stcHold); err != nil {
			return err
		}
		if err := s.w.SetMode(ctx, Mode{Baud: s.o.Baud}); err != nil { // the answer comes at the new speed
			return fmt.Errorf("set line: %w", err)
		}
		answer, err := s.receive(ctx, answerWait)
		if err != nil {
			return fmt.Errorf("agree on speed: %w", err)
		}
		if len(answer) == 0 || answer[0] != step.code {
			return fmt.Errorf("agree on speed: %w: % x", ErrProtocol, answer)
		}
		if step.back {
			if err := s.w.SetMode(ctx, Mode{Baud: s.o.Handshake}); err != nil {
				return fmt.Errorf("set line: %w", err)
			}
		}
	}
	for range 4 {
		if _, err := s.ask(ctx, "try the speed", stcPing, answerWait, stcPing, 0, 0, 0x36, 0x01, byte(s.magic>>8), byte(s.magic)); err != nil {
			return err
		}
	}
	return nil
}

// Write erases what the image covers and writes it, the block of the reset vector last.
func (s *STC89) Write(ctx context.Context, img *Image, step Step) error {
	if s.magic == 0 {
		return errors.New("write before identify")
	}
	s.written = nil
	erase := byte((img.Span().To + 511) / 512 * 2) // in blocks of 256 bytes, even
	if _, err := s.ask(ctx, "erase", stcPing, 15*time.Second, stcErase, erase, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33); err != nil {
		return err
	}
	blocks := img.blocks(stcBlock)
	for i, addr := range append(append([]uint32(nil), blocks[1:]...), blocks[0]) {
		data := img.Flat(Span{addr, addr + stcBlock}, 0xff)
		frame := append([]byte{0, 0, 0, byte(addr >> 8), byte(addr), 0, stcBlock}, data...)
		what := fmt.Sprintf("write block %#x", addr)
		answer, err := s.ask(ctx, what, stcPing, 2*time.Second, frame...)
		if err != nil {
			return err
		}
		sum := byte(0)
		for _, c := range data {
			sum += c
		}
		if len(answer) < 2 || answer[1] != sum {
			return fmt.Errorf("%s: %w: its checksum differs", what, ErrVerify)
		}
		step.tell(min((i+1)*stcBlock, img.Len()), img.Len())
	}
	s.written = img
	return nil
}

// Verify says whether Write confirmed every block of this image: the monitor cannot read flash.
func (s *STC89) Verify(_ context.Context, img *Image, step Step) error {
	if s.written != img {
		return fmt.Errorf("%w: it was not written in this session, and this chip cannot be read", ErrVerify)
	}
	step.tell(img.Len(), img.Len())
	return nil
}

// Start ends the monitor; the chip resets into the application and sends no answer.
func (s *STC89) Start(context.Context) error { return s.send(stcFinish) }
