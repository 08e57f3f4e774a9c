package npu

import "time"

// job is one execution: the prepared inputs of a batch, and afterwards their outputs.
type job struct {
	in     []*feed // per item; nil: this item is not executed
	out    [][]tensorOut
	again  []error // per item: the media units could not decode its picture; its outputs mean nothing
	err    error
	tries  int
	device time.Duration // from launch to result
	batch  int
	finish func(*job) // called once for each time it is given to a session, on the session's goroutine
}

// items counts those that are executed.
func (j *job) items() (n int) {
	for _, f := range j.in {
		if f != nil {
			n++
		}
	}
	return n
}

// parts are jobs of at most so many items each, at the places that they have.
func (j *job) parts(size int) (out []*job) {
	n := 0
	for i, f := range j.in {
		if f == nil {
			continue
		}
		if n%size == 0 {
			out = append(out, &job{in: make([]*feed, len(j.in))})
		}
		out[len(out)-1].in[i] = f
		n++
	}
	return out
}

// join makes the outcome of a job of that of its parts, and returns the error of each item whose part failed.
func (j *job) join(parts []*job) []error {
	wrong := make([]error, len(j.in))
	j.err, j.device, j.batch = nil, 0, 0
	j.out, j.again = make([][]tensorOut, len(j.in)), make([]error, len(j.in))
	for _, h := range parts {
		j.device, j.batch = j.device+h.device, max(j.batch, h.batch)
		for i, f := range h.in {
			switch {
			case f == nil:
			case h.err != nil:
				wrong[i] = h.err
			default:
				j.in[i], j.out[i], j.again[i] = f, h.out[i], h.again[i]
			}
		}
	}
	return wrong
}
