package acl

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/ascend/standin"
)

// on runs f in a context of its own goroutine and fails the test with its error.
func on(t *testing.T, f func(*Context) error) {
	t.Helper()
	control(t, "clear")
	done := make(chan error)
	go func() { done <- lib.Run(0, f) }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func floats(v ...float32) []byte {
	var b []byte
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func toFloats(b []byte) []float32 {
	var out []float32
	for ; len(b) >= 4; b = b[4:] {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return out
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func class(t *testing.T, err error, want Class) {
	t.Helper()
	if ClassOf(err) != want {
		t.Errorf("%v is of class %v, want %v", err, ClassOf(err), want)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func TestLibrary(t *testing.T) {
	n, err := lib.Devices()
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	want(t, "SoC", lib.SoC(), "Ascend310P3")
	want(t, "versions", lib.Versions(), Versions{Runtime: "1.13.0", CANN: "8.1.RC1"})
	if lib.Simulated() == "" {
		t.Error("the stand-in is not recognised")
	}
	if len(lib.Missing()) != 0 {
		t.Errorf("missing: %v", lib.Missing())
	}
	normal, err := lib.Status(0)
	want(t, "status", normal, true)
	if err != nil {
		t.Fatal(err)
	}
	u, err := lib.Utilization(0)
	if err != nil || u.Vector != -1 {
		t.Errorf("utilisation %+v, %v", u, err)
	}
	if err := lib.SetOpTimeout(10); err != nil {
		t.Error(err)
	}
	if err := lib.Init(); err != nil {
		t.Error("a second Init:", err)
	}
	on(t, func(c *Context) error {
		card, err := c.OnCard()
		want(t, "on a card", card, true)
		must(err)
		d, err := c.Device()
		want(t, "device", d, 0)
		return errors.Join(err, c.Current())
	})
}

func TestMemoryAndCopies(t *testing.T) {
	on(t, func(c *Context) error {
		before, err := c.Memory()
		must(err)
		a, err := c.Malloc(1000, HugeFirst)
		must(err)
		b, err := c.Malloc(1000, NormalOnly)
		must(err)
		after, err := c.Memory()
		must(err)
		if before.Free-after.Free < 2064 {
			t.Errorf("two buffers of 1000 took %d bytes", before.Free-after.Free)
		}
		in := make([]byte, 1000)
		for i := range in {
			in[i] = byte(i)
		}
		must(a.Upload(in))
		must(b.CopyFrom(a, 1000))
		out := make([]byte, 1000)
		must(b.Download(out))
		want(t, "copied", out, in)
		s, err := c.NewStream()
		must(err)
		h, err := c.MallocHost(1000)
		must(err)
		copy(h.Bytes, out[500:])
		must(s.UploadAsync(a, h, 400))
		must(s.Sync(time.Second))
		must(a.Fill(7, 100, nil))
		must(b.Fill(9, 1000, s))
		must(s.DownloadAsync(h, b, 1000))
		must(s.Sync(0))
		want(t, "filled on the stream", h.Bytes[999], byte(9))
		must(a.Download(out[:200]))
		want(t, "filled", [3]byte(out[99:102]), [3]byte{7, in[600], in[601]})
		if _, err := c.Malloc(1<<40, HugeFirst); ClassOf(err) != ClassMemory || !strings.Contains(err.Error(), "207001 RT_MEMORY_ALLOCATION: aclrtMalloc: EL0004") {
			t.Errorf("out of memory is told as %v", err)
		}
		if c.LastError() != 207001 || c.LastError() != 0 {
			t.Error("the last error is not kept once")
		}
		return errors.Join(a.Free(), b.Free(), h.Free(), s.Close(), c.SyncDevice())
	})
}

func TestAsyncCopyHappensOnTheStream(t *testing.T) {
	on(t, func(c *Context) error {
		m, err := c.Load(standin.Doubler(4).Bytes())
		must(err)
		b, err := m.Bind()
		must(err)
		s, err := c.NewStream()
		must(err)
		h, err := c.MallocHost(16)
		must(err)
		buf, err := c.Malloc(16, HugeFirst)
		must(err)
		control(t, "set execute_us 30000")
		defer control(t, "set execute_us 0")
		copy(h.Bytes, floats(1, 1, 1, 1))
		must(b.Launch(s)) // the device is busy: the copy waits behind it
		must(s.UploadAsync(buf, h, 16))
		copy(h.Bytes, floats(2, 2, 2, 2)) // too early
		must(s.Sync(time.Second))
		out := make([]byte, 16)
		must(buf.Download(out))
		want(t, "a buffer that was changed too early", toFloats(out), []float32{2, 2, 2, 2})
		return errors.Join(b.Close(), m.Close(), h.Free(), buf.Free(), s.Close())
	})
}

func run(c *Context, m *Model, in []byte, batch int) ([]byte, error) {
	b, err := m.Bind()
	if err != nil {
		return nil, err
	}
	s, err := c.NewStream()
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	out := make([]byte, m.Info.Outputs[0].Bytes/m.Info.Batch()*batch)
	err = b.Inputs[0].Upload(in)
	if err == nil {
		err = b.SetBatch(batch)
	}
	if err == nil {
		err = b.Launch(s)
	}
	if err == nil {
		err = s.Sync(2 * time.Second)
	}
	if err == nil {
		err = b.Outputs[0].Download(out)
	}
	if ClassOf(err) >= ClassTimeout {
		if ClassOf(err) == ClassTimeout || ClassOf(err) == ClassLost {
			err = errors.Join(err, c.Abandon())
		}
	}
	return out, errors.Join(err, s.Kill(), b.Close())
}

func TestModels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "double.om")
	data := standin.Doubler(4).Bytes()
	must(os.WriteFile(path, data, 0o644))
	on(t, func(c *Context) error {
		for name, load := range map[string]func() (*Model, error){
			"file": func() (*Model, error) { return c.LoadFile(path) }, "memory": func() (*Model, error) { return c.Load(data) },
			"own memory": func() (*Model, error) { return c.LoadOwn(data) }, "file, own memory": func() (*Model, error) { return c.LoadFileOwn(path) },
		} {
			m, err := load()
			if err != nil {
				t.Fatal(name, err)
			}
			out, err := run(c, m, floats(1, -2, 3.5, 0), 1)
			want(t, name, toFloats(out), []float32{2, -4, 7, 0})
			must(errors.Join(err, m.Close()))
		}
		info, err := c.DescribeFile(path)
		must(err)
		again, err := c.Describe(data)
		must(err)
		want(t, "description", again, info)
		want(t, "input", info.Inputs[0], Tensor{Name: "x", Type: Float32, Format: ND, Dims: []int64{1, 4}, Bytes: 16})
		_, err = c.Load([]byte("this is not a model at all, but it is long enough to be taken for one by somebody who looks at its length only. " + strings.Repeat("x", 400)))
		class(t, err, ClassModel)
		bad := append([]byte(nil), data...)
		bad[len(bad)-1] ^= 1
		_, err = c.Load(bad)
		class(t, err, ClassModel)
		_, err = c.Load(data[:len(data)-8])
		class(t, err, ClassModel)
		_, err = c.LoadFile("/nonexistent")
		class(t, err, ClassModel)
		return nil
	})
}

func TestDynamicBatchAndOutputs(t *testing.T) {
	on(t, func(c *Context) error {
		m, err := c.Load(standin.Doubler(2, 1, 4, 16).Bytes())
		must(err)
		want(t, "gears", m.Info.Batches, []int{1, 4, 16})
		want(t, "all gears", m.Info.Gears, [][]int64{{1, 2}, {4, 2}, {16, 2}})
		want(t, "largest input", m.Info.Inputs[0].Bytes, 128)
		out, err := run(c, m, floats(1, 2, 3, 4, 5, 6, 7, 8), 4)
		must(err)
		want(t, "batch of 4", toFloats(out), []float32{2, 4, 6, 8, 10, 12, 14, 16})
		dims, err := m.OutputDims(0)
		must(err)
		want(t, "output dims", dims, []int64{4, 2})
		b, err := m.Bind()
		must(err)
		must(b.Verify())
		class(t, b.SetBatch(3), ClassCaller)
		must(b.SetDims([]int64{16, 2}))
		i, err := m.InputIndex("x")
		want(t, "index", i, 0)
		must(err)
		o, err := m.OutputIndex("y")
		must(err)
		want(t, "index", o, 0)
		_, none := m.OutputIndex("z")
		class(t, none, ClassCaller)
		must(b.Execute())
		e, err := c.NewExecConfig(time.Second)
		must(err)
		s, err := c.NewStream()
		must(err)
		must(b.ExecuteWith(s, e))
		must(b.LaunchWith(s, e))
		must(s.Sync(time.Second))
		idle, err := s.Idle()
		want(t, "idle", idle, true)
		return errors.Join(err, e.Close(), b.Close(), m.Close(), s.Close())
	})
}

func TestShapesAndAIPP(t *testing.T) {
	model := standin.Classifier(2, 2)
	model.Inputs[0].Range = [][2]int64{{1, 1}, {2, 8}, {2, 8}, {3, 3}}
	model.Inputs[0].Name = strings.Repeat("n", 63)
	model.Sizes = [][2]uint64{{2, 2}, {4, 4}}
	on(t, func(c *Context) error {
		m, err := c.Load(model.Bytes())
		must(err)
		in := m.Info.Inputs[0]
		want(t, "AIPP", in.AIPP, true)
		want(t, "ranges", in.Range, [][2]int64{{1, 1}, {2, 8}, {2, 8}, {3, 3}})
		want(t, "sizes", m.Info.Sizes, [][2]int{{2, 2}, {4, 4}})
		want(t, "real name", c.a.TensorRealName(m.desc, in.Name), in.Name)
		dims, err := m.PictureDims(0)
		must(err)
		want(t, "picture", dims, []int64{1, 2, 2, 3})
		b, err := m.Bind()
		must(err)
		must(b.SetSize(2, 2))
		class(t, b.SetSize(3, 2), ClassCaller)
		pic, err := c.Malloc(12, NormalOnly)
		must(err)
		must(pic.Upload([]byte{255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0})) // red
		must(b.Point(0, pic))
		s, err := c.NewStream()
		must(err)
		must(b.Launch(s))
		must(s.Sync(time.Second))
		out := make([]byte, 12)
		must(b.Outputs[0].Download(out))
		p := toFloats(out)
		w := float32(math.Exp(8) / (math.Exp(8) + 2))
		if math.Abs(float64(p[0]-w)) > 1e-5 {
			t.Errorf("red has %v, want %v", p, w)
		}
		return errors.Join(pic.Free(), b.Close(), m.Close(), s.Close())
	})
}

func TestEvents(t *testing.T) {
	on(t, func(c *Context) error {
		s, err := c.NewStream()
		must(err)
		other, err := c.NewStream()
		must(err)
		m, err := c.Load(standin.Doubler(2).Bytes())
		must(err)
		b, err := m.Bind()
		must(err)
		begin, err := c.NewEvent()
		must(err)
		end, err := c.NewEvent()
		must(err)
		control(t, "set execute_us 20000")
		defer control(t, "set execute_us 0")
		must(begin.Record(s))
		must(b.Launch(s))
		must(end.Record(s))
		must(other.Wait(end))
		class(t, end.Sync(time.Millisecond), ClassTimeout)
		must(end.Sync(time.Second))
		must(begin.Sync(0))
		done, err := end.Done()
		want(t, "done", done, true)
		must(err)
		d, err := end.Since(begin)
		must(err)
		if d < 15*time.Millisecond {
			t.Errorf("a task of 20 ms took %v between its events", d)
		}
		must(other.Sync(time.Second))
		return errors.Join(begin.Close(), end.Close(), b.Close(), m.Close(), s.Close(), other.Close())
	})
}

func TestThreadRule(t *testing.T) {
	on(t, func(c *Context) error {
		done := make(chan error)
		go func() { _, err := c.Malloc(64, HugeFirst); done <- err }()
		if err := <-done; !errors.Is(err, ErrThread) {
			t.Errorf("use on another goroutine: %v", err)
		}
		return nil
	})
}

func TestModelOfAnotherContext(t *testing.T) {
	on(t, func(c *Context) error {
		m, err := c.Load(standin.Doubler(2).Bytes())
		must(err)
		b, err := m.Bind()
		must(err)
		return errors.Join(lib.Run(0, func(d *Context) error {
			s, err := d.NewStream()
			must(err)
			class(t, b.Launch(s), ClassContext)
			return s.Close()
		}), c.Current(), b.Close(), m.Close())
	})
}

func TestNoAllocation(t *testing.T) {
	on(t, func(c *Context) error {
		m, err := c.Load(standin.Doubler(2, 1, 4).Bytes())
		must(err)
		b, err := m.Bind()
		must(err)
		s, err := c.NewStream()
		must(err)
		h, err := c.MallocHost(64)
		must(err)
		e, err := c.NewEvent()
		must(err)
		n := testing.AllocsPerRun(200, func() {
			must(s.UploadAsync(b.Inputs[0], h, 16))
			must(b.SetBatch(4))
			must(b.Launch(s))
			must(s.DownloadAsync(h, b.Outputs[0], 16))
			must(e.Record(s))
			must(e.Sync(time.Second))
			must(s.Sync(time.Second))
		})
		if !raceDetector {
			want(t, "allocations of an execution", n, 0.0)
		}
		return errors.Join(h.Free(), e.Close(), b.Close(), m.Close(), s.Close())
	})
}
