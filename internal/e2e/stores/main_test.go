package stores

import (
	"os"
	"sync"
	"testing"

	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// One broker for all tests that do not break it: it takes seconds to start.
var broker struct {
	once sync.Once
	k    *servers.Kafka
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.pg != nil {
		shared.pg.Close()
	}
	if broker.k != nil {
		broker.k.Close()
	}
	os.Exit(code)
}
