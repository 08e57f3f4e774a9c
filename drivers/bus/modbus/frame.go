package modbus

// CRC is the checksum of RTU frames: polynomial 0xa001 reflected, start 0xffff; its low byte goes first.
func CRC(b []byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// AppendRTU appends a frame as it goes over a serial line:
//
//	unit u8 | PDU 1–253 bytes | CRC u16, low byte first
func AppendRTU(dst []byte, unit byte, pdu []byte) []byte {
	from := len(dst)
	dst = append(append(dst, unit), pdu...)
	crc := CRC(dst[from:])
	return append(dst, byte(crc), byte(crc>>8))
}

// answerLen tells how long the RTU frame is that begins with b: the whole length, or how many bytes are needed to
// tell (more true). ok is false for a function whose answers do not say how long they are: silence then ends them.
func answerLen(b []byte) (n int, more, ok bool) {
	if len(b) < 2 {
		return 2, true, true
	}
	if b[1]&exceptionBit != 0 {
		return 5, false, true
	}
	if custom(b[1]) { // as Custom wants it
		if len(b) < 3 {
			return 3, true, true
		}
		return 5 + int(b[2]), false, true
	}
	switch b[1] {
	case funcReadCoils, funcReadDiscrete, funcReadHolding, funcReadInput, funcReportServerID, funcReadFile, funcReadWriteRegisters:
		if len(b) < 3 {
			return 3, true, true
		}
		return 5 + int(b[2]), false, true
	case funcWriteCoil, funcWriteRegister, funcWriteCoils, funcWriteRegisters, funcDiagnostics:
		return 8, false, true
	case funcExceptionStatus:
		return 5, false, true
	case funcMaskWrite:
		return 10, false, true
	case funcReadFIFO:
		if len(b) < 4 {
			return 4, true, true
		}
		return 6 + int(be.Uint16(b[2:])), false, true
	case funcEncapsulated:
		return identityLen(b)
	}
	return 0, false, false
}

// identityLen walks the objects of a device identification, the only answer without a length of its own.
func identityLen(b []byte) (n int, more, ok bool) {
	if len(b) < 8 {
		return 8, true, true
	}
	if b[2] != meiDeviceIdentification {
		return 0, false, false
	}
	at := 8
	for range int(b[7]) {
		if len(b) < at+2 {
			return at + 2, true, true
		}
		if at += 2 + int(b[at+1]); at > maxADU {
			break
		}
	}
	return at + 2, false, true
}
