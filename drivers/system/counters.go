package system

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer/record"
)

// device is a network interface or a disk with counters; nil in its map means "not to be read".
type device struct{ q [4]int }

// readNet reads /proc/net/dev: after two lines of header, "name: rx bytes packets errs drop … tx bytes packets errs …".
func (h *Host) readNet() {
	text, err := h.netdev.read(&h.buf)
	if err != nil {
		return
	}
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		name, rest := bytes.TrimLeft(line[:colon], " "), line[colon+1:]
		d, known := h.interfaces[string(name)]
		if !known {
			d = h.addInterface(string(name))
		}
		if d == nil {
			continue
		}
		for column := 0; column <= netColumns[len(netColumns)-1]; column++ {
			var field []byte
			field, rest = cutField(rest)
			for i, c := range netColumns {
				if c == column {
					h.putCounter(d.q[i], field)
				}
			}
		}
	}
}

// netColumns are received bytes and errors, sent bytes and errors, as device.q has them.
var netColumns = [4]int{0, 2, 8, 10}

func (h *Host) putCounter(q int, field []byte) {
	if v, ok := parseUint(field); ok {
		h.put(q, v)
	} else {
		h.bad(q, record.QualityMalformed, strconv.Quote(string(field))+" is not a counter")
	}
}

func (h *Host) addInterface(name string) *device {
	// The loopback tells nothing; containers make and drop veth pairs with random names without end.
	for _, skip := range [...]string{"veth", "ifb", "dummy"} {
		if strings.HasPrefix(name, skip) {
			return nil
		}
	}
	if name == "lo" || len(h.interfaces) >= MaxQuantities {
		return nil
	}
	l := record.Label{Key: "interface", Value: name}
	d := &device{q: [4]int{
		h.add("net.rx_bytes", "By", record.TypeInt, l), h.add("net.rx_errors", "", record.TypeInt, l),
		h.add("net.tx_bytes", "By", record.TypeInt, l), h.add("net.tx_errors", "", record.TypeInt, l),
	}}
	h.interfaces[name] = d
	return d
}

// readDisks reads /proc/diskstats (Documentation/admin-guide/iostats.rst): major, minor, name, reads, merged,
// sectors read, ms, writes, merged, sectors written, …; a sector is 512 bytes whatever the disk says.
func (h *Host) readDisks() {
	text, err := h.diskstats.read(&h.buf)
	if err != nil {
		return
	}
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		var fields [10][]byte
		for i := range fields {
			fields[i], line = cutField(line)
		}
		name := fields[2]
		if len(name) == 0 {
			continue
		}
		d, known := h.disks[string(name)]
		if !known {
			d = h.addDisk(string(name))
		}
		if d == nil {
			continue
		}
		for i, field := range [...][]byte{fields[5], fields[9]} {
			if v, ok := parseUint(field); ok {
				h.put(d.q[i], v&(1<<54-1)*512)
			} else {
				h.bad(d.q[i], record.QualityMalformed, "diskstats: "+string(field))
			}
		}
	}
}

// addDisk lists whole disks with hardware behind them: no partitions, loops, RAM disks, and no volumes that would
// count the bytes of their disks again.
func (h *Host) addDisk(name string) *device {
	if len(h.disks) >= MaxQuantities {
		return nil
	}
	if unix.Access(h.o.Sys+"/block/"+name+"/device", unix.F_OK) != nil {
		h.disks[name] = nil
		return nil
	}
	l := record.Label{Key: "device", Value: name}
	d := &device{q: [4]int{
		h.add("disk.read_bytes", "By", record.TypeInt, l), h.add("disk.written_bytes", "By", record.TypeInt, l), -1, -1,
	}}
	h.disks[name] = d
	return d
}

// volume is a mounted file system that is kept on a device of this box.
type volume struct {
	mount string
	sweep uint64 // latest that saw it mounted
	q     [3]int // total, free, used
}

// localTypes are the file systems worth watching. Those of a network can hang a statfs for ever, and read-only
// images are always full.
func localType(t []byte) bool {
	switch string(t) {
	case "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "ntfs3", "ubifs", "jffs2", "zfs", "bcachefs":
		return true
	}
	return false
}

// readVolumes reads /proc/mounts: device, mount point, type, …, with octal escapes. A device that is mounted more
// than once (bind mounts) is told once, where it was mounted first.
func (h *Host) readVolumes() {
	text, err := h.mounts.read(&h.buf)
	if err != nil {
		return
	}
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		dev, line := cutField(line)
		mount, line := cutField(line)
		kind, _ := cutField(line)
		if len(mount) == 0 || !localType(kind) && !(string(kind) == "overlay" && string(mount) == "/") {
			continue
		}
		v := h.volumes[string(mount)]
		owner := h.owners[string(dev)]
		if owner != nil && owner != v && owner.sweep == h.sweep {
			continue // a bind mount
		}
		if v == nil {
			if v = h.addVolume(string(mount), string(dev)); v == nil {
				continue
			}
		}
		if v.sweep == h.sweep {
			continue // mounted over
		}
		h.owners[string(dev)] = v
		v.sweep = h.sweep
		h.putVolume(v)
	}
}

func (h *Host) putVolume(v *volume) {
	u, err := h.o.Statfs(v.mount)
	if err != nil {
		for _, q := range v.q {
			h.bad(q, record.QualityDevice, "statfs: "+err.Error())
		}
		return
	}
	used := int64(u.Total - min(u.Free, u.Total))
	h.put(v.q[0], int64(u.Total))
	h.put(v.q[1], int64(u.Available))
	h.put(v.q[2], percent(used, used+int64(u.Available))) // as df(1): what root keeps back is not free
}

func (h *Host) addVolume(escaped, dev string) *volume {
	if len(h.volumes) >= MaxQuantities {
		return nil
	}
	mount := unescape(escaped)
	l := record.Label{Key: "mount", Value: mount}
	v := &volume{mount: mount, q: [3]int{h.add("disk.total", "By", record.TypeInt, l),
		h.add("disk.free", "By", record.TypeInt, l), h.add("disk.used", "%", record.Decimal(2), l)}}
	h.volumes[escaped] = v
	return v
}

// unescape undoes the octal escapes of /proc/mounts: \040 for a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
