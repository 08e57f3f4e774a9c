package w1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
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
	for _, m := range masters {
		file := filepath.Join(m, "therm_bulk_read")
		err := b.gate.call(ctx, b.o.ReadTimeout, func() error { return trigger(file) })
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return err
		default:
			started = append(started, file)
		}
	}
	end := time.Now().Add(bulkTimeout)
	for _, file := range started {
		if err := b.converted(ctx, file, end); err != nil {
			return err
		}
	}
	return nil
}

// converted polls until the master no longer says -1 (converting): 1 is done, 0 is nothing to convert.
func (b *Bus) converted(ctx context.Context, file string, end time.Time) error {
	for {
		text, err := b.readFile(ctx, file)
		if err != nil {
			return err
		}
		if string(bytes.TrimSpace(text)) != "-1" {
			return nil
		}
		if !time.Now().Before(end) {
			return errLate
		}
		t := time.NewTimer(bulkPoll)
		select {
		case <-t.C:
		case <-b.gate.closed:
			t.Stop()
			return errClosed
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
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

// readFull reads until the end of the file or of buf.
func readFull(r io.Reader, buf []byte) (int, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

// Facts are what the kernel knows of one sensor beside its temperature.
type Facts struct {
	Resolution int  // bits, 9 to 14; 0 if not known
	Parasite   bool // fed by the data line
	Known      bool // Parasite is known
}

// Facts asks for the resolution and power supply of a ROM; each may start a bus transaction. Like Read, it must
// not run beside another method except Close.
func (b *Bus) Facts(ctx context.Context, rom string) (Facts, error) {
	var f Facts
	for _, name := range []string{"resolution", "ext_power"} {
		text, err := b.readFile(ctx, filepath.Join(b.dir, rom, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // an older kernel
		}
		if err != nil {
			return f, err
		}
		v, err := strconv.Atoi(string(bytes.TrimSpace(text)))
		if err != nil || v < 0 {
			continue // empty, or a negative errno: the bus did not answer
		}
		if name == "resolution" {
			f.Resolution = v
		} else {
			f.Known, f.Parasite = true, v == 0
		}
	}
	return f, nil
}
