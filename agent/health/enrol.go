package health

// Faults of the box's own certificate and of commands.
const (
	NotRenewed      Code = "U025"
	RenewalRefused  Code = "U026"
	CommandRefused  Code = "U027"
	EventLogDamaged Code = "U028"
)

func enrolFaults() []Declared {
	return []Declared{
		{Code: NotRenewed, Severity: Degraded, Title: "the box's certificate could not be renewed",
			Means: "Two thirds of the life of this box's certificate are over, and the hub gave it no new one. It is asked again, ever more rarely.",
			Found: "The hub refused, did not answer within a minute, or answered with a certificate that is not the one that was asked for. The text says which.",
			Do:    "On the hub: does `edge-hub check` show an enrol block, does `edge-hub enrol audit DEVICE` show a refusal? Does the broker's access list have the topics cert/req and cert/res? If the certificate has ended: `edge-hub enrol add DEVICE` there, `sudo edgectl enrol CODE` here.",
			Risk:  "Nothing until the certificate ends; then records stay on disk."},
		{Code: RenewalRefused, Severity: Degraded, Title: "new certificate refused; the old one is in force",
			Means: "The box renewed its certificate, the broker did not let it in with the new one, and the box went back to the one before.",
			Found: "Five connections in a row, over five minutes or more, were refused after the certificate had changed.",
			Do:    "Compare the authority in the hub's enrol block with the cafile of the broker. It is tried again after a day.",
			Risk:  "Nothing until the old certificate ends; then records stay on disk."},
		{Code: CommandRefused, Severity: Notice, Title: "a remote command was not carried out",
			Means: "A command for this box came that it must not carry out: not signed by who may, repeated, over, or retained by the broker.",
			Found: "Every command carries an end and a number that is used once, and is signed with a key that the fleet's metadata names.",
			Do:    "If you sent it: `edge-hub command` makes a new one. If nobody did: somebody with access to the broker tries; look at who can write to it.",
			Risk:  "Nothing: it was not carried out."},
		{Code: EventLogDamaged, Severity: Degraded, Title: "the log of updates and commands was damaged",
			Means: "A line of the chained log was changed or lost, by a failing disk or by somebody. What could be read is kept; a new chain has begun.",
			Found: "Each line carries the hash of the line before it.",
			Do:    "`edgectl update events` names the place. Compare with what the hub has of this box.",
			Risk:  "What happened before that place can no longer be proven from this box alone."},
	}
}
