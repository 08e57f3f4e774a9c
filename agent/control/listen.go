package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// SocketMode is the mode of the sockets: their owner and their group.
const SocketMode fs.FileMode = 0o660

// listen opens a unix socket with mode 0660 and the group. A socket left by a run that was killed is replaced; one that
// somebody listens on is not. A group that does not exist, or to which this user may not give files, leaves the user's
// own: note says so.
func listen(path, group string) (l *net.UnixListener, note string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, "", fmt.Errorf("make run directory: %w", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, "", fmt.Errorf("open socket %s: another agent listens on it", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil, "", fmt.Errorf("open socket: %s is in the way: it is not a socket", path)
	}
	// Bound under another name, renamed when mode and group are right: a client finds the socket as it shall be, or
	// the stale one of a run that was killed, which the renaming replaces.
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("remove stale socket: %w", err)
	}
	l, err = net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, "", fmt.Errorf("open socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	note = giveGroup(tmp, group)
	if err = os.Chmod(tmp, SocketMode); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		l.Close()
		os.Remove(tmp)
		return nil, "", fmt.Errorf("open socket: %w", err)
	}
	return l, note, nil
}

func giveGroup(path, group string) (note string) {
	if group == "" {
		return ""
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Sprintf("group %s does not exist; only the agent's own user and group may use %s", group, filepath.Base(path))
	}
	gid, err := strconv.Atoi(g.Gid)
	if err == nil && os.Chown(path, -1, gid) != nil {
		err = admit(path, uint32(gid)) // a unit that keeps @chown from the agent
	}
	if err != nil {
		return fmt.Sprintf("may not give %s to group %s (%v); only the agent's own user and group may use it", filepath.Base(path), group, err)
	}
	return ""
}

// admit lets a group use a socket beside its owner, by an access control list: what chown does where a program may not
// give its files away. The mode that is set later is the most that the list grants.
func admit(path string, gid uint32) error {
	const (
		version                               = 2
		owner, ownGroup, aGroup, mask, others = 0x01, 0x04, 0x08, 0x10, 0x20
		readWrite, nothing                    = 6, 0
		nobody                                = ^uint32(0)
	)
	list := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range []struct {
		tag, may uint16
		id       uint32
	}{{owner, readWrite, nobody}, {ownGroup, readWrite, nobody}, {aGroup, readWrite, gid}, {mask, readWrite, nobody}, {others, nothing, nobody}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.may)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	if err := unix.Setxattr(path, "system.posix_acl_access", list, 0); err != nil {
		return fmt.Errorf("access control list: %w", err)
	}
	return nil
}

// peer names who is at the other end of a connection: "uid 1000 (anna) pid 4711".
func peer(c net.Conn) string {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return "unknown"
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return "unknown"
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil || err != nil {
		return "unknown"
	}
	who := fmt.Sprintf("uid %d", cred.Uid)
	if u, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
		who += " (" + u.Username + ")"
	}
	return fmt.Sprintf("%s pid %d", who, cred.Pid)
}
