package record

import "strconv"

// Quality is one code from one list: good, uncertain or bad, with a reason. A bad record has value none and keeps
// its raw bytes in the detail. The numbers are part of the canonical bytes and never change.
type Quality uint8

// The quality codes: 0 good, 1–127 uncertain, 128–255 bad.
const (
	QualityGood Quality = 0

	QualityUncertain  Quality = 1 // no closer reason is known
	QualityStale      Quality = 2 // repeated from an earlier reading
	QualityOutOfRange Quality = 3 // outside the range that the configuration calls plausible
	QualityStuck      Quality = 4 // exactly the same value for suspiciously long
	QualityMayRepeat  Quality = 5 // moved to a new epoch after a conflict: may have been delivered before

	QualityBad          Quality = 128 // no closer reason is known
	QualityPowerOn      Quality = 129 // DS18B20 85 °C: the scratchpad's power-on value, no conversion happened
	QualityNoConversion Quality = 130 // DS18B20 127.94 °C: the conversion did not complete (supply too weak)
	QualityAllZero      Quality = 131 // an all-zero scratchpad: its CRC is valid, nobody answered (line held low)
	QualityCRC          Quality = 132 // checksum error on the bus
	QualityAbsent       Quality = 133 // the device was there and does not answer any more
	QualityTimeout      Quality = 134 // no answer in time
	QualityShorted      Quality = 135 // the bus is shorted
	QualityBus          Quality = 136 // the bus or adapter failed
	QualityNaN          Quality = 137 // the source said "not a number"
	QualityDevice       Quality = 138 // the device reports an error of its own
	QualityMalformed    Quality = 139 // the answer could not be understood
	QualityOverflow     Quality = 140 // the value does not fit its type
	QualityNoDevice     Quality = 141 // a configured device was never seen
	QualityUnsupported  Quality = 142 // the device cannot tell this quantity
	QualityBrownOut     Quality = 143 // parasite power failed during a conversion
)

// Good reports whether the value can be used as it is.
func (q Quality) Good() bool { return q == QualityGood }

// Bad reports whether the record has no usable value.
func (q Quality) Bad() bool { return q >= QualityBad }

var qualityNames = map[Quality]string{
	QualityGood: "good", QualityUncertain: "uncertain", QualityStale: "uncertain:stale",
	QualityOutOfRange: "uncertain:range", QualityStuck: "uncertain:stuck", QualityMayRepeat: "uncertain:may-repeat",
	QualityBad: "bad", QualityPowerOn: "bad:power-on", QualityNoConversion: "bad:no-conversion",
	QualityAllZero: "bad:all-zero", QualityCRC: "bad:crc", QualityAbsent: "bad:absent", QualityTimeout: "bad:timeout",
	QualityShorted: "bad:shorted", QualityBus: "bad:bus", QualityNaN: "bad:nan", QualityDevice: "bad:device",
	QualityMalformed: "bad:malformed", QualityOverflow: "bad:overflow", QualityNoDevice: "bad:no-device",
	QualityUnsupported: "bad:unsupported", QualityBrownOut: "bad:brown-out",
}

// String is the form that CLI, JSON and stores show: "good", "bad:crc".
func (q Quality) String() string {
	if s, ok := qualityNames[q]; ok {
		return s
	}
	switch {
	case q.Bad():
		return "bad:" + strconv.Itoa(int(q))
	default:
		return "uncertain:" + strconv.Itoa(int(q))
	}
}

// Qualities lists every declared code in order, for documentation and stores.
func Qualities() []Quality {
	var out []Quality
	for q := 0; q < 256; q++ {
		if _, ok := qualityNames[Quality(q)]; ok {
			out = append(out, Quality(q))
		}
	}
	return out
}
