package trust

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Signature is one signature over bytes that are no metadata themselves, as a command.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"` // hex
}

// maxSignatures bounds what is looked at.
const maxSignatures = 16

// Vouches holds bytes against a role that the top-level targets delegate to: as many different keys of it as its
// threshold says must have signed them. Errors are *Error.
func (v *View) Vouches(role string, data []byte, signatures []Signature) error {
	refuse := func(format string, args ...any) error {
		return &Error{BadSignature, role, fmt.Errorf(format, args...)}
	}
	top := v.targets[metadata.TARGETS]
	if top == nil || top.Signed.Delegations == nil {
		return refuse("the fleet's metadata delegates to nobody")
	}
	for _, d := range top.Signed.Delegations.Roles {
		if d.Name != role {
			continue
		}
		good := map[string]bool{}
		for _, s := range signatures[:min(len(signatures), maxSignatures)] {
			key := top.Signed.Delegations.Keys[s.KeyID]
			if key == nil || !slices.Contains(d.KeyIDs, s.KeyID) {
				continue
			}
			public, err := key.ToPublicKey()
			if err != nil {
				continue
			}
			pub, ok := public.(ed25519.PublicKey)
			sig, err := hex.DecodeString(s.Sig)
			if ok && err == nil && len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, data, sig) {
				good[string(pub)] = true // a key that is listed twice counts once
			}
		}
		if d.Threshold < 1 || len(good) < d.Threshold {
			return refuse("%d of %d signatures are right", len(good), max(d.Threshold, 1))
		}
		return nil
	}
	return refuse("the fleet's metadata has no such role")
}
