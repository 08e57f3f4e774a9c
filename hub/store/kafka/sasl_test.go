package kafka_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/edgelog/edgelog/hub/store/kafka"
)

// TestSASL: each mechanism that knows a password, and that a wrong one is refused.
func TestSASL(t *testing.T) {
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(m, func(t *testing.T) {
			c := cluster(t, kfake.EnableSASL(), kfake.Superuser(m, "hub", "secret"))
			file := filepath.Join(t.TempDir(), "secret")
			o := kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 2 * time.Second, SASL: &kafka.SASL{Mechanism: m, User: "hub", SecretFile: file}}
			if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			x := &sender{t: t, s: open(t, o)}
			x.one()
			if err := x.s.Close(); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if s, err := kafka.Open(ctx, o); err == nil {
				s.Close()
				t.Error("a wrong password was taken")
			}
		})
	}
}
