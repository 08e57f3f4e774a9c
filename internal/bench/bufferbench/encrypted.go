package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	cipherBlock  = 50_000  // bytes sealed at once, as in commits of 200 kB
	secretSweeps = 100_000 // read back plain and encrypted
)

// noAES lets Go's own cipher do without the processor's instructions.
func noAES() string {
	if runtime.GOARCH == "amd64" {
		return "GODEBUG=cpu.aes=off,cpu.pclmulqdq=off"
	}
	return "GODEBUG=cpu.aes=off,cpu.pmull=off"
}

func benchKey() *buffer.Key {
	var k buffer.Key
	for i := range k {
		k[i] = byte(3 * i)
	}
	return &k
}

// benchEncrypted is what encryption at rest costs.
func benchEncrypted(ctx context.Context, e *env) error {
	for _, c := range []struct {
		suffix           string
		size, n, commits int
	}{{"", 200_000, 4, 84}, {"_1m", 1_000_000, 16, 33}} {
		ratio, limit, err := e.encryptedAppend(ctx, c.size, c.n, c.commits)
		if err != nil {
			return err
		}
		show("encrypted_append_vs_plain"+c.suffix, ratio, "ratio")
		show("encrypted_append_vs_plain"+c.suffix+"_limit", limit, "ratio")
	}
	ratio, err := e.encryptedRead(ctx)
	if err != nil {
		return err
	}
	show("encrypted_read_vs_plain", ratio, "ratio")
	for _, c := range []struct{ name, env string }{
		{"encrypted_cipher_mb_per_s", ""}, {"encrypted_cipher_no_aes_instructions_mb_per_s", noAES()}} {
		cmd := exec.CommandContext(ctx, os.Args[0], "-part", "cipher")
		if cmd.Stderr = os.Stderr; c.env != "" {
			cmd.Env = append(os.Environ(), c.env)
		}
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		var rate float64
		if _, err := fmt.Sscan(string(out), &rate); err != nil {
			return fmt.Errorf("%q: %w", out, err)
		}
		show(c.name, rate, "MB/s")
	}
	return nil
}

// encryptedAppend is the log below the codec with and without a key, in turns; limit is what the ratio would be if
// encryption cost nothing but the cipher.
func (e *env) encryptedAppend(ctx context.Context, size, n, commits int) (ratio, limit float64, err error) {
	dir, err := e.fresh("encrypted")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bodies := make([][]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	for i := range bodies {
		bodies[i] = make([]byte, size/n)
		_, _ = rng.Read(bodies[i])
	}
	plain, secret := newLogFile(filepath.Join(dir, "plain")), newLogFile(filepath.Join(dir, "secret"))
	secret.key = benchKey()
	only, err := newCipherOnly()
	if err := errors.Join(err, os.MkdirAll(plain.dir, 0o750), os.MkdirAll(secret.dir, 0o750)); err != nil {
		return 0, 0, err
	}
	var ratios, limits []float64
	for round := range e.rounds + 1 {
		took, err := takeTurns([]committer{plain, secret, only}, bodies, commits)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return 0, 0, err
		}
		if round > 0 {
			ratios, limits = append(ratios, took[0]/took[1]), append(limits, took[0]/(took[0]+took[2]))
		}
	}
	return median(ratios), median(limits), errors.Join(plain.Close(), secret.Close())
}

// cipherOnly encrypts the bodies of a commit and does nothing with them.
type cipherOnly struct {
	gcm   cipher.AEAD
	nonce []byte
	out   []byte
}

func newCipherOnly() (*cipherOnly, error) {
	block, err := aes.NewCipher(benchKey()[:])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &cipherOnly{gcm: gcm, nonce: make([]byte, gcm.NonceSize())}, nil
}

func (c *cipherOnly) commit(bodies [][]byte) error {
	for _, b := range bodies {
		c.nonce[0]++ // nothing is kept: the nonce may come back
		c.out = c.gcm.Seal(c.out[:0], c.nonce, b, nil)
	}
	return nil
}

func (c *cipherOnly) Close() error { return nil }

// encryptedRead reads and decodes the same backlog from a plain log and from an encrypted one, in turns.
func (e *env) encryptedRead(ctx context.Context) (ratio float64, err error) {
	dir, err := e.fresh("encrypted")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var sets []*buffer.Set
	var logs []*buffer.Log
	defer func() {
		for _, s := range sets {
			err = errors.Join(err, s.Close())
		}
	}()
	for i, k := range []*buffer.Key{nil, benchKey()} {
		s, err := buffer.Open(ctx, vfs.OS{}, filepath.Join(dir, fmt.Sprint(i)), buffer.Options{
			Streams: []buffer.StreamOptions{{Name: "telemetry"}}, Keys: buffer.Keys{Current: k}})
		if err != nil {
			return 0, err
		}
		sets = append(sets, s)
		l, err := s.Log("telemetry")
		if err != nil {
			return 0, err
		}
		if err := defineThermometers(l); err != nil {
			return 0, err
		}
		t := newThermometers(walk)
		for j := range secretSweeps {
			if _, err := l.Append(ctx, record.Draft{Records: t.next()}); err != nil {
				return 0, err
			}
			if j%300 == 299 {
				if err := l.Sync(ctx); err != nil {
					return 0, err
				}
			}
		}
		if err := l.Sync(ctx); err != nil {
			return 0, err
		}
		logs = append(logs, l)
	}
	var ratios []float64
	for range e.rounds {
		plain, err := timed(func() error { return readLog(logs[0]) })
		if err != nil {
			return 0, err
		}
		secret, err := timed(func() error { return readLog(logs[1]) })
		if err != nil {
			return 0, err
		}
		ratios = append(ratios, plain/secret)
	}
	return median(ratios), ctx.Err()
}

// cipherRate is megabytes a second that one core seals with AES-256-GCM.
func cipherRate() (float64, error) {
	c, err := newCipherOnly()
	if err != nil {
		return 0, err
	}
	in := [][]byte{make([]byte, cipherBlock)}
	start, n := time.Now(), 0
	for time.Since(start) < time.Second/2 {
		if err := c.commit(in); err != nil {
			return 0, err
		}
		n += cipherBlock
	}
	return float64(n) / time.Since(start).Seconds() / 1e6, nil
}
