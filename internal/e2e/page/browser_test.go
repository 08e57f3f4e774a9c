package page_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 60 * time.Second // for anything that the page shows

// browser is a Chromium with one tab.
type browser struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      *os.File
	session string

	mu      sync.Mutex // guards what follows
	id      int
	answers map[int]chan json.RawMessage
	errors  []string // of the console, of the security policy, of scripts
}

// command is a message in either direction.
type command struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed; make test-page installs it (deploy/bootstrap/setup.sh page)")
	}
	ours, err := os.MkdirTemp("", "edgelog-page")
	if err != nil {
		t.Fatal(err)
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, in: in, answers: map[int]chan json.RawMessage{}}
	b.cmd = exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--remote-debugging-pipe", "--user-data-dir="+ours, "about:blank")
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	b.cmd.Env = append(os.Environ(), "TZ=Asia/Kathmandu") // +05:45: an offset that nobody gets right by accident
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	done := make(chan struct{})
	go func() { b.read(out); close(done) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // its helpers are of its group
		_ = b.cmd.Wait()
		in.Close()
		<-done
		out.Close()
		for end := time.Now().Add(patience); os.RemoveAll(ours) != nil && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond) // a helper that ends still writes
		}
	})
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	b.do("Target.getTargets", nil, &targets)
	for _, x := range targets.TargetInfos {
		if x.Type == "page" {
			var s struct{ SessionID string }
			b.do("Target.attachToTarget", map[string]any{"targetId": x.TargetID, "flatten": true}, &s)
			b.session = s.SessionID
		}
	}
	for _, part := range []string{"Page", "Runtime", "Log"} {
		b.do(part+".enable", nil, nil)
	}
	return b
}

// read takes what the browser says until it ends.
func (b *browser) read(out io.Reader) {
	r := bufio.NewReader(out)
	for {
		data, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			command
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(bytes.TrimSuffix(data, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case m.ID != 0:
			if c := b.answers[m.ID]; c != nil {
				delete(b.answers, m.ID)
				if m.Error != nil {
					m.Result = nil
				}
				c <- m.Result
			}
		case m.Method == "Runtime.exceptionThrown", m.Method == "Runtime.consoleAPICalled",
			m.Method == "Log.entryAdded" && bytes.Contains(m.Params, []byte(`"level":"error"`)) &&
				!bytes.Contains(m.Params, []byte(`"source":"network"`)): // a box that does not answer is no mistake of the page
			b.errors = append(b.errors, m.Method+" "+string(m.Params))
		}
		b.mu.Unlock()
	}
}

// do gives a command and reads its answer.
func (b *browser) do(method string, params any, into any) {
	b.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	c := make(chan json.RawMessage, 1)
	b.mu.Lock()
	b.id++
	id := b.id
	b.answers[id] = c
	b.mu.Unlock()
	data, err := json.Marshal(command{ID: id, Session: b.session, Method: method, Params: params})
	if err == nil {
		_, err = b.in.Write(append(data, 0))
	}
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case answer := <-c:
		if answer == nil {
			b.t.Fatalf("%s was refused", method)
		}
		if into != nil {
			if err := json.Unmarshal(answer, into); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer from the browser", method)
	}
}

// eval runs an expression, or a promise, and returns its value.
func (b *browser) eval(expression string) (any, error) {
	b.t.Helper()
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		return nil, errors.New(out.ExceptionDetails.Exception.Description)
	}
	return out.Result.Value, nil
}

// await waits until the expression is true.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	var last any
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if last, err = b.eval("Boolean(" + expression + ")"); err == nil && last == true {
			return
		}
	}
	text, _ := b.eval("document.body ? document.body.innerText : ''")
	b.t.Fatalf("%s did not come: %v. The page says:\n%v\n%s", what, err, text, strings.Join(b.said(), "\n"))
}

// text is what an element shows.
func (b *browser) text(selector string) string {
	b.t.Helper()
	v, err := b.eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(v)
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("Page.navigate", map[string]any{"url": url}, nil)
}

// screen sets the size and the colour scheme.
func (b *browser) screen(width, height int, scheme string) {
	b.t.Helper()
	phone := width < 600
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": map[bool]int{true: 2, false: 1}[phone], "mobile": phone}, nil)
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// shot keeps a picture of what is to be seen, where -shots names a directory.
func (b *browser) shot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	var out struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{}, &out)
	data, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(*shots, name+".png"), data, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.errors...)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
