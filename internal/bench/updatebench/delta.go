package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/delta"
	"github.com/klauspost/compress/zstd"
)

// applyCommand makes this program apply a delta and print the most memory that it took: in a process of its own.
const applyCommand = "apply-delta"

// deltaFigures compares the delta between two builds of the agent with the whole archive, both as a release carries them.
func deltaFigures(o options) error {
	if o.old == "" {
		return errors.New("-old names the agent of an earlier commit")
	}
	from, err := archiveOf(o.old)
	if err != nil {
		return err
	}
	to, err := archiveOf(o.agent)
	if err != nil {
		return err
	}
	if bytes.Equal(from, to) {
		return errors.New("both agents are the same; DELTA_FROM names an earlier commit")
	}
	whole, err := compressed(to)
	if err != nil {
		return err
	}
	began := time.Now()
	var d bytes.Buffer
	if err := delta.Make(&d, delta.Trees, delta.Source{SHA256: sha256.Sum256(from), Data: from}, delta.Source{SHA256: sha256.Sum256(to), Data: to}); err != nil {
		return err
	}
	bench("delta_make_s", time.Since(began).Seconds(), "s")
	bench("delta_whole_mib", float64(len(whole))/(1<<20), "MiB")
	bench("delta_mib", float64(d.Len())/(1<<20), "MiB")
	bench("delta_ratio", float64(d.Len())/float64(len(whole)), "of the archive")
	if err := others(o, float64(len(whole))); err != nil {
		return err
	}
	file := filepath.Join(o.dir, "delta")
	if err := os.WriteFile(file, d.Bytes(), 0o644); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := exec.Command(self, applyCommand, file, o.old, fmt.Sprintf("%x", sha256.Sum256(to))).Output()
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	_, err = os.Stdout.Write(out)
	return err
}

// others are what well-known programs make of the same pair of files.
func others(o options, whole float64) error {
	out := filepath.Join(o.dir, "other")
	for _, x := range []struct {
		name string
		args []string
	}{
		{"zstd", []string{"zstd", "-q", "-f", "-19", "--long=27", "--patch-from=" + o.old, o.agent, "-o", out}},
		{"xdelta3", []string{"xdelta3", "-e", "-f", "-9", "-B", "67108864", "-s", o.old, o.agent, out}},
		{"bsdiff", []string{"bsdiff", o.old, o.agent, out}},
	} {
		began := time.Now()
		if text, err := exec.Command(x.args[0], x.args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s (deploy/bootstrap/setup.sh updates installs it)", x.name, err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			return err
		}
		bench("delta_"+x.name+"_ratio", float64(info.Size())/whole, "of the archive")
		bench("delta_"+x.name+"_s", time.Since(began).Seconds(), "s")
	}
	return nil
}

// archiveOf is an agent's archive, uncompressed.
func archiveOf(agent string) ([]byte, error) {
	data, err := os.ReadFile(agent)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err = w.WriteHeader(&tar.Header{Name: "bin/edge-agent", Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o755})
	if err == nil {
		_, err = w.Write(data)
	}
	return b.Bytes(), errors.Join(err, w.Close())
}

func compressed(data []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, err
	}
	return z.EncodeAll(data, nil), z.Close()
}

// applyDelta applies a delta as a box does, from the file of the old program, and looks at its own memory.
func applyDelta(args []string) error {
	if len(args) != 3 {
		return errors.New("its form is DELTA OLD SHA256")
	}
	d, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer d.Close()
	old, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := delta.NewReader(d, old, info.Size())
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != args[2] {
		return fmt.Errorf("the outcome is %s", got)
	}
	bench("delta_apply_ms", float64(time.Since(began).Milliseconds()), "ms")
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			bench("delta_apply_rss_mib", kb/1024, "MiB")
		}
	}
	return nil
}
