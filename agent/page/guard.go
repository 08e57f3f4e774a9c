package page

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/api"
)

// guard stands before everything: it knows the names of the box, keeps pages of others out, and asks for the token.
type guard struct {
	names map[string]bool
	keys  *keys // nil: no token is needed
	tls   bool
	files http.Handler
	api   http.Handler
}

func newGuard(c *config.HTTP, names []string, api http.Handler) http.Handler {
	g := &guard{names: map[string]bool{"localhost": true}, tls: c.CertFile != "", api: api}
	if host, _, err := net.SplitHostPort(c.Address); err == nil {
		names = append(names, host)
	}
	for _, n := range append(names, c.Names...) {
		if n = strings.TrimSuffix(strings.ToLower(n), "."); n != "" {
			g.names[n] = true
		}
	}
	if c.Token != "" {
		g.keys = newKeys(c.Token)
	}
	g.files = newFiles(g.keys != nil)
	return http.MaxBytesHandler(g, MaxBody)
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with none at all a form would be sent without its origin
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch {
	case !g.mine(r.Host):
		refuse(w, http.StatusMisdirectedRequest, api.CodeForbidden,
			"this box is not called "+clip(r.Host)+": use its address, or add the name to control.http.names")
	case !own(r):
		refuse(w, http.StatusForbidden, api.CodeForbidden, "pages of others may not read this box")
	case r.URL.Path == "/login":
		g.login(w, r)
	case r.URL.Path == "/logout" && r.Method == http.MethodPost:
		http.SetCookie(w, g.cookie("", -1))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, api.CodeForbidden, "this address is for reading only")
	case public(r.URL.Path):
		g.files.ServeHTTP(w, r)
	case !g.knows(r):
		if r.URL.Path == "/" {
			loginPage(w, http.StatusUnauthorized, "")
			return
		}
		h.Set("WWW-Authenticate", `Bearer realm="edgelog"`)
		refuse(w, http.StatusUnauthorized, api.CodeForbidden, "the token is missing or another one")
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		g.api.ServeHTTP(w, r)
	default:
		if g.keys != nil && r.URL.Path == "/" {
			g.renew(w, r)
		}
		g.files.ServeHTTP(w, r)
	}
}

// mine reports whether a Host is the box's. An address is always its own: a page elsewhere that has its own name point
// here (DNS rebinding) sends that name.
func (g *guard) mine(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return g.names[host]
}

// own reports whether a request does not come from another page: browsers say so. Following a link to the page is fine.
func own(r *http.Request) bool {
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // the latter is another port, or another name below the same one
		return r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	return true
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	data, err := json.Marshal(api.Problem{SchemaVersion: api.SchemaVersion, Error: text, Code: code})
	if err != nil {
		data = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n')) //nolint:errcheck // the reader has gone; there is nobody to tell
}

func clip(s string) string { return s[:min(len(s), 80)] }
