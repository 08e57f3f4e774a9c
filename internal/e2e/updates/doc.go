// Package updates proves fleet updates end to end with the real programs and a real Mosquitto: a fleet of virtual boxes in
// waves, a transfer during which agent, hub and broker are killed, and an install that is kept, or rolled back, without a
// record lost. Everything is a test.
package updates
