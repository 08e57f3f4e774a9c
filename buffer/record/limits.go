package record

// Bounds of the data model. A length is checked against them before it is believed.
const (
	MaxDecimals         = 9
	MaxRecordBytes      = 48 << 10 // canonical bytes of one record; larger is refused at the door
	MaxDetailBytes      = 1 << 10
	MaxDefinitionBytes  = 1 << 10  // one encoded series definition
	MaxBodyBytes        = 64 << 10 // one encoded body, as stored and as sent
	MaxRawBytes         = 1 << 20  // one body before general compression
	MaxBatchRecords     = 16 << 10
	MaxSeriesPerEpoch   = 65536
	MaxNewSeriesPerHour = 1024 // per source
	MaxProducers        = 256
	MaxProducerName     = 64
	MaxMarkWord         = 64 // bytes of a boot id, of a clock's source and of its state
	MaxGapsPerStream    = 1024
	MaxOwed             = 64 // ranges of one stream that a hub is owed
	MaxLabels           = 16
	MaxStreamName       = 32
)

// MaxOffset is greater than any that a log comes to: a million records a second for a hundred thousand years. Every store holds it, and
// what is added to it, as a signed number.
const MaxOffset Offset = 1 << 62
