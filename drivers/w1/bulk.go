package w1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bulk starts one conversion on all sensors at once and waits for its end, where the kernel can (5.10 and later:
// therm_bulk_read of each master). The reads that follow then only fetch scratchpads. nil also where it cannot.
func (b *Bus) bulk(ctx context.Context) error {
	if b.o.NoBulk {
		return nil
	}
	masters := []string{b.dir}
	if b.o.Master == "" {
		var found []string
		err := b.gate.call(ctx, b.o.ReadTimeout, func() error {
			m, err := filepath.Glob(filepath.Join(escape(b.o.Root), "w1_bus_master*"))
			found = m
			return err
		})
		if err != nil {
			return err
		}
		masters = found
	}
	var started []string
	var failed error
	for _, m := range masters {
		file := filepath.Join(m, "therm_bulk_read")
		err := b.gate.call(ctx, b.o.ReadTimeout, func() error { return trigger(file) })
		switch {
		case err == nil:
			started = append(started, file)
		case left(err):
			return err
		case !errors.Is(err, os.ErrNotExist):
			failed = err // an adapter that is just being pulled does not concern the others
		}
	}
	begun := time.Now()
	for _, file := range started {
		if err := b.converted(ctx, file, begun); err != nil {
			return err
		}
	}
	return failed
}

// converted asks until the master no longer says -1 (converting): 1 is done, 0 is nothing to convert. Each question
// costs a slot on the wire, so that it is asked when a conversion of 9, 10, 11 or 12 bits must be over, and then often:
// copies are slower.
func (b *Bus) converted(ctx context.Context, file string, begun time.Time) error {
	for bits := 9; ; bits++ {
		pause := bulkPoll
		if bits <= 12 {
			pause = time.Until(begun.Add(fullConversion>>(12-bits) + bulkMargin))
		}
		if err := b.pause(ctx, pause); err != nil {
			return err
		}
		text, err := b.readFile(ctx, file)
		if err != nil {
			return err
		}
		if string(bytes.TrimSpace(text)) != "-1" {
			return nil
		}
		if time.Since(begun) > bulkTimeout {
			return errLate
		}
	}
}

func (b *Bus) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-b.gate.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func trigger(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("trigger\n")
	return err
}

func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// readFull reads an attribute: until the end of the file or of buf. The kernel gives one whole, so that a read that ends
// with a line needs no second one to find the end.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil && (n == 0 || buf[n-1] != '\n') {
		m := 0
		m, err = r.Read(buf[n:])
		n += m
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
