package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

const cookieName = "edgelog"

// keys are made of the token, so that another token ends every login, and a restart of the agent none.
type keys struct {
	token [sha256.Size]byte // its hash: what is compared has one length
	sign  []byte
}

func newKeys(token string) *keys {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("edgelog page login 1"))
	return &keys{token: sha256.Sum256([]byte(token)), sign: m.Sum(nil)}
}

// is compares in constant time.
func (k *keys) is(token string) bool {
	got := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], k.token[:]) == 1
}

// ticket is the value of the cookie: until when it is good, signed. The token itself is not in it.
func (k *keys) ticket(until time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, k.mac(b)...))
}

func (k *keys) mac(b []byte) []byte {
	m := hmac.New(sha256.New, k.sign)
	m.Write(b)
	return m.Sum(nil)
}

// until reads a ticket; not ok if it is not ours.
func (k *keys) until(ticket string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.DecodeString(ticket)
	if err != nil || len(b) != 8+sha256.Size || !hmac.Equal(b[8:], k.mac(b[:8])) {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), true
}

// knows reports whether a request may read: with the token in its header, or a ticket of a login.
func (g *guard) knows(r *http.Request) bool {
	if g.keys == nil {
		return true
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		ok := g.keys.is(token)
		if !ok {
			hold(r)
		}
		return ok
	}
	until, ok := g.ticketOf(r)
	return ok && time.Now().Before(until)
}

// hold lets who sent a wrong token wait for the answer, by whichever way it came: one address has few connections, and so
// few guesses.
func hold(r *http.Request) {
	select {
	case <-time.After(wrongTokenWait):
	case <-r.Context().Done():
	}
}

func (g *guard) ticketOf(r *http.Request) (time.Time, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return time.Time{}, false
	}
	return g.keys.until(c.Value)
}

func (g *guard) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: g.tls, SameSite: http.SameSiteStrictMode}
}

func (g *guard) giveTicket(w http.ResponseWriter) {
	http.SetCookie(w, g.cookie(g.keys.ticket(time.Now().Add(loginLife)), int(loginLife/time.Second)))
}

// renew gives who comes often another ticket before the old one ends.
func (g *guard) renew(w http.ResponseWriter, r *http.Request) {
	if until, ok := g.ticketOf(r); ok && time.Until(until) < loginLife/2 {
		g.giveTicket(w)
	}
}

func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	if g.keys == nil || r.Method != http.MethodPost {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if r.ParseForm() != nil || len(r.PostForm) == 0 {
		loginPage(w, http.StatusBadRequest, "The form did not arrive whole. Try again.")
		return
	}
	if !g.keys.is(strings.TrimSpace(r.PostForm.Get("token"))) {
		hold(r)
		loginPage(w, http.StatusUnauthorized, "This is not the token of this box. It stands in the file that control.http.token_file names.")
		return
	}
	g.giveTicket(w)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
