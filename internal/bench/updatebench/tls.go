package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// nginxConf takes the directory of everything and the address to listen on.
const nginxConf = `daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr error; user root;
events {}
http {
	access_log off; sendfile on;
	client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
	server {
		listen %[2]s ssl;
		ssl_certificate %[1]s/server.crt; ssl_certificate_key %[1]s/server.key; ssl_client_certificate %[1]s/ca.crt; ssl_verify_client on;
		root %[1]s/releases;
	}
}
`

// freeAddress is one on the loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// certificates makes an authority, a server's certificate and those of clients, below dir.
func certificates(dir string, clients ...string) error {
	var authority *x509.Certificate
	var signer *ecdsa.PrivateKey
	for i, name := range append([]string{"ca", "server"}, clients...) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
		if i == 0 {
			c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.IPAddresses = true, x509.KeyUsageCertSign, nil, nil
			authority, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, signer)
		if err != nil {
			return err
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
			os.WriteFile(file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)); err != nil {
			return err
		}
	}
	return nil
}
