package agent

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/mcu"
	"github.com/edgelog/edgelog/mcu/boot"
)

const (
	flashAttempts  = 2 // an attempt that was disturbed is repeated once; a person may ask again
	execPatience   = 30 * time.Second
	execRest       = 500 * time.Millisecond // for the rest of its output
	resetPulse     = 100 * time.Millisecond
	powerOff       = 500 * time.Millisecond // until a chip's supply is really gone
	bootloaderWait = 50 * time.Millisecond
)

// slotsOf is for how many images a node that is flashed by a protocol has room.
func slotsOf(protocol string) int {
	if protocol == boot.ProtocolSMP {
		return 2
	}
	return 1
}

// Flash implements control.Nodes: the node's queue is emptied, its line taken, and done with the image what is ordered.
func (x *nodes) Flash(ctx context.Context, name string, o api.FlashOrder, image []byte, step func(api.FlashProgress), by string) (*api.FlashProgress, error) {
	l, n := x.of(name)
	switch {
	case o.Do != "" && o.Do != api.FlashStage && o.Do != api.FlashTry && o.Do != api.FlashKeep && o.Do != api.FlashRevert:
		return nil, fmt.Errorf("%w: there is no order %q for an image", control.ErrBadRequest, o.Do)
	case l == nil:
		return nil, fmt.Errorf("%w: no node %q in the configuration", control.ErrNotFound, name)
	case n.Flash == nil:
		return nil, fmt.Errorf("%w: node %s has no flash block in the configuration, so its bootloader is not known", control.ErrBadRequest, name)
	case slotsOf(n.Flash.Protocol) == 1 && o.Do == api.FlashStage:
		return &api.FlashProgress{}, nil
	case slotsOf(n.Flash.Protocol) == 1 && o.Do == api.FlashRevert:
		return nil, fmt.Errorf("%w: node %s has room for one image: write the old one", control.ErrBadRequest, name)
	}
	base := uint32(0)
	if n.Flash.Protocol == boot.ProtocolAN3155 {
		base = 0x08000000
	}
	img, err := boot.Parse(image, base)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", control.ErrBadRequest, err)
	}
	var result flashed
	key := "node/" + name
	err = l.line.Exclusive(ctx, name, func(ctx context.Context, loader mcu.Loader) error {
		for attempt := 1; ; attempt++ {
			var err error
			result, err = flashOnce(ctx, flash{line: l.config, node: n.Flash, image: img, order: o, step: step}, loader)
			var phase *boot.PhaseError
			if err == nil || ctx.Err() != nil || attempt == flashAttempts || !errors.As(err, &phase) || !repeats(phase) {
				return err
			}
			x.a.log.Warn("flash is tried again", "node", name, "phase", phase.Phase, "err", phase.Err)
		}
	})
	var phase *boot.PhaseError
	switch {
	case err == nil:
		x.a.faults.clear(health.NodeFlash, key)
	case errors.As(err, &phase) && phase.Phase != boot.PhaseIdentify && phase.Phase != boot.PhaseCheck:
		x.a.faults.raise(health.NodeFlash, key, "node "+name, err.Error())
	case !errors.As(err, &phase):
		return nil, nodeError(err)
	}
	out := &api.FlashProgress{Chip: result.Chip.Name, Bytes: result.Bytes, Version: result.Version, Seconds: result.Took.Seconds(), Kept: result.kept}
	if err != nil {
		out.Error = err.Error()
	}
	return out, nil
}

// repeats reports whether an attempt that ended in this phase may go better the next time.
func repeats(e *boot.PhaseError) bool {
	disturbed := errors.Is(e.Err, boot.ErrProtocol) || errors.Is(e.Err, boot.ErrTimeout)
	return e.Phase == boot.PhaseWrite || e.Phase == boot.PhaseVerify || e.Phase == boot.PhaseStart || e.Phase == boot.PhaseIdentify && disturbed
}

// flash is what is to be done with an image of one node.
type flash struct {
	line  config.NodeLine
	node  *config.NodeFlash
	image *boot.Image
	order api.FlashOrder
	step  func(api.FlashProgress)
}

// flashed is what was done.
type flashed struct {
	boot.Result
	kept bool // the image was permanent already when it was to be reverted
}

// flashOnce is one attempt, with the port opened for it.
func flashOnce(ctx context.Context, f flash, loader mcu.Loader) (flashed, error) {
	c, device := f.node, f.line.Port
	if c.Port != "" {
		device = c.Port
	}
	port := boot.NewSerialLine(serial.Options{Device: device, DTR: idle(c, config.EnterDTR), RTS: idle(c, config.EnterRTS)})
	defer port.Close()
	enter := func(ctx context.Context) error {
		switch c.Enter {
		case config.EnterDTR:
			return pulse(ctx, port, serial.DTR, c.Protocol)
		case config.EnterRTS:
			return pulse(ctx, port, serial.RTS, c.Protocol)
		case config.EnterExec:
			return program(ctx, c.EnterExec)
		}
		return nil
	}
	if c.Enter == config.EnterCommand && loader.Known {
		if err := loader.Enter(ctx); err != nil && ctx.Err() == nil { // it may wait in its bootloader since an earlier attempt
			f.step(api.FlashProgress{Phase: "enter", Total: 1})
		}
		time.Sleep(bootloaderWait)
	}
	if err := loader.Take(); err != nil {
		return flashed{}, &boot.PhaseError{Phase: boot.PhaseIdentify, Left: "nothing was changed", Err: err}
	}
	var by boot.Enter = enter
	if c.Enter == config.EnterHand || c.Enter == config.EnterCommand {
		by = nil
	}
	j := boot.Job{Image: f.image, Want: f.order.Want, Progress: func(p boot.Progress) { f.step(api.FlashProgress{Phase: p.Phase, Done: p.Done, Total: p.Total}) },
		Confirm: func(ctx context.Context) (string, error) { // the port goes back to the line
			port.Close()
			return loader.Confirm(ctx)
		}}
	var leave boot.Enter
	if len(c.LeaveExec) > 0 {
		leave = func(ctx context.Context) error { return program(ctx, c.LeaveExec) }
	}
	switch c.Protocol {
	case boot.ProtocolSTK500:
		j.Flasher = boot.NewSTK500(port, boot.STK500Options{Baud: c.Baud, LoaderBytes: c.LoaderBytes, Enter: by})
	case boot.ProtocolAN3155:
		j.Flasher = boot.NewAN3155(port, boot.AN3155Options{Baud: c.Baud, Enter: by, Leave: leave})
	case boot.ProtocolSTC89:
		j.Flasher = boot.NewSTC89(port, boot.STC89Options{Baud: c.Baud, Enter: by})
	default:
		return flashSlots(ctx, f, boot.NewSMP(port, boot.SMPOptions{Baud: c.Baud, SlotBytes: c.SlotBytes, Enter: by}), j)
	}
	r, err := boot.Update(ctx, j)
	return flashed{Result: r}, err
}

// flashSlots is one attempt on a node with two slots.
func flashSlots(ctx context.Context, f flash, s *boot.SMP, j boot.Job) (flashed, error) {
	fail := func(err error) error {
		return &boot.PhaseError{Phase: boot.PhaseConfirm, Left: "the node runs one of its two images", Err: err}
	}
	j.Flasher, j.Confirm, j.Keep = s, s.Confirm, s.Keep
	switch f.order.Do {
	case api.FlashStage:
		j.Stage = true
	case api.FlashTry:
		j.Keep = nil
	case api.FlashKeep:
		version, runs, err := s.Settle(ctx, f.image)
		if err != nil {
			return flashed{}, fail(err)
		}
		if runs {
			return flashed{Result: boot.Result{Version: version}}, nil
		}
	case api.FlashRevert:
		version, kept, err := s.Revert(ctx, f.image)
		if err != nil {
			return flashed{}, fail(err)
		}
		return flashed{Result: boot.Result{Version: version}, kept: kept}, nil
	}
	r, err := boot.Update(ctx, j)
	return flashed{Result: r}, err
}

// idle is the level of a modem line before its pulse, where it is used.
func idle(c *config.NodeFlash, enter string) *bool {
	if c.Enter != enter {
		return nil
	}
	off := false
	return &off
}

// pulse pulls the reset, or for an STC89 its supply, with a modem line of the adapter.
func pulse(ctx context.Context, port *boot.SerialLine, line serial.Line, protocol string) error {
	d := resetPulse
	if protocol == boot.ProtocolSTC89 {
		d = powerOff
	}
	return port.Pulse(ctx, line, true, d)
}

func program(ctx context.Context, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = execRest
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // what it left running holds a line, perhaps, and its output
		return fmt.Errorf("%s: %w: %.200s", argv[0], err, out)
	}
	return nil
}
