// Package unixsocket is the local door of a program: a unix socket whose file permission says who may use it.
//
// Listen opens it with mode and group set before anybody finds it, and takes the place of one that a killed run left.
// Serve answers HTTP over it until a context ends, PeerOf names who asks, and Client is the other end.
package unixsocket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Mode of a socket: its owner and its group.
const Mode fs.FileMode = 0o660

// MaxPath is how long the path of a socket may be, in bytes: the kernel takes 107, and the name that it has before its
// permissions are set is longer by a suffix.
const MaxPath = 107 - len(newSuffix)

const newSuffix = ".new"

// Options of Listen.
type Options struct {
	Group    string // that may use it; "" leaves the user's own
	Owner    string // what listens, for errors: "agent", "hub"
	MaxConns int    // at once, further ones wait in the kernel's queue; 0: no bound
}

// Listener is an open socket. Close removes its name first, so that the socket of a successor is never removed by a
// predecessor that is still closing.
type Listener struct {
	*net.UnixListener
	path string
	note string
	room chan struct{} // nil: no bound
	shut func() error  // once
}

// Listen opens a socket with Mode. One that somebody answers on, or a file that is no socket, is an error; the directory
// is made if it is missing. A group that does not exist, or to which this user may not give files, leaves the user's own:
// Note says so.
func Listen(path string, o Options) (*Listener, error) {
	if len(path) > MaxPath {
		return nil, fmt.Errorf("open socket: %s has %d bytes, and the path of a socket at most %d; choose a shorter directory", path, len(path), MaxPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("open socket %s: another %s listens on it; stop that one, or give this one another directory", path, o.Owner)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil, fmt.Errorf("open socket: %s is in the way: it is not a socket", path)
	}
	// Bound under another name, renamed when mode and group are right: a client finds the socket as it shall be, or
	// the stale one of a run that was killed, which the renaming replaces.
	tmp := path + newSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	u.SetUnlinkOnClose(false)
	l := &Listener{UnixListener: u, path: path, note: giveGroup(tmp, filepath.Base(path), o)}
	l.shut = sync.OnceValue(func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, u.Close())
		}
		return u.Close()
	})
	if o.MaxConns > 0 {
		l.room = make(chan struct{}, o.MaxConns)
	}
	if err = os.Chmod(tmp, Mode); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		u.Close()
		os.Remove(tmp)
		return nil, fmt.Errorf("open socket: %w", err)
	}
	return l, nil
}

func giveGroup(file, name string, o Options) (note string) {
	if o.Group == "" {
		return ""
	}
	g, err := user.LookupGroup(o.Group)
	if err != nil {
		return fmt.Sprintf("group %s does not exist; only the %s's own user and group may use %s", o.Group, o.Owner, name)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err == nil && os.Chown(file, -1, gid) != nil {
		err = admit(file, uint32(gid)) // a unit that keeps @chown from its program
	}
	if err != nil {
		return fmt.Sprintf("may not give %s to group %s; only the %s's own user and group may use it", name, o.Group, o.Owner)
	}
	return ""
}

// Note says, in a sentence, why the group was not given the socket; "" if it was.
func (l *Listener) Note() string { return l.note }

// Addr is the socket as clients find it.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the socket's name and closes it. Further calls do nothing.
func (l *Listener) Close() error { return l.shut() }

// Accept waits for a connection, and before it for room.
func (l *Listener) Accept() (net.Conn, error) {
	if l.room == nil {
		return l.UnixListener.Accept()
	}
	l.room <- struct{}{}
	c, err := l.AcceptUnix()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &boundedConn{UnixConn: c, free: sync.OnceFunc(func() { <-l.room })}, nil
}

type boundedConn struct {
	*net.UnixConn
	free func()
}

func (c *boundedConn) Close() error {
	err := c.UnixConn.Close()
	c.free()
	return err
}

// Serve answers on l until ctx ends; answers under way then have grace to finish. It closes l, and returns an error only
// if serving failed before.
func Serve(ctx context.Context, s *http.Server, l net.Listener, grace time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if s.Shutdown(stop) != nil {
		s.Close()
	}
	<-ended
	return nil
}

// Client makes HTTP requests over the socket, with any host in the URL; connecting takes timeout at most. It keeps no
// connection open.
func Client(path string, timeout time.Duration) *http.Client {
	d := net.Dialer{Timeout: timeout}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", path)
	}}}
}
