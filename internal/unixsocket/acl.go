package unixsocket

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

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
