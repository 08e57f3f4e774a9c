package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/drivers"
	busmodbus "github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/exec"
	"github.com/edgelog/edgelog/drivers/genericserial"
	"github.com/edgelog/edgelog/drivers/listen"
	"github.com/edgelog/edgelog/drivers/mqttsource"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// doorMaker is collect.Source.Door.
type doorMaker = func(door.Events) (door.Source, error)

// checked makes the door once, which opens nothing, so that a mistake is found before anything runs.
func checked(open doorMaker) (doorMaker, error) {
	if _, err := open(door.Events{}); err != nil {
		return nil, err
	}
	return open, nil
}

func openExec(c *config.Exec) (doorMaker, error) {
	return checked(func(e door.Events) (door.Source, error) {
		return exec.New(exec.Options{Command: c.Command, Dir: c.Dir, Environment: c.Environment, Signal: c.Signal, Interval: c.Interval,
			RestartDelay: c.RestartDelay, Format: c.Format, JSON: door.Mapping(c.JSON), Events: e})
	})
}

func openSerial(c *config.Serial) (doorMaker, error) {
	port := serialOptions(c.Port, c.Baud, c.Parity, c.StopBits)
	if err := port.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
	}
	open := busmodbus.OpenSerial(port)
	o := genericserial.Options{Name: c.Port, Format: c.Format, Pattern: c.Pattern, Separator: c.Separator, JSON: door.Mapping(c.JSON),
		Frame: genericserial.Frame(c.Frame), Request: []byte(c.Request), Interval: c.Interval, Silence: c.Silence, Parity: port.Parity != serial.ParityNone,
		Open: func(ctx context.Context) (genericserial.Port, error) { return open(ctx) }}
	for _, f := range c.Fields {
		o.Fields = append(o.Fields, genericserial.Field(f))
	}
	return checked(func(e door.Events) (door.Source, error) {
		o := o
		o.Events = e
		return genericserial.New(o)
	})
}

func openMQTT(c *config.MQTTSource) (doorMaker, error) {
	o := mqttsource.Options{MaxSeries: c.MaxSeries, NoRebirth: c.NoRebirth,
		Client: mqttclient.Options{Broker: c.Broker, ClientID: c.ClientID, Username: c.Username, PasswordFile: c.PasswordFile,
			KeepAlive: c.KeepAlive, TLS: mqttclient.TLS{CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}}}
	for _, s := range c.Subscriptions {
		o.Subscriptions = append(o.Subscriptions, mqttsource.Subscription{Format: s.Format, Topic: s.Topic, JSON: door.Mapping(s.JSON)})
	}
	return checked(func(e door.Events) (door.Source, error) {
		o := o
		o.Events = e
		return mqttsource.New(o)
	})
}

func openListen(c *config.Listen, env surroundings) (doorMaker, error) {
	position := func(producer string, incarnation uint64) (uint64, bool, error) {
		p, err := env.ingest().Position(producer, incarnation)
		if errors.Is(err, control.ErrNotFound) {
			return 0, false, fmt.Errorf("%w: %s", door.ErrProducer, producer)
		} else if err != nil {
			return 0, false, err
		}
		return p.Sequence, p.Known, nil
	}
	return checked(func(e door.Events) (door.Source, error) {
		return listen.New(listen.Options{HTTP: c.HTTP, Unix: c.Unix, UDP: c.UDP, AllowRemote: c.AllowRemote, Token: c.Token,
			JSON: door.Mapping(c.JSON), MaxSeries: c.MaxSeries, Position: position, Events: e})
	})
}

func (a *Agent) surroundings() surroundings {
	return surroundings{log: a.log, ingest: func() *ingester { return a.ingest }, gps: a.clock.gpsTime}
}
