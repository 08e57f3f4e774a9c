package serial

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Name is one serial port of this box, under the name to configure and the one that the kernel uses today.
type Name struct {
	Stable string // .../serial/by-id/usb-FTDI_FT232R_A9Q3-if00-port0; "" if the port has no such name
	Path   string // .../serial/by-path/..., the socket it is plugged into; "" if unknown
	Kernel string // .../ttyUSB0
}

// List names the ports below dev ("/dev"): those in serial/by-id and serial/by-path, by kernel name, at most 256. It
// opens none of them, unlike other lists, which disturbs nobody. Ports that are soldered in (ttyS*, ttyAMA*) have no
// such names and are not listed.
func List(dev string) ([]Name, error) {
	byKernel := map[string]*Name{}
	for _, dir := range []string{"by-id", "by-path"} {
		es, err := os.ReadDir(filepath.Join(dev, "serial", dir))
		if errors.Is(err, os.ErrNotExist) {
			continue // nothing plugged in
		}
		if err != nil {
			return nil, fmt.Errorf("list serial ports: %w", err)
		}
		for _, e := range es {
			link := filepath.Join(dev, "serial", dir, e.Name())
			kernel, err := filepath.EvalSymlinks(link)
			if err != nil {
				continue // unplugged while looking
			}
			n := byKernel[kernel]
			if n == nil {
				if len(byKernel) >= maxListed {
					continue
				}
				n = &Name{Kernel: kernel}
				byKernel[kernel] = n
			}
			if dir == "by-id" && n.Stable == "" {
				n.Stable = link
			} else if dir == "by-path" && n.Path == "" {
				n.Path = link
			}
		}
	}
	out := make([]Name, 0, len(byKernel))
	for _, n := range byKernel {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b Name) int {
		return bytes.Compare([]byte(a.Kernel), []byte(b.Kernel))
	})
	return out, nil
}

// foreignLock respects the lock files of programs that know no other way (minicom, lockdev): LCK..ttyUSB0 holds the
// process id of its owner. A lock whose owner is dead, or that cannot be read as one, counts for nothing.
func foreignLock(dir, device string) error {
	real, err := filepath.EvalSymlinks(device)
	if err != nil {
		return nil // opening it will say why
	}
	for _, name := range []string{filepath.Base(real), filepath.Base(device)} {
		f, err := os.Open(filepath.Join(dir, "LCK.."+name))
		if err != nil {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(f, maxLockFileBytes))
		f.Close()
		if err != nil {
			continue
		}
		fields := bytes.Fields(text)
		if len(fields) == 0 {
			continue
		}
		pid, err := strconv.Atoi(string(fields[0]))
		if err != nil || pid <= 0 || pid == os.Getpid() {
			continue
		}
		if err := unix.Kill(pid, 0); err == nil || errors.Is(err, unix.EPERM) {
			return fmt.Errorf("%w: %s is locked by process %d (%s)", ErrBusy, device, pid, f.Name())
		}
	}
	return nil
}
