package unixsocket

import (
	"context"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is the program at the other end of a connection, as the kernel knows it.
type Peer struct {
	UID, PID int
	User     string // its name, "" if the machine has none for the UID
}

// String is "uid 1000 (anna) pid 4711".
func (p *Peer) String() string {
	switch {
	case p == nil:
		return "unknown"
	case p.User == "":
		return fmt.Sprintf("uid %d pid %d", p.UID, p.PID)
	}
	return fmt.Sprintf("uid %d (%s) pid %d", p.UID, p.User, p.PID)
}

// Account is the user's name, or "uid 1000" without one.
func (p *Peer) Account() string {
	switch {
	case p == nil:
		return "unknown"
	case p.User == "":
		return fmt.Sprintf("uid %d", p.UID)
	}
	return p.User
}

type connKey struct{}

// ConnContext is for http.Server.ConnContext, so that PeerOf knows the connection of a request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// PeerOf is who asks, from the context of a request; nil if that cannot be known.
func PeerOf(ctx context.Context) *Peer {
	c, ok := ctx.Value(connKey{}).(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil || err != nil {
		return nil
	}
	p := &Peer{UID: int(cred.Uid), PID: int(cred.Pid)}
	if u, err := user.LookupId(strconv.Itoa(p.UID)); err == nil {
		p.User = u.Username
	}
	return p
}
