// Package buffer is the durable log of a device: a Set of streams, each an ordered, dense, append-only Log in
// segment files of its own.
//
// What it promises: a record whose Ticket.Wait returned nil is on disk and is read back, once, in order, under the
// same offset, or a gap with a reason stands in its place. A reader never sees an offset that is not durable. A
// record of a producer is taken once. Nothing here ever asks for the buffer to be deleted: a torn tail is cut off,
// damage becomes a gap, a segment of a newer format is kept.
//
// Goroutines: Open starts none. Set.Run commits in the background; without it records become durable only by
// Log.Sync and Set.Close. All methods of Set, Log, Cursor and Ticket may be called concurrently; a Reader belongs to
// one goroutine.
//
// Locks: writer.mu (disk) is taken before Log.mu (memory), never the other way round.
package buffer
