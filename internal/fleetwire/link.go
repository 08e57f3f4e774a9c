package fleetwire

import (
	"context"
	"strings"

	"github.com/edgelog/edgelog/internal/wire"
)

// Message is one received message. Payload belongs to the receiver.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Link is one connection to the broker as updates see it. Its methods may be called concurrently. It never comes back
// after Done.
type Link interface {
	// Enqueue returns when the connection has taken the message, which belongs to it from then on.
	Enqueue(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error
	// Publish returns when the message has left (QoS 0) or the broker has it (QoS 1).
	Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error
	// Subscribe returns when the broker has agreed. The handler runs on the reader's path and must not block.
	Subscribe(ctx context.Context, filter string, qos byte, h func(Message)) error
	Done() <-chan struct{}
}

// Controller is what people, at the box or from afar, may ask of the update of a box.
type Controller interface {
	// Reported is what the box says of itself now.
	Reported() Reported
	// Do carries out one of the operations below; by says who asks. An error tells why it cannot be done now.
	Do(op, by string) error
}

// Operations of a Controller, and of commands.
const (
	OpPause  = "pause"  // ask for no more content, start no install
	OpResume = "resume" // go on
	OpAbort  = "abort"  // give the desired release up, before its install has started
	OpRetry  = "retry"  // try again what has failed
)

// Channel is what a topic of updates is for.
type Channel uint8

// The channels.
const (
	ChannelDesired Channel = iota + 1
	ChannelMetaRequest
	ChannelMeta
	ChannelChunkRequest
	ChannelChunk
	ChannelRefused
	ChannelReported
	ChannelEvent
	ChannelCommand
	ChannelResult
)

// fixed are the channels without an id in their topic.
var fixed = map[string]Channel{"update/desired": ChannelDesired, "update/meta/req": ChannelMetaRequest, "update/chunk/req": ChannelChunkRequest,
	"update/state": ChannelReported, "update/event": ChannelEvent, "cmd/req": ChannelCommand}

// Parse reads a topic of updates under a prefix: whose it is, what it is for and, for answers, the request's id. A
// filter with + in the place of the id, as devices subscribe with, is read too.
func Parse(t wire.Topics, topic string) (device string, ch Channel, id string, ok bool) {
	rest, ok := strings.CutPrefix(topic, strings.TrimSuffix(t.Hub(), "hub"))
	if !ok {
		return "", 0, "", false
	}
	device, rest, ok = strings.Cut(rest, "/")
	if !ok || !wire.ValidDevice(device) {
		return "", 0, "", false
	}
	if ch := fixed[rest]; ch != 0 {
		return device, ch, "", true
	}
	for prefix, ch := range map[string]Channel{"update/meta/res/": ChannelMeta, "update/chunk/err/": ChannelRefused, "cmd/res/": ChannelResult,
		"update/chunk/res/": ChannelChunk} {
		id, ok := strings.CutPrefix(rest, prefix)
		if !ok {
			continue
		}
		if ch == ChannelChunk {
			n := ""
			if id, n, ok = strings.Cut(id, "/"); !ok || n == "" || n != "+" && strings.Trim(n, "0123456789") != "" {
				return "", 0, "", false
			}
		}
		return device, ch, id, id == "+" || ValidID(id)
	}
	return "", 0, "", false
}

// DeviceMay tells whether a device may write, or else read, one of its own topics of that channel.
func (c Channel) DeviceMay(write bool) bool {
	switch c {
	case ChannelMetaRequest, ChannelChunkRequest, ChannelReported, ChannelEvent, ChannelResult:
		return write
	}
	return !write
}
