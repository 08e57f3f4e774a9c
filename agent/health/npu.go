package health

// Faults of the NPU worker. It tells them; the agent declares them.
const (
	NPUWorkerGone  Code = "N001"
	NPUNoRuntime   Code = "N002"
	NPURestarted   Code = "N003"
	NPUModelBad    Code = "N004"
	NPUDeviceFault Code = "N005"
	NPUJournal     Code = "N006"
	NPUWaits       Code = "N007"
	NPUDirectory   Code = "N008"
	NPUWindow      Code = "N009"
	NPUMonitor     Code = "N010"
	NPUChip        Code = "N011"
	NPUDriverNew   Code = "N012"
)

func npuFaults() []Declared {
	const results = "Results of the models. Pictures wait in their directory; everything else of the box goes on."
	return []Declared{
		{Code: NPUWorkerGone, Severity: Degraded, Title: "NPU worker does not answer",
			Means: "The configuration has an NPU worker, and nothing answers on its socket.",
			Found: "The agent asks the worker for its status every few seconds.",
			Do:    "`systemctl status edge-npu` and `journalctl -u edge-npu` say why. `edge-npu check` shows mistakes of its configuration.",
			Risk:  results},
		{Code: NPUNoRuntime, Severity: Degraded, Title: "NPU runtime cannot be loaded",
			Means: "The vendor's library is missing, does not fit, or refuses to start. The worker runs and says why.",
			Found: "Loading or initialising libascendcl.so fails.",
			Do:    "`edge-npu doctor` goes through driver, device nodes, group and library in order. Then `systemctl restart edge-npu`.",
			Risk:  results},
		{Code: NPURestarted, Severity: Degraded, Title: "NPU worker restarted after a fault of the device",
			Means: "A task on the device never ended, the device was lost, or a call hung. Only a new process can use the device then.",
			Found: "The runtime's answer, or the worker's watchdog. The line shows what it was and goes after ten minutes.",
			Do:    "Nothing, if it happens once. If it comes back: `edgectl npu` shows the chip's health and errors; check cooling, power and the versions of driver and firmware (`edge-npu doctor`).",
			Risk:  "A delay. No acknowledged result is lost or doubled."},
		{Code: NPUModelBad, Severity: Degraded, Title: "NPU model is refused",
			Means: "A model file is damaged, has another checksum than the configuration says, does not fit the runtime, or failed its golden sample. If an older version was at work, it goes on.",
			Found: "Checksum, loading, and the golden sample before the model is used.",
			Do:    "The line says which. Correct file or configuration, then `systemctl reload edge-npu`.",
			Risk:  results},
		{Code: NPUDeviceFault, Severity: Degraded, Title: "NPU failed and is used anew",
			Means: "An execution failed on the device. It is done again in a new context; after three in a row the worker restarts. The line goes when the model has worked for ten minutes since.",
			Found: "The runtime's answer.",
			Do:    "If it lasts: `edgectl npu`, `edge-npu doctor`. Out of memory: fewer or smaller models, or smaller batches.",
			Risk:  "A delay."},
		{Code: NPUJournal, Severity: Notice, Title: "NPU worker's numbers began anew",
			Means: "The worker's journal and the agent disagree about what was taken: one of the disks lost something, or was exchanged.",
			Found: "The positions are compared when the worker starts.",
			Do:    "Nothing, if a disk was exchanged or a data directory erased. Else look for other signs that the disk lies (B007).",
			Risk:  "Inputs that were under way at that moment may have two results."},
		{Code: NPUWaits, Severity: Degraded, Title: "NPU results wait for the agent",
			Means: "The worker has results that the agent does not take.",
			Found: "The agent's answer on its ingest socket.",
			Do:    "The line says why: the producer is not in agent.yaml, the worker's user is not in group edge-ingest, the log is full.",
			Risk:  "Nothing yet: the results are kept, and the intake waits."},
		{Code: NPUDirectory, Severity: Degraded, Title: "NPU input directory cannot be used",
			Means: "A watched directory is missing, or finished files cannot be put away.",
			Found: "Watching, reading or renaming in it fails.",
			Do:    "Check that it exists and belongs to a group of edge-npu with write permission.",
			Risk:  "Pictures in it have no results, or are done again after the next start."},
		{Code: NPUWindow, Severity: Degraded, Title: "NPU window cannot follow its series",
			Means: "The worker cannot read the box's own series.",
			Found: "The agent's answer on its view socket.",
			Do:    "The worker's user must be in group edge-view; the stream must exist.",
			Risk:  "Scores of this window."},
		{Code: NPUMonitor, Severity: Notice, Title: "NPU chips cannot be watched",
			Means: "The device management library is missing or does not answer. Models are not touched by that.",
			Found: "Loading or asking libdcmi.so fails.",
			Do:    "Install the driver, or set `dcmi: none` in npu.yaml. Answer -8005 in a container: the device is used by another one.",
			Risk:  "Temperature, load and errors of the chips are not recorded."},
		{Code: NPUChip, Severity: Degraded, Title: "NPU chip reports an error",
			Means: "The chip's health is not ok, or it lists error codes.",
			Found: "The device management library is asked every few seconds.",
			Do:    "Look the codes up in the vendor's list. Check cooling and power. A chip that is absent needs a reset or a restart of the machine.",
			Risk:  results},
		{Code: NPUDriverNew, Severity: Notice, Title: "NPU driver answers more than documented",
			Means: "The driver is newer than the interface that this program was made for. The known part of its answers is used.",
			Found: "Space behind each structure is checked after each call.",
			Do:    "Tell us the driver's version (`edge-npu doctor --report FILE`).",
			Risk:  "Nothing that is known."},
	}
}
