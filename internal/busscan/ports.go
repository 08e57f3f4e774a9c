package busscan

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// port is one serial port.
type port struct {
	name   string // to configure
	kernel string // path of the device itself
}

// ports lists what is plugged in by its stable name, and what is soldered in. Nothing is opened.
func (o Options) ports() (out []port) {
	if len(o.Ports) > 0 {
		for _, name := range o.Ports {
			out = append(out, port{name, resolved(name)})
		}
		return out
	}
	seen := map[string]bool{}
	listed, err := serial.List(o.Dev)
	if err == nil { // else the kernel's own list below has them under their other names
		for _, n := range listed {
			name := n.Stable
			if name == "" {
				name = n.Path
			}
			out, seen[n.Kernel] = append(out, port{name, n.Kernel}), true
		}
	}
	ttys, _ := filepath.Glob(filepath.Join(o.Sys, "class/tty/*")) // the pattern is right
	slices.Sort(ttys)
	for _, tty := range ttys {
		path := filepath.Join(o.Dev, filepath.Base(tty))
		if _, err := os.Stat(filepath.Join(tty, "device")); err != nil || seen[path] {
			continue // a virtual one
		}
		if kind, err := os.ReadFile(filepath.Join(tty, "type")); err == nil && strings.TrimSpace(string(kind)) == "0" {
			continue // a place for a UART, without one
		}
		if _, err := os.Stat(path); err == nil {
			out = append(out, port{path, path})
		}
	}
	return out
}

func resolved(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return name
}

// user says who has the port open, "" if nobody is seen to: without root only one's own programs are.
func (o Options) user(p port) string {
	if active, err := os.ReadFile(filepath.Join(o.Sys, "class/tty/console/active")); err == nil &&
		slices.Contains(strings.Fields(string(active)), filepath.Base(p.kernel)) {
		return "the console of the kernel"
	}
	here, err := os.Stat(p.kernel)
	if err != nil {
		here = nil // unplugged meanwhile: the name is all there is to go by
	}
	fds, _ := filepath.Glob(filepath.Join(o.Proc, "[0-9]*/fd/*"))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != p.kernel {
			continue
		}
		if theirs, err := os.Stat(fd); err == nil && here != nil && !os.SameFile(theirs, here) {
			continue // of the same name in a container
		}
		pid := filepath.Base(filepath.Dir(filepath.Dir(fd)))
		if pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(o.Proc, pid, "comm"))
		if err != nil {
			return "process " + pid
		}
		return strings.TrimSpace(string(comm)) + " (process " + pid + ")"
	}
	return ""
}
