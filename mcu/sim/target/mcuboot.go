package target

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/boot/smpwire"
)

// MCUboot is a device with two slots under MCUboot's swap with revert; its application serves SMP on a console. What
// MCUboot keeps in the trailers of the slots survives a cut: a swap goes on where it was.
type MCUboot struct {
	core
	Slots   [2]*Flash
	trailer struct {
		swapping  bool // from here on it is finished, whatever happens
		sector    int
		pending   bool // swap at the next start
		permanent bool // and stay
		confirmed bool // the running image stays
	}
	upload struct { // in RAM
		sha  []byte
		size int
		off  int
	}
	lines smpwire.Lines
	text  []byte
	Lost  int // requests that were not served because they came damaged
}

const (
	slotBytes  = 32 << 10
	slotSector = 4 << 10
)

// NewMCUboot makes a device without supply that runs the confirmed image.
func NewMCUboot(image []byte) *MCUboot {
	m := &MCUboot{}
	m.mode = boot.Mode{Baud: 115200}
	for i := range m.Slots {
		m.Slots[i] = newFlash(slotBytes, m.core.step)
	}
	copy(m.Slots[0].Cells, image)
	m.trailer.confirmed = true
	m.run = func() {
		for {
			m.start()
			m.application()
		}
	}
	return m
}

// Runs is the file in the slot that runs, by its hash; nil if no whole image is there.
func (m *MCUboot) Runs() []byte { return hashOf(m.Slots[0].Cells) }

// Confirmed tells whether the image that runs stays after a restart.
func (m *MCUboot) Confirmed() bool { return m.trailer.confirmed }

func hashOf(cells []byte) []byte {
	size := sizeOf(cells)
	if size == 0 {
		return nil
	}
	want, _, err := boot.MCUbootHash(cells)
	if err != nil {
		return nil
	}
	if got := sha256.Sum256(cells[:size]); !bytes.Equal(got[:], want) {
		return nil
	}
	return want
}

// sizeOf is header and image, what the hash covers.
func sizeOf(cells []byte) int {
	le := binary.LittleEndian
	n := int(le.Uint16(cells[8:])) + int(le.Uint32(cells[12:]))
	if le.Uint32(cells) != 0x96f3b83d || n > len(cells)-64 || n < 32 {
		return 0
	}
	return n
}

// start is MCUboot.
func (m *MCUboot) start() {
	t := &m.trailer
	m.upload.sha, m.text, m.lines = nil, nil, smpwire.Lines{}
	if !t.swapping {
		switch {
		case t.pending:
			if hashOf(m.Slots[1].Cells) == nil { // not whole: MCUboot lets it be
				t.pending, t.permanent = false, false
				break
			}
			t.swapping, t.sector = true, 0
		case !t.confirmed: // tried once and not confirmed: back
			t.swapping, t.sector, t.permanent = true, 0, true
		}
	}
	if t.swapping {
		for ; t.sector < slotBytes/slotSector; t.sector++ {
			m.step()
			at := t.sector * slotSector // through a scratch area, so that a cut repeats one sector
			a := append([]byte(nil), m.Slots[0].Cells[at:at+slotSector]...)
			copy(m.Slots[0].Cells[at:], m.Slots[1].Cells[at:at+slotSector])
			copy(m.Slots[1].Cells[at:], a)
		}
		t.confirmed = t.permanent
		t.swapping, t.pending, t.permanent = false, false, false
	}
}

// application serves until it is told to reset.
func (m *MCUboot) application() {
	for {
		c := m.read()
		if m.text = append(m.text, c); c != '\n' {
			if len(m.text) > 256 {
				m.text = nil
			}
			continue
		}
		p, ok := m.lines.Line(m.text)
		m.text = nil
		if ok && m.serve(p) {
			return
		}
	}
}

// serve answers one request; true asks for a reset.
func (m *MCUboot) serve(b []byte) bool {
	p, err := smpwire.ParsePacket(b)
	if err != nil {
		m.Lost++
		return false
	}
	v, err := smpwire.ParseCBOR(p.Body)
	body, ok := v.(map[string]any)
	if err != nil || !ok {
		body = map[string]any{}
	}
	reset := false
	answer := []smpwire.Pair{{Key: "rc", Value: 8}} // not supported
	switch {
	case p.Group == smpwire.GroupOS && p.ID == 0:
		answer = []smpwire.Pair{{Key: "r", Value: body["d"]}}
	case p.Group == smpwire.GroupOS && p.ID == 5:
		answer, reset = []smpwire.Pair{}, true
	case p.Group == smpwire.GroupOS && p.ID == 6:
		answer = []smpwire.Pair{{Key: "buf_size", Value: 384}, {Key: "buf_count", Value: 1}}
	case p.Group == smpwire.GroupImage && p.ID == 0 && p.Op == smpwire.OpRead:
		answer = m.state()
	case p.Group == smpwire.GroupImage && p.ID == 0:
		answer = m.mark(body)
	case p.Group == smpwire.GroupImage && p.ID == 1:
		answer = m.take(body)
	case p.Group == smpwire.GroupImage && p.ID == 5:
		m.Slots[1].erase(0, slotBytes, slotSector)
		answer = []smpwire.Pair{}
	}
	p.Op, p.Body = p.Op+1, smpwire.AppendCBOR(nil, answer)
	m.write(smpwire.AppendLines(nil, p.Append(nil))...)
	return reset
}

func (m *MCUboot) state() []smpwire.Pair {
	var list []any
	for i, s := range m.Slots {
		hash, version, err := boot.MCUbootHash(s.Cells)
		if err != nil || i == 1 && hashOf(s.Cells) == nil {
			continue
		}
		t := &m.trailer
		list = append(list, []smpwire.Pair{{Key: "slot", Value: i}, {Key: "version", Value: version}, {Key: "hash", Value: hash}, {Key: "bootable", Value: true},
			{Key: "pending", Value: i == 1 && t.pending}, {Key: "confirmed", Value: i == 0 && t.confirmed}, {Key: "active", Value: i == 0}, {Key: "permanent", Value: i == 1 && t.permanent}})
	}
	return []smpwire.Pair{{Key: "images", Value: list}, {Key: "splitStatus", Value: 0}}
}

func (m *MCUboot) mark(body map[string]any) []smpwire.Pair {
	hash, _ := body["hash"].([]byte)
	confirm, _ := body["confirm"].(bool)
	switch {
	case confirm && (hash == nil || bytes.Equal(hash, m.Runs())):
		m.step()
		m.trailer.confirmed = true
	case hash != nil && bytes.Equal(hash, hashOf(m.Slots[1].Cells)):
		m.step()
		m.trailer.pending, m.trailer.permanent = true, confirm
	default:
		return []smpwire.Pair{{Key: "rc", Value: 3}}
	}
	return m.state()
}

// take is the upload: a first chunk of the same file goes on where the upload stands, another one begins anew.
func (m *MCUboot) take(body map[string]any) []smpwire.Pair {
	off, _ := body["off"].(int64)
	data, _ := body["data"].([]byte)
	u := &m.upload
	if off == 0 {
		size, _ := body["len"].(int64)
		sha, _ := body["sha"].([]byte)
		if size <= 0 || size > slotBytes || len(data) < 32 {
			return []smpwire.Pair{{Key: "rc", Value: 3}}
		}
		if u.sha != nil && len(sha) > 0 && bytes.Equal(sha, u.sha) && u.size == int(size) {
			return []smpwire.Pair{{Key: "off", Value: u.off}}
		}
		if m.trailer.pending {
			return []smpwire.Pair{{Key: "rc", Value: 6}}
		}
		u.sha, u.size, u.off = append([]byte{}, sha...), int(size), 0
		m.Slots[1].erase(0, slotBytes, slotSector)
	}
	if u.sha == nil || int(off) != u.off {
		return []smpwire.Pair{{Key: "off", Value: u.off}}
	}
	data = data[:min(len(data), u.size-u.off)]
	m.Slots[1].program(u.off, data)
	u.off += len(data)
	next := u.off
	if u.off == u.size {
		u.sha = nil
	}
	return []smpwire.Pair{{Key: "off", Value: next}}
}
