package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/ascend/standin"
	"github.com/edgelog/edgelog/internal/api"
)

// stage is an agent and a worker as processes, with the stand-in library.
type stage struct {
	dir    string
	libs   standin.Libraries
	agent  *exec.Cmd
	worker *exec.Cmd
	npu    *api.NPUClient
	made   int
	batch  int
	media  string // auto: the stand-in's media units decode; off: the worker's process does
}

const agentYAML = `device: bench
data_dir: %[1]s/agent
run_dir: %[1]s/run
streams:
  events: {commit_interval: 10ms}
control:
  producers:
    edge-npu: {stream: events}
npu: {run_dir: %[1]s/npu}
`

const npuYAML = `state_dir: %[1]s/state
run_dir: %[1]s/npu
agent_run_dir: %[1]s/run
acl: %[2]s
dcmi: %[3]s
models:
  - name: colours
    path: %[1]s/colours.om
    version: "%[5]d"
    output: {kind: classification, labels: [red, green, blue]}
    input: {media: %[6]s}
    batch: {max: %[4]d, wait: 2ms}
    queue: 1024
    deadline: 2m                  # of a machine that does other things besides
files:
  - {dir: %[1]s/in, model: colours, after: delete}
`

// configure writes the worker's configuration with a version of the model.
func (s *stage) configure(version int) error {
	return os.WriteFile(filepath.Join(s.dir, "npu.yaml"), fmt.Appendf(nil, npuYAML, s.dir, s.libs.ACL, s.libs.DCMI, s.batch, version, s.media), 0o644)
}

func newStage(bin string, batch int, media string) (_ *stage, err error) {
	dir, err := os.MkdirTemp("", "npubench")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, batch: batch, media: media, npu: api.NewNPUClient(dir + "/npu")}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.libs, err = standin.Cached(standin.Options{}); err != nil {
		return nil, err
	}
	for _, d := range []string{"in", "new"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	gears := []uint64{1, 4, 16}
	for name, data := range map[string][]byte{"agent.yaml": fmt.Appendf(nil, agentYAML, dir),
		"colours.om": standin.Classifier(16, 16, gears...).Bytes(), "control": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	if err := s.configure(1); err != nil {
		return nil, err
	}
	if err := os.Setenv("STANDIN_STATE", dir+"/standin"); err != nil {
		return nil, err
	}
	start := func(name string, args ...string) (*exec.Cmd, error) {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Env = append(os.Environ(), "STANDIN_CONTROL="+dir+"/control")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		log, err := os.Create(filepath.Join(dir, name+".log"))
		if err != nil {
			return nil, err
		}
		defer log.Close()
		cmd.Stderr = log
		return cmd, cmd.Start()
	}
	if s.agent, err = start("edge-agent", "run", "--config", dir+"/agent.yaml"); err != nil {
		return nil, fmt.Errorf("%w (make build)", err)
	}
	if s.worker, err = start("edge-npu", "run", "--config", dir+"/npu.yaml"); err != nil {
		return nil, fmt.Errorf("%w (make build)", err)
	}
	return s, s.until(30*time.Second, func(st *api.NPUStatus) bool { return len(st.Models) == 1 && st.Models[0].State == "ready" })
}

func (s *stage) close() {
	for _, c := range []*exec.Cmd{s.worker, s.agent} {
		if c != nil && c.Process != nil {
			_ = c.Process.Signal(syscall.SIGTERM) // an error means that it has ended
			_ = c.Wait()
		}
	}
	os.RemoveAll(s.dir)
}

func (s *stage) until(limit time.Duration, ok func(*api.NPUStatus) bool) error {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		st, err := s.npu.Status(context.Background())
		if err == nil && ok(st) {
			return nil
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(s.dir + "/edge-npu.log") // a help
			return fmt.Errorf("the worker did not get there in %s (%v)\n%s", limit, err, text)
		}
	}
}

func (s *stage) rules(lines string) error {
	tmp := s.dir + "/control.new"
	if err := os.WriteFile(tmp, []byte(lines+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.dir+"/control"); err != nil {
		return err
	}
	time.Sleep(50 * time.Millisecond) // the library looks every 10 ms
	return nil
}

// photo is a JPEG of n by n pixels with some texture.
func photo(n int) []byte {
	return picture(n, func(x, y int) color.Color { return color.RGBA{byte(200 + x/2), byte(y), byte(x * y), 255} })
}

// plain is a JPEG of one colour.
func plain(c color.Color) []byte { return picture(320, func(int, int) color.Color { return c }) }

func picture(n int, at func(x, y int) color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, n, n))
	for y := range n {
		for x := range n {
			img.Set(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 80}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// prepare lays n files ready; give moves them into the watched directory.
func (s *stage) prepare(n int) ([]string, error) { return s.lay(n, photo(64)) }

func (s *stage) lay(n int, pictures ...[]byte) ([]string, error) {
	var names []string
	for range n {
		s.made++
		name := fmt.Sprintf("%08d.jpg", s.made)
		if err := os.WriteFile(filepath.Join(s.dir, "new", name), pictures[s.made%len(pictures)], 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func (s *stage) give(name string) error {
	return os.Rename(filepath.Join(s.dir, "new", name), filepath.Join(s.dir, "in", name))
}

// done waits until so many results in all are durable.
func (s *stage) done(n uint64) error {
	return s.until(5*time.Minute, func(st *api.NPUStatus) bool { return st.Models[0].Done >= n && st.Waiting == 0 })
}

func pipeline(bin string, images int) error {
	fmt.Println("# simulated device; JPEG of 64x64 pixels decoded on the processor; commit interval 10 ms")
	for _, batch := range []int{1, 4, 16} {
		if err := pipelineOf(bin, batch, images, "off"); err != nil {
			return err
		}
	}
	fmt.Println("# the same pictures decoded by the media units of the stand-in, whose work this machine does as well")
	return pipelineOf(bin, 16, images, "auto")
}

func pipelineOf(bin string, batch, images int, media string) error {
	s, err := newStage(bin, batch, media)
	if err != nil {
		return err
	}
	defer s.close()
	total := uint64(0)
	for _, ms := range []int{0, 2, 10} {
		if err := s.rules(fmt.Sprintf("set execute_us %d", ms*1000)); err != nil {
			return err
		}
		names, err := s.prepare(images)
		if err != nil {
			return err
		}
		busy, begun := s.busy(), time.Now()
		for _, n := range names {
			if err := s.give(n); err != nil {
				return err
			}
		}
		total += uint64(images)
		// The device has its last image when the last result is counted; its commit comes after that.
		if err := s.until(5*time.Minute, func(st *api.NPUStatus) bool { return st.Models[0].Done >= total }); err != nil {
			return err
		}
		load := float64(s.busy()-busy) / float64(time.Since(begun).Nanoseconds()) * 100
		if err := s.done(total); err != nil {
			return err
		}
		wall := time.Since(begun)
		per := wall.Seconds() * 1000 / float64(images)
		name := fmt.Sprintf("b%d_%dms", batch, ms)
		if media != "off" {
			name += "_media"
		}
		bench("npu_images_per_s_"+name, float64(images)/wall.Seconds(), "images/s")
		bench("npu_busy_percent_"+name, load, "%")
		if batch == 1 && ms == 2 {
			bench("npu_busy_percent_2ms", load, "%")
		}
		if batch == 16 && ms == 2 && media == "off" {
			bench("npu_added_ms", per-float64(ms)/float64(batch), "ms/image")
		}
		p50, err := s.single(&total)
		if err != nil {
			return err
		}
		bench("npu_file_to_durable_p50_"+name, p50, "ms")
	}
	return nil
}

// busy is the time that the device has worked, in ns, out of the state that the worker's library shares.
func (s *stage) busy() int64 {
	text, err := os.ReadFile(s.dir + "/standin")
	if err != nil || len(text) < 16 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(text[8:]))
}

// single gives one file after the other and returns the median from its appearance to its being put away, which
// happens when its result is durable.
func (s *stage) single(total *uint64) (float64, error) {
	var all []float64
	names, err := s.prepare(25)
	if err != nil {
		return 0, err
	}
	for _, n := range names {
		begun := time.Now()
		if err := s.give(n); err != nil {
			return 0, err
		}
		for path := filepath.Join(s.dir, "in", n); ; time.Sleep(300 * time.Microsecond) {
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Since(begun) > 30*time.Second {
				return 0, errors.New("a file was not put away: " + strings.TrimSpace(path))
			}
		}
		all = append(all, float64(time.Since(begun).Microseconds())/1000)
	}
	*total += uint64(len(names))
	slices.Sort(all)
	return all[len(all)/2], s.done(*total)
}
