package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/mcu/boot/smpwire"
)

// Settle makes an image permanent where it runs already, on trial or not. runs is false where another image runs; nothing
// was changed then.
func (s *SMP) Settle(ctx context.Context, img *Image) (version string, runs bool, err error) {
	slots, err := s.open(ctx, img)
	if err != nil {
		return "", false, err
	}
	v, ok := running(slots)
	if !ok || !bytes.Equal(v.hash, s.hash) {
		return v.version, false, nil
	}
	if !v.confirmed {
		err = s.Keep(ctx)
	}
	return v.version, true, err
}

// Revert returns from an image that is on trial, or marked for one, to the image before it: a restart does that. kept says
// that the device keeps the image for good; nothing was changed then. It is done with version running.
func (s *SMP) Revert(ctx context.Context, img *Image) (version string, kept bool, err error) {
	slots, err := s.open(ctx, img)
	for range maxReverts {
		if err != nil {
			return "", false, err
		}
		v, ok := running(slots)
		marked := false
		for _, x := range slots {
			marked = marked || x.pending && bytes.Equal(x.hash, s.hash)
		}
		tried := ok && bytes.Equal(v.hash, s.hash)
		switch {
		case !ok:
			return "", false, fmt.Errorf("%w: no image runs", ErrProtocol)
		case tried && v.confirmed:
			return v.version, true, nil
		case !tried && !marked:
			return v.version, false, nil
		}
		if _, err = s.call(ctx, smpwire.OpWrite, smpwire.GroupOS, 5, answerWait, nil); err != nil && !errors.Is(err, ErrTimeout) {
			return "", false, fmt.Errorf("reset: %w", err)
		}
		slots, err = s.back(ctx)
	}
	return "", false, fmt.Errorf("%w: the device restarts into the image again and again", ErrProtocol)
}

// open connects and reads the state of the slots; hash is from then on that of the image.
func (s *SMP) open(ctx context.Context, img *Image) ([]slot, error) {
	if _, err := s.Identify(ctx); err != nil {
		return nil, err
	}
	hash, _, err := MCUbootHash(img.Flat(img.Span(), 0xff))
	if err != nil {
		return nil, err
	}
	s.image, s.hash = img, hash
	return s.state(ctx)
}

// back waits until the device answers after a reset.
func (s *SMP) back(ctx context.Context) (slots []slot, err error) {
	ctx, cancel := context.WithTimeout(ctx, defaultPatience)
	defer cancel()
	if err := pause(ctx, time.Second); err != nil { // it may answer once more before it goes
		return nil, err
	}
	for {
		if slots, err = s.state(ctx); err == nil {
			return slots, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotBack, err)
		}
	}
}
