package npu

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/edgelog/edgelog/ascend/acl"
)

// load reads the file, compares its checksum and loads it, into memory of its own where the runtime can.
func (s *session) load(c *acl.Context) (*acl.Model, error) {
	data, sum, err := readModel(s.m.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errModel, err)
	}
	if s.m.SHA256 != "" && sum != s.m.SHA256 {
		return nil, fmt.Errorf("%w: %s has sha256 %s, the configuration wants %s", errModel, s.m.Path, sum, s.m.SHA256)
	}
	s.m.SHA256 = sum
	model, err := s.loadWith(c, data)
	if acl.ClassOf(err) == acl.ClassModel || acl.ClassOf(err) == acl.ClassCaller {
		return nil, fmt.Errorf("%w: %w", errModel, err)
	}
	if err != nil {
		return nil, err
	}
	s.info = model.Info
	if s.intake, err = newIntake(s.info, s.m.Input); err == nil && len(s.info.Outputs) == 0 {
		err = errors.New("it has no output")
	}
	if err == nil {
		err = divisible(s.info)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", errModel, s.m.Path, err), model.Close())
	}
	return model, nil
}

// divisible refuses outputs that cannot be divided among the items of a batch.
func divisible(info acl.Info) error {
	n := info.Batch()
	for _, o := range info.Outputs {
		if len(o.Dims) > 0 && o.Dims[0] >= 0 && o.Dims[0]%int64(n) != 0 || o.Bytes%n != 0 {
			return fmt.Errorf("output %s %v has no part for each of the %d items of a batch; compile the model for batches of 1", o.Name, o.Dims, n)
		}
	}
	return nil
}

// loadWith gives the runtime the model's priority, where it was configured.
func (s *session) loadWith(c *acl.Context, data []byte) (*acl.Model, error) {
	if s.m.Priority > 0 {
		m, err := c.LoadWith(data, acl.LoadOptions{Priority: s.m.Priority})
		if !errors.Is(err, acl.ErrUnsupported) {
			return m, err
		}
	}
	return c.Load(data)
}

func readModel(path string) (data []byte, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, MaxModelBytes)); err != nil {
		return nil, "", err
	}
	h := sha256.Sum256(data)
	return data, hex.EncodeToString(h[:]), nil
}

// maxBatch is how many items one execution takes: what the model has and the configuration allows.
func (s *session) maxBatch() int {
	best := 1
	if len(s.info.Batches) == 0 {
		best = s.info.Batch()
	}
	for _, b := range s.info.Batches {
		if b <= s.m.Batch.Max {
			best = max(best, b)
		}
	}
	return max(min(best, s.m.Batch.Max), 1)
}

// gear is the batch that is executed for n items.
func (s *session) gear(n int) int { return gear(s.info, n) }

func gear(info acl.Info, n int) int {
	for _, b := range info.Batches {
		if b >= n {
			return b
		}
	}
	return info.Batch()
}
