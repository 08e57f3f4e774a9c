// Package version says which build a program is.
package version

import (
	"runtime/debug"
	"time"
)

// Version is set by the linker (-X) for releases; a plain build says "dev" and its revision.
var Version = "dev"

// String is what `version` prints and the agent reports: "0.1.0" or "dev-1a2b3c4d".
func String() string {
	if Version != "dev" {
		return Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 8 {
			return Version + "-" + s.Value[:8]
		}
	}
	return Version
}

// Built is the time of the commit that was built, zero if the build does not know it.
func Built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
