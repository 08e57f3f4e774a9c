package npu

import (
	"context"
	"fmt"
	"math"
	"os"
)

// prove warms the model up and runs its golden sample.
func (s *session) prove(t *slot) error {
	input := s.intake.empty()
	if s.m.Golden != nil {
		data, err := os.ReadFile(s.m.Golden.Input)
		if err == nil {
			input, err = s.intake.prepare(data, false)
		}
		if err != nil {
			return fmt.Errorf("%w: golden sample: %w", errModel, err)
		}
	}
	j := &job{in: []*feed{input}}
	if err := s.submit(t, nil, j); err != nil {
		return err
	}
	if err := s.collect(t); err != nil {
		return err
	}
	t.done()
	err := t.event.Close()
	if t.event = nil; err != nil {
		return err
	}
	s.selfTest = "none"
	if s.m.Golden == nil {
		return nil
	}
	got, err := j.out[0][0].floats()
	if err != nil {
		return fmt.Errorf("%w: golden sample: %w", errModel, err)
	}
	if len(got) != len(s.m.Golden.Output) {
		return fmt.Errorf("%w: golden sample: %d values came, %d are expected", errModel, len(got), len(s.m.Golden.Output))
	}
	for i, want := range s.m.Golden.Output {
		if d := math.Abs(got[i] - want); !(d <= s.m.Golden.Tolerance) {
			return fmt.Errorf("%w: golden sample: value %d is %g, expected %g ± %g", errModel, i, got[i], want, s.m.Golden.Tolerance)
		}
	}
	s.selfTest = "passed"
	return nil
}

// try loads the model, runs its golden sample and unloads it.
func (s *session) try() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.run(ctx); err != nil {
		return err
	}
	return <-s.ready
}
