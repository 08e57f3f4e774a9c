// Package sim is a deterministic simulation of boxes, broker and hubs: the real log on a disk in memory, the real sender,
// the real receiver and a store in memory, on virtual time, under faults of disk, machine, network, broker, hub and
// store, all drawn from one seed. It has only tests; docs/simulation.md says what they claim.
package sim
