package health

// Faults of microcontroller nodes.
const (
	NodeOffline  Code = "M001"
	NodeForeign  Code = "M002"
	NodeSettings Code = "M003"
	NodeClock    Code = "M004"
	NodeRefused  Code = "M005"
	NodeOverflow Code = "M006"
	NodeLogLost  Code = "M007"
	NodeFlash    Code = "M008"
)

func nodeFaults() []Declared {
	return []Declared{
		{Code: NodeOffline, Severity: Degraded, Title: "node does not answer",
			Means: "A microcontroller node on a line is silent. It goes on controlling its outputs by itself; its events wait in its memory.",
			Found: "Three questions in a row got no good answer, for at least three seconds. It is asked again ever more seldom, at least every 15 s.",
			Do:    "Look at its supply and its display, then at the cable: A and B not swapped, a terminating resistor at both ends. `edgectl node list` shows whether others on the line answer; if none does, look at the adapter. `edgectl node show NAME` shows damaged answers: many mean noise or two nodes with one address.",
			Risk:  "Its queue runs over after some minutes: then the oldest events are dropped, and counted. A reset loses what is in the queue."},
		{Code: NodeForeign, Severity: Degraded, Title: "something else answers at a node's address",
			Means: "The device at this address is no Edgelog node, has another serial number than the configuration wants, or a register map that this version does not know.",
			Found: "Its identity registers are read when it is first heard and after each of its restarts.",
			Do:    "`edgectl node list` shows who answers. After replacing a node, put the new serial number into the configuration; a new node has address 247 until `edgectl node set NAME unit=5`. A newer register map needs a newer agent.",
			Risk:  "Nothing is read from it and nothing is acknowledged to it."},
		{Code: NodeSettings, Severity: Degraded, Title: "node does not take its settings",
			Means: "Settings that the configuration declares could not be made true on the node: it refused a value, or did not keep it.",
			Found: "Every value is read back after it is written, and all are compared every 10 min.",
			Do:    "`edgectl node show NAME` shows each value as it is and as it is declared. heater_on must be below heater_off, fan_off below fan_on, together with what the node already has. A node whose settings memory fails must be replaced.",
			Risk:  "The node controls with other thresholds than you want."},
		{Code: NodeClock, Severity: Notice, Title: "node's clock cannot be set",
			Means: "The clock chip of a node does not answer, or does not keep the time.",
			Found: "It is compared with the clock of this box every 10 min and set when it is off by more than 2 s.",
			Do:    "Check the chip's crystal and its battery. Times of events do not depend on it.",
			Risk:  "Timed outputs of this node switch at wrong times."},
		{Code: NodeRefused, Severity: Degraded, Title: "log takes no events of a node",
			Means: "The log is full or its disk fails, so nothing is acknowledged to the node and its queue fills.",
			Found: "The log refused an append or a commit.",
			Do:    "See the fault of the log itself, which says what to do.",
			Risk:  "When the node's queue is full it drops its oldest events; they are counted."},
		{Code: NodeOverflow, Severity: Degraded, Title: "node's queue ran over", Lossy: true,
			Means: "The node made events faster than they were fetched, or nobody fetched them for a while. The oldest were dropped.",
			Found: "The sequence numbers of its events go on behind a hole, and the node counts the same number.",
			Do:    "If it was offline: see its other faults. Else give the line a higher speed, the node a longer `report` setting, or fewer nodes to the line. `edgectl query --series node.lost` lists every hole with its life and numbers.",
			Risk:  "The dropped events. Those behind them are complete."},
		{Code: NodeLogLost, Severity: Failed, Title: "acknowledged events of a node are not in the log", Lossy: true,
			Means: "The node let go of events because the log said that they were safe, and the log does not have them: its disk lied about writing, or an old copy of the log was put back.",
			Found: "The node's queue begins behind the last event that the log has, and nothing ran over.",
			Do:    "Do not trust this disk: `edgectl log verify`, `edgectl doctor`. If a backup was restored, acknowledge this line.",
			Risk:  "These events, and perhaps others of the same time."},
		{Code: NodeFlash, Severity: Degraded, Title: "node's update did not finish",
			Means: "An update of a node's firmware ended before the node was back with the wanted version.",
			Found: "Each step of an update is confirmed; the text names the step that failed and what the node holds now.",
			Do:    "Run `edgectl node flash NAME FILE` again: it begins from whatever state the node is in. If its bootloader does not answer, switch the node's supply off and on, or pull its reset, while it runs.",
			Risk:  "The node may stand in its bootloader, where it controls nothing."},
	}
}
