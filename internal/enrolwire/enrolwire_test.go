package enrolwire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/enrolwire"
)

const id = "00112233445566778899aabbccddeeff"

// TestDecodeIsStrict: what comes from whoever holds a claim certificate is refused unless it is one message and nothing else.
func TestDecodeIsStrict(t *testing.T) {
	good := `{"id":"` + id + `","device":"box-1","csr":"AQ==","proof":"Ag=="}`
	if r, err := enrolwire.Decode[enrolwire.Request]([]byte(good + "\n")); err != nil || r.Device != "box-1" {
		t.Fatalf("%+v, %v", r, err)
	}
	for what, bad := range map[string]string{
		"nothing":                   "",
		"a list":                    "[]",
		"null":                      "null",
		"an unknown field":          strings.Replace(good, `"csr"`, `"x":1,"csr"`, 1),
		"a second message":          good + good,
		"bytes behind it":           good + "x",
		"another's topic as a name": strings.Replace(good, "box-1", "box/1", 1),
		"the claim's own name":      strings.Replace(good, "box-1", "enroll", 1),
		"no request in it":          strings.Replace(good, "AQ==", "", 1),
		"no proof":                  strings.Replace(good, "Ag==", "", 1),
		"an id that is none":        strings.Replace(good, id, "../"+id[3:], 1),
		"an id in capitals":         strings.Replace(good, id, strings.ToUpper(id), 1),
		"too long":                  good + strings.Repeat(" ", enrolwire.MaxMessageBytes),
	} {
		if r, err := enrolwire.Decode[enrolwire.Request]([]byte(bad)); !errors.Is(err, enrolwire.ErrMessage) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	for what, bad := range map[string]string{
		"neither certificate nor reason": `{"id":"` + id + `"}`,
		"both":                           `{"id":"` + id + `","chain":["AQ=="],"reason":"refused"}`,
		"a long chain":                   `{"id":"` + id + `","chain":["AQ==","AQ==","AQ==","AQ==","AQ=="]}`,
	} {
		if a, err := enrolwire.Decode[enrolwire.Answer]([]byte(bad)); !errors.Is(err, enrolwire.ErrMessage) {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
}

// TestMay: a claim certificate may ask and hear of enrolment and nothing else, a device about its own certificate only.
func TestMay(t *testing.T) {
	var topics enrolwire.Topics
	req, res := topics.Request(id), topics.Answer(id)
	renew, renewed := topics.Renew("box-1"), topics.Renewed("box-1")
	for _, c := range []struct {
		name, topic string
		write, may  bool
	}{
		{enrolwire.ClaimName, req, true, true},
		{enrolwire.ClaimName, req, false, false}, // others' requests
		{enrolwire.ClaimName, res, false, true},
		{enrolwire.ClaimName, res, true, false},
		{enrolwire.ClaimName, topics.Request("+"), true, false},
		{enrolwire.ClaimName, topics.Request("#"), true, false},
		{enrolwire.ClaimName, renew, true, false},
		{enrolwire.ClaimName, topics.Hello("box-1"), true, false},
		{"box-1", renew, true, true},
		{"box-1", renewed, false, true},
		{"box-1", renewed, true, false},
		{"box-1", topics.Renew("box-2"), true, false},
		{"box-1", req, true, false},
		{"+", renew, true, false},
		{"", req, true, false},
	} {
		if got := topics.May(c.name, c.topic, c.write); got != c.may {
			t.Errorf("%q, %s, write %t: %t", c.name, c.topic, c.write, got)
		}
	}
}

func TestCodes(t *testing.T) {
	code := enrolwire.NewCode()
	key, err := enrolwire.Key(code, "box-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(strings.ReplaceAll(code, "1", "l"), "0", "o")} {
		if k, err := enrolwire.Key(same, "box-1"); err != nil || !bytes.Equal(k, key) {
			t.Errorf("%q is not %q: %v", same, code, err)
		}
	}
	if k, err := enrolwire.Key(code, "box-2"); err != nil || bytes.Equal(k, key) {
		t.Errorf("one key for two devices, %v", err)
	}
	for _, bad := range []string{"", code[1:], code + "A", "U" + code[1:], "é" + code[1:]} {
		if _, err := enrolwire.Key(bad, "box-1"); !errors.Is(err, enrolwire.ErrCode) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzDecode: no message panics, what is read is written and read again, and what a proof covers tells messages apart.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"` + id + `","device":"box-1","csr":"AQ==","proof":"Ag==","cert":"Aw=="}`))
	f.Add([]byte(`{"id":"` + id + `","chain":["AQ==","Ag=="],"ca":"LS0tLS0=","proof":"Aw=="}`))
	f.Add([]byte(`{"id":"` + id + `","reason":"later"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		again(t, data, (*enrolwire.Request).Covered)
		again(t, data, (*enrolwire.Answer).Covered)
	})
}

func again[T enrolwire.Request | enrolwire.Answer](t *testing.T, data []byte, covered func(*T) []byte) {
	m, err := enrolwire.Decode[T](data)
	if err != nil {
		if !errors.Is(err, enrolwire.ErrMessage) {
			t.Fatalf("%v", err)
		}
		return
	}
	own, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(own) > enrolwire.MaxMessageBytes {
		return
	}
	n, err := enrolwire.Decode[T](own)
	if err != nil || !bytes.Equal(covered(m), covered(n)) { // nothing and no bytes are one
		t.Fatalf("%s was read, and what it is written as is not the same: %v", data, err)
	}
}

// FuzzParse: a topic that parses is one that is made.
func FuzzParse(f *testing.F) {
	f.Add("edge/v1/enroll/req/" + id)
	f.Add("edge/v1/box-1/cert/res")
	f.Fuzz(func(t *testing.T, s string) {
		var topics enrolwire.Topics
		who, of, request, ok := topics.Parse(s)
		if !ok {
			return
		}
		own := map[bool]string{true: topics.Renew(who), false: topics.Renewed(who)}
		if who == enrolwire.ClaimName {
			own = map[bool]string{true: topics.Request(of), false: topics.Answer(of)}
		}
		if own[request] != s {
			t.Fatalf("%q parses as %q %q %t, which is %q", s, who, of, request, own[request])
		}
	})
}
