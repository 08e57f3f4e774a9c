package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

// registers of one request: as many as fit.
const registers = modbus.MaxReadRegisters

// benchModbus reads 125 registers again and again from a slave that keeps the times of a real line: request and answer
// take 11 bits a byte, and the slave waits the silence that ends a frame. The limit is a master that sends the next
// request exactly one silence after the answer.
func benchModbus(ctx context.Context, e *env) error {
	for _, baud := range []int{9600, 115200} {
		best := 0.0
		for range e.rounds {
			v, err := modbusLine(ctx, baud)
			if err != nil {
				return fmt.Errorf("%d baud: %w", baud, err)
			}
			best = max(best, v)
		}
		report(fmt.Sprintf("modbus_vs_line_%d", baud), best, "ratio")
	}
	return nil
}

func modbusLine(ctx context.Context, baud int) (float64, error) {
	dir, err := os.MkdirTemp("", "driversbench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	socket := sim.NewSocket(filepath.Join(dir, "tty"))
	if err := socket.Plug(); err != nil {
		return 0, err
	}
	wire := func(n int) time.Duration { return time.Duration(n) * 11 * time.Second / time.Duration(baud) }
	pause := modbus.FramePause(baud)
	done := goes(func() error { return answerReads(socket.Master(), wire, pause) })
	open := modbus.OpenSerial(serial.Options{Device: socket.Link(), Baud: baud, LockDir: dir})
	line := modbus.NewRTU(modbus.RTUOptions{Open: open, Baud: baud})
	m := modbus.NewMaster(line, modbus.MasterOptions{})
	reads := max(5, 40*baud/115200)
	var started time.Time
	for i := range reads + 1 {
		if i == 1 { // the first opens the port and waits for silence
			started = time.Now()
		}
		if _, err = m.ReadHolding(ctx, 1, 0, registers); err != nil {
			break
		}
	}
	cycle := time.Since(started) / time.Duration(reads)
	err = errors.Join(err, line.Close())
	socket.Unplug()
	<-done // its error is that the line is gone
	limit := wire(8) + wire(5+2*registers) + 2*pause
	return float64(limit) / float64(cycle), err
}

// answerReads is a slave with unit 1 whose registers hold their own number.
func answerReads(f io.ReadWriter, wire func(int) time.Duration, pause time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	pdu := []byte{3, 2 * registers}
	for i := range registers {
		pdu = append(pdu, byte(i>>8), byte(i))
	}
	answer := modbus.AppendRTU(nil, 1, pdu)
	var q [8]byte
	for {
		if _, err := io.ReadFull(f, q[:]); err != nil {
			return err
		}
		ts := unix.NsecToTimespec(int64(wire(len(q)) + pause + wire(len(answer))))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, &ts) == unix.EINTR {
		}
		if _, err := f.Write(answer); err != nil {
			return err
		}
	}
}
