// Package enrolwire is what a box and a hub say to each other to give the box its certificate, and a new one in time.
//
// A new box connects with a claim certificate, which many boxes share and which may do nothing but enrol. The person at
// the box types a one-time code that an operator got from the hub. The code never leaves the box, nor does the private
// key: the request carries a certificate request and a proof, made with a key derived from the code, that covers both
// the request and the device's name. The answer carries a proof made with the same key: who does not know the code can
// neither take a box's place nor hand it a certificate.
//
// A renewal needs no code: it is signed with the key of the certificate that is in force.
package enrolwire

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/edgelog/edgelog/internal/wire"
)

// ClaimName is the common name of claim certificates. No device can have it.
const ClaimName = "enroll"

// Bounds.
const (
	MaxMessageBytes = 16 << 10
	MaxChain        = 4 // certificates of an answer
	idBytes         = 16
	codeLetters     = 12 // 60 bits
	iterations      = 200_000
)

// Errors.
var (
	ErrMessage = errors.New("not a message of enrolment")
	ErrCode    = errors.New("not a one-time code: it has 12 letters and digits, as ABCD-EFGH-JKMN")
)

// Topics names the topics under a prefix.
type Topics struct{ wire.Topics }

func (t Topics) claim(rest string) string {
	return strings.TrimSuffix(t.Hub(), "hub") + ClaimName + "/" + rest
}

// Request is where a box with a claim certificate asks; Answer is where it hears.
func (t Topics) Request(id string) string { return t.claim("req/" + id) }

// Answer is where the answer to request id comes.
func (t Topics) Answer(id string) string { return t.claim("res/" + id) }

// Renew is where a device asks for its next certificate; Renewed is where it comes.
func (t Topics) Renew(device string) string {
	return strings.TrimSuffix(t.State(device), "/s") + "/cert/req"
}

// Renewed is where the next certificate of a device comes.
func (t Topics) Renewed(device string) string {
	return strings.TrimSuffix(t.State(device), "/s") + "/cert/res"
}

// Parse reads a topic: whose it is (ClaimName for a claim), which request's, and whether it is a request.
func (t Topics) Parse(topic string) (who, id string, request, ok bool) {
	rest, ok := strings.CutPrefix(topic, strings.TrimSuffix(t.Hub(), "hub"))
	if !ok {
		return "", "", false, false
	}
	who, rest, _ = strings.Cut(rest, "/")
	if who == ClaimName {
		kind, id, _ := strings.Cut(rest, "/")
		return who, id, kind == "req", (kind == "req" || kind == "res") && (id == "+" || validID(id))
	}
	return who, "", rest == "cert/req", wire.ValidDevice(who) && (rest == "cert/req" || rest == "cert/res")
}

// May tells whether a client of that common name may write, or else read, a topic; filters are topics, too.
func (t Topics) May(name, topic string, write bool) bool {
	who, id, request, ok := t.Parse(topic)
	return ok && who == name && request == write && !(write && id == "+")
}

// Request asks for a certificate.
type Request struct {
	ID     string `json:"id"`
	Device string `json:"device"`
	CSR    []byte `json:"csr"` // DER
	// Proof is, of an enrolment, HMAC-SHA-256 with the code's key over what Covered gives; of a renewal a signature with
	// the key of Cert.
	Proof []byte `json:"proof"`
	Cert  []byte `json:"cert,omitempty"` // DER; of a renewal
}

// Answer is a certificate or the reason why there is none.
type Answer struct {
	ID     string   `json:"id"`
	Chain  [][]byte `json:"chain,omitempty"` // DER; the device's own first
	CA     []byte   `json:"ca,omitempty"`    // PEM; what the broker's certificate is to be held against
	Reason string   `json:"reason,omitempty"`
	// Proof is HMAC-SHA-256 with the code's key over what Covered gives; of a renewal it is empty: the certificate is
	// held against the authority of the one in force.
	Proof []byte `json:"proof,omitempty"`
}

// Reasons of a refusal. Whether a code was wrong, used, over or never given is not told.
const (
	Refused = "refused" // the code does not fit
	Later   = "later"   // too many attempts; try again in a minute
	Bad     = "bad"     // the request is not one
	Revoked = "revoked" // the device may not renew
)

// Covered is what the proof of a request covers.
func (r *Request) Covered() []byte {
	return framed("edgelog enrolment request", []byte(r.ID), []byte(r.Device), r.CSR, r.Cert)
}

// Covered is what the proof of an answer covers.
func (a *Answer) Covered() []byte {
	return framed("edgelog enrolment answer", append([][]byte{[]byte(a.ID), []byte(a.Reason), a.CA}, a.Chain...)...)
}

// framed joins parts so that no two lists of parts give the same bytes.
func framed(what string, parts ...[]byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%d\n", what, len(parts))
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:", len(p))
		b.Write(p)
	}
	return b.Bytes()
}

// Proof is the HMAC over what a message covers.
func Proof(key, covered []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(covered)
	return m.Sum(nil)
}

// alphabet has no I, L, O and U, which people take for others.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewCode is a one-time code as people type it.
func NewCode() string {
	var b [codeLetters]byte
	rand.Read(b[:]) // never fails
	var out strings.Builder
	for i, x := range b {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(alphabet[x%32])
	}
	return out.String()
}

// Key is the key that a code gives for a device. Letters may be small, I and L count as 1, O as 0.
func Key(code, device string) ([]byte, error) {
	var letters []byte
	for _, c := range strings.ToUpper(code) {
		switch c {
		case '-', ' ':
			continue
		case 'I', 'L':
			c = '1'
		case 'O':
			c = '0'
		}
		if !strings.ContainsRune(alphabet, c) {
			return nil, ErrCode
		}
		letters = append(letters, byte(c))
	}
	if len(letters) != codeLetters {
		return nil, ErrCode
	}
	return pbkdf2.Key(sha256.New, string(letters), []byte("edgelog enrolment\n"+device), iterations, sha256.Size)
}

// NewID is the id of a request.
func NewID() string {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// validID tells whether s can be one.
func validID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == idBytes && strings.ToLower(s) == s
}

// Decode reads a message strictly. Errors wrap ErrMessage.
func Decode[T Request | Answer](data []byte) (*T, error) {
	if len(data) > MaxMessageBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMessage, len(data), MaxMessageBytes)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var m T
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: more stands behind it", ErrMessage)
	}
	switch m := any(&m).(type) {
	case *Request:
		if !validID(m.ID) || !wire.ValidDevice(m.Device) || len(m.CSR) == 0 || len(m.Proof) == 0 {
			return nil, fmt.Errorf("%w: id %q, device %q", ErrMessage, m.ID, m.Device)
		}
	case *Answer:
		if !validID(m.ID) || len(m.Chain) > MaxChain || (len(m.Chain) == 0) == (m.Reason == "") {
			return nil, fmt.Errorf("%w: id %q, %d certificates, reason %q", ErrMessage, m.ID, len(m.Chain), m.Reason)
		}
	}
	return &m, nil
}

// Encode is a message's bytes.
func Encode[T Request | Answer](m *T) ([]byte, error) {
	data, err := json.Marshal(m)
	if err == nil && len(data) > MaxMessageBytes {
		err = fmt.Errorf("%d bytes, at most %d", len(data), MaxMessageBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("encode message of enrolment: %w", err)
	}
	return data, nil
}
