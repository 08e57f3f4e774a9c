package config_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/edgelog/edgelog/agent/config"
)

func TestPage(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	files := machine{fstest.MapFS{"etc/x/token": file("0123456789abcdef\nsecond line\n"), "etc/x/short": file("12345678901\n"), "etc/x/none": file("\n")}}
	parse := func(block string) (*config.Config, error) {
		return config.Parse("/etc/x/agent.yaml", []byte("device: box-17\ncontrol:\n  http: "+block+"\n"), files)
	}
	for block, want := range map[string]string{
		"{}": "", "{address: localhost:0}": "", `{address: "[::1]:8480", token_file: token}`: "",
		`{address: ":8480", allow_remote: true, token_file: token}`: "",
		"{address: 8480}":                                 "want host:port",
		"{address: 127.0.0.1:x}":                          "not a number from 0 to 65535",
		"{address: 0.0.0.0:8480}":                         "can be reached from other machines; if that is meant, set allow_remote: true",
		"{address: box.example:8480, allow_remote: true}": "needs a token_file",
		"{token_file: nowhere}":                           "does not exist",
		"{token_file: short}":                             "a token of 11 characters can be guessed",
		"{token_file: none}":                              "is empty",
		"{cert_file: token}":                              "cert_file and key_file belong together",
		"{cert_file: token, key_file: gone}":              "does not exist",
		"{adress: 127.0.0.1:1}":                           `did you mean "address"`,
		`{address: "192.168.4.1:8480", allow_remote: true, token_file: short}`: "openssl rand -hex 8",
	} {
		c, err := parse(block)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", block, err, want)
		case err == nil && c.Control.HTTP.Address == "":
			t.Errorf("%s has no address", block)
		}
	}
	with, err := parse("{token_file: token}")
	if err != nil || with.Control.HTTP.Token != "0123456789abcdef" {
		t.Fatalf("%+v, %v", with, err)
	}
	without, err := config.Parse("/etc/x/agent.yaml", []byte("device: box-17\n"), files)
	if err != nil || without.Control.HTTP != nil {
		t.Fatalf("%+v, %v", without, err)
	}
	for _, p := range []config.Plan{config.NewPlan(without, with), config.NewPlan(with, without)} {
		if !p.HTTP || len(p.Live) != 1 || len(p.Restart) != 0 || p.Uplink {
			t.Errorf("got %+v", p)
		}
	}
	if p := config.NewPlan(with, with); p.HTTP || !p.Empty() {
		t.Errorf("got %+v", p)
	}
}
