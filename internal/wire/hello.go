package wire

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
)

// flagChainEnd of an epoch in a hello, beside those of a frame's header: chain(end) is written.
const flagChainEnd = 1 << 2

// AppendHello appends the bytes of a hello. Streams, epochs and inventory beyond their bounds are left out; the
// sender splits a hello before that.
func AppendHello(dst []byte, h *Hello) []byte {
	from := len(dst)
	dst = append(dst, first(typeHello))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Nonce))
	dst = binary.AppendUvarint(dst, uint64(h.Part))
	dst = binary.AppendUvarint(dst, uint64(h.Parts))
	dst = appendStr(dst, h.Agent, MaxStringBytes)
	dst = appendStr(dst, h.Boot, MaxStringBytes)
	dst = appendStr(dst, h.Clock, MaxStringBytes)
	dst = binary.AppendVarint(dst, h.BootTime)
	keys := slices.Sorted(maps.Keys(h.Inventory))
	keys = keys[:min(len(keys), MaxInventory)]
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, k := range keys {
		dst = appendStr(dst, k, MaxStringBytes)
		dst = appendStr(dst, h.Inventory[k], MaxStringBytes)
	}
	streams := h.Streams[:min(len(h.Streams), MaxHelloStreams)]
	dst = binary.AppendUvarint(dst, uint64(len(streams)))
	left := MaxHelloEpochs
	for i := range streams {
		s := &streams[i]
		epochs := s.Epochs[:min(len(s.Epochs), left)]
		left -= len(epochs)
		dst = appendStr(dst, s.Stream, record.MaxStreamName)
		dst = binary.AppendUvarint(dst, uint64(len(epochs)))
		for j := range epochs {
			dst = appendEpochState(dst, &epochs[j])
		}
	}
	return seal(dst, from, 0)
}

func appendEpochState(dst []byte, e *EpochState) []byte {
	h := FrameHeader{Epoch: e.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: e.First}
	flags := headerFlags(&h)
	if e.ChainKnown {
		flags |= flagChainEnd
	}
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Epoch))
	if flags&flagParent != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Parent))
	}
	dst = binary.AppendUvarint(dst, uint64(e.First))
	if flags&flagParentEnd != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.ParentEnd))
	}
	dst = binary.AppendUvarint(dst, uint64(e.Low-e.First))
	dst = binary.AppendUvarint(dst, uint64(e.End-e.First))
	if e.ChainKnown {
		dst = binary.LittleEndian.AppendUint64(dst, e.ChainEnd)
	}
	return dst
}

// ParseHello reads a hello.
func ParseHello(b []byte) (*Hello, error) {
	r, err := checkSealed(b, typeHello)
	if err != nil {
		return nil, err
	}
	h := &Hello{Nonce: Nonce(r.u64("nonce"))}
	h.Part, h.Parts = r.part()
	h.Agent = r.str(MaxStringBytes, "agent")
	h.Boot = r.str(MaxStringBytes, "boot")
	h.Clock = r.str(MaxStringBytes, "clock")
	h.BootTime = r.varint("boot time")
	if n := r.count(MaxInventory, 2, "inventory"); n > 0 {
		h.Inventory = make(map[string]string, n)
		for range n {
			k := r.str(MaxStringBytes, "inventory")
			h.Inventory[k] = r.str(MaxStringBytes, "inventory")
		}
	}
	left := MaxHelloEpochs
	for range r.count(MaxHelloStreams, 2, "streams") {
		s := StreamState{Stream: r.stream()}
		n := r.count(left, 12, "epochs")
		left -= n
		for range n {
			s.Epochs = append(s.Epochs, r.epochState())
		}
		h.Streams = append(h.Streams, s)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return h, nil
}

func (r *reader) part() (part, parts uint16) {
	p, n := r.uvarint("part"), r.uvarint("parts")
	if n > 1<<16-1 || p > n {
		r.fail("part")
		return 0, 0
	}
	return uint16(p), uint16(n)
}

func (r *reader) stream() string {
	s := r.str(record.MaxStreamName, "stream")
	if r.err == nil && !record.ValidStream(s) {
		r.fail("stream")
	}
	return s
}

func (r *reader) epochState() (e EpochState) {
	flags := r.u8("epoch flags")
	e.Epoch = record.Epoch(r.u64("epoch"))
	if flags&flagParent != 0 {
		e.Parent = record.Epoch(r.u64("parent"))
		if e.Parent == 0 || e.Parent == e.Epoch {
			r.fail("parent")
		}
	}
	e.First = r.offset("first")
	if e.Parent != 0 {
		e.ParentEnd = e.First
	}
	if flags&flagParentEnd != 0 {
		e.ParentEnd = r.offset("parent end")
	}
	low, end := r.uvarint("low"), r.uvarint("end")
	e.Low, e.End = e.First+record.Offset(low), e.First+record.Offset(end)
	if e.ChainKnown = flags&flagChainEnd != 0; e.ChainKnown {
		e.ChainEnd = r.u64("chain")
	}
	if e.Epoch == 0 || e.Low < e.First || e.End < e.Low || e.End > record.MaxOffset {
		r.fail("epoch's range")
	}
	return e
}

// AppendHubUp appends the bytes of a hub's announcement.
func AppendHubUp(dst []byte, h *HubUp) []byte {
	from := len(dst)
	dst = append(dst, first(typeHubUp))
	dst = binary.AppendUvarint(dst, uint64(h.SpreadSeconds))
	return seal(dst, from, 0)
}

// ParseHubUp reads a hub's announcement.
func ParseHubUp(b []byte) (*HubUp, error) {
	r, err := checkSealed(b, typeHubUp)
	if err != nil {
		return nil, err
	}
	n := r.uvarint("spread")
	if n > 1<<16-1 {
		r.fail("spread")
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return &HubUp{SpreadSeconds: uint16(n)}, nil
}
