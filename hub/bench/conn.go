package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// conn is a client of MQTT 3.1.1 with what a virtual agent needs and nothing more: thousands of them must fit beside the
// hub that is measured.
//
//	fixed header: type<<4|flags, remaining length as varint
//	PUBLISH: topic length u16, topic, packet id u16 (QoS 1), payload
type conn struct {
	c  net.Conn
	br *bufio.Reader

	mu  sync.Mutex // guards what follows, and writing
	out []byte
	id  uint16
}

const (
	packetConnect   = 1
	packetConnack   = 2
	packetPublish   = 3
	packetPuback    = 4
	packetSubscribe = 8
	packetSuback    = 9
	packetPingreq   = 12
	packetPingresp  = 13

	keepAlive    = 60 * time.Second
	maxPacket    = 256 << 10
	readBuffer   = 1 << 10
	dialTimeout  = 30 * time.Second
	writeTimeout = 30 * time.Second
)

var errProtocol = errors.New("mqtt: the broker said something unexpected")

func dial(ctx context.Context, addr, id, willTopic string, will []byte) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	k := &conn{c: c, br: bufio.NewReaderSize(c, readBuffer)}
	var b []byte
	b = appendText(b, "MQTT")
	b = append(b, 4, 0x02|0x04|1<<3|0x20) // clean session, will at QoS 1, retained
	b = binary.BigEndian.AppendUint16(b, uint16(keepAlive/time.Second))
	b = appendText(b, id)
	b = appendText(b, willTopic)
	b = appendText(b, string(will))
	if err := k.write(packetConnect<<4, b); err != nil {
		c.Close()
		return nil, err
	}
	_ = c.SetReadDeadline(time.Now().Add(dialTimeout))
	t, body, err := k.read()
	if err == nil && (t>>4 != packetConnack || len(body) != 2 || body[1] != 0) {
		err = fmt.Errorf("%w: %d %x to CONNECT", errProtocol, t>>4, body)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	_ = c.SetReadDeadline(time.Time{})
	return k, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// write sends one packet.
func (k *conn) write(first byte, parts ...[]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	k.out = append(k.out[:0], first)
	k.out = binary.AppendUvarint(k.out, uint64(n)) // MQTT's remaining length is the same varint
	for _, p := range parts {
		k.out = append(k.out, p...)
	}
	_ = k.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := k.c.Write(k.out)
	if cap(k.out) > 4*readBuffer {
		k.out = nil
	}
	return err
}

// read is the next packet.
func (k *conn) read() (first byte, body []byte, err error) {
	if first, err = k.br.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(k.br)
	if err != nil {
		return 0, nil, err
	}
	if n > maxPacket {
		return 0, nil, fmt.Errorf("%w: a packet of %d bytes", errProtocol, n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(k.br, body)
	return first, body, err
}

func (k *conn) nextID() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.id++; k.id == 0 {
		k.id = 1
	}
	return binary.BigEndian.AppendUint16(nil, k.id)
}

func (k *conn) publish(topic string, qos byte, retain bool, payload []byte) error {
	first := byte(packetPublish<<4) | qos<<1
	if retain {
		first |= 1
	}
	head := appendText(nil, topic)
	if qos > 0 {
		head = append(head, k.nextID()...)
	}
	return k.write(first, head, payload)
}

func (k *conn) subscribe(topic string, qos byte) error {
	return k.write(packetSubscribe<<4|2, k.nextID(), appendText(nil, topic), []byte{qos})
}

func (k *conn) ping() error { return k.write(packetPingreq << 4) }

// receive calls hear for each message until the connection ends.
func (k *conn) receive(hear func(topic string, payload []byte)) error {
	for {
		first, body, err := k.read()
		if err != nil {
			return err
		}
		switch first >> 4 {
		case packetPublish:
			if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
				return errProtocol
			}
			n := 2 + int(binary.BigEndian.Uint16(body))
			topic, rest := string(body[2:n]), body[n:]
			if first>>1&3 > 0 {
				if len(rest) < 2 {
					return errProtocol
				}
				if err := k.write(packetPuback<<4, rest[:2]); err != nil {
					return err
				}
				rest = rest[2:]
			}
			hear(topic, rest)
		case packetSuback:
			if len(body) < 3 || body[2] > 2 {
				return fmt.Errorf("%w: a subscription was refused", errProtocol)
			}
		case packetPuback, packetPingresp:
		default:
			return fmt.Errorf("%w: packet type %d", errProtocol, first>>4)
		}
	}
}

func (k *conn) close() { k.c.Close() }
