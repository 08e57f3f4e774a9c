package health

// Faults of the way to the hub.
const (
	UplinkUnreachable  Code = "U001"
	UplinkRefused      Code = "U002"
	HubSilent          Code = "U003"
	UplinkConflict     Code = "U004"
	TwoWriters         Code = "U005"
	UplinkUnreadable   Code = "U006"
	CertificateRefused Code = "U007"
	UnknownCA          Code = "U008"
	BrokerCertificate  Code = "U009"
	DeadLetters        Code = "U010"
	CertificateEnds    Code = "U011"
	NoCredit           Code = "U012"
	LocallyLost        Code = "U013"
	UplinkFiles        Code = "U014"
	UplinkFlapping     Code = "U015"
	BudgetUsedUp       Code = "U016"
	NameTaken          Code = "U018"
	NothingTaken       Code = "U029"
)

// Faults of updates over the way to the hub.
const (
	ReleaseNotKept  Code = "U019"
	UpdateTrust     Code = "U020"
	UpdateSlow      Code = "U021"
	UpdaterAbsent   Code = "U022"
	UpdateDisk      Code = "U023"
	UpdateUnsettled Code = "U024"
	UpdateMemory    Code = "U030"
)

const staysOnDisk = "Nothing is lost while there is room on the disk: `edgectl status` says for how long."

func uplinkFaults() []Declared {
	return []Declared{
		{Code: UplinkUnreachable, Severity: Degraded, Title: "broker cannot be reached",
			Means: "No connection to the broker comes about: no network, no name, a firewall, or the broker is down.",
			Found: "The connection fails before TLS begins. It is tried again with growing pauses, at most 5 minutes.",
			Do:    "`edgectl doctor` tries name and port. Check the cable or modem; then ask whether the broker runs. Nothing needs to be restarted here.",
			Risk:  staysOnDisk},
		{Code: UplinkRefused, Severity: Degraded, Title: "broker refused this device",
			Means: "The broker answers and says no: wrong user or password, or this device is not allowed.",
			Found: "The CONNACK of the broker carries a refusal.",
			Do:    "Compare the device's id (`edgectl status`) with the users or the access list of the broker; renew the password file and reload.",
			Risk:  staysOnDisk},
		{Code: HubSilent, Severity: Degraded, Title: "hub does not answer",
			Means: "The broker takes our messages, but no hub answers. Only the hub's answer counts as delivered.",
			Found: "No answer to several hellos over at least a minute.",
			Do:    "Look whether edge-hub runs and is connected to the same broker with the same topic prefix: `edge-hub status`. If it does, the broker's access list keeps this box out: with the shipped one `device` must be the common name of the certificate (`edgectl doctor` compares them).",
			Risk:  staysOnDisk},
		{Code: UplinkConflict, Severity: Failed, Title: "hub has another history of this stream", Lossy: true,
			Means: "At the same position the hub's history and ours differ: this machine was resumed from a snapshot, or a copy of it ran. What lies above was moved into a new epoch and is delivered, marked as possibly repeated.",
			Found: "The chain value of the hub at a position differs from ours.",
			Do:    "Find out whether a copy of this disk or virtual machine is running, and stop it. Then acknowledge this line.",
			Risk:  "Records may arrive twice; they are marked `uncertain:may-repeat`."},
		{Code: TwoWriters, Severity: Failed, Title: "two devices send under this name", Lossy: true,
			Means: "The hub sees two histories of one stream grow at once: a cloned card or a copied certificate.",
			Found: "Two epochs have one parent, or two grow at the same time.",
			Do:    "Find the second box (the hub knows both addresses in the broker's log), give it its own certificate and an empty data directory.",
			Risk:  "Readings of two places are stored under one name. Both are kept, in separate epochs."},
		{Code: UplinkUnreadable, Severity: Degraded, Title: "hub cannot read our frames",
			Means: "A frame arrived damaged or in a form that the hub does not know. It is sent again, smaller and uncompressed.",
			Found: "The hub answers `unreadable`.",
			Do:    "If it stays: compare the versions of agent and hub (`edgectl version`, `edge-hub version`).",
			Risk:  "Delivery of this stream is held up; if no form helps, B008 follows."},
		{Code: CertificateRefused, Severity: Degraded, Title: "broker refused our certificate",
			Means: "The TLS certificate of this device has ended, is revoked, or was not issued by a CA that the broker trusts.",
			Found: "The TLS handshake ends with an alert from the broker, or our own certificate is past its end.",
			Do:    "Issue a new certificate for the same name, put it in place of the old one, then `systemctl reload edge-agent`. `edgectl doctor` shows when it ended.",
			Risk:  staysOnDisk},
		{Code: UnknownCA, Severity: Degraded, Title: "broker's certificate comes from an unknown CA",
			Means: "We do not know who signed the broker's certificate: the wrong ca_file, a new CA at the broker, or somebody in between.",
			Found: "Verification of the broker's certificate fails.",
			Do:    "Compare ca_file with the CA of the broker. If nobody changed anything there, suspect the network.",
			Risk:  staysOnDisk + " Nothing was sent to the unknown party."},
		{Code: BrokerCertificate, Severity: Degraded, Title: "broker's certificate is not valid",
			Means: "The certificate of the broker has ended, is not valid yet, or is for another name. If the clock of this box is wrong, it may be the clock.",
			Found: "Verification of the broker's certificate fails.",
			Do:    "Check the clock first (`edgectl status`), then the name in uplink.mqtt.broker, then ask for a new certificate at the broker.",
			Risk:  staysOnDisk},
		{Code: DeadLetters, Severity: Degraded, Title: "hub could not store some records", Lossy: true,
			Means: "The hub's store can never take these records. They are kept there as dead letters and listed as skipped; what follows goes on.",
			Found: "The hub lists the range as skipped.",
			Do:    "Look at the table dead_letters at the hub; it says why for each record.",
			Risk:  "These records are missing in the readings."},
		{Code: CertificateEnds, Severity: Notice, Title: "our certificate ends soon",
			Means: "The TLS certificate of this device ends within 30 days. Then the broker will refuse it.",
			Found: "Its end date, compared with the clock.",
			Do:    "Issue a new certificate for the same name, put it in place of the old one, then `systemctl reload edge-agent`.",
			Risk:  "Delivery stops on that day. " + staysOnDisk},
		{Code: NoCredit, Severity: Notice, Title: "hub is busy and lets us wait",
			Means: "The hub gives this device no room to send, because it is busy with others.",
			Found: "The credit in the hub's answers has been 0 for several minutes.",
			Do:    "If it lasts, look at the load of the hub: `edge-hub status`.",
			Risk:  staysOnDisk},
		{Code: LocallyLost, Severity: Degraded, Title: "hub has records that this box has lost", Lossy: true,
			Means: "The hub's position is above the end of what this disk kept. These records were delivered before they were lost here.",
			Found: "The hub's answer names a position above the end of a closed epoch.",
			Do:    "See B007 on disks that confirm too early. Acknowledge this line when noted.",
			Risk:  "Nothing at the hub; local queries lack these records."},
		{Code: UplinkFiles, Severity: Degraded, Title: "certificate or password file cannot be read",
			Means: "A file that the uplink needs is missing, not readable for the agent, or not in the right form.",
			Found: "Reading it before a connection fails.",
			Do:    "The message names the file. Check its owner (edge-agent) and mode (0400), then `systemctl reload edge-agent`.",
			Risk:  staysOnDisk},
		{Code: UplinkFlapping, Severity: Degraded, Title: "connection to the broker keeps breaking",
			Means: "The connection comes about and breaks again within a short time: a weak radio link, a broker that restarts, or a second client with the same name.",
			Found: "More than ten connections in ten minutes.",
			Do:    "Check the signal of the modem; look in the broker's log whether another client uses this name.",
			Risk:  staysOnDisk},
		{Code: BudgetUsedUp, Severity: Degraded, Title: "byte budget of the uplink is used up",
			Means: "The link has carried as many bytes as uplink.mqtt.budget_per_hour or budget_per_month allow. Only alarms are sent until the next hour or month.",
			Found: "The bytes of all MQTT packets, both ways, are counted; the count outlives a restart.",
			Do:    "`edgectl status` shows what was used. If it is too little: raise the budget and reload, or read fewer sensors less often.",
			Risk:  staysOnDisk},
		{Code: NothingTaken, Severity: Degraded, Title: "what is sent does not arrive",
			Means: "The hub answers our hellos, and nothing of a stream that waits has arrived for minutes. What is between takes small messages and not the records: a broker that refuses or drops packets above some size, or an access list without the topics of the data. A broker acknowledges also what it drops.",
			Found: "No record of the stream was acknowledged for five minutes, with several time-outs or lost connections, while hellos were answered.",
			Do:    "Look into the broker's log. It must take packets of 256 KiB (Mosquitto: `max_packet_size`, `message_size_limit`) and let this device write `PREFIX/DEVICE/d/#`.",
			Risk:  staysOnDisk},
		{Code: NameTaken, Severity: Failed, Title: "another client uses this box's name at the broker",
			Means: "A broker lets in one client of a name and closes the connection of the one before. Somebody else connects under our name, most likely a second box from a copy of this card, or a test program.",
			Found: "When we connect again, the last will that stands under our name is not ours, twice or more: somebody else was connected in between.",
			Do:    "Look in the broker's log from which addresses this name connects. Give the other box its own name and certificate, and an empty data directory.",
			Risk:  "Both take turns of some minutes. " + staysOnDisk + " If it is a copy of this card, U005 follows: both histories are kept apart at the hub."},
	}
}
