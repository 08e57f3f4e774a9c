package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"
)

//go:embed web
var web embed.FS

// types of the files, by the end of their name.
var types = []struct{ end, kind string }{
	{".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"},
	{".svg", "image/svg+xml"},
}

// public reports whether a file says nothing about the box: the login form needs it.
func public(path string) bool { return path == "/page.css" || path == "/icon.svg" }

// file is one of the page's, packed for those who can unpack it, with its name for caches: the hash of its content.
type file struct {
	data, packed []byte
	kind, etag   string
}

func read(name string) file {
	data, err := web.ReadFile("web/" + name)
	if err != nil {
		panic("page: " + err.Error()) // it is part of the program
	}
	f := file{data: data}
	for _, t := range types {
		if strings.HasSuffix(name, t.end) {
			f.kind = t.kind
		}
	}
	return f.named()
}

func (f file) named() file {
	sum := sha256.Sum256(f.data)
	f.etag = `"` + hex.EncodeToString(sum[:12]) + `"`
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(f.data)
		err = errors.Join(err, z.Close())
	}
	if err != nil {
		panic("page: " + err.Error()) // writing to memory
	}
	f.packed = b.Bytes()
	return f
}

func (f file) replace(old, with string) file {
	f.data = bytes.Replace(f.data, []byte(old), []byte(with), 1)
	return f.named()
}

const logout = `<form method="post" action="/logout"><button>log out</button></form>`

// newFiles serves the page's files; only with a login there is a way out.
func newFiles(login bool) http.Handler {
	index := read("index.html")
	if login {
		index = index.replace("<!--logout-->", logout)
	}
	files := map[string]file{"/": index}
	for _, name := range []string{"page.css", "page.mjs", "chart.mjs", "words.mjs", "icon.svg"} {
		files["/"+name] = read(name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Cache-Control", "no-cache") // kept, and asked for by its name each time
		h.Set("ETag", f.etag)
		if r.Header.Get("If-None-Match") == f.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Vary", "Accept-Encoding")
		data := f.data
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") { // nothing of the box is in it that one could guess by its length
			h.Set("Content-Encoding", "gzip")
			data = f.packed
		}
		h.Set("Content-Length", strconv.Itoa(len(data)))
		w.Write(data) //nolint:errcheck // the reader has gone; there is nobody to tell
	})
}

var loginForm = read("login.html")

// loginPage asks for the token, and says what was wrong with the last one. Everybody may ask for it: it is not packed, as
// that takes 0.8 MB of memory and a millisecond.
func loginPage(w http.ResponseWriter, status int, said string) {
	data := loginForm.data
	if said != "" {
		data = bytes.Replace(data, []byte("<!--said-->"), []byte(`<p role="alert" class="said">`+html.EscapeString(said)+`</p>`), 1)
	}
	w.Header().Set("Content-Type", loginForm.kind)
	w.WriteHeader(status)
	w.Write(data) //nolint:errcheck // as above
}
