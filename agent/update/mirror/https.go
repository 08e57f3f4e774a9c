package mirror

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/release"
)

// HTTPSOptions say where a web server is and how it is known. All but URL may be left out.
type HTTPSOptions struct {
	URL               *url.URL // of the directory that holds targets/
	CAFile            string   // PEM; "": the system's authorities
	CertFile, KeyFile string   // PEM; read at each connection, so that a renewed certificate counts at once
	Now               func() time.Time
	Count             func(bytes int) // is told what was read
}

// HTTPS is a web server with static files. Redirects are not followed, nothing is compressed, and one connection is used.
type HTTPS struct {
	o HTTPSOptions

	mu     sync.Mutex // guards what follows
	ca     []byte     // what client was made with
	client *http.Client
}

// NewHTTPS connects to nothing yet; files are read when they are needed.
func NewHTTPS(o HTTPSOptions) *HTTPS {
	if o.Count == nil {
		o.Count = func(int) {}
	}
	return &HTTPS{o: o}
}

// Name implements Mirror.
func (h *HTTPS) Name() string { return h.o.URL.String() }

// Close implements Mirror.
func (h *HTTPS) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	return nil
}

// connector is the client for the authority's file as it is now.
func (h *HTTPS) connector() (*http.Client, error) {
	var ca []byte
	var err error
	if h.o.CAFile != "" {
		if ca, err = readPEM(h.o.CAFile); err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client != nil && bytes.Equal(ca, h.ca) {
		return h.client, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Time: h.o.Now}
	if ca != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("read ca_file: %s holds no certificate in PEM form", h.o.CAFile)
		}
	}
	if h.o.CertFile != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(h.o.CertFile, h.o.KeyFile)
			return &pair, err
		}
	}
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	dialer := &net.Dialer{Timeout: dialLimit}
	h.ca, h.client = ca, &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, TLSHandshakeTimeout: dialLimit,
			ResponseHeaderTimeout: headerLimit, MaxResponseHeaderBytes: maxHeaderBytes, DisableCompression: true,
			MaxConnsPerHost: 2, MaxIdleConns: 1, IdleConnTimeout: idleLimit,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if t, ok := conn.(*net.TCPConn); ok {
					_ = t.SetReadBuffer(readBufferBytes) // without it more is sent ahead, nothing else
				}
				return conn, err
			}}}
	return h.client, nil
}

func readPEM(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEMBytes+1))
	if err == nil && len(data) > maxPEMBytes {
		err = fmt.Errorf("%s has more than %d bytes", file, maxPEMBytes)
	}
	return data, err
}

// Open implements Mirror.
func (h *HTTPS) Open(ctx context.Context, target string, size, off int64) (io.ReadCloser, error) {
	if !release.ValidPath(target) {
		return nil, fmt.Errorf("get %q: %w", target, release.ErrPath)
	}
	client, err := h.connector()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.o.URL.JoinPath("targets", target).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", target, err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, size-1))
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "edge-agent")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", target, err)
	}
	skip, err := accept(resp, size, off)
	if err == nil && skip > 0 {
		_, err = io.CopyN(io.Discard, resp.Body, skip)
		h.o.Count(int(skip))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("get %s: %w", target, err), resp.Body.Close())
	}
	return &counted{resp.Body, h.o.Count}, nil
}

// accept tells how many bytes of an answer lie before off, or why it is of no use.
func accept(resp *http.Response, size, off int64) (skip int64, err error) {
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return 0, fmt.Errorf("%w: the answer is encoded (%s)", ErrRefused, e)
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		from, total, err := contentRange(resp.Header.Get("Content-Range"))
		switch {
		case err != nil:
			return 0, err
		case total != size:
			return 0, fmt.Errorf("%w: of %d bytes, signed are %d", ErrOther, total, size)
		case from != off:
			return 0, fmt.Errorf("%w: byte %d was asked for and %d comes", ErrRefused, off, from)
		}
		return 0, nil
	case http.StatusOK:
		if resp.ContentLength >= 0 && resp.ContentLength != size {
			return 0, fmt.Errorf("%w: of %d bytes, signed are %d", ErrOther, resp.ContentLength, size)
		}
		if off > maxUnranged {
			return 0, fmt.Errorf("%w: it serves no ranges, so that nothing can be resumed", ErrRefused)
		}
		return off, nil
	case http.StatusNotFound, http.StatusGone:
		return 0, fmt.Errorf("%w (%s)", ErrAbsent, resp.Status)
	case http.StatusRequestedRangeNotSatisfiable:
		return 0, fmt.Errorf("%w: it has no byte %d", ErrOther, off)
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		return 0, fmt.Errorf("%w: it redirects to %.200q, which is not followed; configure that address if it is right", ErrRefused, to)
	}
	return 0, fmt.Errorf("%w: %.100s", ErrRefused, resp.Status)
}

// contentRange reads "bytes FROM-TO/TOTAL".
func contentRange(s string) (from, total int64, err error) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	span, all, ok2 := strings.Cut(rest, "/")
	first, _, ok3 := strings.Cut(span, "-")
	if ok && ok2 && ok3 {
		from, err = strconv.ParseInt(first, 10, 64)
		if err == nil {
			total, err = strconv.ParseInt(all, 10, 64)
		}
		if err == nil {
			return from, total, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: Content-Range is %.100q", ErrRefused, s)
}

// counted tells of what is read.
type counted struct {
	io.ReadCloser
	count func(int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.count(n)
	return n, err
}

var _ Mirror = (*HTTPS)(nil)
