//go:build race

package acl

// raceDetector says that these tests run under the race detector, which makes sync.Pool forget at random: allocations
// mean nothing then.
const raceDetector = true
