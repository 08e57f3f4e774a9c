package npu

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A vendor's tool that hangs with the driver does not hold the report.
func TestVendorToolThatHangs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/npu-smi", []byte("#!/bin/sh\necho chip 0\n[ $1 = info ] && exec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	begun := time.Now()
	if _, err := vendorTool(200 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "no answer within 200ms") || time.Since(begun) > 5*time.Minute {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	if err := os.WriteFile(dir+"/npu-smi", []byte("#!/bin/sh\necho chip 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if text, err := vendorTool(time.Minute); err != nil || string(text) != "chip 0\n" {
		t.Errorf("%q, %v", text, err)
	}
}
