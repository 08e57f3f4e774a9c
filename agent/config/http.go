package config

import (
	"errors"
	"net"
	"net/netip"
	"strconv"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// HTTP is the door for browsers: the box's page, and the reading part of the API.
type HTTP struct {
	Address     string   `yaml:"address"`      // host:port
	AllowRemote bool     `yaml:"allow_remote"` // an address that other machines reach; it needs a token
	TokenFile   string   `yaml:"token_file"`   // its first line
	CertFile    string   `yaml:"cert_file"`    // TLS, with KeyFile
	KeyFile     string   `yaml:"key_file"`
	Names       []string `yaml:"names"` // more names by which people call the box

	Token string `yaml:"-"` // what stands in TokenFile
}

// DefaultHTTP is where the page is, if it is wanted and no address is given.
const DefaultHTTP = "127.0.0.1:8480"

func (h *HTTP) withDefaults() {
	if h != nil && h.Address == "" {
		h.Address = DefaultHTTP
	}
}

func (h *HTTP) validate(r *strictyaml.Report) {
	if h == nil {
		return
	}
	const path = "control.http"
	local, err := loopback(h.Address)
	switch {
	case err != nil:
		r.Addf(path+".address", "%s.address %q: %v", path, h.Address, err)
	case !local && !h.AllowRemote:
		r.Addf(path+".address", "%s.address %q can be reached from other machines; if that is meant, set allow_remote: true", path, h.Address)
	case !local && h.TokenFile == "":
		r.Addf(path+".address", "%s.address %q can be reached from other machines and needs a token_file", path, h.Address)
	}
	if (h.CertFile == "") != (h.KeyFile == "") {
		r.Addf(path, "%s: cert_file and key_file belong together; give both or none", path)
	}
}

// loopback reports whether only this machine reaches an address.
func loopback(addr string) (bool, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false, errors.New("want host:port, as " + DefaultHTTP)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false, errors.New("the port is not a number from 0 to 65535")
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback(), nil
}

// paths are those that may be relative.
func (h *HTTP) paths() []*string {
	if h == nil {
		return nil
	}
	return []*string{&h.TokenFile, &h.CertFile, &h.KeyFile}
}

// check reads the files.
func (h *HTTP) check(r *strictyaml.Report, host Host) {
	if h == nil {
		return
	}
	const path = "control.http"
	if h.TokenFile != "" {
		text, ok := readNamed(r, host, path+".token_file", h.TokenFile)
		h.Token = firstLine(text)
		switch n := len(h.Token); {
		case !ok:
		case n == 0:
			r.Addf(path+".token_file", "%s.token_file %q is empty", path, h.TokenFile)
		case n < MinToken:
			r.Addf(path+".token_file", "%s.token_file %q: a token of %d characters can be guessed; at least %d are needed (openssl rand -hex 8)",
				path, h.TokenFile, n, MinToken)
		}
	}
	if h.CertFile != "" && h.KeyFile != "" {
		readNamed(r, host, path+".cert_file", h.CertFile)
		readNamed(r, host, path+".key_file", h.KeyFile)
		checkPair(r, host, path, h.CertFile, h.KeyFile)
	}
}
