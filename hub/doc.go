// Package hub is the central receiver as a program: it composes the store, the receiver, the connection to the broker
// (or a broker of its own) and maintenance, and gives people the commands of edge-hub.
//
// Run owns every goroutine. Everything that is promised is in the store: a hub may be killed at any moment, and two
// hubs on one store or one broker cost work but no record.
package hub
