package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/mcu/boot/smpwire"
)

// smpError is an error that the device answers.
type smpError struct{ group, code int64 }

func (e *smpError) Error() string {
	if e.group >= 0 {
		return fmt.Sprintf("the device answers error %d of group %d", e.code, e.group)
	}
	return fmt.Sprintf("the device answers error %d", e.code)
}

// call sends one request and returns the map of its answer. A lost request or answer is repeated: every request that is
// used here may be.
func (s *SMP) call(ctx context.Context, op byte, group uint16, id byte, limit time.Duration, body []smpwire.Pair) (map[string]any, error) {
	var err error
	for range blockRetries {
		s.seq++
		p := smpwire.Packet{Op: op, Group: group, Sequence: s.seq, ID: id, Body: smpwire.AppendCBOR(nil, body)}
		if err := s.w.write(smpwire.AppendLines(nil, p.Append(nil))); err != nil {
			return nil, err
		}
		var m map[string]any
		if m, err = s.answer(ctx, op+1, group, id, limit); err == nil {
			return m, nil
		}
		var refused *smpError
		if errors.As(err, &refused) || ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, err
}

// answer waits for the answer to the last request; answers to earlier ones are passed over.
func (s *SMP) answer(ctx context.Context, op byte, group uint16, id byte, limit time.Duration) (map[string]any, error) {
	for end := time.Now().Add(limit); ; {
		b, err := s.packet(ctx, time.Until(end))
		if err != nil {
			return nil, err
		}
		p, err := smpwire.ParsePacket(b)
		if err != nil || p.Op != op || p.Group != group || p.Sequence != s.seq || p.ID != id {
			continue
		}
		v, err := smpwire.ParseCBOR(p.Body)
		m, ok := v.(map[string]any)
		if err != nil || !ok {
			return nil, fmt.Errorf("%w: %w", ErrProtocol, errors.Join(err, smpwire.ErrCBOR))
		}
		if rc, ok := m["rc"].(int64); ok && rc != 0 {
			return nil, &smpError{-1, rc}
		}
		if e, ok := m["err"].(map[string]any); ok {
			g, _ := e["group"].(int64)
			c, _ := e["rc"].(int64)
			return nil, &smpError{g, c}
		}
		return m, nil
	}
}

func (s *SMP) packet(ctx context.Context, limit time.Duration) ([]byte, error) {
	end := time.Now().Add(limit)
	for {
		if i := bytes.IndexByte(s.in, '\n'); i >= 0 {
			p, ok := s.lines.Line(s.in[:i])
			s.in = s.in[i+1:]
			if ok {
				return p, nil
			}
			continue
		}
		if len(s.in) > maxFrame {
			s.in = nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		left := time.Until(end)
		if left <= 0 {
			return nil, ErrTimeout
		}
		var b [512]byte
		n, err := s.w.some(b[:], min(left, slice))
		if err != nil {
			return nil, err
		}
		s.in = append(s.in, b[:n]...)
	}
}
