package npu

import "time"

// Bounds of the worker.
const (
	MaxModels       = 16
	MaxInputs       = 32       // directories and windows
	MaxBatch        = 64       // items in one execution, so that their records fit one message
	MaxQueue        = 65536    // items waiting for a model
	MaxModelBytes   = 4 << 30  // of a model file
	MaxOutputBytes  = 64 << 20 // of one execution
	MaxSeries       = 64       // in a window
	MaxWindow       = 65536    // values of a series in a window
	MaxRaw          = 1024     // elements of a raw tensor in a record
	MaxBoxes        = 100      // detections in a record
	MaxTop          = 20
	maxClass        = 1 << 20 // number of a class
	MaxConcurrency  = 4
	MaxWaiting      = 256       // messages that the agent has not acknowledged; then the intake waits
	maxPixels       = 64 << 20  // of a picture that the processor decodes
	maxMediaPixels  = 16 << 20  // of a picture that the media units decode; a larger one is left to the processor
	mediaStep       = 256 << 10 // by which the memory for JPEG data grows
	MaxPriority     = 7
	maxRefs         = 4096
	maxJournalBytes = 1 << 20
	awayMost        = 256              // messages with files that are put away before their directories are synced,
	awayFor         = 10 * time.Second // or so long
	maxNotes        = 64               // records without input that wait
	maxAttempts     = 3                // of one message over restarts; then it is given up, as a record that says so
	maxTries        = 2                // of one batch within a run
	maxErrorCodes   = 10               // of a chip that are shown and recorded one by one
	maxEventRecords = 8                // of the driver's events between two readings; more are counted
	maxInFlight     = 2                // executions queued on the device
	maxPathBytes    = 1024
	maxRecordText   = 512
	latencySamples  = 1024
	doneKept        = 10_000           // finished files that are kept
	loadLimit       = 10 * time.Minute // of opening the device and loading a model
	hungGrace       = 5 * time.Second
	smiLimit        = 30 * time.Second // of the vendor's npu-smi in the doctor's report
	hungManagement  = 10 * time.Second // of the calls of one reading of the chips; then it is declared
	monitorPatience = 2 * time.Second  // that the end of the worker waits for a reading
	scanEvery       = 2 * time.Second
	settle          = 2 * time.Second // a file nobody announced is complete when it is so old
	rebuildsInRow   = 3               // of a session before the worker restarts
	monitorEvery    = 10 * time.Second
	modelRetryFirst = time.Second // after a device that did not open; each time twice as long, to modelRetryEvery
	modelRetryEvery = 30 * time.Second
	redoPatience    = 2 * time.Minute // that inputs of the last process wait for the device
)
