package npu

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// DefaultFile is the worker's configuration on a box.
const DefaultFile = "/etc/edge-agent/npu.yaml"

// A model, or a golden sample's input, whose path is release:NAME is the component of that name of the release that the worker belongs to: stable, or the
// candidate. ReleaseEnv is the environment variable with its directory, which edge-release sets.
const (
	releasePrefix  = "release:"
	ReleaseEnv     = "EDGE_RELEASE"
	defaultRelease = "/opt/edge/stable"
)

// Config is the worker's configuration; docs/ascend.md shows every key.
type Config struct {
	StateDir    string        `yaml:"state_dir"`     // journal of bound inputs
	RunDir      string        `yaml:"run_dir"`       // of the worker's socket
	Group       string        `yaml:"group"`         // of the socket for those who look
	FramesGroup string        `yaml:"frames_group"`  // of the socket for frames that are recorded
	AgentRunDir string        `yaml:"agent_run_dir"` // of the agent's sockets
	Producer    string        `yaml:"producer"`      // the agent's name for this worker
	Device      int           `yaml:"device"`
	ACL         string        `yaml:"acl"`     // path of libascendcl.so; "" looks in the usual places
	DCMI        string        `yaml:"dcmi"`    // path of libdcmi.so; "" looks in the usual places; "none": no monitoring
	Monitor     time.Duration `yaml:"monitor"` // between two readings of the chips
	Models      []Model       `yaml:"models"`
	Files       []Files       `yaml:"files"`
	Windows     []Window      `yaml:"windows"`
}

// Kinds of output.
const (
	KindClassification = "classification"
	KindRegression     = "regression"
	KindDetection      = "detection"
	KindRaw            = "raw"
	KindAnomaly        = "anomaly"
)

// What an overfull queue drops.
const (
	DropNewest = "newest"
	DropOldest = "oldest"
)

// Model is one model.
type Model struct {
	Name        string        `yaml:"name,required"`
	Path        string        `yaml:"path,required"` // a file, or release:NAME
	SHA256      string        `yaml:"sha256"`        // of the file; another is refused
	Version     string        `yaml:"version"`
	Input       Input         `yaml:"input"`
	Output      Output        `yaml:"output,required"`
	Batch       Batch         `yaml:"batch"`
	Deadline    time.Duration `yaml:"deadline"` // of one execution
	Concurrency int           `yaml:"concurrency"`
	Priority    int           `yaml:"priority"` // of its work on the device: 0 is first, 7 last
	Queue       int           `yaml:"queue"`    // items that may wait
	Overload    string        `yaml:"overload"` // what is dropped when it is full: newest or oldest
	Golden      *Golden       `yaml:"golden"`
}

// Input says how what comes in becomes the inputs of the model. Mean and Scale are for models without static preprocessing.
type Input struct {
	Mean      float64              `yaml:"mean"`      // taken off each value from 0 to 255
	Scale     float64              `yaml:"scale"`     // then multiplied
	Fit       string               `yaml:"fit"`       // a picture of other proportions: stretch, or crop to its centre
	Media     string               `yaml:"media"`     // auto: decoded by the device where it can; off: by the processor
	Constants map[string][]float64 `yaml:"constants"` // inputs that are always the same, by name
}

// How a picture of other proportions than the model's is fitted.
const (
	FitStretch = "stretch"
	FitCrop    = "crop"
)

// Who decodes pictures.
const (
	MediaAuto = "auto"
	MediaOff  = "off"
)

// Output says what the numbers mean.
type Output struct {
	Kind      string   `yaml:"kind,required"`
	Labels    []string `yaml:"labels"` // of classes, of the values of a regression, of the series of an anomaly score
	Units     []string `yaml:"units"`  // of the values of a regression
	Top       int      `yaml:"top"`
	Threshold float64  `yaml:"threshold"` // a detection below it is left out; an anomaly above it is one
	IoU       float64  `yaml:"iou"`       // overlap above which the weaker detection goes
	Chart     bool     `yaml:"chart"`     // write a numeric series as well
}

// Batch is the policy of dynamic batching.
type Batch struct {
	Max  int           `yaml:"max"`
	Wait time.Duration `yaml:"wait"` // for further items
}

// Golden is a sample whose result is known.
type Golden struct {
	Input     string    `yaml:"input,required"`  // file, or release:NAME: a picture, or the tensor's bytes
	Output    []float64 `yaml:"output,required"` // of the first output
	Tolerance float64   `yaml:"tolerance"`
}

// What happens to a file that is done.
const (
	AfterDelete = "delete"
	AfterMove   = "move" // into done/ below its directory
)

// Files is a watched directory of pictures or tensors.
type Files struct {
	Dir   string `yaml:"dir,required"`
	Model string `yaml:"model,required"`
	After string `yaml:"after"`
}

// Window feeds a model with the newest values of the box's own series.
type Window struct {
	Name   string        `yaml:"name,required"`
	Model  string        `yaml:"model,required"`
	Stream string        `yaml:"stream"`
	Series []string      `yaml:"series,required"` // each the key of a series, or a part of it that fits one only
	Length int           `yaml:"length"`
	Every  time.Duration `yaml:"every"`
}

// Load reads and checks a configuration. A mistake is a *strictyaml.Error.
func Load(file string) (*Config, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > strictyaml.MaxFileBytes {
		return nil, fmt.Errorf("read configuration: %s has %d bytes", file, info.Size())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(file, data)
}

// Parse is Load for a file that has been read.
func Parse(file string, data []byte) (*Config, error) {
	c := &Config{StateDir: "/var/lib/edge-npu", RunDir: api.DefaultNPURunDir, Group: "edge-view", FramesGroup: "edge-ingest", AgentRunDir: "/run/edge-agent", Producer: "edge-npu", Monitor: monitorEvery}
	pos, err := strictyaml.DecodePos(file, data, c)
	r := strictyaml.NewReport(pos, err)
	c.withDefaults(filepath.Dir(file))
	c.validate(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) withDefaults(dir string) {
	abs := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	for _, p := range []*string{&c.StateDir, &c.RunDir, &c.AgentRunDir} {
		abs(p)
	}
	for _, p := range []*string{&c.ACL, &c.DCMI} {
		if strings.ContainsRune(*p, '/') { // a bare name is looked up by the loader
			abs(p)
		}
	}
	for i := range c.Models {
		m := &c.Models[i]
		ofRelease(&m.Path)
		abs(&m.Path)
		if m.Golden != nil {
			ofRelease(&m.Golden.Input)
			abs(&m.Golden.Input)
			if m.Golden.Tolerance == 0 {
				m.Golden.Tolerance = 1e-3
			}
		}
		set(&m.Version, "0")
		set(&m.Overload, DropNewest)
		set(&m.Batch.Max, 1)
		set(&m.Batch.Wait, 5*time.Millisecond)
		set(&m.Deadline, 5*time.Second)
		set(&m.Concurrency, 1)
		set(&m.Queue, 256)
		set(&m.Input.Scale, 1)
		set(&m.Input.Fit, FitStretch)
		set(&m.Input.Media, MediaAuto)
		set(&m.Output.Top, 5)
		set(&m.Output.IoU, 0.5)
	}
	for i := range c.Files {
		abs(&c.Files[i].Dir)
		set(&c.Files[i].After, AfterMove)
	}
	for i := range c.Windows {
		set(&c.Windows[i].Stream, "telemetry")
		set(&c.Windows[i].Length, 256)
		set(&c.Windows[i].Every, time.Second)
	}
}

// ofRelease finds the component of the release that a path names.
func ofRelease(p *string) {
	if name, ok := strings.CutPrefix(*p, releasePrefix); ok {
		*p = filepath.Join(cmp.Or(os.Getenv(ReleaseEnv), defaultRelease), filepath.Clean("/"+name))
	}
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

var validName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func (c *Config) validate(r *strictyaml.Report) {
	if len(c.Models) > MaxModels {
		r.Addf("models", "%d models, at most %d are possible", len(c.Models), MaxModels)
	}
	if len(c.Files)+len(c.Windows) > MaxInputs {
		r.Addf("files", "%d directories and windows, at most %d are possible", len(c.Files)+len(c.Windows), MaxInputs)
	}
	if c.Monitor < time.Second || c.Monitor > time.Hour {
		r.Addf("monitor", "monitor is %v; possible are 1s to 1h", c.Monitor)
	}
	if c.Device < 0 || c.Device > 63 {
		r.Addf("device", "device is %d; possible are 0 to 63", c.Device)
	}
	var names []string
	for i := range c.Models {
		m, path := &c.Models[i], "models["+strconv.Itoa(i)+"]"
		if !validName.MatchString(m.Name) || slices.Contains(names, m.Name) {
			r.Addf(path+".name", "%s.name %q: a name has 1 to 32 of a-z 0-9 - and is used once", path, m.Name)
		}
		names = append(names, m.Name)
		m.validate(r, path)
	}
	known := func(path, name string) {
		if !slices.Contains(names, name) {
			r.Addf(path+".model", "%s.model: there is no model %q%s", path, name, strictyaml.Suggest(name, names))
		}
	}
	for i, f := range c.Files {
		path := "files[" + strconv.Itoa(i) + "]"
		known(path, f.Model)
		if k := slices.IndexFunc(c.Files[:i], func(o Files) bool { return filepath.Clean(o.Dir) == filepath.Clean(f.Dir) }); k >= 0 {
			r.Addf(path+".dir", "%s.dir %s: files[%d] takes what lies there; a file is looked at by one model", path, f.Dir, k)
		}
		if f.After != AfterDelete && f.After != AfterMove {
			r.Addf(path+".after", "%s.after %q: there are %s and %s", path, f.After, AfterMove, AfterDelete)
		}
	}
	for i, w := range c.Windows {
		path := "windows[" + strconv.Itoa(i) + "]"
		known(path, w.Model)
		if n := len(w.Series); n == 0 || n > MaxSeries {
			r.Addf(path+".series", "%s.series has %d series; possible are 1 to %d", path, n, MaxSeries)
		}
		if w.Length < 2 || w.Length > MaxWindow {
			r.Addf(path+".length", "%s.length is %d; possible are 2 to %d", path, w.Length, MaxWindow)
		}
		if w.Every < 10*time.Millisecond || w.Every > 24*time.Hour {
			r.Addf(path+".every", "%s.every is %v; possible are 10ms to 24h", path, w.Every)
		}
	}
}

func (m *Model) validate(r *strictyaml.Report, path string) {
	if b, err := hex.DecodeString(m.SHA256); m.SHA256 != "" && (err != nil || len(b) != 32) {
		r.Addf(path+".sha256", "%s.sha256 is not 64 hexadecimal digits", path)
	}
	kinds := []string{KindClassification, KindRegression, KindDetection, KindRaw, KindAnomaly}
	if !slices.Contains(kinds, m.Output.Kind) {
		r.Addf(path+".output.kind", "%s.output.kind %q is unknown%s", path, m.Output.Kind, strictyaml.Suggest(m.Output.Kind, kinds))
	}
	if m.Overload != DropNewest && m.Overload != DropOldest {
		r.Addf(path+".overload", "%s.overload %q: there are %s and %s", path, m.Overload, DropNewest, DropOldest)
	}
	if m.Input.Fit != FitStretch && m.Input.Fit != FitCrop {
		r.Addf(path+".input.fit", "%s.input.fit %q: there are %s and %s", path, m.Input.Fit, FitStretch, FitCrop)
	}
	if m.Input.Media != MediaAuto && m.Input.Media != MediaOff {
		r.Addf(path+".input.media", "%s.input.media %q: there are %s and %s", path, m.Input.Media, MediaAuto, MediaOff)
	}
	if m.Priority < 0 || m.Priority > MaxPriority {
		r.Addf(path+".priority", "%s.priority is %d; possible are 0 to %d", path, m.Priority, MaxPriority)
	}
	for _, b := range []struct {
		key    string
		v, max int
	}{{"batch.max", m.Batch.Max, MaxBatch}, {"concurrency", m.Concurrency, MaxConcurrency}, {"queue", m.Queue, MaxQueue}, {"output.top", m.Output.Top, MaxTop}} {
		if b.v < 1 || b.v > b.max {
			r.Addf(path+"."+b.key, "%s.%s is %d; possible are 1 to %d", path, b.key, b.v, b.max)
		}
	}
	if m.Batch.Wait < 0 || m.Batch.Wait > time.Minute {
		r.Addf(path+".batch.wait", "%s.batch.wait is %v; possible are 0s to 1m", path, m.Batch.Wait)
	}
	if m.Deadline < 10*time.Millisecond || m.Deadline > 10*time.Minute {
		r.Addf(path+".deadline", "%s.deadline is %v; possible are 10ms to 10m", path, m.Deadline)
	}
}
