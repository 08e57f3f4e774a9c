package sdnotify

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// OnReload calls f at each SIGHUP, by which systemd reloads a service, until ctx ends. wait returns when the last call
// has; it is called once, after ctx ended.
func OnReload(ctx context.Context, f func()) (wait func()) {
	hup, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				f()
			}
		}
	}()
	return func() {
		<-done
		signal.Stop(hup)
	}
}
