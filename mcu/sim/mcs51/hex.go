package mcs51

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
)

// LoadHex reads an Intel HEX file of at most 64 KiB; what it leaves out is 0xff.
func LoadHex(path string) ([]byte, error) {
	f, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load image: %w", err)
	}
	code, end := bytes.Repeat([]byte{0xff}, 1<<16), 0
	lines := bufio.NewScanner(bytes.NewReader(f))
	for n := 1; lines.Scan(); n++ {
		l := bytes.TrimSpace(lines.Bytes())
		if len(l) == 0 {
			continue
		}
		b := make([]byte, hex.DecodedLen(len(l)))
		if _, err := hex.Decode(b, l[1:]); err != nil || l[0] != ':' || len(l) < 11 || len(l) != 11+2*int(b[0]) {
			return nil, fmt.Errorf("load image: %s:%d: not an Intel HEX record", path, n)
		}
		at, size := int(b[1])<<8|int(b[2]), int(b[0])
		if b[3] == 0 {
			if at+size > len(code) {
				return nil, fmt.Errorf("load image: %s:%d: beyond 64 KiB", path, n)
			}
			copy(code[at:], b[4:4+size])
			end = max(end, at+size)
		}
	}
	return code[:end], nil
}
