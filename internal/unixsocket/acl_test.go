package unixsocket

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAdmit: the list names the group with read and write, and survives the mode that is set after it. That the kernel goes
// by it with real users is in deploy/systemd/test-updates.sh.
func TestAdmit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const gid = 4711
	if err := admit(path, gid); errors.Is(err, unix.ENOTSUP) {
		t.Logf("the file system of %s has no lists: nothing to see here", path)
		return
	} else if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, Mode); err != nil {
		t.Fatal(err)
	}
	list := make([]byte, 256)
	n, err := unix.Getxattr(path, "system.posix_acl_access", list)
	if err != nil {
		t.Fatal(err)
	}
	le, found := binary.LittleEndian, false
	for e := list[4:n]; len(e) >= 8; e = e[8:] {
		switch tag, may := le.Uint16(e), le.Uint16(e[2:]); {
		case tag == 0x08 && le.Uint32(e[4:]) == gid && may == 6:
			found = true
		case tag == 0x20 && may != 0:
			t.Errorf("others may do %o", may)
		}
	}
	if !found {
		t.Errorf("no entry for group %d in % x", gid, list[:n])
	}
}
