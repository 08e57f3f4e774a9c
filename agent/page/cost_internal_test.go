package page

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/edgelog/edgelog/agent/config"
)

// TestStrangersCostLittle: who has no token can ask for the login form as often as a connection allows; that must not take
// memory by the megabyte.
func TestStrangersCostLittle(t *testing.T) {
	const asked, most = 50, 32 << 10 // bytes for each answer
	g := newGuard(&config.HTTP{Address: "127.0.0.1:0", Token: "0123456789abcdef"}, nil, http.NotFoundHandler())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range asked {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		if g.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
			t.Fatalf("got %d", w.Code)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / asked; each > most {
		t.Errorf("the login form took %d bytes of memory, want at most %d", each, most)
	}
}
