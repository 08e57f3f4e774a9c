package boot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// ProtocolAN3155 names the USART bootloader in the system memory of STM32 (ST application notes AN3155 and AN2606).
const ProtocolAN3155 = "an3155"

// AN3155Options describe the way to an STM32.
type AN3155Options struct {
	Baud   int           // default 115200
	Parity serial.Parity // default even, which every STM32 ROM wants; ParityNone only with NoParity
	// NoParity leaves parity out: for lines that carry none (a pseudo terminal, some converters).
	NoParity bool
	Enter    Enter // sets BOOT0 and resets, or tells the firmware to
	// Leave clears BOOT0 and resets, for boards with wires for it; nil: the ROM is told to go to the application.
	Leave Enter
}

// AN3155 flashes an STM32. The page of the vectors is erased first and the reset vector written last, so that a chip cut
// in between has no reset vector and stops in a fault (or in its ROM, where the chip checks for an empty flash), never in
// half an image. What the page holds that is cut within its erase (20 to 40 ms) no datasheet says. The ROM itself cannot be damaged: BOOT0 and reset are always the way back.
type AN3155 struct {
	o        AN3155Options
	w        wire
	commands [256]bool
	chip     stmChip
	size     uint32 // of the flash, as the chip says
}

const (
	stmBase      = 0x08000000
	stmACK       = 0x79
	stmNACK      = 0x1f
	stmInit      = 0x7f
	stmGet       = 0x00
	stmID        = 0x02
	stmReadMem   = 0x11
	stmGo        = 0x21
	stmWriteMem  = 0x31
	stmErase     = 0x43
	stmExtErase  = 0x44
	stmBlock     = 256
	stmEraseMost = 64 // pages in one request: each has its own time
)

type stmChip struct {
	id    uint16
	name  string
	most  uint32               // flash in KiB, if its size register cannot be read
	sized uint32               // address of the size register (KiB, 16 bits)
	pages func(n uint32) []int // sizes in KiB of the pages that fill n KiB
}

func even(kib int) func(uint32) []int {
	return func(n uint32) []int {
		out := make([]int, int(n)/kib)
		for i := range out {
			out[i] = kib
		}
		return out
	}
}

// sectors are those of STM32F2 and F4, once per bank of 1 MiB: 4 × 16, 64, and 128 KiB.
func sectors(n uint32) []int {
	var out []int
	for left := int(n); left > 0; {
		for _, k := range []int{16, 16, 16, 16, 64, 128, 128, 128, 128, 128, 128, 128} {
			if left <= 0 {
				break
			}
			out = append(out, k)
			left -= k
		}
	}
	return out
}

var stmChips = []stmChip{
	{0x410, "STM32F1 medium density", 128, 0x1ffff7e0, even(1)},
	{0x412, "STM32F1 low density", 32, 0x1ffff7e0, even(1)},
	{0x414, "STM32F1 high density", 512, 0x1ffff7e0, even(2)},
	{0x418, "STM32F105/107", 256, 0x1ffff7e0, even(2)},
	{0x420, "STM32F100 low/medium density", 128, 0x1ffff7e0, even(1)},
	{0x428, "STM32F100 high density", 512, 0x1ffff7e0, even(2)},
	{0x413, "STM32F405/407", 1024, 0x1fff7a22, sectors},
	{0x419, "STM32F42x/43x", 2048, 0x1fff7a22, sectors},
	{0x423, "STM32F401xB/C", 256, 0x1fff7a22, sectors},
	{0x433, "STM32F401xD/E", 512, 0x1fff7a22, sectors},
	{0x431, "STM32F411", 512, 0x1fff7a22, sectors},
}

// NewAN3155 makes a flasher; nothing is sent yet.
func NewAN3155(l Line, o AN3155Options) *AN3155 {
	if o.Baud == 0 {
		o.Baud = 115200
	}
	if o.Parity == serial.ParityNone && !o.NoParity {
		o.Parity = serial.ParityEven
	}
	return &AN3155{o: o, w: wire{Line: l}}
}

func (a *AN3155) ack(ctx context.Context, what string, limit time.Duration) error {
	var b [1]byte
	if err := a.w.full(ctx, b[:], limit); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch b[0] {
	case stmACK:
		return nil
	case stmNACK:
		return fmt.Errorf("%s: %w", what, ErrRefused)
	}
	return fmt.Errorf("%s: %w: %#02x", what, ErrProtocol, b[0])
}

func (a *AN3155) command(ctx context.Context, code byte, what string) error {
	if err := a.w.write([]byte{code, ^code}); err != nil {
		return err
	}
	return a.ack(ctx, what, answerWait)
}

// summed sends bytes with their XOR behind.
func (a *AN3155) summed(ctx context.Context, what string, limit time.Duration, sum byte, b ...byte) error {
	for _, c := range b {
		sum ^= c
	}
	if err := a.w.write(append(b, sum)); err != nil {
		return err
	}
	return a.ack(ctx, what, limit)
}

func addressOf(addr uint32) []byte {
	return []byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}
}

// Identify enters the ROM and reads commands, product and size of the flash.
func (a *AN3155) Identify(ctx context.Context) (Chip, error) {
	if err := a.connect(ctx); err != nil {
		return Chip{}, err
	}
	version, err := a.get(ctx)
	if err != nil {
		return Chip{}, err
	}
	if err := a.command(ctx, stmID, "get id"); err != nil {
		return Chip{}, err
	}
	var b [3]byte
	if err := a.w.full(ctx, b[:], answerWait); err != nil {
		return Chip{}, fmt.Errorf("get id: %w", err)
	}
	if err := a.ack(ctx, "get id", answerWait); err != nil {
		return Chip{}, err
	}
	id := uint16(b[1])<<8 | uint16(b[2])
	for _, c := range stmChips {
		if c.id == id {
			a.chip = c
		}
	}
	if a.chip.id != id || b[0] != 1 {
		return Chip{}, fmt.Errorf("%w: product id %#03x is not in the table", ErrWrongChip, id)
	}
	size, err := a.read(ctx, a.chip.sized, 4) // the register has two bytes; some ROMs read whole words only
	switch {
	case errors.Is(err, ErrRefused):
		return Chip{}, fmt.Errorf("%w: it refuses to be read (readout protection)", ErrProtected)
	case err != nil:
		return Chip{}, err
	}
	kib := uint32(size[0]) | uint32(size[1])<<8
	if kib == 0 || kib > a.chip.most {
		kib = a.chip.most
	}
	a.size = kib << 10
	return Chip{Protocol: ProtocolAN3155, Name: a.chip.name, ID: fmt.Sprintf("%03x", id), Machine: MachineARM,
		Flash: Span{stmBase, stmBase + a.size}, Loader: fmt.Sprintf("%d.%d", version>>4, version&15)}, nil
}

// connect resets the chip into its ROM until that answers. A ROM that has found its speed before takes the sync byte for
// a broken command and says no, which is as good.
func (a *AN3155) connect(ctx context.Context) error {
	if err := a.w.SetMode(ctx, Mode{a.o.Baud, a.o.Parity}); err != nil {
		return fmt.Errorf("set line: %w", err)
	}
	var last error
	for end := time.Now().Add(connectFor); time.Now().Before(end); {
		if a.o.Enter != nil {
			if err := a.o.Enter(ctx); err != nil {
				return fmt.Errorf("enter bootloader: %w", err)
			}
		}
		for range 4 {
			if last = a.w.quiet(ctx, 5*time.Millisecond); last != nil {
				return last
			}
			if err := a.w.write([]byte{stmInit}); err != nil {
				return err
			}
			if last = a.ack(ctx, "sync", 500*time.Millisecond); last == nil || errors.Is(last, ErrRefused) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: %w", ErrNoBootloader, last)
}

func (a *AN3155) get(ctx context.Context) (version byte, err error) {
	if err := a.command(ctx, stmGet, "get"); err != nil {
		return 0, err
	}
	var n [2]byte
	if err := a.w.full(ctx, n[:], answerWait); err != nil {
		return 0, fmt.Errorf("get: %w", err)
	}
	list := make([]byte, n[0])
	if err := a.w.full(ctx, list, answerWait); err != nil {
		return 0, fmt.Errorf("get: %w", err)
	}
	a.commands = [256]bool{}
	for _, c := range list {
		a.commands[c] = true
	}
	return n[1], a.ack(ctx, "get", answerWait)
}

func (a *AN3155) read(ctx context.Context, addr uint32, n int) ([]byte, error) {
	what := fmt.Sprintf("read %#x", addr)
	if err := a.command(ctx, stmReadMem, what); err != nil {
		return nil, err
	}
	if err := a.summed(ctx, what, answerWait, 0, addressOf(addr)...); err != nil {
		return nil, err
	}
	if err := a.summed(ctx, what, answerWait, 0xff, byte(n-1)); err != nil {
		return nil, err
	}
	out := make([]byte, n)
	if err := a.w.full(ctx, out, answerWait); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// readAgain is read, repeated behind a new connection: a byte that got lost leaves the ROM waiting.
func (a *AN3155) readAgain(ctx context.Context, addr uint32, n int) (out []byte, err error) {
	for range blockRetries {
		if out, err = a.read(ctx, addr, n); err == nil || ctx.Err() != nil {
			return out, err
		}
		if cerr := a.connect(ctx); cerr != nil {
			return nil, errors.Join(err, cerr)
		}
	}
	return nil, err
}

// pagesOf are the numbers of the pages that a span touches.
func (a *AN3155) pagesOf(s Span) []int {
	var out []int
	at := uint32(stmBase)
	for i, kib := range a.chip.pages(a.size >> 10) {
		end := at + uint32(kib)<<10
		if at < s.To && end > s.From {
			out = append(out, i)
		}
		at = end
	}
	return out
}

func (a *AN3155) erase(ctx context.Context, pages []int) error {
	const what = "erase"
	if a.commands[stmExtErase] {
		if err := a.command(ctx, stmExtErase, what); err != nil {
			return err
		}
		n := len(pages) - 1
		b := []byte{byte(n >> 8), byte(n)}
		for _, p := range pages {
			b = append(b, byte(p>>8), byte(p))
		}
		return a.summed(ctx, what, eraseWait, 0, b...)
	}
	if err := a.command(ctx, stmErase, what); err != nil {
		return err
	}
	b := []byte{byte(len(pages) - 1)}
	for _, p := range pages {
		b = append(b, byte(p))
	}
	return a.summed(ctx, what, eraseWait, 0, b...)
}

// Write implements Flasher. Only pages that the image touches are erased: settings in another page survive.
func (a *AN3155) Write(ctx context.Context, img *Image, step Step) error {
	if a.size == 0 {
		return errors.New("write before identify")
	}
	pages := a.pagesOf(img.Span())
	for i := 0; i < len(pages); {
		n := stmEraseMost
		if i == 0 {
			n = 1 // the vectors, alone and first
		}
		end := min(i+n, len(pages))
		if err := a.erase(ctx, pages[i:end]); err != nil {
			return err
		}
		i = end
	}
	blocks := img.blocks(stmBlock)
	for i, addr := range append(append([]uint32(nil), blocks[1:]...), blocks[0]) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if addr == blocks[0] { // the reset vector is the very last that is written
			const vectors = 8
			if err := a.writeBlock(ctx, addr+vectors, img.Flat(Span{addr + vectors, addr + stmBlock}, 0xff)); err != nil {
				return err
			}
			if err := a.writeBlock(ctx, addr, img.Flat(Span{addr, addr + vectors}, 0xff)); err != nil {
				return err
			}
		} else if err := a.writeBlock(ctx, addr, img.Flat(Span{addr, addr + stmBlock}, 0xff)); err != nil {
			return err
		}
		step.tell(min((i+1)*stmBlock, img.Len()), img.Len())
	}
	return nil
}

// writeBlock writes one block; one that failed is read first: flash that is not erased must not be written again.
func (a *AN3155) writeBlock(ctx context.Context, addr uint32, data []byte) error {
	what := fmt.Sprintf("write %#x", addr)
	var err error
	for range blockRetries {
		if err = a.tryWrite(ctx, what, addr, data); err == nil || ctx.Err() != nil {
			return err
		}
		if cerr := a.connect(ctx); cerr != nil {
			return errors.Join(err, cerr)
		}
		got, rerr := a.readAgain(ctx, addr, len(data))
		if rerr != nil {
			return errors.Join(err, rerr)
		}
		if string(got) == string(data) {
			return nil
		}
		for _, c := range got {
			if c != 0xff {
				return fmt.Errorf("%s: %w: the block is written in part and must be erased first", what, ErrVerify)
			}
		}
	}
	return err
}

func (a *AN3155) tryWrite(ctx context.Context, what string, addr uint32, data []byte) error {
	if err := a.command(ctx, stmWriteMem, what); err != nil {
		return err
	}
	if err := a.summed(ctx, what, answerWait, 0, addressOf(addr)...); err != nil {
		return err
	}
	return a.summed(ctx, what, 2*time.Second, 0, append([]byte{byte(len(data) - 1)}, data...)...)
}

// Verify reads the whole image back.
func (a *AN3155) Verify(ctx context.Context, img *Image, step Step) error {
	for i, addr := range img.blocks(stmBlock) {
		got, err := a.readAgain(ctx, addr, stmBlock)
		if err != nil {
			return err
		}
		if err := same(addr, got, img.Flat(Span{addr, addr + stmBlock}, 0xff)); err != nil {
			return err
		}
		step.tell(min((i+1)*stmBlock, img.Len()), img.Len())
	}
	return nil
}

// Start resets into the application with Leave, or lets the ROM jump to it.
func (a *AN3155) Start(ctx context.Context) error {
	if a.o.Leave != nil {
		return a.o.Leave(ctx)
	}
	if err := a.command(ctx, stmGo, "go"); err != nil {
		return err
	}
	return a.summed(ctx, "go", answerWait, 0, addressOf(stmBase)...)
}
