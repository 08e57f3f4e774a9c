package cli

import (
	"fmt"
	"log/syslog"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/edgelog/edgelog/internal/api"
)

// noteRefused leaves a line in the box's own log that somebody tried to change the agent and may not: the kernel refuses the
// socket, so that the agent never hears of it. journald adds the user's number by itself. That it cannot be noted changes
// nothing.
func (a *app) noteRefused() {
	who := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil {
		who += " (" + u.Username + ")"
	}
	var words []string
	for _, w := range a.Args {
		if len(words) < 3 && !strings.HasPrefix(w, "-") {
			words = append(words, w)
		}
	}
	a.Note(fmt.Sprintf("refused: %s may not change the agent: %q: EPERM on %s", who, strings.Join(words, " "), filepath.Join(a.g.runDir, api.ControlSocket)))
}

// note writes to syslog, which is journald on most boxes.
func note(line string) {
	w, err := syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_WARNING, "edgectl")
	if err != nil {
		return
	}
	defer w.Close()
	_ = w.Warning(line)
}
