// Package receive is the hub's half of the delivery protocol. Its core, View.Decide, is a pure state machine: what a
// store transaction said of a device and one frame go in; the changes to commit and the verdict for the ack come out.
// Receiver is the thin loop around it: a bounded queue, rounds that are decided and committed together, acks.
//
// What it promises: rows and position change in one transaction by compare-and-set, so each record of an epoch is
// taken once and in order; no answer or ack leaves before the commit that it speaks of, and every position in it
// was read or written by a transaction, never remembered.
package receive
