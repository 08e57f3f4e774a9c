package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// sample is what must not grow.
type sample struct {
	rss, fds, threads, goroutines int
	handles                       int64
}

func (s *stage) sample() (out sample, st *api.NPUStatus, err error) {
	if st, err = s.npu.Status(context.Background()); err != nil {
		return out, nil, err
	}
	out.goroutines, out.handles = st.Goroutines, st.Handles
	proc := fmt.Sprintf("/proc/%d/", s.worker.Process.Pid)
	text, err := os.ReadFile(proc + "status")
	if err != nil {
		return out, nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.Atoi(f[1])
		switch {
		case err != nil:
		case f[0] == "VmRSS:":
			out.rss = n
		case f[0] == "Threads:":
			out.threads = n
		}
	}
	list, err := os.ReadDir(proc + "fd")
	out.fds = len(list)
	return out, st, err
}

// burst is how many pictures are given at once; after so many bursts the model is replaced.
const burst, burstsAModel = 50, 20

// soakFor keeps the worker loaded and compares what it holds at the end with what it held when it was warm. Pictures of all
// kinds come in bursts: some the media units decode, some the processor has to. The model is replaced again and again.
func soakFor(bin string, length, pace time.Duration) error {
	s, err := newStage(bin, 16, "auto")
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.rules("set execute_us 2000"); err != nil {
		return err
	}
	begun, shown := time.Now(), time.Time{}
	warm := min(length/4, 10*time.Minute)
	var first sample
	total, version := uint64(0), 1
	pictures := [][]byte{photo(64), photo(320), photo(24), photo(65), photo(200)}
	for round := 1; time.Since(begun) < length; round++ {
		names, err := s.lay(burst, pictures...)
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := s.give(n); err != nil {
				return err
			}
		}
		total += uint64(len(names))
		if err := s.done(total); err != nil {
			return err
		}
		now, st, err := s.sample()
		if err != nil {
			return err
		}
		if round%burstsAModel == 0 {
			version++
			if err := errors.Join(s.configure(version), s.worker.Process.Signal(syscall.SIGHUP)); err != nil {
				return err
			}
			if err := s.until(time.Minute, func(st *api.NPUStatus) bool { return st.Models[0].Version == strconv.Itoa(version) }); err != nil {
				return err
			}
		}
		if round%burstsAModel == burstsAModel/2 && first == (sample{}) && time.Since(begun) > warm {
			first = now
		}
		if time.Since(shown) > max(length/20, time.Second) {
			shown = time.Now()
			fmt.Printf("soak %6.0f s  %d results, %d on the device  model %d  rss %d KiB  fds %d  threads %d  goroutines %d  handles %d  bad %d\n", time.Since(begun).Seconds(),
				total, st.Models[0].OnDevice, version, now.rss, now.fds, now.threads, now.goroutines, now.handles, st.Models[0].Bad)
		}
		if st.Models[0].Bad > 0 {
			return fmt.Errorf("%d results are bad: %s", st.Models[0].Bad, st.Models[0].LastError)
		}
		time.Sleep(pace)
	}
	time.Sleep(time.Second) // an old model may still be on its way out
	last, _, err := s.sample()
	if err != nil {
		return err
	}
	bench("npu_soak_results", float64(total), "results")
	bench("npu_soak_models", float64(version), "models")
	bench("npu_soak_rss_growth", float64(last.rss-first.rss)/1024, "MiB")
	switch {
	case last.rss > first.rss+first.rss/5+8<<10:
		err = fmt.Errorf("memory grew from %d to %d KiB", first.rss, last.rss)
	case last.fds > first.fds+8, last.threads > first.threads+8, last.goroutines > first.goroutines+16, last.handles > first.handles+2:
		err = fmt.Errorf("it held %+v and holds %+v", first, last)
	}
	if first == (sample{}) {
		err = errors.Join(err, errors.New("too short to compare anything"))
	}
	return err
}
