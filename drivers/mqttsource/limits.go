package mqttsource

import "time"

// Bounds of the driver.
const (
	MaxSubscriptions = 64
	MaxNodes         = 1024    // Sparkplug edge nodes kept in mind
	MaxMetrics       = 8192    // of one edge node with its devices
	MaxMetricName    = 512     // bytes
	MaxPayload       = 256000  // bytes of one message; a larger one ends the connection in mqttclient
	queueMessages    = 1024    // waiting for the log
	queueBytes       = 8 << 20 // of their payloads
	rebirthPause     = 10 * time.Second
	steadyAfter      = time.Minute
)
