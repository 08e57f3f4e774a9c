package broker

import (
	"crypto/tls"
	"strings"
	"sync"

	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/wire"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hubName is the common name of a hub's certificate.
const hubName = "hub"

// rules decide who may do what, and keep what waits for hubs bounded. They are the access list that deploy/ ships for
// Mosquitto.
type rules struct {
	mochi.HookBase
	topics wire.Topics
	prefix string
	limit  int64

	mu   sync.Mutex              // guards what follows
	hubs map[*mochi.Client]int64 // bytes of frames handed to the server for this hub and not yet written to it
}

func newRules(o Options) *rules {
	return &rules{topics: o.Topics, prefix: strings.TrimSuffix(o.Topics.Hub(), "hub"), limit: int64(o.QueueBytes),
		hubs: map[*mochi.Client]int64{}}
}

// ID implements mochi.Hook.
func (r *rules) ID() string { return "edgelog" }

// Provides implements mochi.Hook.
func (r *rules) Provides(b byte) bool {
	switch b {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnPacketSent,
		mochi.OnPublishDropped, mochi.OnWill, mochi.OnSubscribed, mochi.OnDisconnect:
		return true
	}
	return false
}

// identity is who the client is: "" where nobody is known, and all is allowed under the prefix.
func identity(cl *mochi.Client) (name string, known bool) {
	switch cl.Net.Listener {
	case openListener:
		return "", true
	case hubListener:
		return hubName, true
	}
	conn, ok := cl.Net.Conn.(*tls.Conn)
	if !ok {
		return "", false
	}
	certs := conn.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return "", false
	}
	name = certs[0].Subject.CommonName
	return name, name == hubName || name == enrolwire.ClaimName || wire.ValidDevice(name)
}

// OnConnectAuthenticate admits who is known. A will is a publication like any other: the server does not ask again. A client
// id ends the connection of whoever had it, so it is taken from the certificate: nobody ends that of another device, or of a hub.
func (r *rules) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	name, known := identity(cl)
	switch name {
	case "":
	case hubName, enrolwire.ClaimName: // several have that name
		cl.ID = name + "/" + cl.ID
	default:
		cl.ID = name
	}
	return known && (!pk.Connect.WillFlag || r.allowed(name, pk.Connect.WillTopic, true))
}

// OnWill implements mochi.Hook.
func (r *rules) OnWill(cl *mochi.Client, w mochi.Will) (mochi.Will, error) {
	w.Retain = w.Retain && r.mayRetain(cl, w.TopicName)
	return w, nil
}

// mayRetain tells whether the broker keeps a message of a client. What a device may have it keep is one message a topic, and few
// topics: it could name streams without end.
func (r *rules) mayRetain(cl *mochi.Client, topic string) bool {
	if name, _ := identity(cl); name == "" || name == hubName {
		return true
	}
	if t, ok := r.topics.ParseTopic(topic); ok {
		return t.Channel == wire.ChannelState || t.Channel == wire.ChannelValues
	}
	_, ch, _, ok := fleetwire.Parse(r.topics, topic)
	return ok && ch == fleetwire.ChannelReported
}

// OnACLCheck implements mochi.Hook.
func (r *rules) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	name, known := identity(cl)
	return known && r.allowed(name, topic, write)
}

func (r *rules) allowed(name, topic string, write bool) bool {
	if name == "" || name == hubName {
		return strings.HasPrefix(topic, r.prefix)
	}
	if (enrolwire.Topics{Topics: r.topics}).May(name, topic, write) {
		return true
	}
	t, ok := r.topics.ParseTopic(topic)
	switch {
	case name == enrolwire.ClaimName: // may do nothing else
		return false
	case !ok:
		// Only exact topics are ever right for a device, its own filters included; those of answers to its requests end
		// in a plus.
		device, ch, id, ok := fleetwire.Parse(r.topics, topic)
		return ok && device == name && ch.DeviceMay(write) && !(write && id == "+")
	case t.Channel == wire.ChannelHub:
		return !write
	case t.Device != name:
		return false
	case t.Channel == wire.ChannelAnswer:
		return !write
	case t.Channel == wire.ChannelState: // its own, to see whether another client had its name meanwhile
		return true
	}
	return write
}

// isFrame reports whether the topic is one whose load the hub's credits bound.
func (r *rules) isFrame(topic string) bool {
	t, ok := r.topics.ParseTopic(topic)
	return ok && (t.Channel == wire.ChannelData || t.Channel == wire.ChannelHello)
}

// OnSubscribed learns who is a hub: who reads the frames of all devices.
func (r *rules) OnSubscribed(cl *mochi.Client, pk packets.Packet, codes []byte) {
	for i, f := range pk.Filters {
		if f.Filter == r.topics.DataFilter() && i < len(codes) && codes[i] < packets.ErrUnspecifiedError.Code {
			r.mu.Lock()
			r.hubs[cl] = 0
			r.mu.Unlock()
		}
	}
}

// OnDisconnect forgets what waited for a hub; the agents send it again.
func (r *rules) OnDisconnect(cl *mochi.Client, _ error, _ bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.hubs, cl)
}

// OnPublish drops frames beyond the bound, as a full queue does: acknowledged to the client, since a PUBACK says
// nothing of the hub, and sent again by the agent because no ack of the hub comes.
func (r *rules) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Retain && !r.mayRetain(cl, pk.TopicName) {
		pk.FixedHeader.Retain = false
	}
	if !r.isFrame(pk.TopicName) {
		return pk, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int64(len(pk.Payload))
	for _, waiting := range r.hubs {
		if waiting+n > r.limit {
			return pk, packets.CodeSuccessIgnore
		}
	}
	for hub := range r.hubs {
		r.hubs[hub] += n
	}
	return pk, nil
}

// OnPacketSent gives room back.
func (r *rules) OnPacketSent(cl *mochi.Client, pk packets.Packet, _ []byte) { r.left(cl, pk) }

// OnPublishDropped gives room back.
func (r *rules) OnPublishDropped(cl *mochi.Client, pk packets.Packet) { r.left(cl, pk) }

func (r *rules) left(cl *mochi.Client, pk packets.Packet) {
	if pk.FixedHeader.Type != packets.Publish || !r.isFrame(pk.TopicName) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting, hub := r.hubs[cl]; hub {
		r.hubs[cl] = max(waiting-int64(len(pk.Payload)), 0)
	}
}

// May tells whether a client of that common name may write, or else read, a topic or filter under the default prefix.
func May(name, topic string, write bool) bool { return newRules(Options{}).allowed(name, topic, write) }
