package config

import "strings"

// Place is where a source hangs, in the words of its block: a serial port, a host, a bus, a program. It is for people.
func (s *Source) Place() string {
	first := func(texts ...string) string {
		for _, t := range texts {
			if t != "" {
				return t
			}
		}
		return ""
	}
	switch {
	case s.W1 != nil:
		if s.W1.Master != "" {
			return s.W1.Root + "/" + s.W1.Master
		}
		return s.W1.Root
	case s.DS18B20 != nil:
		d := s.DS18B20
		switch d.Master {
		case "owserver":
			return "owserver " + first(d.Server, "127.0.0.1:4304")
		case "netlink":
			return "netlink"
		}
		return d.Port
	case s.Modbus != nil:
		return first(s.Modbus.Port, s.Modbus.TCP, s.Modbus.RTUOverTCP)
	case s.Air != nil:
		return s.Air.Port
	case s.NMEA != nil:
		return s.NMEA.Port
	case s.Exec != nil:
		return strings.Join(s.Exec.Command, " ")
	case s.Serial != nil:
		return s.Serial.Port
	case s.Listen != nil:
		return first(s.Listen.HTTP, s.Listen.Unix, s.Listen.UDP)
	case s.MQTT != nil:
		return s.MQTT.Broker
	}
	return ""
}
