package term_test

import (
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/term"
)

func TestPage(t *testing.T) {
	const page = `edgectl log verify|inspect|dump|size|salvage|export|import|erase

The log on disk, of a
dead box too.

  edgectl log import /media/box-17.edge.ack   with the agent stopped
  --csv    CSV instead of JSON lines, one record a line
S012   degraded   sensor restarts between conversions
`
	for width, want := range map[int]string{80: page, 36: `edgectl log
verify|inspect|dump|size|salvage|
export|import|erase

The log on disk, of a
dead box too.

  edgectl log import
      /media/box-17.edge.ack
      with the agent stopped
  --csv    CSV instead of JSON
           lines, one record a line
S012   degraded   sensor restarts
                  between
                  conversions
`} {
		if got := term.Page(page, width); got != want {
			t.Errorf("%d columns:\n%s", width, got)
		}
	}
	const continued = "  apply --from DIR\n                         verify, install, watch\n"
	if got := term.Page(continued, 30); got != "  apply --from DIR\n               verify,\n               install, watch\n" {
		t.Errorf("a continued line:\n%s", got)
	}
	for line := range strings.Lines(term.Page(strings.Repeat("word ", 40), 20)) {
		if term.Columns(strings.TrimSuffix(line, "\n")) > 20 {
			t.Errorf("too wide: %s", line)
		}
	}
}
