package modbus

import (
	"context"
	"errors"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// OpenSerial makes the Open of RTUOptions for a serial port. Every opening takes the port's lock anew, so that an
// adapter that was unplugged is found again.
func OpenSerial(o serial.Options) func(context.Context) (Port, error) {
	return func(ctx context.Context) (Port, error) {
		p, err := serial.New(o)
		if err != nil {
			return nil, err
		}
		if _, err := p.Connect(ctx); err != nil {
			p.Close()
			return nil, err
		}
		return &serialPort{p: p, wait: pollSlice}, nil
	}
}

type serialPort struct {
	p    *serial.Port
	wait time.Duration
}

func (s *serialPort) SetReadTimeout(d time.Duration) error {
	s.wait = d
	return nil
}

func (s *serialPort) Read(b []byte) (int, error) {
	n, err := s.p.ReadWithin(context.Background(), b, s.wait)
	if errors.Is(err, serial.ErrTimeout) {
		err = nil
	}
	return n, err
}

func (s *serialPort) Write(b []byte) (int, error) { return s.p.Write(context.Background(), b) }
func (s *serialPort) Close() error                { return s.p.Close() }
