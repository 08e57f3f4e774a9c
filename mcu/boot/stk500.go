package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ProtocolSTK500 names STK500 version 1 as optiboot and the older Arduino bootloaders speak it (Atmel AVR061).
const ProtocolSTK500 = "stk500v1"

// STK500Options describe the way to an AVR with optiboot.
type STK500Options struct {
	Baud        int   // of the bootloader, default 115200
	LoaderBytes int   // at the end of the flash that the bootloader takes, default 512
	Enter       Enter // pulses the reset pin; optiboot listens for about a second after it
}

// STK500 flashes an AVR. The page of the vectors is written first as a jump into the bootloader and last as it shall be,
// so that a chip cut between the two starts its bootloader, never half an image. Optiboot listens only after a pull of
// the reset pin; the jump leads behind that test, so that such a chip listens whenever it has power, without anybody at
// the pin. While one page is erased and written (some 9 ms, twice) it is empty: a chip cut just then runs into what
// follows until its reset pin is pulled.
type STK500 struct {
	o    STK500Options
	w    wire
	chip avrChip
}

type avrChip struct {
	name       string
	sig        [3]byte
	flash      int
	page       int
	identified bool
}

var avrChips = []avrChip{
	{name: "ATmega328P", sig: [3]byte{0x1e, 0x95, 0x0f}, flash: 32 << 10, page: 128},
	{name: "ATmega328", sig: [3]byte{0x1e, 0x95, 0x14}, flash: 32 << 10, page: 128},
	{name: "ATmega328PB", sig: [3]byte{0x1e, 0x95, 0x16}, flash: 32 << 10, page: 128},
	{name: "ATmega168", sig: [3]byte{0x1e, 0x94, 0x06}, flash: 16 << 10, page: 128},
	{name: "ATmega168P", sig: [3]byte{0x1e, 0x94, 0x0b}, flash: 16 << 10, page: 128},
	{name: "ATmega88", sig: [3]byte{0x1e, 0x93, 0x0a}, flash: 8 << 10, page: 64},
	{name: "ATmega644P", sig: [3]byte{0x1e, 0x96, 0x0a}, flash: 64 << 10, page: 256},
	{name: "ATmega1284P", sig: [3]byte{0x1e, 0x97, 0x05}, flash: 128 << 10, page: 256},
}

const (
	stkOK, stkInSync = 0x10, 0x14
	stkEnd           = 0x20
	stkSync          = 0x30
	stkParameter     = 0x41
	stkEnter         = 0x50
	stkLeave         = 0x51
	stkAddress       = 0x55
	stkProgram       = 0x64
	stkRead          = 0x74
	stkSignature     = 0x75
	stkMajor         = 0x81
	stkMinor         = 0x82
)

// NewSTK500 makes a flasher; nothing is sent yet.
func NewSTK500(l Line, o STK500Options) *STK500 {
	if o.Baud == 0 {
		o.Baud = 115200
	}
	if o.LoaderBytes == 0 {
		o.LoaderBytes = 512
	}
	return &STK500{o: o, w: wire{Line: l}}
}

// command sends one command and returns n bytes of its answer.
func (s *STK500) command(ctx context.Context, n int, b ...byte) ([]byte, error) {
	if err := s.w.write(append(b, stkEnd)); err != nil {
		return nil, err
	}
	answer := make([]byte, n+2)
	if err := s.w.full(ctx, answer, answerWait); err != nil {
		return nil, err
	}
	if answer[0] != stkInSync || answer[n+1] != stkOK {
		return nil, fmt.Errorf("%w: % x to command %#x", ErrProtocol, answer[:min(len(answer), 8)], b[0])
	}
	return answer[1 : n+1], nil
}

// Identify resets the chip until its bootloader answers, and reads the signature.
func (s *STK500) Identify(ctx context.Context) (Chip, error) {
	if err := s.connect(ctx); err != nil {
		return Chip{}, err
	}
	sig, err := s.command(ctx, 3, stkSignature)
	if err != nil {
		return Chip{}, fmt.Errorf("read signature: %w", err)
	}
	major, err := s.command(ctx, 1, stkParameter, stkMajor)
	if err != nil {
		return Chip{}, fmt.Errorf("read version: %w", err)
	}
	minor, err := s.command(ctx, 1, stkParameter, stkMinor)
	if err != nil {
		return Chip{}, fmt.Errorf("read version: %w", err)
	}
	for _, c := range avrChips {
		if [3]byte(sig) == c.sig {
			s.chip = c
			s.chip.identified = true
			return Chip{Protocol: ProtocolSTK500, Name: c.name, ID: hex.EncodeToString(sig), Machine: MachineAVR,
				Flash: Span{0, uint32(c.flash - s.o.LoaderBytes)}, Loader: fmt.Sprintf("%d.%d", major[0], minor[0])}, nil
		}
	}
	return Chip{}, fmt.Errorf("%w: signature %x is not in the table", ErrWrongChip, sig)
}

// connect brings the chip into its bootloader and finds its rhythm.
func (s *STK500) connect(ctx context.Context) error {
	if err := s.w.SetMode(ctx, Mode{Baud: s.o.Baud}); err != nil {
		return fmt.Errorf("set line: %w", err)
	}
	var last error
	for end := time.Now().Add(connectFor); time.Now().Before(end); {
		if s.o.Enter != nil {
			if err := s.o.Enter(ctx); err != nil {
				return fmt.Errorf("enter bootloader: %w", err)
			}
		}
		// A byte that comes while the loader still sets itself up makes it lose step, and leave.
		if err := s.w.quiet(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		for range 6 {
			if last = s.sync(ctx); last == nil {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: %w", ErrNoBootloader, last)
}

// sync asks until exactly one question is answered: answers to earlier ones are let go first.
func (s *STK500) sync(ctx context.Context) error {
	if err := s.w.write([]byte{stkSync, stkEnd}); err != nil {
		return err
	}
	var b [2]byte
	if err := s.w.full(ctx, b[:], 150*time.Millisecond); err != nil {
		return err
	}
	if b != [2]byte{stkInSync, stkOK} {
		return errors.Join(fmt.Errorf("%w: % x to sync", ErrProtocol, b), s.w.quiet(ctx, 20*time.Millisecond))
	}
	if err := s.w.quiet(ctx, 20*time.Millisecond); err != nil {
		return err
	}
	_, err := s.command(ctx, 0, stkSync)
	return err
}

// again runs one command; if it fails the chip is reset into its bootloader and the command repeated.
func (s *STK500) again(ctx context.Context, what string, do func() error) error {
	var err error
	for range blockRetries {
		if err = do(); err == nil || ctx.Err() != nil {
			return err
		}
		if cerr := s.connect(ctx); cerr != nil {
			return fmt.Errorf("%s: %w; then %w", what, err, cerr)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (s *STK500) address(ctx context.Context, addr uint32) error {
	_, err := s.command(ctx, 0, stkAddress, byte(addr/2), byte(addr/2>>8))
	return err
}

func (s *STK500) writePage(ctx context.Context, addr uint32, data []byte) error {
	return s.again(ctx, fmt.Sprintf("write page %#x", addr), func() error {
		if err := s.address(ctx, addr); err != nil {
			return err
		}
		frame := append([]byte{stkProgram, byte(len(data) >> 8), byte(len(data)), 'F'}, data...)
		_, err := s.command(ctx, 0, frame...)
		return err
	})
}

func (s *STK500) readPage(ctx context.Context, addr uint32) (page []byte, err error) {
	n := s.chip.page
	err = s.again(ctx, fmt.Sprintf("read page %#x", addr), func() error {
		if err := s.address(ctx, addr); err != nil {
			return err
		}
		page, err = s.command(ctx, n, stkRead, byte(n>>8), byte(n), 'F')
		return err
	})
	return page, err
}

// trap is a first page that does nothing but jump into the bootloader: behind the first instruction that asks how the
// chip was reset (SBRS or SBRC of the bit EXTRF, followed by the way to the application), or to the loader's beginning.
func (s *STK500) trap(loader []byte) []byte {
	to := uint32(s.chip.flash - s.o.LoaderBytes)
	for i := 0; i+6 <= min(len(loader), 64); i += 2 {
		const skip, extrf = 0xfc00, 1
		if op := uint16(loader[i]) | uint16(loader[i+1])<<8; op&0xfc0f == skip|extrf {
			to += uint32(i + 4)
			break
		}
	}
	to /= 2
	page := make([]byte, s.chip.page)
	for i := range page {
		page[i] = 0xff
	}
	for i, op := range []uint16{0x2411, 0x940c | uint16(to>>16&1), uint16(to)} { // clr r1; jmp
		page[2*i], page[2*i+1] = byte(op), byte(op>>8)
	}
	return page
}

// Write implements Flasher.
func (s *STK500) Write(ctx context.Context, img *Image, step Step) error {
	if !s.chip.identified {
		return errors.New("write before identify")
	}
	size := uint32(s.chip.page)
	blocks := img.blocks(size)
	loader, err := s.readPage(ctx, uint32(s.chip.flash-s.o.LoaderBytes))
	if err != nil {
		return err
	}
	if err := s.writePage(ctx, 0, s.trap(loader)); err != nil {
		return err
	}
	for i, addr := range append(append([]uint32(nil), blocks[1:]...), blocks[0]) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.writePage(ctx, addr, img.Flat(Span{addr, addr + size}, 0xff)); err != nil {
			return err
		}
		step.tell(min((i+1)*int(size), img.Len()), img.Len())
	}
	return nil
}

// Verify reads every page of the image back.
func (s *STK500) Verify(ctx context.Context, img *Image, step Step) error {
	size := uint32(s.chip.page)
	for i, addr := range img.blocks(size) {
		got, err := s.readPage(ctx, addr)
		if err != nil {
			return err
		}
		if err := same(addr, got, img.Flat(Span{addr, addr + size}, 0xff)); err != nil {
			return err
		}
		step.tell(min((i+1)*int(size), img.Len()), img.Len())
	}
	return nil
}

// same compares a block of flash with what it should be.
func same(addr uint32, got, want []byte) error {
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("%w at %#x: %#02x is there, %#02x should be", ErrVerify, addr+uint32(i), got[i], want[i])
		}
	}
	return nil
}

// Start makes the bootloader end; its watchdog then resets the chip into the application.
func (s *STK500) Start(ctx context.Context) error {
	_, err := s.command(ctx, 0, stkLeave)
	return err
}
