package health

// Faults of sources and sensors.
const (
	SourceDead      Code = "S001"
	SensorVanished  Code = "S002"
	SensorNeverSeen Code = "S003"
	SourceMissed    Code = "S004"
	SeriesOverflow  Code = "S005"
	RecordRefused   Code = "S007"

	SensorBad          Code = "S010"
	SensorNoConversion Code = "S011"
	SensorPowerOn      Code = "S012"
	SensorAllZero      Code = "S013"
	SensorCRC          Code = "S014"
	SensorTimeout      Code = "S015"
	SensorShorted      Code = "S016"
	SensorBus          Code = "S017"
	SensorNaN          Code = "S018"
	SensorDevice       Code = "S019"
	SensorMalformed    Code = "S020"
	SensorOverflow     Code = "S021"
	SensorUnsupported  Code = "S022"
	SensorBrownOut     Code = "S023"

	SensorUncertain Code = "S030"
	SensorRange     Code = "S031"
	SensorStuck     Code = "S032"
	SensorStale     Code = "S033"
)

const keptRaw = "Each bad reading is kept as a record without a value, with its quality code and its raw bytes; no wrong number is passed on."

func sensorFaults() []Declared {
	return []Declared{
		{Code: SourceDead, Severity: Degraded, Title: "source is dead",
			Means: "A whole source (a bus, an adapter, a device) cannot be read. None of its sensors gives readings.",
			Found: "Every attempt to read the source fails: the adapter or file is missing, or nothing answers in time. It is tried again at its interval.",
			Do:    "Check cable, adapter and power of the source. `edgectl sensors` shows which sensors it has; `edgectl doctor` shows whether its files exist. After plugging it in again nothing needs to be restarted.",
			Risk:  "All readings of this source since then. Other sources are not delayed."},
		{Code: SensorVanished, Severity: Degraded, Title: "sensor does not answer any more",
			Means: "The sensor was there before and is not found on its bus now.",
			Found: "The bus lists its devices without this one, or reads of it fail while others on the bus answer.",
			Do:    "Check the cable and the connector of this one sensor, then its supply. If it was taken away for good, remove it from the configuration or acknowledge this line.",
			Risk:  "Readings of this sensor."},
		{Code: SensorNeverSeen, Severity: Degraded, Title: "configured sensor was never seen",
			Means: "The configuration names a sensor that has not been found since the agent started.",
			Found: "Its id is not among the devices that the bus lists.",
			Do:    "Compare the id in the configuration with the one printed on the sensor and with `edgectl sensors`. Check that it is connected to this bus.",
			Risk:  "Readings of this sensor, from the beginning."},
		{Code: SourceMissed, Severity: Degraded, Title: "source is too slow for its interval",
			Means: "Readings were due while the one before was still running, so some were not taken.",
			Found: "The schedule counts every reading that was due and not taken, with its reason.",
			Do:    "Give the source a longer interval, fewer sensors, or split the bus. A DS18B20 at 12 bits takes 0.75 s for each conversion.",
			Risk:  "The readings that were missed; they are counted as missed, not hidden."},
		{Code: SeriesOverflow, Severity: Degraded, Title: "source makes too many series",
			Means: "A source keeps producing new names or labels. Above the limit its readings go to one overflow series, with the labels in the detail.",
			Found: "More than 1,024 new series in an hour from one source, or 65,536 in one epoch.",
			Do:    "Move what changes with each reading (a time, a counter, a file name) from the labels into the value. Then restart the source.",
			Risk:  "Nothing is lost, but queries by series no longer find these readings."},
		{Code: RecordRefused, Severity: Degraded, Title: "messages were too large to be kept",
			Means: "A source gave messages that are larger than the log takes: 48 KiB a record, or beyond the bound of its door.",
			Found: "Each message is checked before it is appended; `edgectl sensors` counts them as too-large.",
			Do:    "See the log of the agent for the reason. Store images and files as files and record their name and sha256.",
			Risk:  "The refused records. They were never acknowledged."},
	}
}

func bad(code Code, title, means, do string) Declared {
	return Declared{Code: code, Severity: Degraded, Title: title, Means: means, Do: do,
		Found: "The driver checks every answer; this one failed the check. It is declared after repeated bad readings and ends with the first good one.",
		Risk:  "Readings of this sensor. " + keptRaw}
}

func doubtful(code Code, title, means, found, do string) Declared {
	return Declared{Code: code, Severity: Notice, Title: title, Means: means, Found: found, Do: do,
		Risk: "The readings are delivered with their value and marked uncertain."}
}

func qualityFaults() []Declared {
	return []Declared{
		bad(SensorBad, "sensor gives no valid reading", "The sensor answers, but the answer is not usable, for no closer reason.",
			"See the raw bytes with `edgectl query --json`. Check cable and supply; replace the sensor if it stays."),
		bad(SensorNoConversion, "sensor did not finish its conversion", "A DS18B20 reads 127.94 °C: the conversion did not complete, because the supply is too weak for it.",
			"Check the supply of the sensor. With parasite power, add a strong pull-up or a third wire; shorten the cable."),
		bad(SensorPowerOn, "sensor restarts between conversions", "A DS18B20 reads exactly 85 °C, the value its memory has after power-on: it lost power between the start of the conversion and the read.",
			"Check its 5 V supply and connector. Measure the voltage at the sensor while the bus is read; with parasite power, use a third wire."),
		bad(SensorAllZero, "sensor answers with zeros only", "All bytes are zero. The checksum of zeros is valid, so this would look like 0 °C; in truth nobody answered and the line was held low.",
			"Look for a short or for water in a connector; unplug sensors one by one."),
		bad(SensorCRC, "sensor's answers are garbled", "The checksum of the answer is wrong: bits were changed on the cable.",
			"Look for a long or unshielded cable, a star-shaped bus, a missing pull-up resistor, or a motor or inverter beside the cable."),
		bad(SensorTimeout, "sensor does not answer in time", "The request was sent and no answer came before the deadline.",
			"Check that the device has power and the right address and speed; look at other devices on the same bus."),
		bad(SensorShorted, "bus is shorted", "The data line is held low all the time: no device on this bus can answer.",
			"Unplug the devices one by one until the others answer; the last one, or its cable, is the cause."),
		bad(SensorBus, "bus or adapter failed", "The adapter between the box and the bus reports an error.",
			"Unplug the adapter and plug it in again; look at `dmesg`; replace it if it happens again."),
		bad(SensorNaN, "sensor says: not a number", "The device itself says that it has no value.",
			"Often a probe that is not connected to its transmitter. Check the probe."),
		bad(SensorDevice, "device reports an error of its own", "The device answers and says that it is faulty. Its own code is in the detail.",
			"Look the code up in the manual of the device: `edgectl query --json` shows it."),
		bad(SensorMalformed, "device's answers cannot be understood", "The answer has the wrong form: another device type, another firmware, or the wrong settings.",
			"Check that the driver in the configuration fits the device and its firmware version."),
		bad(SensorOverflow, "value does not fit", "The device sent a number that its type cannot hold.",
			"Check the register type and the scale in the configuration."),
		bad(SensorUnsupported, "device cannot tell this quantity", "The device is there but does not have this quantity.",
			"Remove the quantity from the configuration, or use a device that has it."),
		bad(SensorBrownOut, "parasite power failed", "The sensor takes its power from the data line, and that was not enough during a conversion.",
			"Use a third wire for the supply or a strong pull-up."),
		doubtful(SensorUncertain, "sensor's readings are uncertain", "The device or driver doubts the value.",
			"The quality code of the reading.", "Look at the device; compare with a reading by hand."),
		doubtful(SensorRange, "readings are outside the plausible range", "The value is outside the range that the configuration calls plausible for this quantity.",
			"Every value is compared with its range.", "Check the place with another thermometer or meter. If the value is true, widen the range in the configuration."),
		doubtful(SensorStuck, "value does not move", "Exactly the same value for suspiciously long. A living sensor shows at least noise.",
			"The agent counts equal readings in a row.", "Warm the sensor with a hand: if the value stays, replace it. If the quantity really is constant, say so in the configuration."),
		doubtful(SensorStale, "readings are repeated old ones", "The device repeats an earlier reading instead of measuring.",
			"The device's own time or counter stands still.", "Restart the device; check its connection to the probe."),
	}
}
