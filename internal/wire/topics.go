package wire

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
)

// DefaultPrefix is the topic prefix where none is configured.
const DefaultPrefix = "edge/v1"

// Topics names the protocol's topics under a prefix; the zero value uses DefaultPrefix.
type Topics struct{ Prefix string }

// Channel is what a topic is for.
type Channel uint8

// The channels.
const (
	ChannelData   Channel = iota + 1 // {p}/{device}/d/{stream}
	ChannelHello                     // {p}/{device}/h
	ChannelAnswer                    // {p}/{device}/a
	ChannelState                     // {p}/{device}/s
	ChannelValues                    // {p}/{device}/v
	ChannelHub                       // {p}/hub
)

// Topic is a parsed topic.
type Topic struct {
	Channel Channel
	Device  string // "" for ChannelHub
	Stream  string // only for ChannelData
}

func (t Topics) prefix() string {
	if t.Prefix == "" {
		return DefaultPrefix
	}
	return t.Prefix
}

// Validate checks the prefix: levels of text, none empty, no wildcards, not under $.
func (t Topics) Validate() error {
	p := t.prefix()
	if len(p) > MaxPrefixBytes || strings.HasPrefix(p, "$") {
		return fmt.Errorf("topic prefix %q: at most %d bytes, not beginning with $", p, MaxPrefixBytes)
	}
	for _, level := range strings.Split(p, "/") {
		if !validLevel(level) {
			return fmt.Errorf("topic prefix %q: a level is empty or holds +, # or an unprintable character", p)
		}
	}
	return nil
}

// Data is where a device publishes the frames of a stream.
func (t Topics) Data(device, stream string) string {
	return t.prefix() + "/" + device + "/d/" + stream
}

// Hello is where a device says hello.
func (t Topics) Hello(device string) string { return t.prefix() + "/" + device + "/h" }

// Answer is where a device hears answers and acks.
func (t Topics) Answer(device string) string { return t.prefix() + "/" + device + "/a" }

// State is where a device's birth and last will stand, retained.
func (t Topics) State(device string) string { return t.prefix() + "/" + device + "/s" }

// Values is where a device's latest values stand, retained.
func (t Topics) Values(device string) string { return t.prefix() + "/" + device + "/v" }

// Hub is where a hub announces itself.
func (t Topics) Hub() string { return t.prefix() + "/hub" }

// DataFilter matches every Data topic.
func (t Topics) DataFilter() string { return t.Data("+", "+") }

// HelloFilter matches every Hello topic.
func (t Topics) HelloFilter() string { return t.Hello("+") }

// StateFilter matches every State topic.
func (t Topics) StateFilter() string { return t.State("+") }

// ParseTopic reads a topic under this prefix; ok is false for any other.
func (t Topics) ParseTopic(topic string) (Topic, bool) {
	rest, ok := strings.CutPrefix(topic, t.prefix()+"/")
	if !ok {
		return Topic{}, false
	}
	if rest == "hub" {
		return Topic{Channel: ChannelHub}, true
	}
	device, rest, ok := strings.Cut(rest, "/")
	if !ok || !ValidDevice(device) {
		return Topic{}, false
	}
	switch rest {
	case "h":
		return Topic{Channel: ChannelHello, Device: device}, true
	case "a":
		return Topic{Channel: ChannelAnswer, Device: device}, true
	case "s":
		return Topic{Channel: ChannelState, Device: device}, true
	case "v":
		return Topic{Channel: ChannelValues, Device: device}, true
	}
	if stream, ok := strings.CutPrefix(rest, "d/"); ok && record.ValidStream(stream) {
		return Topic{Channel: ChannelData, Device: device, Stream: stream}, true
	}
	return Topic{}, false
}

// ValidDevice reports whether a device can have that id: its certificate's common name, 1 to 64 bytes, printable,
// without the characters that mean something in topics, and none of the reserved words.
func ValidDevice(id string) bool {
	return len(id) <= MaxDeviceBytes && id != "hub" && id != "enroll" && !strings.HasPrefix(id, "$") && validLevel(id)
}

func validLevel(s string) bool {
	if s == "" || !utf8.ValidString(s) || strings.ContainsAny(s, "/+#") {
		return false
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}
