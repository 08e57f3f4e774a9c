package lineproto_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/drivers/lineproto"
)

func parse(text string) (out []string) {
	lineproto.Parse(text, func(p lineproto.Point) {
		s := fmt.Sprintf("%q", p.Name)
		for _, t := range p.Tags {
			s += fmt.Sprintf(" %q=%q", t.Key, t.Value)
		}
		for _, f := range p.Fields {
			s += fmt.Sprintf(" %q:%d:%q", f.Key, f.Kind, f.Text)
		}
		if p.Timed {
			s += fmt.Sprint(" @", p.Time)
		}
		out = append(out, s)
	}, func(e *lineproto.SyntaxError) { out = append(out, "! "+e.Error()) })
	return out
}

func TestParse(t *testing.T) {
	cases := []struct{ text, want string }{
		{"cpu,host=a,core=0 busy=1.5,n=3i,u=4u,ok=t,s=\"x y\" 1556813561098000000\n",
			`"cpu" "host"="a" "core"="0" "busy":0:"1.5" "n":1:"3" "u":2:"4" "ok":3:"true" "s":4:"x y" @1556813561098000000`},
		{"a b=1", `"a" "b":0:"1"`},
		{"a b=-1e-3  -5  ", `"a" "b":0:"-1e-3" @-5`},
		{"# comment\n\n  \r\na b=1i\r\n", `"a" "b":1:"1"`},
		{`my\ meas\,x,tag\ key=tag\,v\=1 f\=k="a \"q\" \\ b",g=F`, `"my meas,x" "tag key"="tag,v=1" "f=k":4:"a \"q\" \\ b" "g":3:"false"`},
		{`a b="C:\path"`, `"a" "b":4:"C:\\path"`},
		{"a b=\"two\nlines\" 7\nc d=1", "\"a\" \"b\":4:\"two\\nlines\" @7|\"c\" \"d\":0:\"1\""},
		{"a b=\"open\nc d=1", "! line 1, column 5: the quotes are not closed|\"c\" \"d\":0:\"1\""},
		{"a", "! line 1, column 2: fields are missing"},
		{"a ", "! line 1, column 3: a field is written key=value"},
		{"a b=", "! line 1, column 5: a field has no value"},
		{"a b=x", "! line 1, column 5: x is neither a number, nor true or false, nor a text in quotes"},
		{"a b=NaN", "! line 1, column 5: NaN is neither a number, nor true or false, nor a text in quotes"},
		{"a b=9223372036854775808i", "! line 1, column 5: 9223372036854775808i is not a 64-bit integer"},
		{"a b=18446744073709551615u", `"a" "b":2:"18446744073709551615"`},
		{"a b=1e999", "! line 1, column 5: 1e999 is not a number that fits 64 bits"},
		{"a,t= b=1", "! line 1, column 5: the tag t has no value"},
		{"a,t b=1", "! line 1, column 4: a tag is written key=value"},
		{"ok v=1\nbad\nok v=2", `"ok" "v":0:"1"|! line 2, column 4: fields are missing|"ok" "v":0:"2"`},
		{"a b=1 soon", "! line 1, column 7: the timestamp is not a whole number"},
		{`a b="x"y`, "! line 1, column 8: a text ends with its quotes"},
		{"a b=1,c", "! line 1, column 8: a field is written key=value"},
		{"\xff b=1", "! line 1, column 1: the line is not UTF-8 text"},
	}
	for _, c := range cases {
		if got := strings.Join(parse(c.text), "|"); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

// A line that is too long costs itself only.
func TestLongLine(t *testing.T) {
	long := strings.Repeat("x", lineproto.MaxLineBytes)
	for _, text := range []string{`a b="` + long + "\"\n", "a b=\"1\n2\",c=" + long + "\n", `a b="1",c=` + long + "\n"} {
		got := parse(text + "c d=1")
		if len(got) != 2 || !strings.Contains(got[0], "longer than") && !strings.Contains(got[0], "not closed") || got[1] != `"c" "d":0:"1"` {
			t.Errorf("%.20q: %d points, %.200q", text, len(got), got)
		}
	}
}

func TestLineEnd(t *testing.T) {
	for text, want := range map[string]string{
		"a b=1":           "5 false",
		"a b=1\nc":        "5 true",
		"a b=\"x\ny":      "6 false",
		"a b=\"x\ny\"\nc": "9 true",
		"a b=\"x\ny\",c":  "11 false",
		"# \"x\nc":        "4 true",
		"a b=\"x\ny\\\"":  "6 false",
		"a b=\"\n" + strings.Repeat("x", lineproto.MaxLineBytes): "5 true",
	} {
		if got := fmt.Sprint(lineproto.LineEnd(text)); got != want {
			t.Errorf("%.20q: %s, want %s", text, got, want)
		}
	}
}

// FuzzParse: nothing panics; what was read is written in a form that reads back the same.
func FuzzParse(f *testing.F) {
	f.Add("cpu,host=a busy=1.5,n=3i,s=\"x\\\"y\" 12\n# x\nb c=t")
	f.Add("a\\ b,t\\=x=1 c=\"\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		lineproto.Parse(text, func(p lineproto.Point) {
			line, ok := p.Append(nil)
			if !ok {
				return
			}
			again, err := lineproto.ParseLine(strings.TrimSuffix(string(line), "\n"))
			if err != nil && len(line) <= lineproto.MaxLineBytes || err == nil && !reflect.DeepEqual(again, p) {
				t.Fatalf("%q\nwritten %q\nread back %+v, %v\nwas %+v", text, line, again, err, p)
			}
		}, func(e *lineproto.SyntaxError) {
			if e.Line < 1 || e.Column < 1 {
				t.Fatalf("%q: %v", text, e)
			}
		})
	})
}
