package modbus

import (
	"context"
	"encoding/binary"
	"fmt"
)

var be = binary.BigEndian

func words(function byte, v ...uint16) []byte {
	out := []byte{function}
	for _, w := range v {
		out = be.AppendUint16(out, w)
	}
	return out
}

func span(addr uint16, n, most int) error {
	if n < 1 || n > most || int(addr)+n > 1<<16 {
		return fmt.Errorf("%w: %d items from address %d, want 1 to %d within 65536", ErrRequest, n, addr, most)
	}
	return nil
}

// noBroadcast refuses to read from everybody. To a line without broadcasts unit 0 is one as any other: servers over TCP
// without slaves behind them often have it.
func (m *Master) noBroadcast(unit byte) error {
	if one, ok := m.line.(interface{ Broadcasts() bool }); unit == 0 && (!ok || one.Broadcasts()) {
		return fmt.Errorf("%w: unit 0 (everybody) cannot be read", ErrRequest)
	}
	return nil
}

func (m *Master) readBits(ctx context.Context, function, unit byte, addr uint16, n int) ([]bool, error) {
	if err := span(addr, n, MaxReadBits); err != nil {
		return nil, err
	}
	data, err := m.readCounted(ctx, unit, words(function, addr, uint16(n)), (n+7)/8)
	if err != nil {
		return nil, err
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = data[i/8]>>(i%8)&1 != 0
	}
	return out, nil
}

// readCounted asks for an answer that begins with its own length in one byte.
func (m *Master) readCounted(ctx context.Context, unit byte, pdu []byte, want int) ([]byte, error) {
	if err := m.noBroadcast(unit); err != nil {
		return nil, err
	}
	data, err := m.ask(ctx, unit, pdu)
	if err != nil {
		return nil, err
	}
	if len(data) < 1 || int(data[0]) != len(data)-1 || want >= 0 && len(data)-1 != want {
		return nil, fmt.Errorf("%w: %d bytes of data asked, % x came", ErrFrame, want, data[:min(len(data), 8)])
	}
	return data[1:], nil
}

func (m *Master) readRegisters(ctx context.Context, function, unit byte, addr uint16, n int) ([]uint16, error) {
	if err := span(addr, n, MaxReadRegisters); err != nil {
		return nil, err
	}
	data, err := m.readCounted(ctx, unit, words(function, addr, uint16(n)), 2*n)
	return registers(data), err
}

func registers(data []byte) []uint16 {
	var out []uint16
	for ; len(data) >= 2; data = data[2:] {
		out = append(out, be.Uint16(data))
	}
	return out
}

// ReadCoils reads 1 to 2000 coils (function 1).
func (m *Master) ReadCoils(ctx context.Context, unit byte, addr uint16, n int) ([]bool, error) {
	return m.readBits(ctx, funcReadCoils, unit, addr, n)
}

// ReadDiscrete reads 1 to 2000 discrete inputs (function 2).
func (m *Master) ReadDiscrete(ctx context.Context, unit byte, addr uint16, n int) ([]bool, error) {
	return m.readBits(ctx, funcReadDiscrete, unit, addr, n)
}

// ReadHolding reads 1 to 125 holding registers (function 3).
func (m *Master) ReadHolding(ctx context.Context, unit byte, addr uint16, n int) ([]uint16, error) {
	return m.readRegisters(ctx, funcReadHolding, unit, addr, n)
}

// ReadInput reads 1 to 125 input registers (function 4).
func (m *Master) ReadInput(ctx context.Context, unit byte, addr uint16, n int) ([]uint16, error) {
	return m.readRegisters(ctx, funcReadInput, unit, addr, n)
}

// echoed sends a write whose answer repeats the first bytes of the request behind the function code.
func (m *Master) echoed(ctx context.Context, unit byte, pdu []byte, echo int) error {
	data, err := m.ask(ctx, unit, pdu)
	if err != nil || data == nil && unit == 0 {
		return err
	}
	if string(data) != string(pdu[1:1+echo]) {
		return fmt.Errorf("%w: write answered with % x", ErrFrame, data[:min(len(data), 8)])
	}
	return nil
}

// WriteCoil sets one coil (function 5). Unit 0 writes to all.
func (m *Master) WriteCoil(ctx context.Context, unit byte, addr uint16, on bool) error {
	v := uint16(0)
	if on {
		v = 0xff00
	}
	return m.echoed(ctx, unit, words(funcWriteCoil, addr, v), 4)
}

// WriteRegister sets one holding register (function 6). Unit 0 writes to all.
func (m *Master) WriteRegister(ctx context.Context, unit byte, addr, v uint16) error {
	return m.echoed(ctx, unit, words(funcWriteRegister, addr, v), 4)
}

// WriteCoils sets 1 to 1968 coils (function 15).
func (m *Master) WriteCoils(ctx context.Context, unit byte, addr uint16, v []bool) error {
	if err := span(addr, len(v), MaxWriteBits); err != nil {
		return err
	}
	bits := make([]byte, (len(v)+7)/8)
	for i, on := range v {
		if on {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	pdu := append(words(funcWriteCoils, addr, uint16(len(v))), byte(len(bits)))
	return m.echoed(ctx, unit, append(pdu, bits...), 4)
}

// WriteRegisters sets 1 to 123 holding registers (function 16).
func (m *Master) WriteRegisters(ctx context.Context, unit byte, addr uint16, v []uint16) error {
	if err := span(addr, len(v), MaxWriteRegisters); err != nil {
		return err
	}
	pdu := append(words(funcWriteRegisters, addr, uint16(len(v))), byte(2*len(v)))
	for _, w := range v {
		pdu = be.AppendUint16(pdu, w)
	}
	return m.echoed(ctx, unit, pdu, 4)
}

// MaskWrite sets a holding register to (it AND and) OR (or AND NOT and) (function 22).
func (m *Master) MaskWrite(ctx context.Context, unit byte, addr, and, or uint16) error {
	return m.echoed(ctx, unit, words(funcMaskWrite, addr, and, or), 6)
}

// ReadWrite writes registers, then reads others, in one transaction of the slave (function 23): 1 to 125 read, 1 to
// 121 written.
func (m *Master) ReadWrite(ctx context.Context, unit byte, from uint16, n int, to uint16, v []uint16) ([]uint16, error) {
	if err := span(from, n, MaxReadRegisters); err != nil {
		return nil, err
	}
	if err := span(to, len(v), MaxWriteRegisters-2); err != nil {
		return nil, err
	}
	pdu := append(words(funcReadWriteRegisters, from, uint16(n), to, uint16(len(v))), byte(2*len(v)))
	for _, w := range v {
		pdu = be.AppendUint16(pdu, w)
	}
	data, err := m.readCounted(ctx, unit, pdu, 2*n)
	return registers(data), err
}

// ReadFIFO reads the queue at a pointer register (function 24): 0 to 31 registers; it does not empty it.
func (m *Master) ReadFIFO(ctx context.Context, unit byte, pointer uint16) ([]uint16, error) {
	if err := m.noBroadcast(unit); err != nil {
		return nil, err
	}
	data, err := m.ask(ctx, unit, words(funcReadFIFO, pointer))
	if err != nil {
		return nil, err
	}
	if len(data) < 4 || int(be.Uint16(data)) != len(data)-2 || len(data) != 4+2*int(be.Uint16(data[2:])) || len(data) > 4+2*MaxFIFO {
		return nil, fmt.Errorf("%w: FIFO % x", ErrFrame, data[:min(len(data), 8)])
	}
	return registers(data[4:]), nil
}

// ReadFile reads n registers of a record of a file (function 20, one group).
func (m *Master) ReadFile(ctx context.Context, unit byte, file, rec uint16, n int) ([]uint16, error) {
	if n < 1 || n > 121 || file == 0 || rec > 9999 {
		return nil, fmt.Errorf("%w: %d registers of file %d record %d", ErrRequest, n, file, rec)
	}
	pdu := append([]byte{funcReadFile, 7, 6}, words(0, file, rec, uint16(n))[1:]...)
	data, err := m.readCounted(ctx, unit, pdu, 2+2*n)
	if err != nil {
		return nil, err
	}
	if int(data[0]) != 1+2*n || data[1] != 6 {
		return nil, fmt.Errorf("%w: file record % x", ErrFrame, data[:min(len(data), 8)])
	}
	return registers(data[2:]), nil
}

// ExceptionStatus reads the eight exception outputs (function 7, serial lines only).
func (m *Master) ExceptionStatus(ctx context.Context, unit byte) (byte, error) {
	if err := m.noBroadcast(unit); err != nil {
		return 0, err
	}
	data, err := m.ask(ctx, unit, []byte{funcExceptionStatus})
	if err != nil {
		return 0, err
	}
	if len(data) != 1 {
		return 0, fmt.Errorf("%w: exception status % x", ErrFrame, data[:min(len(data), 8)])
	}
	return data[0], nil
}

// Echo sends a word through the slave and back (function 8, sub-function 0): a test of the line.
func (m *Master) Echo(ctx context.Context, unit byte, v uint16) error {
	if err := m.noBroadcast(unit); err != nil {
		return err
	}
	return m.echoed(ctx, unit, words(funcDiagnostics, 0, v), 4)
}

// ServerID asks who the slave is (function 17); the bytes mean what the maker says.
func (m *Master) ServerID(ctx context.Context, unit byte) ([]byte, error) {
	return m.readCounted(ctx, unit, []byte{funcReportServerID}, -1)
}

// Custom asks a function that the specification leaves to the maker (65 to 72, 100 to 110). The answer must begin with
// its own length in one byte; what follows is returned.
func (m *Master) Custom(ctx context.Context, unit, function byte, data []byte) ([]byte, error) {
	if !custom(function) {
		return nil, fmt.Errorf("%w: function %d is not the maker's", ErrRequest, function)
	}
	return m.readCounted(ctx, unit, append([]byte{function}, data...), -1)
}

func custom(function byte) bool {
	return function >= 65 && function <= 72 || function >= 100 && function <= 110
}

// Identify reads the basic device identification (function 43/14): objects by number, 0 vendor, 1 product, 2 revision.
func (m *Master) Identify(ctx context.Context, unit byte) (map[byte]string, error) {
	if err := m.noBroadcast(unit); err != nil {
		return nil, err
	}
	out := map[byte]string{}
	for next, turns := byte(0), 0; turns < 8; turns++ {
		data, err := m.ask(ctx, unit, []byte{funcEncapsulated, meiDeviceIdentification, 1, next})
		if err != nil {
			return nil, err
		}
		more, err := parseIdentity(data, out)
		if err != nil || more <= next {
			return out, err
		}
		next = more
	}
	return out, nil
}

// parseIdentity reads one part of an identification and returns the next object to ask for, 0 if that was all.
//
//	0x0e | code | conformity | more (0 or ff) | next object | count | count × (id, length, bytes)
func parseIdentity(b []byte, out map[byte]string) (byte, error) {
	if len(b) < 6 || b[0] != meiDeviceIdentification {
		return 0, fmt.Errorf("%w: identification % x", ErrFrame, b[:min(len(b), 8)])
	}
	next, count, rest := b[4], int(b[5]), b[6:]
	if b[3] == 0 {
		next = 0
	}
	for range count {
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return 0, fmt.Errorf("%w: identification is cut short", ErrFrame)
		}
		out[rest[0]] = string(rest[2 : 2+int(rest[1])])
		rest = rest[2+int(rest[1]):]
	}
	return next, nil
}
