package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/airsensor"
	busmodbus "github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/ds18b20"
	"github.com/edgelog/edgelog/drivers/modbus"
	"github.com/edgelog/edgelog/drivers/nmea"
)

// suspect is the one log line about a sensor that is perhaps none of its maker's.
func suspect(log *slog.Logger) func(rom, why string) {
	return func(rom, why string) {
		log.Warn("sensor does not behave like a genuine one", "rom", rom, "why", why)
	}
}

// openDS18B20 checks the block and returns what opens its bus.
func openDS18B20(c *config.DS18B20, suspect func(rom, why string)) (func() (drivers.Sensor, error), error) {
	o := ds18b20.Options{Master: c.Master, Port: serial.Options{Device: c.Port, Baud: c.Baud}, Server: c.Server, Kernel: uint32(c.Kernel),
		Names: c.Names, Resolution: c.Resolution, Persist: c.Persist, Alarms: c.Alarms, Rescan: c.Rescan, Conversion: c.Conversion,
		Events: ds18b20.Events{Suspect: suspect}}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return func() (drivers.Sensor, error) { return ds18b20.Open(o) }, nil
}

// openModbus checks the block with its profiles and returns what opens the line. A line connects at its first read.
func openModbus(c *config.Modbus) (func() (drivers.Sensor, error), error) {
	o := modbus.Options{Name: c.Port + c.TCP + c.RTUOverTCP, Timeout: c.Timeout, Retries: *c.Retries}
	if o.Retries == 0 {
		o.Retries = -1 // 0 is the driver's default
	}
	for i, d := range c.Devices {
		p, err := profileOf(d)
		if err != nil {
			return nil, fmt.Errorf("devices[%d]: %w", i, err)
		}
		o.Devices = append(o.Devices, modbus.Device{Unit: byte(d.Unit), Name: d.Name, Profile: p, Labels: labelsOf(d.Labels)})
	}
	line := func() busmodbus.Line { return busmodbus.NewTCP(c.TCP) }
	switch {
	case c.Port != "":
		port := serialOptions(c.Port, c.Baud, c.Parity, c.StopBits)
		if r := c.RS485; r != nil {
			port.RS485 = &serial.RS485{RTSOnSend: r.RTSOnSend, RTSAfterSend: !r.RTSOnSend, BeforeSend: r.BeforeSend, AfterSend: r.AfterSend, ReceiveOwn: r.ReceiveOwn}
		}
		if err := port.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
		}
		line = func() busmodbus.Line {
			return busmodbus.NewRTU(busmodbus.RTUOptions{Open: busmodbus.OpenSerial(port), Baud: c.Baud, Echo: c.Echo})
		}
	case c.RTUOverTCP != "":
		line = func() busmodbus.Line {
			dial := func(ctx context.Context) (busmodbus.Port, error) { return busmodbus.DialPort(ctx, c.RTUOverTCP) }
			return busmodbus.NewRTU(busmodbus.RTUOptions{Open: dial, Baud: c.Baud, Echo: c.Echo})
		}
	}
	open := func() (drivers.Sensor, error) {
		o := o
		o.Line = line()
		return modbus.New(o)
	}
	s, err := open() // nothing is opened by it; it checks the devices against each other
	if err != nil {
		return nil, err
	}
	return open, s.Close()
}

func openAir(c *config.Air) (func() (drivers.Sensor, error), error) {
	o := airsensor.Options{Model: c.Model, Port: serial.Options{Device: c.Port}, Baseline: c.Baseline, Period: c.Period}
	s, err := airsensor.New(o) // nothing is opened by it
	if err != nil {
		return nil, err
	}
	return func() (drivers.Sensor, error) { return airsensor.New(o) }, s.Close()
}

func openNMEA(c *config.NMEA, clock func(utc, at time.Time, delay time.Duration)) (func() (drivers.Sensor, error), error) {
	o := nmea.Options{Port: serial.Options{Device: c.Port, Baud: c.Baud}, Delay: c.Delay}
	if c.UsesClock() {
		o.Time = clock
	}
	s, err := nmea.New(o)
	if err != nil {
		return nil, err
	}
	return func() (drivers.Sensor, error) { return nmea.New(o) }, s.Close()
}

func profileOf(d config.ModbusDevice) (*modbus.Profile, error) {
	if d.ProfileFile != "" {
		return modbus.Load(d.ProfileFile, []byte(d.ProfileData))
	}
	return modbus.Shipped(d.Profile)
}

func serialOptions(port string, baud int, parity string, stopBits int) serial.Options {
	o := serial.Options{Device: port, Baud: baud, StopBits: stopBits}
	switch parity {
	case "even":
		o.Parity = serial.ParityEven
	case "odd":
		o.Parity = serial.ParityOdd
	}
	return o
}

// labelsOf are the labels of a configuration, sorted.
func labelsOf(m map[string]string) []record.Label {
	var out []record.Label
	for k, v := range m {
		out = append(out, record.Label{Key: k, Value: v})
	}
	slices.SortFunc(out, func(a, b record.Label) int { return strings.Compare(a.Key, b.Key) })
	return out
}
