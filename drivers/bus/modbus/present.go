package modbus

import (
	"context"
	"errors"
	"fmt"
)

// Present asks whether anybody has the unit, with a read of holding register 0, which does no harm and which every slave
// answers, if only with a refusal. It returns how it was answered, "" for silence; an error of the line wraps ErrLine.
func Present(ctx context.Context, m *Master, unit byte) (how string, err error) {
	_, err = m.ReadHolding(ctx, unit, 0, 1)
	var refused *Exception
	switch {
	case err == nil:
		return "answers", nil
	case errors.As(err, &refused):
		if refused.Code == GatewayUnavailable || refused.Code == GatewayNoAnswer {
			return "", nil // it is the gateway that speaks
		}
		return "answers", nil
	case errors.Is(err, ErrChecksum) || errors.Is(err, ErrFrame):
		return fmt.Sprintf("answers, but not clearly: %v", err), nil
	case errors.Is(err, ErrTimeout):
		return "", nil
	}
	return "", err
}
