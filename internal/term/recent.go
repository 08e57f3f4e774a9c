package term

import "sync"

// Recent keeps the last bytes that were written to it. It may be used concurrently.
type Recent struct {
	mu   sync.Mutex
	data []byte
	Max  int // bytes
}

func (r *Recent) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, p...)
	if extra := len(r.data) - r.Max; extra > r.Max { // moved now and then, not at each write
		r.data = append(r.data[:0], r.data[extra:]...)
	}
	return len(p), nil
}

// String is the last Max bytes.
func (r *Recent) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.data[max(0, len(r.data)-r.Max):])
}
