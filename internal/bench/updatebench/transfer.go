package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/cutproxy"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
)

const (
	largeBytes = 200 << 20
	linkBytes  = 24 << 20
	linkRate   = 10e6 / 8 // bytes a second: 10 Mbit/s
	linkDelay  = 50 * time.Millisecond
	patience   = 10 * time.Minute
)

// fatal ends the program where a test would fail.
type fatal struct{}

func (fatal) Helper()           {}
func (fatal) Fatal(args ...any) { exit(fmt.Errorf("%v", fmt.Sprint(args...))) }

// mqttFigures are the speed of a transfer on this machine's loopback, and what it costs the agent's memory.
func mqttFigures(o options) error {
	x, err := newTransfer(o, filepath.Join(o.dir, "mqtt"), largeBytes, setup{})
	if err != nil {
		return err
	}
	defer x.close()
	// The kernel begins to count the peak anew.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", x.agent.Process.Pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("reset the peak of memory: %w", err)
	}
	before, err := memory(x.agent.Process.Pid, "VmRSS:")
	if err != nil {
		return err
	}
	took, err := x.run()
	if err != nil {
		return err
	}
	peak, err := memory(x.agent.Process.Pid, "VmHWM:")
	if err != nil {
		return err
	}
	bench("update_mqtt_mb_per_s", largeBytes/1e6/took.Seconds(), "MB/s")
	bench("update_rss_mib", peak-before, "MiB")
	return nil
}

// tlsFigure is the speed with certificates on both sides of every connection, as boxes are run.
func tlsFigure(o options) error {
	took, err := timed(o, "tls", largeBytes, setup{tls: true})
	if err != nil {
		return err
	}
	bench("update_mqtt_tls_mb_per_s", largeBytes/1e6/took.Seconds(), "MB/s")
	return nil
}

// httpsFigure is the speed from nginx as a mirror.
func httpsFigure(o options) error {
	took, err := timed(o, "https", largeBytes, setup{tls: true, mirror: true})
	if err != nil {
		return err
	}
	bench("update_https_mb_per_s", largeBytes/1e6/took.Seconds(), "MB/s")
	return nil
}

// linkFigure is the share of a link of 10 Mbit/s with a round trip of 100 ms that content takes.
func linkFigure(o options) error {
	took, err := timed(o, "link", linkBytes, setup{link: cutproxy.Slow(linkRate, linkDelay)})
	if err != nil {
		return err
	}
	bench("update_mqtt_vs_link", linkBytes/linkRate/took.Seconds(), "of_link")
	return nil
}

// timed is how long one transfer takes; it works in a directory of this name.
func timed(o options, name string, size int, s setup) (time.Duration, error) {
	x, err := newTransfer(o, filepath.Join(o.dir, name), size, s)
	if err != nil {
		return 0, err
	}
	defer x.close()
	return x.run()
}

// memory reads a line of /proc/PID/status in MiB.
func memory(pid int, line string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, line); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, line)
}

// transfer is a broker, a hub and an agent with a release of one large model.
type transfer struct {
	dir    string
	agent  *exec.Cmd
	others []*exec.Cmd
	link   *cutproxy.Link
	hub    fleet.Client
}

// setup is how the parts are connected.
type setup struct {
	link   cutproxy.Carry // what lies between agent and broker; nil: nothing
	tls    bool           // certificates on both sides
	mirror bool           // an nginx has the content
}

func newTransfer(o options, dir string, size int, s setup) (x *transfer, err error) {
	x = &transfer{dir: dir, hub: fleet.Client{Socket: filepath.Join(dir, "hub", "fleet.sock")}}
	defer func() {
		if err != nil {
			x.close()
		}
	}()
	if err := x.prepare(size, s); err != nil {
		return x, err
	}
	return x, x.start(o, s)
}

// prepare publishes the release, and writes what the programs are told.
func (x *transfer) prepare(size int, s setup) error {
	dir := x.dir
	f := repotest.New(fatal{}, filepath.Join(dir, "releases"), time.Now())
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)
	f.Release(release.Manifest{Release: "1", Counter: 1, Components: []release.Component{
		f.Component(release.Model, "model/large", "1", "models/large.om", bytes.NewReader(content), true)}})
	f.Publish()
	broker, err := freeAddress()
	if err != nil {
		return err
	}
	web, err := freeAddress()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(broker)
	reached := broker
	if s.link != nil {
		if x.link, err = cutproxy.Start(broker, s.link); err != nil {
			return err
		}
		reached = x.link.Addr()
	}
	scheme, secure, listener, mirrors := "tcp", [3]string{}, "", ""
	if s.tls {
		if err := certificates(dir, "hub", "bench"); err != nil {
			return err
		}
		scheme = "ssl"
		listener = fmt.Sprintf("cafile %[1]s/ca.crt\ncertfile %[1]s/server.crt\nkeyfile %[1]s/server.key\nrequire_certificate true\n", dir)
		if os.Getuid() == 0 { // else it becomes a user who may not read the files
			listener += "user root\n"
		}
		for i, name := range []string{"hub", "bench"} {
			secure[i] = fmt.Sprintf(", ca_file: %[1]s/ca.crt, cert_file: %[1]s/%[2]s.crt, key_file: %[1]s/%[2]s.key", dir, name)
		}
	}
	if s.mirror {
		mirrors = fmt.Sprintf(", mirrors: [{url: \"https://%s\"%s}]", web, secure[1])
	}
	for name, text := range map[string]string{
		"mosquitto.conf": "listener " + port + " 127.0.0.1\n" + listener + "allow_anonymous true\npersistence false\nmax_packet_size 262144\nlog_type error\n",
		"hub/hub.yaml": fmt.Sprintf("broker: {url: \"%s://%s\"%s}\nstore: {sqlite: hub.db}\nrun_dir: .\nlog: {level: error}\n"+
			"fleet: {releases: ../releases, state: fleet, settle: 1s}\n", scheme, broker, secure[0]),
		"web.conf":  fmt.Sprintf(nginxConf, dir, web),
		"root.json": string(f.FactoryRoot()),
		"agent.yaml": fmt.Sprintf("device: bench\ndata_dir: data\nrun_dir: run\nlog: {level: error}\nuplink: {mqtt: {broker: \"%s://%s\"%s}}\n"+
			"update: {trust: root.json, product: product, releases: edge, updater: updater, progress: 1s%s}\n", scheme, reached, secure[1], mirrors),
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// start starts the programs and waits until the hub knows the box.
func (x *transfer) start(o options, s setup) error {
	dir := x.dir
	mosquitto, err := exec.LookPath("mosquitto")
	if err != nil {
		mosquitto = "/usr/sbin/mosquitto"
	}
	programs := [][]string{{mosquitto, "-c", filepath.Join(dir, "mosquitto.conf")},
		{filepath.Join(filepath.Dir(o.agent), "edge-hub"), "run", "--config", filepath.Join(dir, "hub/hub.yaml")},
		{o.agent, "run", "--config", filepath.Join(dir, "agent.yaml")}}
	if s.mirror {
		programs = append([][]string{{"/usr/sbin/nginx", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "web.conf")}}, programs...)
	}
	for _, args := range programs {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start %s: %w", args[0], err)
		}
		x.others = append(x.others, cmd)
		time.Sleep(time.Second) // the broker first, then the hub; each tries again if it is too early
	}
	x.agent = x.others[len(x.others)-1]
	return x.await("the box is known", func() bool {
		list, err := x.hub.List(context.Background())
		return err == nil && list.Online == 1
	})
}

func (x *transfer) await(what string, ok func() bool) error {
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
	}
	return nil
}

// run lets the release be fetched, and returns how long its model took, from the first request to the verified and synced
// file.
func (x *transfer) run() (time.Duration, error) {
	time.Sleep(2 * time.Second) // the agent's start is over
	if _, err := x.hub.Create(context.Background(), &rollout.Spec{Release: "1", Waves: []rollout.Wave{{Name: "all", Percent: 100}}}, false); err != nil {
		return 0, err
	}
	var began time.Time
	index := filepath.Join(x.dir, "data/update/stage/targets/models/large.om.idx")
	file := filepath.Join(x.dir, "data/update/stage/targets/models/large.om")
	if err := x.await("the index has come", func() bool {
		_, err := os.Stat(index)
		began = time.Now()
		return err == nil
	}); err != nil {
		return 0, err
	}
	err := x.await("the model has come", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	return time.Since(began), err
}

func (x *transfer) close() {
	for _, c := range x.others {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	if x.link != nil {
		x.link.Close()
	}
}
