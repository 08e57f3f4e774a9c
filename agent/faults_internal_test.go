package agent

import (
	"testing"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/buffer/record"
)

// Every quality that a sensor can give has its explanation.
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
