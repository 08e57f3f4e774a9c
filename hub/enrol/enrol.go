// Package enrol gives boxes their certificates: a new box for a one-time code that an operator made here, and every box
// a new certificate before the old one ends. It holds the key of the certificate authority of devices, and writes every
// decision to a chained log before it answers.
package enrol

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"time"

	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// Bounds.
const (
	MaxCodes     = 10_000
	MaxTries     = 5 // of one code before it is void
	DefaultLife  = 90 * 24 * time.Hour
	DefaultCode  = 24 * time.Hour // life of a code
	MaxCode      = 30 * 24 * time.Hour
	maxPerSecond = 20          // requests; what is beyond is answered with Later
	renewEvery   = time.Minute // requests of one device; boxes ask every ten minutes at most
	maxNotes     = 60          // refusals noted at once; then one a second
	backdate     = time.Hour
	maxWaiting   = 256 // requests
	auditName    = "enrol"
	codesName    = "codes"
	redial       = 5 * time.Second
)

// Options of a Server.
type Options struct {
	CACert, CAKey string        // PEM files of the authority that signs devices
	BrokerCA      string        // PEM file that devices hold the broker against; "" takes CACert
	State         string        // directory of codes and audit log
	Life          time.Duration // of certificates; 0: DefaultLife
	Topics        enrolwire.Topics
	FS            vfs.FS
	Log           *slog.Logger
	Now           func() time.Time
	// Dial connects to the broker.
	Dial func(context.Context) (fleetwire.Link, func() error, error)
}

// Server answers requests. Handle is for one goroutine at a time; Run is called once.
type Server struct {
	o      Options
	ca     *x509.Certificate
	key    crypto.Signer
	broker []byte
	book   *Book
	budget float64
	filled time.Time
	// when devices asked for a renewal last
	renewals map[string]time.Time
	// of the audit log's entries about refusals
	notes   float64
	noted   time.Time
	unnoted int
}

// Open reads the authority's files and the book of codes.
func Open(o Options) (*Server, error) {
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, renewals: map[string]time.Time{}, budget: maxPerSecond, filled: o.Now(), notes: maxNotes, noted: o.Now()}
	var err error
	if s.ca, s.key, err = authority(o.CACert, o.CAKey); err != nil {
		return nil, err
	}
	if o.BrokerCA == "" {
		o.BrokerCA = o.CACert
	}
	if s.broker, err = os.ReadFile(o.BrokerCA); err != nil {
		return nil, fmt.Errorf("read the broker's authority: %w", err)
	}
	s.book, err = OpenBook(o.FS, o.State)
	return s, err
}

// Close closes the book.
func (s *Server) Close() error { return s.book.Close() }

func authority(certFile, keyFile string) (*x509.Certificate, crypto.Signer, error) {
	read := func(file string) ([]byte, error) {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read authority: %w", err)
		}
		b, _ := pem.Decode(data)
		if b == nil {
			return nil, fmt.Errorf("read authority: %s is not PEM", file)
		}
		return b.Bytes, nil
	}
	der, err := read(certFile)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("read authority %s: %w", certFile, err)
	}
	if der, err = read(keyFile); err != nil {
		return nil, nil, err
	}
	var key any
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, nil, fmt.Errorf("read authority: %s holds no private key: %w", keyFile, err)
	}
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !cert.IsCA || !ok || !pub.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("read authority: %s and %s are no authority's certificate and its key", certFile, keyFile)
	}
	return cert, signer, nil
}

// Handle answers one request that came on a topic. A nil answer says nothing: what cannot be read has nobody to answer.
func (s *Server) Handle(topic string, payload []byte) (to string, a *enrolwire.Answer) {
	who, id, request, ok := s.o.Topics.Parse(topic)
	if !ok || !request {
		return "", nil
	}
	r, err := enrolwire.Decode[enrolwire.Request](payload)
	if err != nil || who == enrolwire.ClaimName && r.ID != id || who != enrolwire.ClaimName && r.Device != who {
		s.o.Log.Debug("request of enrolment dropped", "topic", topic, "err", err)
		return "", nil
	}
	to = s.o.Topics.Answer(r.ID)
	if who != enrolwire.ClaimName {
		to = s.o.Topics.Renewed(who)
	}
	if who != enrolwire.ClaimName && !s.mayRenew(who) || !s.admit() {
		return to, &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Later}
	}
	if who == enrolwire.ClaimName {
		return to, s.enrol(r)
	}
	return to, s.renew(r)
}

// mayRenew bounds the requests of one device: whoever holds a certificate could fill the audit log, and leave no room for others.
func (s *Server) mayRenew(device string) bool {
	now := s.o.Now()
	if len(s.renewals) >= MaxCodes {
		maps.DeleteFunc(s.renewals, func(_ string, at time.Time) bool { return now.Sub(at).Abs() >= renewEvery })
	}
	if at, ok := s.renewals[device]; ok && now.Sub(at).Abs() < renewEvery || !ok && len(s.renewals) >= MaxCodes {
		return false
	}
	s.renewals[device] = now
	return true
}

// admit bounds the rate of requests.
func (s *Server) admit() bool {
	now := s.o.Now()
	s.budget = min(s.budget+now.Sub(s.filled).Seconds()*maxPerSecond, maxPerSecond)
	s.filled = now
	if s.budget < 1 {
		return false
	}
	s.budget--
	return true
}

// enrol answers a new box.
func (s *Server) enrol(r *enrolwire.Request) *enrolwire.Answer {
	refuse := func(why string) *enrolwire.Answer {
		s.refused(Event{What: "refused", Device: r.Device, Why: why})
		return &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Refused}
	}
	code, known := s.book.Code(r.Device)
	// The answer does not tell which devices are expected, nor does the comparison.
	fits := hmac.Equal(enrolwire.Proof(code.Key, r.Covered()), r.Proof)
	now := s.o.Now()
	switch {
	case !known:
		return refuse("no code was made for it")
	case !code.Revoked.IsZero():
		return refuse("it was revoked")
	case now.After(code.Expires):
		return refuse("its code is over")
	case code.Tries >= MaxTries:
		return refuse("too many wrong codes: make a new one")
	case !fits:
		if err := s.book.Tried(r.Device); err != nil {
			s.o.Log.Error("a wrong code could not be counted", "device", r.Device, "err", err)
			return &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Later}
		}
		return refuse("wrong code")
	}
	csr, err := request(r)
	if err != nil {
		return refuse(err.Error())
	}
	key := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	if !code.Used.IsZero() && !bytes.Equal(code.For, key[:]) {
		return refuse("its code was used with another key")
	}
	a := s.once(r, csr, code, key[:])
	if a.Reason == "" {
		a.CA = s.broker
	}
	a.Proof = enrolwire.Proof(code.Key, a.Covered())
	return a
}

// once answers with the one certificate that a code is good for. The code is bound to a key before the certificate
// exists, and the certificate is kept before it is given away: a box whose answer was lost, or a hub that crashed between
// any two of these, ends with one key and the same certificate.
func (s *Server) once(r *enrolwire.Request, csr *x509.CertificateRequest, code Code, key []byte) *enrolwire.Answer {
	later := &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Later}
	if code.Used.IsZero() {
		if err := s.book.Use(r.Device, key, s.o.Now()); err != nil {
			s.o.Log.Error("a code could not be used up", "device", r.Device, "err", err)
			return later
		}
	}
	if old, err := x509.ParseCertificate(code.Cert); err == nil && old.CheckSignatureFrom(s.ca) == nil {
		if s.audit(Event{What: "answered again", Device: r.Device, Serial: old.SerialNumber.Text(16), Ends: old.NotAfter.UTC()}) != nil {
			return later
		}
		return &enrolwire.Answer{ID: r.ID, Chain: [][]byte{old.Raw, s.ca.Raw}}
	}
	a := s.issue(r, csr)
	if a.Reason != "" {
		return a
	}
	if err := s.book.Issued(r.Device, a.Chain[0]); err != nil {
		s.o.Log.Error("a certificate could not be kept", "device", r.Device, "err", err)
		return later
	}
	return a
}

// renew answers a device that has a certificate.
func (s *Server) renew(r *enrolwire.Request) *enrolwire.Answer {
	refuse := func(reason, why string) *enrolwire.Answer {
		s.refused(Event{What: "renewal refused", Device: r.Device, Why: why})
		return &enrolwire.Answer{ID: r.ID, Reason: reason}
	}
	old, err := x509.ParseCertificate(r.Cert)
	if err != nil {
		return refuse(enrolwire.Bad, "its certificate cannot be read")
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.ca)
	if _, err := old.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: s.o.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return refuse(enrolwire.Bad, "its certificate: "+err.Error())
	}
	if old.Subject.CommonName != r.Device {
		return refuse(enrolwire.Bad, "its certificate is that of "+old.Subject.CommonName)
	}
	if !signedBy(old, r.Covered(), r.Proof) {
		return refuse(enrolwire.Bad, "not signed with the key of its certificate")
	}
	if s.book.Revoked(r.Device, old.NotBefore) {
		return refuse(enrolwire.Revoked, "the device was revoked")
	}
	csr, err := request(r)
	if err != nil {
		return refuse(enrolwire.Bad, err.Error())
	}
	return s.issue(r, csr)
}

func signedBy(cert *x509.Certificate, covered, signature []byte) bool {
	sum := sha256.Sum256(covered)
	switch pub := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, sum[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, covered, signature)
	}
	return false
}

// request reads a certificate request: its own signature must hold, it asks for the device and nothing else counts.
func request(r *enrolwire.Request) (*x509.CertificateRequest, error) {
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return nil, fmt.Errorf("its request cannot be read: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("its request is not signed with its key: %w", err)
	}
	// Decode has refused names with / + # and the names of hub and claims.
	if csr.Subject.CommonName != r.Device || !wire.ValidDevice(csr.Subject.CommonName) {
		return nil, fmt.Errorf("its request is for %q", csr.Subject.CommonName)
	}
	switch pub := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() && pub.Curve != elliptic.P384() {
			return nil, errors.New("its key is of a curve that is not taken")
		}
	case ed25519.PublicKey:
	default:
		return nil, errors.New("its key is not of a kind that is taken: P-256, P-384 or Ed25519")
	}
	return csr, nil
}

// issue makes the certificate and notes it before it is given away.
func (s *Server) issue(r *enrolwire.Request, csr *x509.CertificateRequest) *enrolwire.Answer {
	now := s.o.Now()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Later}
	}
	ends := now.Add(s.o.Life)
	if ends.After(s.ca.NotAfter) {
		ends = s.ca.NotAfter
	}
	from := now.Add(-min(backdate, s.o.Life/10))
	if barred := s.book.Barred(r.Device); from.Before(barred) {
		from = barred
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: r.Device}, NotBefore: from, NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, t, s.ca, csr.PublicKey, s.key)
	if err != nil {
		s.o.Log.Error("a certificate could not be made", "device", r.Device, "err", err)
		return &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Later}
	}
	what := "enrolled"
	if len(r.Cert) > 0 {
		what = "renewed"
	}
	if err := s.audit(Event{What: what, Device: r.Device, Serial: serial.Text(16), Ends: ends.UTC()}); err != nil {
		return &enrolwire.Answer{ID: r.ID, Reason: enrolwire.Later}
	}
	s.o.Log.Info(what, "device", r.Device, "serial", serial.Text(16), "ends", ends.UTC())
	return &enrolwire.Answer{ID: r.ID, Chain: [][]byte{der, s.ca.Raw}}
}

// refused notes a refusal. Whoever holds a claim certificate can cause them: above one a second they are counted, so that
// nobody fills the disk.
func (s *Server) refused(e Event) {
	now := s.o.Now()
	s.notes = min(s.notes+now.Sub(s.noted).Seconds(), maxNotes)
	s.noted = now
	if s.notes < 1 {
		s.unnoted++
		return
	}
	s.notes--
	e.Unnoted, s.unnoted = s.unnoted, 0
	if s.audit(e) == nil {
		s.o.Log.Warn(e.What, "device", e.Device, "why", e.Why)
	}
}

func (s *Server) audit(e Event) error {
	err := s.book.Note(e, s.o.Now())
	if err != nil {
		s.o.Log.Error("the audit log takes no entry: nothing is issued", "err", err)
	}
	return err
}

// Run answers until ctx ends; a connection that is lost is made anew.
func (s *Server) Run(ctx context.Context) error {
	for {
		if err := s.serve(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("enrolment is not connected; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(redial):
		}
	}
}

func (s *Server) serve(ctx context.Context) error {
	link, hangUp, err := s.o.Dial(ctx)
	if err != nil {
		return err
	}
	defer hangUp() //nolint:errcheck // the connection is over
	asked := make(chan fleetwire.Message, maxWaiting)
	for _, filter := range []string{s.o.Topics.Request("+"), s.o.Topics.Renew("+")} {
		if err := link.Subscribe(ctx, filter, 1, func(m fleetwire.Message) {
			if m.Retained {
				return // nobody asks by a retained message
			}
			select {
			case asked <- m:
			default: // more than is answered: the box asks again
			}
		}); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-link.Done():
			return errors.New("the connection is over")
		case m := <-asked:
			if err := s.book.Refresh(); err != nil {
				s.o.Log.Error("the book of codes cannot be read", "err", err)
				continue
			}
			to, a := s.Handle(m.Topic, m.Payload)
			if a == nil {
				continue
			}
			data, err := enrolwire.Encode(a)
			if err != nil {
				s.o.Log.Error("answer of enrolment", "err", err)
				continue
			}
			if err := link.Publish(ctx, to, 1, false, data); err != nil {
				return err
			}
		}
	}
}

// Entries reads the audit log.
func Entries(fs vfs.FS, dir string, each func(chainlog.Entry) error) error {
	return chainlog.Read(fs, dir, auditName, each)
}

// Refresh reads what an operator may have changed; Run does it before each request.
func (s *Server) Refresh() error { return s.book.Refresh() }
