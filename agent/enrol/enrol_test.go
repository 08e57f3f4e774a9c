package enrol_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/enrol"
	hubenrol "github.com/edgelog/edgelog/hub/enrol"
	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/vfs"
)

var topics enrolwire.Topics

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authority makes a CA as deploy/ca.sh does.
func authority(t testing.TB, now time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: now.Add(-24 * time.Hour),
		NotAfter: now.Add(5000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(crand.Reader, c, c, &k.PublicKey, k)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key
}

// hub is a server on a wire that a test can tamper with.
type hub struct {
	t      testing.TB
	server *hubenrol.Server
	book   *hubenrol.Book
	dir    string
	now    time.Time

	cert, key string // files of the authority

	mu      sync.Mutex
	request func([]byte) []byte // tampers; nil result: lost
	answer  func([]byte) []byte
	heard   map[string]func(fleetwire.Message)
	done    chan struct{}
}

func newHub(t testing.TB, now time.Time) *hub {
	h := &hub{t: t, dir: t.TempDir(), now: now, heard: map[string]func(fleetwire.Message){}, done: make(chan struct{})}
	h.cert, h.key = authority(t, now)
	h.reopen()
	var err error
	h.book, err = hubenrol.OpenBook(vfs.OS{}, h.dir)
	must(t, err)
	return h
}

// reopen starts the server anew.
func (h *hub) reopen() {
	var err error
	h.server, err = hubenrol.Open(hubenrol.Options{CACert: h.cert, CAKey: h.key, State: h.dir, Topics: topics, FS: vfs.OS{}, Now: h.time})
	must(h.t, err)
}

func (h *hub) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hub) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *hub) Enqueue(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return h.Publish(ctx, topic, qos, retain, payload)
}

func (h *hub) Publish(_ context.Context, topic string, _ byte, _ bool, payload []byte) error {
	if h.request != nil {
		payload = h.request(payload)
	}
	if payload == nil {
		return nil
	}
	must(h.t, refresh(h))
	to, a := h.server.Handle(topic, payload)
	if a == nil {
		return nil
	}
	data, err := enrolwire.Encode(a)
	must(h.t, err)
	if h.answer != nil {
		data = h.answer(data)
	}
	h.mu.Lock()
	f := h.heard[to]
	h.mu.Unlock()
	if f != nil {
		f(fleetwire.Message{Topic: to, Payload: data})
	}
	return nil
}

// refresh makes the server see what the book's other user wrote, as its Run does before each request.
func refresh(h *hub) error { return h.server.Refresh() }

func (h *hub) Subscribe(_ context.Context, filter string, _ byte, f func(fleetwire.Message)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[filter] = f
	return nil
}

func (h *hub) Done() <-chan struct{} { return h.done }

func (h *hub) code(device string) string {
	h.t.Helper()
	code, _, err := h.book.Add(device, "anna", time.Hour, h.time())
	must(h.t, err)
	return code
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	must(t, err)
	return k
}

var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// TestEnrol: a code gives one certificate, whose key was made on the box.
func TestEnrol(t *testing.T) {
	h := newHub(t, start)
	code := h.code("box-17")
	got, err := enrol.Enrol(t.Context(), h, topics, "box-17", strings.ToLower(code), newKey(t))
	must(t, err)
	if got.Leaf.Subject.CommonName != "box-17" || !bytes.Contains(got.CA, []byte("CERTIFICATE")) || got.Leaf.NotAfter.Sub(start) != hubenrol.DefaultLife {
		t.Errorf("%+v", got.Leaf.Subject)
	}
	id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(t.TempDir(), "identity")}
	if _, err := id.Load(); !errors.Is(err, enrol.ErrNone) {
		t.Errorf("a box without identity: %v", err)
	}
	must(t, id.Install(got))
	c, err := id.Load()
	must(t, err)
	if id.Unproven() || !c.Leaf.Equal(got.Leaf) {
		t.Error("the first identity has none before it")
	}
	if _, err := enrol.Enrol(t.Context(), h, topics, "box-17", code, newKey(t)); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("34: a code is used twice: %v", err)
	}
	// A renewal needs no code, but the key of the certificate in force.
	next, err := enrol.Renew(t.Context(), h, topics, c)
	must(t, err)
	must(t, id.Install(next))
	if !id.Unproven() {
		t.Error("the old identity is not kept")
	}
	must(t, h.book.Revoke("box-17", "anna", "stolen", start))
	h.later(time.Minute)
	if _, err := enrol.Renew(t.Context(), h, topics, c); !errors.Is(err, enrol.ErrRefused) || !strings.Contains(err.Error(), enrolwire.Revoked) {
		t.Errorf("a revoked device renews: %v", err)
	}
	var whats []string
	must(t, hubenrol.Entries(vfs.OS{}, h.dir, func(e chainlog.Entry) error {
		var x hubenrol.Event
		must(t, json.Unmarshal(e.Event, &x))
		whats = append(whats, x.What)
		return nil
	}))
	if got := strings.Join(whats, ", "); got != "code made, enrolled, refused, renewed, revoked, renewal refused" {
		t.Errorf("audit: %s", got)
	}
}

// TestLostAnswer: a box that did not hear its certificate asks again, with the key that it kept, and gets the same one, also
// from a hub that was started anew. Another key, a code that is over and a device that was revoked get none.
func TestLostAnswer(t *testing.T) {
	h := newHub(t, start)
	code := h.code("box-17")
	id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(t.TempDir(), "identity")}
	key, err := id.Pending()
	must(t, err)
	h.answer = func([]byte) []byte { return nil }
	ask := func(key *ecdsa.PrivateKey) (*enrol.Issued, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if h.answer != nil { // nothing will come
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
		}
		return enrol.Enrol(ctx, h, topics, "box-17", code, key)
	}
	if _, err := ask(key); !errors.Is(err, enrol.ErrSilent) {
		t.Fatalf("a lost answer: %v", err)
	}
	made := enrolledCert(t, h)
	h.answer = nil
	again, err := id.Pending()
	must(t, err)
	if !again.Equal(key) {
		t.Fatal("the box asks with another key")
	}
	h.reopen()
	got, err := ask(again)
	must(t, err)
	if got.Leaf.SerialNumber.Text(16) != made {
		t.Errorf("another certificate: %s, made was %s", got.Leaf.SerialNumber.Text(16), made)
	}
	if _, err := ask(newKey(t)); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("34: the code is good for another key: %v", err)
	}
	must(t, id.Install(got))
	if next, err := id.Pending(); err != nil || next.Equal(key) {
		t.Errorf("a key that has its certificate is used for another one: %v", err)
	}
	h.later(2 * time.Hour)
	if _, err := ask(key); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("the code is over: %v", err)
	}
	h.later(-2 * time.Hour)
	must(t, h.book.Revoke("box-17", "anna", "stolen", start))
	if _, err := ask(key); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("a revoked device gets its certificate again: %v", err)
	}
}

// enrolledCert is the serial of the one certificate that was made.
func enrolledCert(t *testing.T, h *hub) (serial string) {
	t.Helper()
	must(t, hubenrol.Entries(vfs.OS{}, h.dir, func(e chainlog.Entry) error {
		var x hubenrol.Event
		must(t, json.Unmarshal(e.Event, &x))
		if x.What == "enrolled" {
			if serial != "" {
				t.Errorf("two certificates: %s, %s", serial, x.Serial)
			}
			serial = x.Serial
		}
		return nil
	}))
	return serial
}

// TestHubCrashWhileEnrolling: the hub's power goes after every operation of its disk while it answers; the box asks again
// with its key and code and is enrolled, and no other key ever is.
func TestHubCrashWhileEnrolling(t *testing.T) {
	cert, ca := authority(t, start)
	key := newKey(t)
	open := func(disk *vfs.Mem) *hub {
		h := &hub{t: t, dir: "/enrol", now: start, heard: map[string]func(fleetwire.Message){}, done: make(chan struct{})}
		var err error
		h.server, err = hubenrol.Open(hubenrol.Options{CACert: cert, CAKey: ca, State: h.dir, Topics: topics, FS: disk, Now: h.time})
		must(t, err)
		h.book, err = hubenrol.OpenBook(disk, h.dir)
		must(t, err)
		return h
	}
	waiting := vfs.NewMem()
	code := open(waiting).code("box-17")
	for cut := int64(1); ; cut++ {
		disk := waiting.CrashClone(vfs.CrashOptions{})
		h := open(disk)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		disk.StopAfter(cut)
		_, err := enrol.Enrol(ctx, h, topics, "box-17", code, key)
		whole := !disk.Stopped()
		cancel()
		if whole {
			must(t, err)
			if cut < 10 {
				t.Errorf("only %d operations", cut)
			}
			return
		}
		disk = disk.CrashClone(vfs.CrashOptions{})
		h = open(disk)
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		got, err := enrol.Enrol(ctx, h, topics, "box-17", code, key)
		if err != nil || got.Leaf.Subject.CommonName != "box-17" {
			t.Fatalf("cut after %d operations: %v", cut, err)
		}
		if cut%4 == 0 {
			if _, err := enrol.Enrol(ctx, h, topics, "box-17", code, newKey(t)); !errors.Is(err, enrol.ErrRefused) {
				t.Fatalf("cut after %d operations: a second key: %v", cut, err)
			}
		}
		cancel()
	}
}

// TestAttacks: none of them gets a certificate.
func TestAttacks(t *testing.T) {
	device := func(d string) func([]byte) []byte {
		return func(b []byte) []byte {
			var r enrolwire.Request
			must(t, json.Unmarshal(b, &r))
			r.Device = d
			out, err := json.Marshal(r)
			must(t, err)
			return out
		}
	}
	thief := newHub(t, start)
	var stolen []byte
	thief.request = func(b []byte) []byte { stolen = b; return nil }
	for name, c := range map[string]struct {
		request, answer func([]byte) []byte
		code            string
		wait            time.Duration
		want            error
	}{
		"wrong code":      {code: "0000-0000-0000", want: enrol.ErrRefused},
		"no code at all":  {code: "hello", want: enrolwire.ErrCode},
		"code is over":    {wait: 2 * time.Hour, want: enrol.ErrRefused},
		"another device":  {request: device("box-18"), want: enrol.ErrRefused},
		"31: a/b":         {request: device("a/b"), want: enrol.ErrSilent},
		"31: +":           {request: device("+"), want: enrol.ErrSilent},
		"31: #":           {request: device("#"), want: enrol.ErrSilent},
		"the hub's name":  {request: device("hub"), want: enrol.ErrSilent},
		"a claim's name":  {request: device("enroll"), want: enrol.ErrSilent},
		"garbage":         {request: func([]byte) []byte { return []byte("{") }, want: enrol.ErrSilent},
		"17 KiB":          {request: func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 17<<10)...) }, want: enrol.ErrSilent},
		"forged answer":   {answer: replaced(`"ca":"`, `"ca":"AAAA`), want: enrol.ErrForged},
		"refusal is told": {answer: func([]byte) []byte { return nil }, want: enrol.ErrSilent},
		"another's request": {request: func(b []byte) []byte {
			// The broker puts its own certificate request in the place of the box's.
			var mine, other enrolwire.Request
			must(t, json.Unmarshal(b, &mine))
			must(t, json.Unmarshal(stolen, &other))
			mine.CSR = other.CSR
			out, err := json.Marshal(mine)
			must(t, err)
			return out
		}, want: enrol.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			if stolen == nil {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				_, _ = enrol.Enrol(ctx, thief, topics, "box-17", "1111-1111-1111", newKey(t))
				cancel()
			}
			h := newHub(t, start)
			code := h.code("box-17")
			if c.code != "" {
				code = c.code
			}
			h.later(c.wait)
			h.request, h.answer = c.request, c.answer
			ctx := t.Context()
			if errors.Is(c.want, enrol.ErrSilent) {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			if got, err := enrol.Enrol(ctx, h, topics, "box-17", code, newKey(t)); !errors.Is(err, c.want) || got != nil {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func replaced(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// TestGuessing: five wrong codes make a code void, and requests are limited in rate.
func TestGuessing(t *testing.T) {
	h := newHub(t, start)
	code := h.code("box-17")
	for range hubenrol.MaxTries {
		if _, err := enrol.Enrol(t.Context(), h, topics, "box-17", "0000-0000-0000", newKey(t)); !errors.Is(err, enrol.ErrRefused) {
			t.Fatal(err)
		}
	}
	if _, err := enrol.Enrol(t.Context(), h, topics, "box-17", code, newKey(t)); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("the right code after five wrong ones: %v", err)
	}
	h.later(time.Minute)
	code = h.code("box-17")
	r := []byte(`{"id":"` + enrolwire.NewID() + `","device":"box-99","csr":"AAAA","proof":"AAAA"}`)
	id := string(r[7 : 7+32])
	later := 0
	for range 100 {
		if _, a := h.server.Handle(topics.Request(id), r); a.Reason == enrolwire.Later {
			later++
		}
	}
	if later < 50 {
		t.Errorf("only %d of 100 requests in one moment were put off", later)
	}
	h.later(10 * time.Second)
	if _, err := enrol.Enrol(t.Context(), h, topics, "box-17", code, newKey(t)); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestRenewalOfOthers: a certificate of one device renews nobody else, nor does a key that is not its own.
func TestRenewalOfOthers(t *testing.T) {
	h := newHub(t, start)
	load := func(device string) *enrol.Current {
		got, err := enrol.Enrol(t.Context(), h, topics, device, h.code(device), newKey(t))
		must(t, err)
		id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(t.TempDir(), "identity")}
		must(t, id.Install(got))
		c, err := id.Load()
		must(t, err)
		return c
	}
	a, b := load("box-a"), load("box-b")
	for name, c := range map[string]*enrol.Current{
		"another's key":         {Leaf: a.Leaf, Issuer: a.Issuer, Key: b.Key},
		"another's certificate": {Leaf: b.Leaf, Issuer: a.Issuer, Key: a.Key},
	} {
		if _, err := enrol.Renew(t.Context(), h, topics, c); !errors.Is(err, enrol.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := newHub(t, start) // an authority of its own, in the hub's place: what it answers is not taken
	other.request = h.request
	if _, err := enrol.Renew(t.Context(), other, topics, a); err == nil {
		t.Error("a certificate of another authority is renewed")
	}
	h.later(hubenrol.DefaultLife + time.Hour)
	if _, err := enrol.Renew(t.Context(), h, topics, a); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("a certificate that has ended renews itself: %v", err)
	}
}

// TestManyBoxes: boxes that were enrolled long ago take no room from new ones; open codes and revoked boxes do.
func TestManyBoxes(t *testing.T) {
	h := newHub(t, start)
	codes := map[string]hubenrol.Code{}
	for i := range hubenrol.MaxCodes {
		name := fmt.Sprintf("old-%d", i)
		used := start.Add(-time.Duration(hubenrol.MaxCodes+i) * time.Hour)
		codes[name] = hubenrol.Code{Device: name, By: "anna", Made: used, Expires: used.Add(time.Hour), Used: used}
	}
	write := func() {
		data, err := json.Marshal(codes)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(h.dir, "codes.json"), data, 0o600))
		must(t, h.book.Refresh())
	}
	write()
	_, _, err := h.book.Add("box-17", "anna", time.Hour, start)
	must(t, err)
	oldest := fmt.Sprintf("old-%d", hubenrol.MaxCodes-1)
	if _, there := h.book.Code(oldest); there || len(h.book.Codes()) != hubenrol.MaxCodes {
		t.Errorf("%d are kept, the oldest: %t", len(h.book.Codes()), there)
	}
	for name, c := range codes {
		c.Revoked, c.Barred = start, start
		codes[name] = c
	}
	write()
	if _, _, err := h.book.Add("box-18", "anna", time.Hour, start); !errors.Is(err, hubenrol.ErrFull) {
		t.Errorf("a revoked box was forgotten: %v", err)
	}
}

// TestRevoked: who has the key of a certificate that was revoked does not renew it once the device is enrolled anew, and who has
// one that is good cannot ask without end.
func TestRevoked(t *testing.T) {
	h := newHub(t, start)
	load := func() *enrol.Current {
		got, err := enrol.Enrol(t.Context(), h, topics, "box-17", h.code("box-17"), newKey(t))
		must(t, err)
		id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(t.TempDir(), "identity")}
		must(t, id.Install(got))
		c, err := id.Load()
		must(t, err)
		return c
	}
	stolen := load()
	h.later(time.Minute)
	must(t, h.book.Revoke("box-17", "anna", "stolen", h.time()))
	h.later(time.Minute)
	h.code("box-17") // nobody used it
	h.later(codeLife)
	again := load()
	h.later(hubenrol.DefaultLife / 4)
	h.reopen()
	if _, err := enrol.Renew(t.Context(), h, topics, stolen); !errors.Is(err, enrol.ErrRefused) || !strings.Contains(err.Error(), enrolwire.Revoked) {
		t.Errorf("the stolen certificate renews itself: %v", err)
	}
	h.later(time.Minute)
	if _, err := enrol.Renew(t.Context(), h, topics, again); err != nil {
		t.Errorf("the device does not: %v", err)
	}
	for range 30 {
		if _, err := enrol.Renew(t.Context(), h, topics, again); !errors.Is(err, enrol.ErrRefused) {
			t.Fatalf("it renews twice in a minute: %v", err)
		}
	}
	_, err := enrol.Enrol(t.Context(), h, topics, "box-18", h.code("box-18"), newKey(t))
	if err != nil {
		t.Errorf("a device that asks too often leaves no room for others: %v", err)
	}
}

// codeLife is longer than a code lives.
const codeLife = 2 * time.Hour

// TestRenewal: at two thirds of its life a certificate is renewed, the old one stays until the broker has taken the new
// one, and comes back where it does not.
func TestRenewal(t *testing.T) {
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, time.Now())
			got, err := enrol.Enrol(t.Context(), h, topics, "box-17", h.code("box-17"), newKey(t))
			must(t, err)
			id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(t.TempDir(), "identity")}
			must(t, id.Install(got))
			var told atomic.Bool
			var said []string
			reconnects := 0
			r := &enrol.Renewal{Identity: id, Topics: topics, Now: func() (time.Time, bool) { return h.time(), told.Load() },
				Reconnect: func() { reconnects++ }, Fine: func() { said = append(said, "fine") },
				Failed: func(back bool, text string) { said = append(said, text) }, Log: slog.New(slog.DiscardHandler)}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			defer func() { cancel(); must(t, <-done) }()
			r.Connected(h)
			wait := func(d time.Duration) {
				h.later(d)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
			}
			serial := func() string {
				c, err := id.Load()
				must(t, err)
				return c.Leaf.SerialNumber.Text(16)
			}
			first := serial()
			told.Store(true)
			wait(hubenrol.DefaultLife / 2)
			if serial() != first {
				t.Fatal("renewed at half of its life")
			}
			told.Store(false)
			h.later(hubenrol.DefaultLife) // of a clock that nobody has set, and that is beyond the certificate
			wait(0)
			h.later(-hubenrol.DefaultLife)
			if serial() != first {
				t.Fatal("renewed by a clock that nobody has set")
			}
			told.Store(!refused) // within the certificate's life it counts all the same
			wait(hubenrol.DefaultLife / 4)
			if serial() == first || !id.Unproven() || reconnects != 1 {
				t.Fatalf("not renewed: unproven %t, reconnects %d, %v", id.Unproven(), reconnects, said)
			}
			second := serial()
			if !refused {
				r.Connected(h)
				wait(0)
				if id.Unproven() || serial() != second || len(said) != 1 || said[0] != "fine" {
					t.Errorf("taken by the broker: unproven %t, %v", id.Unproven(), said)
				}
				return
			}
			for range 5 {
				r.Refused()
				wait(0)
			}
			if serial() != first || id.Unproven() || len(said) != 1 || !strings.Contains(said[0], "the old one is in force again") {
				t.Errorf("refused by the broker: %v", said)
			}
			r.Connected(h)
			wait(0)
			if serial() != first {
				t.Error("tried again at once")
			}
			h.later(25 * time.Hour)
			time.Sleep(25 * time.Hour)
			synctest.Wait()
			if serial() == first {
				t.Error("not tried again after a day")
			}
		})
	}
}

// TestIdentityPowerCuts: a cut at any operation of a change leaves an identity that is whole: the old or the new one.
func TestIdentityPowerCuts(t *testing.T) {
	h := newHub(t, start)
	var got []*enrol.Issued
	for _, d := range []string{"box-a", "box-b"} {
		x, err := enrol.Enrol(t.Context(), h, topics, d, h.code(d), newKey(t))
		must(t, err)
		got = append(got, x)
	}
	for stop := int64(1); ; stop++ {
		for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepRandom, vfs.KeepAll} {
			fs := vfs.NewMem()
			id := enrol.Identity{FS: fs, Dir: "identity"}
			must(t, id.Install(got[0]))
			fs.StopAfter(stop)
			err := id.Install(got[1])
			if err == nil {
				err = id.Proven()
			}
			over := err == nil
			id.FS = fs.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(1, uint64(stop)))})
			c, err := id.Load()
			if err != nil {
				t.Fatalf("cut after %d, keep %v: %v", stop, keep, err)
			}
			if over && c.Leaf.Subject.CommonName != "box-b" {
				t.Fatalf("cut after %d: the new identity is lost", stop)
			}
			must(t, id.Install(got[1]))
			must(t, id.Proven())
			if over && keep == vfs.KeepAll {
				return
			}
		}
	}
}

// TestFloor: a box whose clock stands at 1970 takes the newest beginning of its certificates for the time.
func TestFloor(t *testing.T) {
	cert, _ := authority(t, start)
	if got := enrol.Floor(time.Unix(0, 0), cert, "/no/such/file"); !got.Equal(start.Add(-24 * time.Hour)) {
		t.Errorf("%v", got)
	}
	if got := enrol.Floor(start.Add(time.Hour), cert); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("%v", got)
	}
}

// TestRights: who may use which topic, as the broker's rules ask.
func TestRights(t *testing.T) {
	id := enrolwire.NewID()
	for _, c := range []struct {
		name, topic string
		write, want bool
	}{
		{"enroll", topics.Request(id), true, true}, {"enroll", topics.Answer("+"), false, true}, {"enroll", topics.Answer(id), true, false},
		{"enroll", topics.Request("+"), false, false}, {"enroll", topics.Renew("box-1"), true, false}, {"enroll", topics.Data("box-1", "telemetry"), true, false},
		{"box-1", topics.Renew("box-1"), true, true}, {"box-1", topics.Renewed("box-1"), false, true}, {"box-1", topics.Renewed("box-1"), true, false},
		{"box-1", topics.Renew("box-2"), true, false}, {"box-1", topics.Request(id), true, false}, {"box-1", topics.Answer("+"), false, false},
	} {
		if got := topics.May(c.name, c.topic, c.write); got != c.want {
			t.Errorf("%s, %s, write %t: %t", c.name, c.topic, c.write, got)
		}
	}
}
