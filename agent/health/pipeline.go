package health

// Faults of pipelines. An alarm that a pipeline raises is data, and none of these.
const (
	PipelineAnew    Code = "P001"
	PipelineWaits   Code = "P002"
	PipelineGap     Code = "P003"
	PipelineFailed  Code = "P004"
	PipelineRefused Code = "P005"
	PipelineLate    Code = "P006"
)

func pipelineFaults() []Declared {
	return []Declared{
		{Code: PipelineAnew, Severity: Degraded, Lossy: true, Title: "pipeline could not go on where it was",
			Means: "Its checkpoint is lost, damaged, or does not belong to the log that is there. The line says where it goes on: behind its last result, or as `start` says.",
			Found: "The checkpoint has a checksum, and is compared with the histories of input and output when the pipeline starts.",
			Do:    "Look for other signs of a bad disk (`edgectl faults`). `edgectl pipeline try --since` computes what is missing from the log's past. Acknowledge the line: `edgectl faults ack ID`.",
			Risk:  "Windows that were open then are missing or marked uncertain. No result is written twice. The readings themselves are safe."},
		{Code: PipelineWaits, Severity: Degraded, Title: "pipeline waits: its output takes nothing",
			Means: "The stream for its results is full or its disk fails. The pipeline stands still and goes on by itself.",
			Found: "An append to the output is refused.",
			Do:    "As for the fault of that stream (B001, B002): restore the link, or give the stream more room.",
			Risk:  "Results come late. If the input's retention overtakes the pipeline meanwhile, readings are missing in them (P003)."},
		{Code: PipelineGap, Severity: Degraded, Lossy: true, Title: "readings were gone before a pipeline read them",
			Means: "Retention or damage took records of the input that the pipeline had not read. Windows in which they may be missing are uncertain, with `gap` in their detail.",
			Found: "The log has a gap where the pipeline reads.",
			Do:    "If the pipeline was far behind (`edgectl pipeline`), find out what held it up. If the disk is damaged: B004.",
			Risk:  "The results of these windows, and alarms that the readings would have raised or cleared."},
		{Code: PipelineFailed, Severity: Degraded, Title: "pipeline cannot read or save",
			Means: "Its input cannot be read, its checkpoint cannot be written, or a stream that it names is not open yet.",
			Found: "The line has the error. It is tried again every few seconds.",
			Do:    "A stream that was added needs a restart: `systemctl restart edge-agent`. Else look at the disk (B002), its room (B006), and the rights of data_dir.",
			Risk:  "Its results come late. Nothing is lost as long as the input is kept."},
		{Code: PipelineRefused, Severity: Degraded, Title: "pipeline leaves series or results out",
			Means: "It matches more series than one pipeline may follow, or a result can never be stored: its name, labels or number of series is beyond what a stream takes.",
			Found: "The first that is left out stands in the line.",
			Do:    "Let the pipeline match fewer series (`from`), or divide it into several.",
			Risk:  "Results of the series that are left out."},
		{Code: PipelineLate, Severity: Notice, Title: "readings came too late for their window",
			Means: "When they came, a window that they belong to was closed, or their time is not known or a day ahead.",
			Found: "Time of the reading against the time of the stream.",
			Do:    "Give the window more `late`: for devices that keep readings back as long as they may, for slow buses as long as one reading takes.",
			Risk:  "These readings are not in the results; they are in the log."},
	}
}
