package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/user"
	"strings"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	dialTimeout = 3 * time.Second
	certWarning = 30 * 24 * time.Hour
)

// oldest is a time that every right clock is past.
var oldest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// doctor is one examination.
type doctor struct {
	*app
	status *api.Status    // nil: the agent does not answer
	conf   *config.Config // nil: not readable
	dir    string         // data directory
	found  []check
}

func (d *doctor) ok(name, text string) {
	d.found = append(d.found, check{Name: name, State: checkOK, Text: text})
}

// skip notes what this user may not look at. It does not make the box degraded.
func (d *doctor) skip(name, text string) {
	d.found = append(d.found, check{Name: name, State: checkSkip, Text: text + "; not looked at", Do: "sudo edgectl doctor looks at it"})
}

// onlyPermission reports whether nothing is wrong but that this user may not read the agent's secrets.
func onlyPermission(e *strictyaml.Error) bool {
	for _, p := range e.Problems {
		if !strings.HasSuffix(p.Text, "may not be read by this user") {
			return false
		}
	}
	return true
}

func (d *doctor) warn(name, text, do string, code health.Code) {
	state := checkWarn
	if f, ok := health.Lookup(code); ok && f.Severity == health.Notice {
		state = checkNote
	}
	d.found = append(d.found, check{Name: name, State: state, Text: text, Do: do, Code: string(code)})
}

func (d *doctor) fail(name, text, do string, code health.Code) {
	d.found = append(d.found, check{Name: name, State: checkFail, Text: text, Do: do, Code: string(code)})
}

// configuration reads the file that the running agent names, else the one of --config.
func (d *doctor) configuration() {
	file := d.g.config
	if d.status != nil && d.status.Config != "" {
		file = d.status.Config
	}
	d.dir = d.g.dataDir
	if d.status != nil && d.status.DataDir != "" {
		d.dir = d.status.DataDir
	}
	c, err := config.Load(file, d.Host)
	var mistakes *strictyaml.Error
	switch {
	case err == nil:
		d.conf = c
		if d.dir == config.DefaultDataDir {
			d.dir = c.DataDir
		}
		d.ok("config", file+" is valid")
	case errors.As(err, &mistakes) && onlyPermission(mistakes):
		d.skip("config", mistakes.Problems[0].Text)
	case errors.As(err, &mistakes):
		p := mistakes.Problems[0]
		d.fail("config", fmt.Sprintf("%s:%d:%d  %s", file, p.Line, p.Col, p.Text), fmt.Sprintf("edge-agent check --config %s shows all %d", file, len(mistakes.Problems)+mistakes.More), health.ReloadFailed)
	case errors.Is(err, fs.ErrNotExist):
		d.warn("config", file+" does not exist", "Name it with --config, or begin with the commented example agent.yaml", "")
	case errors.Is(err, fs.ErrPermission):
		d.skip("config", file+" may not be read by this user")
	default:
		d.warn("config", err.Error(), "Name another file with --config", "")
	}
}

// places looks whether what the configuration names is there: ports, buses, programs.
func (d *doctor) places() {
	if d.conf == nil {
		return
	}
	var ports []string
	list, err := serial.List("/dev")
	if err == nil { // else there is nothing to name beside a missing one
		for _, n := range list {
			ports = append(ports, cmp.Or(n.Stable, n.Path, n.Kernel))
		}
	}
	notes := d.conf.Notes(d.Host, ports)
	for _, n := range notes {
		d.warn("config", n, "Correct the configuration; what is only unplugged needs no restart when it is back", "")
	}
	if len(notes) == 0 && len(d.conf.Sources)+len(d.conf.Nodes) > 0 {
		d.ok("sources", "every port, bus and program that the configuration names is there")
	}
}

func (d *doctor) dataDir() {
	info, err := d.Host.Stat(d.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fail("data", d.dir+" does not exist", "systemd makes it at the start of edge-agent; for another place use --dir", health.LogUnavailable)
		return
	case errors.Is(err, fs.ErrPermission):
		d.skip("data", d.dir+" may not be seen by this user")
		return
	case err != nil:
		d.fail("data", err.Error(), "Look at dmesg and at the mounts", health.LogUnavailable)
		return
	case !info.IsDir():
		d.fail("data", d.dir+" is not a directory", "Correct data_dir in the configuration", health.LogUnavailable)
		return
	}
	owner := "unknown"
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprintf("uid %d", st.Uid)
		if u, err := user.LookupId(fmt.Sprint(st.Uid)); err == nil {
			owner = u.Username
		}
		if want, err := user.Lookup("edge-agent"); err == nil && want.Uid != fmt.Sprint(st.Uid) {
			d.fail("data", fmt.Sprintf("%s belongs to %s, not to edge-agent", d.dir, owner), "chown -R edge-agent: "+d.dir, health.LogUnavailable)
			return
		}
	}
	if perm := info.Mode().Perm(); perm&0o700 != 0o700 || perm&0o002 != 0 {
		d.warn("data", fmt.Sprintf("%s has mode %04o", d.dir, perm), "chmod 0750 "+d.dir, health.LogUnavailable)
		return
	}
	d.ok("data", fmt.Sprintf("%s exists, owner %s, mode %04o", d.dir, owner, info.Mode().Perm()))
}

func (d *doctor) space() {
	u, err := vfs.OS{}.Usage(d.dir)
	if err != nil {
		return // the check of the directory has said so
	}
	text := fmt.Sprintf("%s free of %s", term.Bytes(int64(u.Free)), term.Bytes(int64(u.Total)))
	if u.Free < config.DiskReserve(u.Total) {
		d.warn("disk", text, "Find what fills it: du -xh / | sort -h | tail. Do not delete files of the log", health.DiskSpaceLow)
		return
	}
	d.ok("disk", text)
}

// log reads the log directory of a dead agent.
func (d *doctor) log(ctx context.Context) {
	set, err := d.openLog(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		d.warn("log", "there is no log in "+d.dir, "If it lies elsewhere, name it with --dir", "")
		return
	}
	if err != nil {
		d.fail("log", err.Error(), "Use sudo if it is a matter of permission. Do not delete anything", health.LogUnavailable)
		return
	}
	for _, l := range set.Logs() {
		d.stream(l.Name(), l.Info())
	}
	if err := set.Close(); err != nil {
		d.warn("log", err.Error(), "", "")
	}
}

func (d *doctor) stream(name string, info buffer.Info) {
	text := fmt.Sprintf("stream %s: %s, %s in %s", name, term.Count(uint64(info.Durable-info.Low), "record"), term.Bytes(info.Bytes), term.Count(info.Segments, "file"))
	var lost uint64
	why := map[string]uint64{}
	for _, g := range info.Gaps {
		lost += g.Len()
		why[g.Reason.String()] += g.Len()
	}
	switch {
	case len(info.Held) > 0:
		d.fail("log", text+fmt.Sprintf("; %d files need a newer version or their key", len(info.Held)), "Install the newer version again, or name the key in storage.encryption", health.LogHeld)
	case info.Error != "":
		d.fail("log", text+"; "+info.Error, "", health.DiskFailing)
	case lost > 0:
		d.warn("log", text+"; gaps: "+reasons(why), "The rest is not affected. edgectl account --dir "+d.dir, health.LogCorrupt)
	default:
		d.ok("log", text+", no gap")
	}
}

func (d *doctor) clock() {
	now := d.Now()
	if now.Before(oldest) {
		d.fail("clock", "it says "+now.UTC().Format(time.RFC3339)+", which cannot be", "Set up NTP, or set it: date -s", health.ClockFree)
		return
	}
	synchronised, bound, err := d.ReadClock()
	switch {
	case err != nil:
		d.warn("clock", err.Error(), "", "")
	case !synchronised:
		d.warn("clock", "not synchronised; it says "+d.now().Format(time.RFC3339), "timedatectl status; give the box a time source (NTP)", health.ClockFree)
	default:
		d.ok("clock", "synchronised, error at most "+term.Duration(bound))
	}
}

func (d *doctor) certificate() {
	if d.conf == nil || d.conf.Uplink.MQTT == nil || d.conf.Uplink.MQTT.CertFile == "" {
		return
	}
	m := d.conf.Uplink.MQTT
	for _, f := range []struct{ name, file string }{{"our certificate", m.CertFile}, {"CA", m.CAFile}} {
		if f.file == "" {
			continue
		}
		cert, err := config.ReadCertificate(d.Host, f.file)
		if err != nil {
			d.fail("tls", err.Error(), "", health.UplinkFiles)
			continue
		}
		left := cert.NotAfter.Sub(d.Now())
		text := fmt.Sprintf("%s (%s) ends %s", f.name, cert.Subject.CommonName, cert.NotAfter.In(d.Zone).Format("2006-01-02 15:04"))
		renew := "Issue a new one for the same name, then systemctl reload edge-agent"
		switch {
		case left <= 0:
			d.fail("tls", fmt.Sprintf("%s (%s) ended %s, %s", f.name, cert.Subject.CommonName, cert.NotAfter.In(d.Zone).Format("2006-01-02 15:04"), term.Ago(cert.NotAfter, d.Now())), renew, health.CertificateRefused)
		case d.Now().Before(cert.NotBefore):
			d.fail("tls", text+", but is not valid yet", "Check the clock", health.BrokerCertificate)
		case left < certWarning:
			d.warn("tls", text+", in "+term.Duration(left), renew, health.CertificateEnds)
		default:
			d.ok("tls", text)
		}
	}
}

func (d *doctor) broker(ctx context.Context) {
	if d.conf == nil {
		return
	}
	if d.conf.Uplink.MQTT == nil {
		d.ok("broker", "no uplink is configured: records stay on this box")
		return
	}
	addr, err := d.conf.Uplink.MQTT.HostPort()
	if err != nil {
		return // cannot be: the configuration was checked
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	start := d.Now()
	if err := d.Dial(ctx, addr); err != nil {
		d.fail("broker", addr+": "+unreached(err), "Check network and name (ping, getent hosts), then whether the broker runs", health.UplinkUnreachable)
		return
	}
	d.ok("broker", addr+" accepts connections ("+term.Duration(d.Now().Sub(start))+")")
}

// unreached says why a connection was not made, without the layers that it failed in. The uplink's own words are the same;
// they come from the MQTT client, which this program does not have.
func unreached(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(err.Error(), "i/o timeout"):
		return "no answer within " + term.Duration(dialTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: the machine answers, and nothing listens on that port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that machine (network unreachable)"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "nobody knows that name"
	case errors.As(err, &dns):
		return "the name cannot be looked up (" + dns.Err + "): is there a network?"
	}
	return err.Error()
}
