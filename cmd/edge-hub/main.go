// Command edge-hub receives the logs of Edgelog devices into the central store; see package hub.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/edgelog/edgelog/hub"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(hub.Main(ctx, hub.OS()))
}
