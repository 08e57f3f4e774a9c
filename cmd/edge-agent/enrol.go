package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/wire"
)

const enrolUsage = `edge-agent enrol CODE [flags]: this box's certificate with a one-time code

CODE comes from the hub: edge-hub enrol add DEVICE. The key is made here and
never leaves the box.

  --config FILE      what is not given below: device, data_dir, broker, ca_file
                     (/etc/edge-agent/agent.yaml)
  --device ID        the name of this box
  --broker URL       ssl://HOST:8883
  --ca FILE          what the broker's certificate is held against
  --claim-cert FILE  /etc/edge-agent/claim.crt, which all new boxes share
  --claim-key FILE   /etc/edge-agent/claim.key
  --dir DIR          of identities: data_dir/identity

Exit status: 0 enrolled, 1 error, 2 usage, 5 refused or not trusted.
`

const exitTrust = 5

// enrolCommand gets the first certificate.
func enrolCommand(args []string, stdout, stderr io.Writer) int {
	var o agent.EnrolOptions
	f := flag.NewFlagSet("edge-agent enrol", flag.ContinueOnError)
	file := f.String("config", config.DefaultFile, "")
	f.StringVar(&o.Device, "device", "", "")
	f.StringVar(&o.Broker, "broker", "", "")
	f.StringVar(&o.CAFile, "ca", "", "")
	f.StringVar(&o.ClaimCert, "claim-cert", "/etc/edge-agent/claim.crt", "")
	f.StringVar(&o.ClaimKey, "claim-key", "/etc/edge-agent/claim.key", "")
	f.StringVar(&o.Dir, "dir", "", "")
	words, err := cmdline.Parse(f, args, 1)
	switch {
	case errors.Is(err, flag.ErrHelp):
		cmdline.Page(stdout, enrolUsage)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "edge-agent: enrol: %v; edge-agent enrol --help shows its form\n", err)
		return exitUsage
	case len(words) == 0:
		cmdline.Page(stderr, enrolUsage)
		return exitUsage
	}
	o.Code = words[0]
	dataDir := config.DefaultDataDir
	switch c, err := config.Outline(*file, config.OS{}); {
	case err == nil:
		dataDir = c.DataDir
		o.Device = or(o.Device, c.Device)
		if m := c.Uplink.MQTT; m != nil {
			o.Broker, o.CAFile, o.Prefix = or(o.Broker, m.Broker), or(o.CAFile, m.CAFile), m.TopicPrefix
		}
	case !errors.Is(err, os.ErrNotExist):
		strictyaml.Tell(stderr, err)
		return exitError
	}
	if o.Device == "" {
		o.Device, _ = os.Hostname() // without one the check below says what is missing
	}
	o.Dir = or(o.Dir, filepath.Join(dataDir, agent.IdentityDir))
	if !wire.ValidDevice(o.Device) || o.Broker == "" {
		fmt.Fprintf(stderr, "edge-agent: device %q at broker %q: give --device and --broker, or name them in %s\n", o.Device, o.Broker, *file)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	got, err := agent.Enrol(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "edge-agent:", err)
		if agent.NotTrusted(err) {
			return exitTrust
		}
		return exitError
	}
	fmt.Fprintf(stdout, "%s is enrolled; its certificate ends %s and is renewed by itself.\nIn %s, below uplink.mqtt:\n  cert_file: %s\n  key_file: %s\n  ca_file: %s\n",
		o.Device, got.Ends.Local().Format(time.RFC3339), *file, got.CertFile, got.KeyFile, got.CAFile)
	return exitOK
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
