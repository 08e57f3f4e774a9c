// Npubench prints the figures of the NPU worker on the stand-in library, and builds that library for those who want
// to try the worker.
//
//	npubench                    every figure, as "bench NAME VALUE UNIT"; needs bin/edge-agent and bin/edge-npu
//	npubench -build DIR         libascendcl.so, libdcmi.so, two small models and three pictures into DIR
//	npubench -soak 1h           load for so long; fails if memory, handles or threads grow
//
// Everything runs on a simulated device: the figures say what the host side costs, nothing about an NPU.
package main

import (
	"errors"
	"flag"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/ascend/standin"
)

func main() {
	build := flag.String("build", "", "write libraries and models into this directory")
	soak := flag.Duration("soak", 0, "run under load for so long")
	pace := flag.Duration("pace", 100*time.Millisecond, "between two bursts of the soak")
	only := flag.String("only", "", "calls or pipeline")
	images := flag.Int("images", 1200, "images for each figure of the pipeline")
	arch := flag.String("arch", "", "build for amd64 or arm64")
	bin := flag.String("bin", "bin", "directory of the programs")
	flag.Parse()
	if err := run(*build, *arch, *soak, *pace, *only, *images, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "npubench:", err)
		os.Exit(1)
	}
}

func run(build, arch string, soak, pace time.Duration, only string, images int, bin string) error {
	if build != "" {
		return buildInto(build, arch)
	}
	if soak > 0 {
		return soakFor(bin, soak, pace)
	}
	var err error
	if only != "pipeline" {
		err = calls()
	}
	if only != "calls" {
		err = errors.Join(err, pipeline(bin, images))
	}
	return err
}

func buildInto(dir, arch string) error {
	libs, err := standin.Cached(standin.Options{Arch: arch})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range []string{libs.ACL, libs.DVPP, libs.DCMI} {
		data, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o755)
		}
		if err != nil {
			return err
		}
	}
	for name, data := range map[string][]byte{"colours.om": standin.Classifier(32, 32, 1, 2, 4, 8, 16).Bytes(), "window.om": standin.Anomaly(2, 32).Bytes(),
		"red.jpg": plain(color.RGBA{220, 20, 20, 255}), "green.jpg": plain(color.RGBA{20, 200, 20, 255}), "blue.jpg": plain(color.RGBA{20, 20, 220, 255})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func bench(name string, value float64, unit string) {
	fmt.Printf("bench %s %.4g %s\n", name, value, unit)
}
