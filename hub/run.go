package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/edgelog/edgelog/hub/broker"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/receive/mqtt"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/sdnotify"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
	"golang.org/x/sync/errgroup"
)

// Keys of log lines.
const (
	keyDevice = "device"
	keyError  = "error"
	keyBroker = "broker"
)

func (a *app) cmdRun(ctx context.Context, args []string) error {
	if _, err := a.parse("run", args, 0, nil); err != nil {
		return err
	}
	c, err := Load(a.file)
	if err != nil {
		return err
	}
	level, err := c.Log.level()
	if err != nil {
		return err
	}
	return Run(ctx, c, slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: level})))
}

// hub is one running hub.
type hub struct {
	c       *Config
	log     *slog.Logger
	store   engine
	recv    *receive.Receiver
	broker  *broker.Broker // nil: an external one
	started time.Time
	adapter *mqtt.Adapter
	shares  *shares // nil: this hub is alone
	link    linkState
}

// Run runs a hub until ctx ends; then it returns nil, with everything committed that was acknowledged.
func Run(ctx context.Context, c *Config, log *slog.Logger) (err error) {
	h := &hub{c: c, log: log, started: time.Now()}
	if h.store, err = h.openWaiting(ctx); err != nil || h.store == nil {
		return err
	}
	defer func() {
		if cerr := h.store.Close(); err == nil {
			err = cerr
		}
	}()
	if h.shares, err = h.newShares(h.store); err != nil {
		return err
	}
	o := receive.Options{Store: h.store, QueueBytes: int(c.Limits.Buffer),
		CreditBytes: int(c.Limits.Credit), Messages: c.Limits.Messages, Synced: clockSynced, Events: h.events()}
	if h.shares != nil {
		o.Owner = h.shares
	}
	h.recv = receive.New(o)
	listener, err := h.open()
	if err != nil {
		return err
	}
	log.Info("hub starts", "version", version.String(), "store", h.store.Path(), keyBroker, c.origin())
	g, ctx := errgroup.WithContext(ctx)
	parts := []func(context.Context) error{
		h.runBroker, h.recv.Run, h.adapter.Run, h.maintain, h.watch,
		func(ctx context.Context) error { return h.serveStatus(ctx, listener) },
	}
	if h.shares != nil {
		parts = append(parts, h.shares.Run, h.greet)
	}
	if c.Fleet != nil {
		parts = append(parts, h.runFleet)
	}
	if c.Enrol != nil {
		parts = append(parts, h.runEnrol)
	}
	for _, part := range parts {
		g.Go(func() error { return part(ctx) })
	}
	err = g.Wait()
	log.Info("hub stops")
	return err
}

// open opens what can fail before anything runs: the status socket first, which says whether another hub runs here.
func (h *hub) open() (net.Listener, error) {
	listener, err := listen(h.c.StatusSocket())
	if err != nil {
		return nil, err
	}
	if h.c.Embedded != nil {
		if h.broker, err = broker.New(h.c.brokerOptions(h.log)); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		h.log.Info("broker listens", "open", h.broker.Addr(), "tls", h.broker.TLSAddr())
	}
	if h.adapter, err = h.newLink(); err != nil {
		err = errors.Join(err, listener.Close())
		if h.broker != nil {
			err = errors.Join(err, h.broker.Close())
		}
		return nil, err
	}
	return listener, nil
}

func (c *Config) brokerOptions(log *slog.Logger) broker.Options {
	o := broker.Options{Listen: c.Embedded.Listen, Topics: c.Topics(), HubSocket: c.brokerSocket(),
		QueueBytes: 2 * int(c.Limits.Credit), Log: slog.New(quiet{log.Handler()})}
	if t := c.Embedded.TLS; t != nil {
		o.TLS = &broker.TLS{Listen: t.Listen, CertFile: t.CertFile, KeyFile: t.KeyFile, ClientCAFile: t.ClientCAFile}
	}
	return o
}

// quiet passes on what a broker says only from errors up: it reports each connection that ends.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return (l >= slog.LevelError || q.Handler.Enabled(ctx, slog.LevelDebug)) && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name)} }

func (h *hub) events() receive.Events {
	return receive.Events{
		StoreDown: func(err error) {
			h.log.Error("the store takes nothing; devices keep their records", keyError, err)
		},
		StoreUp: func(down time.Duration) { h.log.Info("the store works again", "down", down) },
		Notice:  func(device, text string) { h.log.Warn("notice", keyDevice, device, "text", text) },
		Dropped: func(device string, n int) {
			h.log.Warn("messages dropped: the queue was full; the device sends them again", keyDevice, device, "messages", n)
		},
	}
}

// maintain corrects times and applies retention. What fails is tried again; the log tells of changes only.
func (h *hub) maintain(ctx context.Context) error {
	m, ok := h.store.(store.Maintainer)
	if !ok {
		return nil
	}
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	r := store.Retention{AgeMicros: h.c.Retention.Age.Microseconds(), MaxBytes: int64(h.c.Retention.MaxBytes)}
	said := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !h.tends() {
			continue
		}
		err := m.Maintain(ctx, r)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && said != "":
			h.log.Info("maintenance works again")
			said = ""
		case err != nil && err.Error() != said:
			said = err.Error()
			h.log.Error("maintenance failed and is tried again", keyError, err)
		}
	}
}

// watch tells systemd that the hub is alive: this goroutine turns and the parts give up their locks. A dead link or a
// full disk is a state that devices wait out, no reason to restart.
func (h *hub) watch(ctx context.Context) error {
	every := watchdogDefault
	if limit := sdnotify.WatchdogInterval(); limit > 0 {
		every = min(every, limit/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	h.notify(sdnotify.Ready + "\n" + sdnotify.Status(h.sentence()))
	for {
		select {
		case <-ctx.Done():
			h.notify(sdnotify.Stopping)
			return nil
		case <-tick.C:
			h.notify(sdnotify.Watchdog + "\n" + sdnotify.Status(h.sentence()))
		}
	}
}

func (h *hub) notify(state string) {
	if err := sdnotify.Notify(state); err != nil {
		h.log.Warn("systemd does not hear us", keyError, err)
	}
}

// sentence is the line of `systemctl status`.
func (h *hub) sentence() string {
	s, l := h.recv.Stats(), h.link.get()
	switch {
	case s.StoreError != "":
		return "the store takes nothing: " + s.StoreError
	case !l.Up && l.Error != "":
		return "no connection to " + l.Broker + ": " + l.Error
	}
	return fmt.Sprintf("%s devices, %s rows committed, %s waiting", term.Comma(int64(s.Devices)), term.CommaU(s.Rows),
		term.Bytes(int64(s.QueueBytes)))
}
