package listen

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/lineproto"
)

// Wherever the reads of a connection fall, its lines are the same. A number is a pause.
func TestStream(t *testing.T) {
	long := strings.Repeat("x", maxUnixLine)
	for _, c := range []struct {
		writes []any
		want   string
	}{
		{[]any{"a s=\"one\n", "two\" 7\nb c=1\n"}, `a.s="one\ntwo" b.c="1"`},
		{[]any{"a s=\"one\n", time.Second, "two\n", time.Second, "\",t=\"th", "ree\n\"\n", "b c=1\n"}, `a.s="one\ntwo\n" a.t="three\n" b.c="1"`},
		{[]any{"a s=\"one\\\"\n", "two\"\n"}, `a.s="one\"\ntwo"`},
		{[]any{"a b=1\na b", "=2\n", "a b=3"}, `a.b="1" a.b="2" malformed`},
		{[]any{"a s=\"one\n", "b c=1\n"}, `malformed b.c="1"`}, // and nothing more: the end of the connection
		{[]any{"a s=\"one\n", time.Second, "b c=1\n", quotePatience, "b c=2\n", "b c=\"3\n", "4\"\n"}, `malformed b.c="1" b.c="2" b.c="3\n4"`},
		{[]any{`{"k": "a="}` + "\n", `{"k": "b"}` + "\n"}, `k="a=" k="b"`},
		{[]any{"a s=\"" + long[:1000] + "\n", long[:lineproto.MaxLineBytes], "\nb c=1\n", "b c=2\n"}, `malformed malformed b.c="1" b.c="2"`},
		{[]any{"b c=1\n" + long[:10], long[10:], "x"}, `b.c="1" too-large`},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			emit := func(_ context.Context, m door.Message) error {
				for _, r := range m.Readings {
					x := record.Record{Type: r.Type, Num: r.Num, Data: &record.Data{Value: r.Value}}
					got = append(got, fmt.Sprintf("%s=%q", r.Series.Key(), x.AppendText(nil)))
				}
				return nil
			}
			d := &Door{}
			d.o.Events.Missed = func(w door.Missed, n int, _ error) {
				for range n {
					got = append(got, string(w))
				}
			}
			here, there := net.Pipe()
			done := make(chan struct{})
			go func() { defer close(done); d.stream(t.Context(), there, emit); there.Close() }()
			for _, w := range c.writes {
				if pause, ok := w.(time.Duration); ok {
					time.Sleep(pause)
				} else if _, err := here.Write([]byte(w.(string))); err != nil {
					break
				}
				synctest.Wait()
			}
			here.Close()
			<-done
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%.60q\n got %s\nwant %s", c.writes, text, c.want)
			}
		})
	}
}
