// Package version says which build a program is.
package version

import "runtime/debug"

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
