// Package e2e holds the end-to-end tests: real processes, a real Mosquitto over TLS with the shipped configuration,
// and faults at random moments. It proves what process kills can prove; power loss belongs to the crash matrix of
// buffer/buffertest.
package e2e
