package mqttclient

import "time"

// Bounds of a connection.
const (
	DefaultMaxPacket      = 256 << 10 // bytes of one incoming MQTT packet
	DefaultKeepAlive      = 30 * time.Second
	DefaultConnectTimeout = 20 * time.Second
	DefaultWriteTimeout   = 60 * time.Second // one packet may take that long to leave
	DefaultMaxUnacked     = 256              // publishes at QoS 1 without a PUBACK

	unackedLook     = time.Second     // between looks at publishes whose acknowledgement may have been lost
	readBytes       = 16 << 10        // read from the transport at once; larger packets go straight to where they belong
	maxQueued       = 16              // publishes waiting for the writer
	handoverTimeout = 5 * time.Second // for paho to take a packet when its writer is free
	disconnectWait  = 250             // ms for a DISCONNECT to leave
	maxPasswordFile = 4 << 10
	maxPEMFile      = 1 << 20
	maxTopicBytes   = 1<<16 - 1
)
