// Package explore walks every state that the real sender and the real receiver can reach with a few records, a few messages
// under way and a budget of faults (docs/simulation.md). It is a test only: go test, or make explore for the long form.
package explore
