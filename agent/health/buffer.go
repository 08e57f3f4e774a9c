package health

// Faults of the durable log and its disk.
const (
	LogFull        Code = "B001"
	DiskFailing    Code = "B002"
	WriteFailed    Code = "B003"
	LogCorrupt     Code = "B004"
	DroppedUnsent  Code = "B005"
	DiskSpaceLow   Code = "B006"
	DiskLost       Code = "B007"
	Unsendable     Code = "B008"
	LogUnavailable Code = "B009"
	LogHeld        Code = "B010"
	FlashWear      Code = "B011"
)

func bufferFaults() []Declared {
	return []Declared{
		{Code: LogFull, Severity: Failed, Title: "log is full and takes no more records",
			Means: "The stream has reached its size with records that are not delivered yet, and it is configured to keep them rather than to make room (full: block).",
			Found: "An append finds no room within max_bytes or on the disk.",
			Do:    "Restore the link, so that the backlog drains; or give the stream more room (max_bytes); or choose full: drop-oldest. Never delete files of the log: the agent makes room by itself as soon as something is delivered.",
			Risk:  "New readings of this stream are not taken while it is full; they are counted as missed. What is stored is safe."},
		{Code: DiskFailing, Severity: Failed, Title: "disk refuses to store",
			Means: "Three attempts in a row to store records failed. The agent takes no new records into this stream, because it could not keep them.",
			Found: "write or fdatasync returned an error, each time with a new file.",
			Do:    "Look at `dmesg` and at the health of the disk (`smartctl -a`, or the wear of the eMMC). Replace the disk; what can still be read is delivered first if the link is up.",
			Risk:  "New readings of this stream. Records that were acknowledged to their source stay readable as long as the disk can be read."},
		{Code: WriteFailed, Severity: Degraded, Title: "a write to the disk failed and was repeated",
			Means: "The disk reported an error once. The records were written again into a new file and are safe.",
			Found: "write or fdatasync returned an error, the next attempt succeeded.",
			Do:    "Look at `dmesg`. One error may be chance; several mean that the disk is about to fail.",
			Risk:  "Nothing yet."},
		{Code: LogCorrupt, Severity: Degraded, Title: "part of the log is damaged", Lossy: true,
			Means: "Bytes on the disk are not what was written. The damaged part is cut out, named and counted as a gap; everything before and after it is read and delivered.",
			Found: "Every batch has a checksum; this one does not match.",
			Do:    "Check the disk as for B002. The damaged file is kept for inspection until retention removes it. Acknowledge this line when it is noted: `edgectl faults ack ID`.",
			Risk:  "The records of the gap, if the hub does not have them already."},
		{Code: DroppedUnsent, Severity: Degraded, Title: "undelivered records were dropped to make room", Lossy: true,
			Means: "The log was full of undelivered records and the stream is configured to make room (full: drop-oldest). The oldest were removed; the gap is recorded here and at the hub.",
			Found: "Retention had to remove a segment above the delivered position.",
			Do:    "Find out why delivery stood still (the uplink's line in `edgectl status`). Give the stream more room if outages of this length are to be expected.",
			Risk:  "The records of the gap are lost. Their number and time span are known."},
		{Code: DiskSpaceLow, Severity: Degraded, Title: "disk is nearly full",
			Means: "Something else fills the disk that the log lies on. The log's own space is limited, and it gives up old delivered records first.",
			Found: "Free space of the file system is below the reserve.",
			Do:    "Find what fills the disk: `du -xh / | sort -h | tail`. Do not delete files of the log.",
			Risk:  "If it goes on, new readings cannot be kept (B001)."},
		{Code: DiskLost, Severity: Failed, Title: "disk lost records that it had confirmed", Lossy: true,
			Means: "The hub or a producer remembers more than the disk holds: the disk confirmed a write that did not survive a power cut.",
			Found: "A position outside the box is above the end of the log after a restart.",
			Do:    "Switch off the disk's volatile write cache, or replace the disk by one with power-loss protection. Nothing needs to be repaired: the agent goes on in a new epoch.",
			Risk:  "Records between the last surviving write and the power cut, unless they were delivered before."},
		{Code: Unsendable, Severity: Degraded, Title: "records cannot be sent in any form", Lossy: true,
			Means: "The hub could not read these records even alone and uncompressed. They are skipped and recorded as a gap, so that what follows is not held up.",
			Found: "The hub refused the same range three times, in ever plainer forms.",
			Do:    "Keep the log directory and report it as a bug: this should not happen. `edgectl query` still shows the records on the box.",
			Risk:  "These records are missing at the hub; they stay on the box until retention removes them."},
		{Code: LogUnavailable, Severity: Failed, Title: "log cannot be opened",
			Means: "The agent could not open its data directory: another agent uses it, permission is missing, or a newer version wrote it.",
			Found: "Opening the log at start fails.",
			Do:    "The message says which: stop the other agent; `chown -R edge-agent` the directory; or install the newer version again. `edgectl doctor` looks at all three.",
			Risk:  "No readings are taken until it is solved. What is stored is not touched."},
		{Code: LogHeld, Severity: Degraded, Title: "part of the log cannot be read by this agent",
			Means: "A newer version of the agent wrote part of this log, or it is encrypted with a key that this agent was not given. Those files are kept as they are, and intake goes on. Where the key is missing, delivery of the stream waits before them; what stands behind a newer format is a history of its own and is delivered meanwhile.",
			Found: "The header of a segment file names a newer format.",
			Do:    "The message says which: install the newer version again, or name the key (storage.encryption.key_file, old_key_files) and restart. Do not delete the files.",
			Risk:  "What these files hold is delivered only when they can be read. New readings are stored."},
		{Code: FlashWear, Severity: Notice, Title: "disk is written faster than it is meant to last",
			Means: "Flash wears out by being written. More a day is written to the disk under the log than storage.wear_per_day says it is to take. All programs count, not only the agent.",
			Found: "The kernel's count of sectors written, over the last 24 hours or at least three.",
			Do:    "Find who writes: `edgectl status` says what the log has written today; `iotop -ao` shows the others. A longer commit_interval writes less: each commit of a few readings costs about 5 kB. Or set storage.wear_per_day anew: the total bytes written (TBW) that the maker names, divided by the days it is to last.",
			Risk:  "Nothing yet. A worn-out flash refuses to write, or forgets."},
	}
}
