package cutproxy

import (
	"net"
	"time"
)

const (
	pieceBytes = 8 << 10 // of one read of a slow line
	pieces     = 32      // on their way at once
)

// Slow carries at most rate bytes a second in each direction; each arrives the delay after it has left.
func Slow(rate float64, delay time.Duration) Carry {
	type piece struct {
		at   time.Time
		data []byte
	}
	return func(dst, src net.Conn) {
		line := make(chan piece, pieces)
		go func() {
			defer close(line)
			free := time.Now() // when the line has sent what it was given
			for {
				buf := make([]byte, pieceBytes)
				n, err := src.Read(buf)
				if n > 0 {
					if now := time.Now(); free.Before(now) {
						free = now
					}
					free = free.Add(time.Duration(float64(n) / rate * float64(time.Second)))
					line <- piece{free.Add(delay), buf[:n]}
				}
				if err != nil {
					return
				}
			}
		}()
		for p := range line {
			time.Sleep(time.Until(p.at))
			if _, err := dst.Write(p.data); err != nil {
				break
			}
		}
		src.Close()
		for range line { // its reader ends now
		}
	}
}
