package health

// Faults of the clock and the configuration, and of the agent itself.
const (
	ClockFree      Code = "C001"
	ClockStepped   Code = "C002"
	ReloadFailed   Code = "C003"
	RestartNeeded  Code = "C004"
	NoUplink       Code = "C005"
	Stalled        Code = "A001"
	CrashRestart   Code = "A002"
	Unbalanced     Code = "A003"
	AgentNotActive Code = "A005"
	PageClosed     Code = "A006"
)

func agentFaults() []Declared {
	return []Declared{
		{Code: ClockFree, Severity: Notice, Title: "clock is not synchronised",
			Means: "Nobody has told this box the time since it started. Readings carry the time since the start of the machine and are placed in UTC as soon as a time source is found, those of before included.",
			Found: "The kernel says that its clock is not synchronised, and no hub whose own clock is synchronised has answered yet.",
			Do:    "Give the box a time source: NTP, or a hub that has one. A battery for the hardware clock helps over power cuts.",
			Risk:  "Times shown may be wrong meanwhile; order and spacing are right."},
		{Code: ClockStepped, Severity: Notice, Title: "clock was set",
			Means: "The system clock jumped. Readings are not affected: their stamps count from the start of the machine.",
			Found: "The difference between system clock and monotonic clock changed.",
			Do:    "Nothing, if somebody set the clock. If it happens again, look for two programs that set it.",
			Risk:  "Nothing."},
		{Code: ReloadFailed, Severity: Degraded, Title: "new configuration was refused",
			Means: "A reload found mistakes in the configuration. The old configuration goes on working.",
			Found: "The file was read and checked; nothing was applied.",
			Do:    "`edge-agent check --config /etc/edge-agent/agent.yaml` shows every mistake with its line. Correct it and reload again.",
			Risk:  "At the next restart the agent would not find a valid configuration."},
		{Code: RestartNeeded, Severity: Notice, Title: "part of the configuration waits for a restart",
			Means: "Some changes were applied at once; others need a restart of the agent.",
			Found: "The reload compared the old and the new configuration.",
			Do:    "`systemctl restart edge-agent` at a convenient moment. No record is lost by it.",
			Risk:  "Nothing."},
		{Code: NoUplink, Severity: Notice, Title: "no uplink is configured",
			Means: "Records are kept on this box only; nothing is delivered.",
			Found: "The configuration has no uplink block.",
			Do:    "Add uplink.mqtt.broker to the configuration, if records are to be delivered.",
			Risk:  "When the log is full the oldest records go, as the stream's setting says."},
		{Code: Stalled, Severity: Failed, Title: "a part of the agent stands still",
			Means: "The scheduler did not turn, the log's writer did not answer, or a lock was held for more than 30 seconds. If it does not recover, systemd restarts the agent.",
			Found: "The agent checks its own parts before it tells systemd that it is alive.",
			Do:    "Keep the journal (`journalctl -u edge-agent`) and report it as a bug, with the load of the machine at that time.",
			Risk:  "Readings that were due meanwhile; they are counted as missed."},
		{Code: CrashRestart, Severity: Notice, Title: "agent restarted after it ended unexpectedly",
			Means: "The agent was killed, ran out of memory or hit a bug, and was started again. Nothing that it had acknowledged is lost.",
			Found: "The log was not closed in order the last time.",
			Do:    "`journalctl -u edge-agent -b` says why. A power cut looks the same and needs nothing.",
			Risk:  "Readings that were due meanwhile."},
		{Code: Unbalanced, Severity: Failed, Title: "account does not balance", Lossy: true,
			Means: "Records appended, delivered, dropped and waiting do not add up. This is a bug of ours, or damage that nobody noticed.",
			Found: "The sums are compared all the time; `edgectl account` shows them.",
			Do:    "Save `edgectl account --json` here and `edge-hub status --json` at the hub, and report it.",
			Risk:  "As many records as the remainder says are not accounted for."},
		{Code: AgentNotActive, Severity: Failed, Title: "agent is not running",
			Means: "Nothing answers on the agent's socket. No readings are taken.",
			Found: "edgectl could not connect.",
			Do:    "`systemctl status edge-agent` and `edgectl doctor` say why; `systemctl start edge-agent` starts it.",
			Risk:  "Readings since it stopped. What is stored is safe and is delivered after the start."},
		{Code: PageClosed, Severity: Notice, Title: "web page of the box is not there",
			Means: "The configuration wants the box's page (control.http), and the agent cannot serve it. Everything else works.",
			Found: "The address could not be opened, or the certificate could not be read. The agent tries again every minute.",
			Do:    "The text says which. An address in use: `ss -ltnp` shows by whom. An address that this machine does not have: correct control.http.address and `systemctl reload edge-agent`.",
			Risk:  "Nothing but the page; edgectl works without it."},
	}
}
