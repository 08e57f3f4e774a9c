package api

// What edgectl finds on a box by itself, without the agent.

// ModbusScan is who answers on a line.
type ModbusScan struct {
	SchemaVersion int          `json:"schema_version"`
	Place         string       `json:"place"`
	Found         []ModbusUnit `json:"found"`
	Configuration string       `json:"configuration,omitempty"` // YAML to add below sources
}

// ModbusUnit is one slave that answered.
type ModbusUnit struct {
	Unit     int    `json:"unit"`
	Line     string `json:"line,omitempty"` // "9600 8N1", of a serial port
	Answer   string `json:"answer"`
	Vendor   string `json:"vendor,omitempty"` // what it says of itself (function 43)
	Product  string `json:"product,omitempty"`
	Revision string `json:"revision,omitempty"`
}

// ModbusRead is what was read of one slave.
type ModbusRead struct {
	SchemaVersion int           `json:"schema_version"`
	Place         string        `json:"place"`
	Unit          int           `json:"unit"`
	Values        []ModbusValue `json:"values"`
}

// ModbusValue is one register, or one value of a profile.
type ModbusValue struct {
	Address int    `json:"address"`
	Series  string `json:"series,omitempty"`
	Hex     string `json:"hex,omitempty"`
	Value   string `json:"value,omitempty"` // as text, exact; empty if there is none
	Signed  string `json:"signed,omitempty"`
	Unit    string `json:"unit,omitempty"`
	Quality string `json:"quality"`
	Detail  string `json:"detail,omitempty"`
}

// ModbusProfiles lists the profiles that come with the program.
type ModbusProfiles struct {
	SchemaVersion int             `json:"schema_version"`
	Profiles      []ModbusProfile `json:"profiles"`
}

// ModbusProfile is one of them.
type ModbusProfile struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Manual string `json:"manual"`
}

// Kinds of places where something can be connected.
const (
	PlaceKernel   = "kernel"
	PlaceOWServer = "owserver"
	PlaceSerial   = "serial"
)

// Scan is what is connected to a box.
type Scan struct {
	SchemaVersion int     `json:"schema_version"`
	Places        []Place `json:"places"`
}

// Place is one bus or port.
type Place struct {
	Kind          string       `json:"kind"`
	Place         string       `json:"place"`            // what to write in the configuration
	Kernel        string       `json:"kernel,omitempty"` // ttyUSB0: its name until the next restart
	Found         string       `json:"found,omitempty"`  // in words
	InUse         string       `json:"in_use,omitempty"` // by whom; then it was left alone
	Configured    string       `json:"configured,omitempty"`
	Chips         []Chip       `json:"chips,omitempty"`
	Units         []ModbusUnit `json:"units,omitempty"`
	Heard         string       `json:"heard,omitempty"` // hexadecimal: bytes that came and were not understood
	Error         string       `json:"error,omitempty"`
	Configuration string       `json:"configuration,omitempty"` // YAML to add below sources
}

// Chip is one on a 1-Wire bus.
type Chip struct {
	ROM  string `json:"rom"`
	Chip string `json:"chip"`
}
