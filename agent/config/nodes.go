package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// NodeLine is a serial line with microcontroller nodes. Exactly one of Port and RTUOverTCP is given.
type NodeLine struct {
	Name       string        `yaml:"line,required"` // [a-z0-9-]{1,32}, unique
	Port       string        `yaml:"port"`          // serial port
	RTUOverTCP string        `yaml:"rtu_over_tcp"`  // host:port of a converter; its nodes cannot be flashed
	Baud       int           `yaml:"baud"`
	Echo       bool          `yaml:"echo"`     // the adapter hears itself
	Stream     string        `yaml:"stream"`   // where the events go
	Poll       time.Duration `yaml:"poll"`     // at least so often, 20 ms to 1 min
	Timeout    time.Duration `yaml:"timeout"`  // for one answer to begin
	Discover   bool          `yaml:"discover"` // look for nodes that are not named here
	Clock      string        `yaml:"clock"`    // local, utc or off: what clock chips show
	Nodes      []Node        `yaml:"nodes"`
}

// Node is one node of a line.
type Node struct {
	Name     string            `yaml:"name,required"` // [a-z0-9-]{1,32}, unique on the box
	Unit     int               `yaml:"unit,required"` // Modbus address
	Serial   int64             `yaml:"serial"`        // that it must have; 0: any
	Labels   map[string]string `yaml:"labels"`
	Settings map[string]string `yaml:"settings"` // kept true on the node; see docs/node.md
	Flash    *NodeFlash        `yaml:"flash"`
}

// NodeFlash says how the node gets new firmware. Zero fields take the protocol's defaults.
type NodeFlash struct {
	Protocol    string   `yaml:"protocol,required"` // stk500v1, an3155, stc89, smp
	Port        string   `yaml:"port"`              // where its bootloader is reached, if that is not the line
	Baud        int      `yaml:"baud"`
	Enter       string   `yaml:"enter"`        // command, dtr, rts, exec, hand
	EnterExec   []string `yaml:"enter_exec"`   // program that brings it into its bootloader, or cycles its power
	LeaveExec   []string `yaml:"leave_exec"`   // program that starts the application; default: the bootloader does
	LoaderBytes int      `yaml:"loader_bytes"` // stk500v1: what the bootloader takes
	SlotBytes   int      `yaml:"slot_bytes"`   // smp: room for an image
}

// Ways into a bootloader.
const (
	EnterCommand = "command"
	EnterDTR     = "dtr"
	EnterRTS     = "rts"
	EnterExec    = "exec"
	EnterHand    = "hand"
)

// What clock chips show.
const (
	ClockLocal = "local"
	ClockUTC   = "utc"
	ClockOff   = "off"
)

const nodePrefix = "node:" // of the producers that stand for nodes

func (l *NodeLine) withDefaults() {
	l.Baud = orDefault(l.Baud, defaultBaud)
	l.Stream = orDefault(l.Stream, StreamTelemetry)
	l.Poll = orDefault(l.Poll, 500*time.Millisecond)
	l.Timeout = orDefault(l.Timeout, 300*time.Millisecond)
	l.Clock = orDefault(l.Clock, ClockLocal)
	for i := range l.Nodes {
		f := l.Nodes[i].Flash
		if f == nil || f.Enter != "" {
			continue
		}
		switch f.Protocol {
		case "stk500v1":
			f.Enter = EnterDTR
		case "stc89":
			f.Enter = EnterHand
		default:
			f.Enter = EnterCommand
		}
		if len(f.EnterExec) > 0 {
			f.Enter = EnterExec
		}
	}
}

func (c *Config) validateNodes(r *strictyaml.Report) {
	if len(c.Nodes) > MaxNodeLines {
		r.Addf("nodes", "%d node lines, at most %d are possible", len(c.Nodes), MaxNodeLines)
	}
	lines, names := map[string]int{}, map[string]string{}
	for i := range c.Nodes {
		l, path := &c.Nodes[i], "nodes["+strconv.Itoa(i)+"]"
		if j, dup := lines[l.Name]; dup {
			r.Addf(path+".line", "%s.line %q is taken by nodes[%d]", path, l.Name, j)
		} else if lines[l.Name] = i; !record.ValidStream(l.Name) {
			r.Addf(path+".line", "%s.line %q: a name has 1 to 32 of a-z 0-9 -", path, l.Name)
		}
		if (l.Port == "") == (l.RTUOverTCP == "") {
			r.Addf(path, "%s: give one of port and rtu_over_tcp", path)
		}
		if l.RTUOverTCP != "" {
			wantHostPort(r, path+".rtu_over_tcp", l.RTUOverTCP)
		}
		between(r, path+".baud", l.Baud, 1200, 115200)
		between(r, path+".poll", l.Poll, 20*time.Millisecond, time.Minute)
		between(r, path+".timeout", l.Timeout, MinInterval, MaxModbusTimeout)
		c.wantStream(r, path+".stream", l.Stream)
		oneOf(r, path+".clock", l.Clock, ClockLocal, ClockUTC, ClockOff)
		if n := len(l.Nodes); n > MaxLineNodes {
			r.Addf(path+".nodes", "%s.nodes has %d nodes, at most %d are possible", path, n, MaxLineNodes)
		}
		units := map[int]string{}
		for k := range l.Nodes {
			n, at := &l.Nodes[k], path+".nodes["+strconv.Itoa(k)+"]"
			if other, dup := names[n.Name]; dup {
				r.Addf(at+".name", "%s.name %q is taken by %s", at, n.Name, other)
			} else if names[n.Name] = at; !record.ValidStream(n.Name) {
				r.Addf(at+".name", "%s.name %q: a name has 1 to 32 of a-z 0-9 -", at, n.Name)
			}
			if other, dup := units[n.Unit]; dup {
				r.Addf(at+".unit", "%s.unit %d is taken by %s", at, n.Unit, other)
			}
			units[n.Unit] = n.Name
			n.validate(r, at, l)
		}
	}
}

func (n *Node) validate(r *strictyaml.Report, at string, l *NodeLine) {
	between(r, at+".unit", n.Unit, 1, MaxModbusUnits)
	if n.Serial < 0 || n.Serial > 1<<32-1 {
		r.Addf(at+".serial", "%s.serial %d is no number of 32 bits", at, n.Serial)
	}
	for key, value := range n.Labels {
		sr := record.Series{Name: "x", Labels: []record.Label{{Key: key, Value: value}}}
		if err := sr.Normalize(); err != nil || key == "node" || key == "rom" || key == "output" {
			r.Addf(at+".labels."+key, "%s.labels: %q cannot be a label; keys have a-z 0-9 _, and node, rom and output are taken", at, key)
		}
	}
	f := n.Flash
	if f == nil {
		return
	}
	at += ".flash"
	oneOf(r, at+".protocol", f.Protocol, "stk500v1", "an3155", "stc89", "smp")
	oneOf(r, at+".enter", f.Enter, EnterCommand, EnterDTR, EnterRTS, EnterExec, EnterHand)
	if f.Enter == EnterExec && len(f.EnterExec) == 0 {
		r.Addf(at+".enter", "%s.enter is exec, but enter_exec names no program", at)
	}
	if f.Baud != 0 {
		between(r, at+".baud", f.Baud, 1200, 921600)
	}
	if l.RTUOverTCP != "" && f.Port == "" {
		r.Addf(at+".port", "%s: a node behind rtu_over_tcp needs a port of its own to be flashed", at)
	}
}

func oneOf(r *strictyaml.Report, path, v string, known ...string) {
	if !slices.Contains(known, v) {
		r.Addf(path, "%s %q is unknown%s", path, v, strictyaml.Suggest(v, known))
	}
}

// nodes: a changed line is opened again with what its nodes hold; nothing is acknowledged twice or lost by that.
func (p *Plan) nodes(old, now []NodeLine) {
	before := map[string]NodeLine{}
	for _, l := range old {
		before[l.Name] = l
	}
	for _, l := range now {
		was, had := before[l.Name]
		delete(before, l.Name)
		switch {
		case !had:
			p.Nodes = true
			p.Live = append(p.Live, Change{"nodes." + l.Name, "is new"})
		case !reflect.DeepEqual(was, l):
			p.Nodes = true
			p.Live = append(p.Live, Change{"nodes." + l.Name, "is opened again with the new settings"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		p.Nodes = true
		p.Live = append(p.Live, Change{"nodes." + name, "is gone; what its nodes hold stays with them"})
	}
}
