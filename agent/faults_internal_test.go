package agent

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// TestEndedCertificate: a broker that refuses a certificate often closes the connection before its reason has arrived. Then
// the box's own knowledge decides, and never where the broker was not there at all.
func TestEndedCertificate(t *testing.T) {
	ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	alert := &mqttclient.DialError{Broker: "ssl://b", Err: errors.New("network Error : remote error: tls: expired certificate")}
	reset := fmt.Errorf("network Error : %w", syscall.ECONNRESET)
	for _, c := range []struct {
		name  string
		ended time.Time
		err   error
		code  health.Code
		says  string
	}{
		{"the alert came", ended, alert, health.CertificateRefused, "it ended 2026-01-01. connect to ssl://b: "},
		{"the alert was lost", ended, reset, health.CertificateRefused, "it ended 2026-01-01. ssl://b: "},
		{"closed without a word", ended, fmt.Errorf("network Error : %w", io.EOF), health.CertificateRefused, "it ended 2026-01-01. "},
		{"nobody listens", ended, syscall.ECONNREFUSED, health.UplinkUnreachable, "ssl://b: "},
		{"a certificate in force", time.Time{}, reset, health.UplinkUnreachable, "ssl://b: "},
		{"one in force, refused", time.Time{}, alert, health.CertificateRefused, "connect to ssl://b: "},
	} {
		f := &faults{log: slog.New(slog.DiscardHandler)}
		f.linkFailed("ssl://b", c.ended, c.err)
		list := f.List()
		if len(list) != 1 || list[0].Code != c.code || !strings.HasPrefix(list[0].Text, c.says) {
			t.Errorf("%s: %+v, want %s, %q…", c.name, list, c.code, c.says)
		}
	}
}

// TestEveryQualityHasACode: every quality that a sensor can give has its explanation.
func TestEveryQualityHasACode(t *testing.T) {
	for _, q := range record.Qualities() {
		code, ok := badReading[q]
		if ok == (q == record.QualityGood || q == record.QualityMayRepeat) {
			t.Errorf("quality %s has code %q", q, code)
		}
		if _, declared := health.Lookup(code); ok && !declared {
			t.Errorf("quality %s: code %s is not declared", q, code)
		}
	}
}
