package npu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/ascend/dcmi"
)

// checklist writes one line a step.
type checklist struct {
	out io.Writer
	bad int
}

func (d *checklist) step(what string, err error, found string, args ...any) bool {
	mark := "ok  "
	text := fmt.Sprintf(found, args...)
	if err != nil {
		mark, text = "FAIL", err.Error()
		if errors.Is(err, acl.ErrUnsupported) || errors.Is(err, dcmi.ErrUnsupported) {
			mark = "--  "
		} else {
			d.bad++
		}
	}
	fmt.Fprintf(d.out, "%s  %-28s %s\n", mark, what, text)
	return err == nil
}

// Doctor performs the checklist of the first day with a card and writes its report, in the order in which one thing
// depends on the other. It reports whether everything is well; a stand-in is never certified.
func Doctor(c *Config, out io.Writer) bool {
	d := &checklist{out: out}
	fmt.Fprintf(out, "edge-npu doctor   %s   %s/%s   %s\n\n", time.Now().Format(time.RFC3339), runtime.GOOS, runtime.GOARCH, hostname())
	d.host()
	simulated := d.management(c)
	lib, err := acl.Open(acl.Options{Path: c.ACL})
	if d.step("runtime library", err, "%v", safe(lib)) {
		simulated = simulated || lib.Simulated() != ""
		d.runtime(c, lib)
	}
	if simulated {
		d.bad++
		fmt.Fprintf(out, "\nSIMULATED: a stand-in library was loaded. Nothing above says anything about a device.\n")
	}
	fmt.Fprintf(out, "\n%d findings.\n", d.bad)
	return d.bad == 0
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "unknown host"
	}
	return h
}

func safe(l *acl.Library) string {
	if l == nil {
		return ""
	}
	return strings.Join(l.Paths(), " ")
}

// host looks at what the libraries need of the machine.
func (d *checklist) host() {
	nodes, _ := filepath.Glob("/dev/davinci*") // the pattern is well formed
	var err error
	if len(nodes) == 0 {
		err = errors.New("no /dev/davinci*: the driver is not loaded, or the device is not passed into this container")
	}
	d.step("device nodes", err, "%s", strings.Join(nodes, " "))
	pci, _ := filepath.Glob("/sys/bus/pci/devices/*/device")
	n := 0
	for _, p := range pci {
		text, err := os.ReadFile(p)
		vendor, verr := os.ReadFile(filepath.Join(filepath.Dir(p), "vendor"))
		if err == nil && verr == nil && strings.TrimSpace(string(text)) == "0xd500" && strings.TrimSpace(string(vendor)) == "0x19e5" {
			n++
		}
	}
	if err = nil; n == 0 {
		err = errors.New("no PCI device 19e5:d500: the card is not seated, or not seen by this machine")
	}
	d.step("PCI devices 310P", err, "%d", n)
	d.step("member of HwHiAiUser", memberOf("HwHiAiUser"), "yes")
	for _, f := range []string{"/etc/ascend_install.info", "/usr/local/Ascend/driver/version.info", "/usr/local/Ascend/firmware/version.info"} {
		text, err := os.ReadFile(f)
		d.step(filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f), err, "%s", strings.Join(strings.Fields(string(text)), " "))
	}
	fmt.Fprintf(d.out, "      LD_LIBRARY_PATH              %s\n", os.Getenv("LD_LIBRARY_PATH"))
}

func memberOf(group string) error {
	g, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Errorf("group %s does not exist on this machine", group)
	}
	u, err := user.Current()
	if err != nil {
		return err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id == g.Gid {
			return nil
		}
	}
	if u.Uid == "0" {
		return nil
	}
	return fmt.Errorf("user %s is not in group %s: usermod -aG %s %s", u.Username, group, group, u.Username)
}

// management reads everything that the chips tell and compares it with the vendor's own tool where there is one.
func (d *checklist) management(c *Config) (simulated bool) {
	if c.DCMI == "none" {
		return false
	}
	lib, err := dcmi.Open(c.DCMI)
	if err != nil {
		d.step("management library", err, "")
		return false
	}
	v := lib.Versions()
	d.step("management library", nil, "%s, driver %s, library %s, missing: %v", lib.Path(), v.Driver, v.DCMI, lib.Missing())
	h, codes, err := lib.DriverHealth()
	d.step("driver health", err, "%d %v", h, codes)
	chips, err := lib.Chips()
	if err == nil && len(chips) == 0 {
		err = errors.New("no chip is listed")
	}
	d.step("chips", err, "%d", len(chips))
	for _, chip := range chips {
		id, err := lib.Identity(chip)
		name := fmt.Sprintf("chip %d/%d", chip.Card, chip.Device)
		d.step(name, err, "%+v", id)
		state, err := lib.Health(chip)
		if err == nil && state != dcmi.Healthy {
			err = fmt.Errorf("health is %s", state)
		}
		d.step(name+" health", err, "ok")
		started, err := lib.Started(chip)
		d.step(name+" booted", err, "%v", started)
		for _, g := range lib.Gauges(chip) {
			d.step(name+" "+g.Name, g.Err, "%s %s", strconv.FormatFloat(g.Value, 'f', -1, 64), g.Unit)
		}
		faults, err := lib.Faults(chip)
		d.step(name+" errors", err, "%v", faults)
		procs, err := lib.Processes(chip)
		d.step(name+" processes", err, "%d", len(procs))
	}
	if text, err := vendorTool(smiLimit); err == nil {
		fmt.Fprintf(d.out, "\nnpu-smi info, to compare the units with:\n%s\n", text)
	} else {
		fmt.Fprintf(d.out, "--    npu-smi                      not run (%v); compare the units by hand\n", err)
	}
	if lib.Grown() > 0 {
		d.step("structures", fmt.Errorf("%d answers were longer than documented", lib.Grown()), "")
	}
	return lib.Simulated() != ""
}

// vendorTool is what npu-smi says. It asks the driver, which may hang.
func vendorTool(limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npu-smi", "info")
	cmd.WaitDelay = hungGrace // for programs that it started
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v", limit)
	}
	return text, err
}

// runtime goes once through the life of the runtime: twice initialised, memory, copies, a stream, each model.
func (d *checklist) runtime(c *Config, lib *acl.Library) {
	fmt.Fprintf(d.out, "      functions missing            %v\n", lib.Missing())
	fmt.Fprintf(d.out, "      signals put back             %v\n", lib.SignalsRestored())
	if !d.step("initialise", lib.Init(), "ok") {
		return
	}
	v := lib.Versions()
	d.step("versions", nil, "%s chip, interface %s, CANN %s %s", lib.SoC(), v.Runtime, v.CANN, v.Warning)
	n, err := lib.Devices()
	d.step("devices", err, "%d", n)
	normal, err := lib.Status(c.Device)
	if err == nil && !normal {
		err = errors.New("the device is not normal")
	}
	d.step("device status", err, "normal")
	begun := time.Now()
	err = lib.Run(c.Device, func(x *acl.Context) error {
		d.step("open the device", nil, "%s", time.Since(begun).Truncate(time.Millisecond))
		card, err := x.OnCard()
		d.step("on a card", err, "%v", card)
		m, err := x.Memory()
		d.step("device memory", err, "%d of %d MiB free", m.Free>>20, m.Total>>20)
		d.step("copy 1 MiB there and back", copyTest(x), "equal")
		s, err := x.NewStream()
		if d.step("stream", err, "ok") {
			d.step("empty stream", s.Sync(time.Second), "idle")
			d.step("close stream", s.Close(), "ok")
		}
		_, err = x.Malloc(math.MaxInt/4, acl.HugeFirst)
		if acl.ClassOf(err) != acl.ClassMemory {
			d.step("refusal of too much memory", fmt.Errorf("it was answered with: %v", err), "")
		} else {
			d.step("refusal of too much memory", nil, "%v", err)
		}
		return nil
	})
	d.step("close the device", err, "ok; open handles %+v", lib.Live())
	for _, m := range c.Models {
		s := newSession(lib, c.Device, m, make(chan *job), func(error) {})
		begun := time.Now()
		err := s.try()
		if err == nil && s.intake.target.width > 0 {
			d.pictures(m.Name, s.media)
		}
		d.step("model "+m.Name, err, "loaded and run in %s, self-test %s, %d inputs, batches %v", time.Since(begun).Truncate(time.Millisecond), s.selfTest, len(s.info.Inputs), s.info.Batches)
	}
	d.step("signals after first use", nil, "put back: %v", lib.SignalsRestored())
	d.step("finalise", lib.Finalize(), "ok")
}

// pictures tells who decodes a model's pictures. A device that could and gives another picture is a finding.
func (d *checklist) pictures(model string, why error) {
	name := "model " + model + " pictures"
	if errors.Is(why, acl.ErrUnsupported) || errors.Is(why, acl.ErrLayout) || errors.Is(why, errSwitchedOff) {
		fmt.Fprintf(d.out, "--    %-28s decoded by the processor: %v\n", name, why)
		return
	}
	d.step(name, why, "decoded by the device, as on the processor")
}

func copyTest(x *acl.Context) error {
	in := make([]byte, 1<<20)
	for i := range in {
		in[i] = byte(i * 31)
	}
	b, err := x.Malloc(len(in), acl.HugeFirst)
	if err != nil {
		return err
	}
	out := make([]byte, len(in))
	err = errors.Join(b.Upload(in), b.Download(out), b.Free())
	if err == nil && string(in) != string(out) {
		err = errors.New("what came back differs")
	}
	return err
}
