// Package carry is the byte format of a log that is carried by hand: what a box exports to a stick, and the ack file
// that the hub writes for it. FORMAT.md beside this file states every byte.
//
// A file is the hellos and frames (or answers) of the delivery protocol as records, each with a CRC that binds it to
// its place and its file, and a trailer. A file without its trailer was cut off: what stands before the cut is good.
// The package decides nothing; the rules stand in hub/receive and in the tools.
package carry
