package npu_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/ascend/npu"
	"github.com/edgelog/edgelog/ascend/standin"
	"github.com/edgelog/edgelog/internal/api"
)

// Whatever is written to the socket, it is answered or closed, and the worker goes on answering.
func FuzzFrameSocket(f *testing.F) {
	b := newBox(f)
	b.file("colours.om", standin.Classifier(16, 16, 1, 4).Bytes())
	control("clear")
	w, err := npu.New(npu.Options{Config: b.config(colours), Library: lib, Version: "test", Log: slog.New(slog.DiscardHandler), Exit: func(int) { panic("the worker wanted to exit") }})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	b.ready("colours")
	jpg := string(picture(red, 16))
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: npu\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", path, len(body), body)
	}
	for _, seed := range []string{"", "GET /v1/npu HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", post("/v1/infer/colours", jpg), post("/v1/infer/none?ref=a", "x"),
		post("/v1/infer/colours?ref="+string(make([]byte, 300)), ""), post("/v1/infer/%00", ""), "POST /v1/infer/colours HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nshort",
		"POST /v1/infer/colours HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "\x16\x03\x01\x02\x00", post("/v1/infer/colours", jpg[:len(jpg)/2])} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := net.Dial("unix", filepath.Join(b.dir, "npu", api.NPUFrames))
		if err != nil {
			t.Fatalf("the socket is gone: %v", err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond)) // a request that is not whole is waited for longer
		_, _ = c.Write(data)                                     // it may be closed already
		_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20))
		if _, err := b.client().Status(context.Background()); err != nil {
			t.Fatalf("the worker does not answer any more: %v", err)
		}
	})
}
