package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminal reports whether f is a terminal and how many columns it has, 0 if it does not say.
func Terminal(f *os.File) (tty bool, columns int) {
	if f == nil {
		return false, 0
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return false, 0
	}
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return true, 0
	}
	return true, int(ws.Col)
}

// DetectFile is Detect for the process environment and an open file.
func DetectFile(f *os.File) Style {
	tty, columns := Terminal(f)
	return Detect(os.Getenv, tty, columns)
}
