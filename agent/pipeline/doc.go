// Package pipeline computes on the log: windows and alarms over the records of one stream, written to another, each
// result exactly once.
//
// A pipeline reads what is durable in its input and appends each result as the message of a producer whose sequence is
// the offset of the record that made it (Sequence). After a crash it goes on from its last checkpoint and computes the
// same messages again; the log knows them by their sequences and takes none of them twice. A checkpoint is written only
// when the results of everything below it are durable. So neither file nor log needs to know of the other, and there is
// no moment at which a power cut loses or doubles a result.
//
// That the same records give the same results at the same offsets needs a core that knows nothing else: Core is pure. It
// has no clock; time passes as the records' own stamps do, and how boot time stands to UTC is told by the marks in the
// stream, in its order. What cannot be computed again, because retention or damage took the records between checkpoint
// and last result, is learned from the results themselves (Core.Learn).
//
// Runner drives a Core over two logs; Try runs one over the past and writes nothing.
package pipeline
