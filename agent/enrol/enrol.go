// Package enrol is a box's side of getting its certificate, and the next one before it ends. The private key is made on
// the box and never leaves it. Certificate and key change together, by one link, and the old ones are kept until the
// broker has taken the new ones.
//
// A clock that nobody has set is no reason to fail: a certificate proves that it is not earlier than its own beginning.
package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/edgelog/edgelog/internal/enrolwire"
	"github.com/edgelog/edgelog/internal/fleetwire"
)

const (
	answerLimit = time.Minute
	// A renewal is due between two thirds of the life and jitterPart of it later, so that a fleet that was enrolled in
	// one day does not renew in one minute.
	jitterPart = 20
)

// Errors.
var (
	ErrRefused = errors.New("the hub refused")
	ErrSilent  = errors.New("the hub does not answer")
	ErrForged  = errors.New("the answer was not made by who knows the code")
	ErrOther   = errors.New("the certificate is not the one that was asked for")
)

// Issued is what a box got.
type Issued struct {
	Cert, Key, CA []byte // PEM; CA is empty after a renewal
	Leaf          *x509.Certificate
}

// pending is a request under way.
type pending struct {
	key *ecdsa.PrivateKey
	r   *enrolwire.Request
}

// newKey makes a key.
func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

// begin makes a certificate request.
func begin(device string, key *ecdsa.PrivateKey) (*pending, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: device}}, key)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return &pending{key, &enrolwire.Request{ID: enrolwire.NewID(), Device: device, CSR: csr}}, nil
}

// Enrol asks for the first certificate, for key, over a connection that was made with a claim certificate. Where the
// answer is lost (ErrSilent), the same key gets the same certificate with the same code: see Identity.Pending.
func Enrol(ctx context.Context, link fleetwire.Link, topics enrolwire.Topics, device, code string, key *ecdsa.PrivateKey) (*Issued, error) {
	secret, err := enrolwire.Key(code, device)
	if err != nil {
		return nil, err
	}
	p, err := begin(device, key)
	if err != nil {
		return nil, err
	}
	p.r.Proof = enrolwire.Proof(secret, p.r.Covered())
	a, err := ask(ctx, link, topics.Request(p.r.ID), topics.Answer(p.r.ID), p.r)
	if err != nil {
		return nil, err
	}
	if a.Reason == enrolwire.Refused && len(a.Proof) == 0 { // nobody can prove what nobody has agreed on
		return nil, fmt.Errorf("%w: the code does not fit %s, was used, or is over; ask for a new one (edge-hub enrol add %s)", ErrRefused, device, device)
	}
	if a.Reason == enrolwire.Later {
		return nil, fmt.Errorf("%w for now: too many ask; try again in a minute with the same code", ErrRefused)
	}
	if !hmac.Equal(enrolwire.Proof(secret, a.Covered()), a.Proof) {
		return nil, ErrForged
	}
	return p.take(a)
}

// Renew asks for the next certificate with the one in force.
func Renew(ctx context.Context, link fleetwire.Link, topics enrolwire.Topics, now *Current) (*Issued, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	p, err := begin(now.Leaf.Subject.CommonName, key)
	if err != nil {
		return nil, err
	}
	p.r.Cert = now.Leaf.Raw
	sum := sha256.Sum256(p.r.Covered())
	if p.r.Proof, err = ecdsa.SignASN1(rand.Reader, now.Key, sum[:]); err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	a, err := ask(ctx, link, topics.Renew(p.r.Device), topics.Renewed(p.r.Device), p.r)
	if err != nil {
		return nil, err
	}
	got, err := p.take(a)
	if err != nil {
		return nil, err
	}
	// Who signed the last one signs the next one: nobody else can slip a certificate in.
	if err := got.Leaf.CheckSignatureFrom(now.Issuer); err != nil {
		return nil, fmt.Errorf("%w: it is not signed by %s as the one in force is: %w", ErrOther, now.Issuer.Subject, err)
	}
	return got, nil
}

// ask sends a request and waits for its answer.
func ask(ctx context.Context, link fleetwire.Link, to, from string, r *enrolwire.Request) (*enrolwire.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	answers := make(chan *enrolwire.Answer, 1)
	err := link.Subscribe(ctx, from, 1, func(m fleetwire.Message) {
		a, err := enrolwire.Decode[enrolwire.Answer](m.Payload)
		if err != nil || a.ID != r.ID || m.Retained {
			return // of an earlier request, or of nobody
		}
		select {
		case answers <- a:
		default:
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listen for the answer: %w", err)
	}
	data, err := enrolwire.Encode(r)
	if err == nil {
		err = link.Publish(ctx, to, 1, false, data)
	}
	if err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	select {
	case a := <-answers:
		return a, nil
	case <-link.Done():
		return nil, fmt.Errorf("%w: the connection broke", ErrSilent)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w within %v; does one hub have an enrol block? The same code can be tried again from here", ErrSilent, answerLimit)
	}
}

// take holds an answer against what was asked for.
func (p *pending) take(a *enrolwire.Answer) (*Issued, error) {
	if a.Reason != "" {
		return nil, fmt.Errorf("%w: %s", ErrRefused, a.Reason)
	}
	leaf, err := x509.ParseCertificate(a.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOther, err)
	}
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(&p.key.PublicKey) || leaf.Subject.CommonName != p.r.Device ||
		!leaf.NotAfter.After(leaf.NotBefore) {
		return nil, fmt.Errorf("%w: it is for %s", ErrOther, leaf.Subject.CommonName)
	}
	if len(a.Chain) < 2 {
		return nil, fmt.Errorf("%w: its authority is missing", ErrOther)
	}
	issuer, err := x509.ParseCertificate(a.Chain[1])
	if err == nil {
		err = leaf.CheckSignatureFrom(issuer)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOther, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	out := &Issued{Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), CA: a.CA, Leaf: leaf}
	for _, c := range a.Chain {
		out.Cert = append(out.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return out, nil
}

// due is when the certificate is to be renewed: after two thirds of its life, and a part of it that depends on the
// certificate alone.
func due(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	sum := sha256.Sum256(cert.Raw)
	jitter := time.Duration(float64(life/jitterPart) * float64(binary.LittleEndian.Uint32(sum[:])) / (1 << 32))
	return cert.NotBefore.Add(life*2/3 + jitter)
}

// Floor is the time that a box may assume at least: what its clock says, or the beginning of the newest of the
// certificates, which was in the past when they were given to it. Files that cannot be read do not count.
func Floor(clock time.Time, files ...string) time.Time {
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
			if c, err := x509.ParseCertificate(b.Bytes); err == nil && c.NotBefore.After(clock) {
				clock = c.NotBefore
			}
		}
	}
	return clock
}
