package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/version"
)

// maxDiagPart bounds one piece of the collection.
const maxDiagPart = 2 << 20

// updateDiag collects what a specialist asks for about updates: no keys, no certificates, no configuration.
func (a *app) updateDiag(ctx context.Context, file string, f updateFlags) error {
	if file == "" {
		file = "edge-update-" + a.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
	}
	type part struct {
		name string
		data []byte
	}
	var parts []part
	add := func(name string, data []byte, err error) {
		if err != nil {
			data = append(data, []byte("\ncould not be collected: "+err.Error()+"\n")...)
		}
		parts = append(parts, part{name, data[max(0, len(data)-maxDiagPart):]})
	}
	add("version.txt", []byte("edgectl "+version.String()+"\n"), nil)
	u, err := a.situation(ctx, f)
	data, jerr := json.MarshalIndent(u, "", "  ")
	add("update.json", data, errors.Join(err, jerr))
	s, err := a.client.Status(ctx)
	data, jerr = json.MarshalIndent(s, "", "  ")
	add("status.json", data, errors.Join(err, jerr))
	for _, name := range []string{filepath.Join(f.updaterDir, "report.json"), a.ordersFile(), "/etc/edge-agent/product", "/etc/os-release"} {
		data, err := os.ReadFile(name)
		add(filepath.Base(name), data, err)
	}
	links := ""
	for _, l := range []string{"stable", "candidate", "previous"} {
		to, err := os.Readlink(filepath.Join(f.root, l))
		links += fmt.Sprintf("%-10s %s %v\n", l, to, err)
	}
	for _, d := range []string{"releases", "store"} {
		entries, err := os.ReadDir(filepath.Join(f.root, d))
		links += fmt.Sprintf("\n%s: %v\n", d, err)
		for _, e := range entries {
			links += "  " + e.Name() + "\n"
		}
	}
	add("links.txt", []byte(links), nil)
	for _, c := range [][]string{
		{"systemctl", "show", "edge-agent", "edge-agent-exp", "edge-updater", "-p", "Id,ActiveState,SubState,Result,NRestarts,ExecMainStatus"},
		{"journalctl", "--no-pager", "-n", "2000", "-o", "short-iso", "-u", "edge-updater", "-u", "edge-agent-exp", "-u", "edge-rescue"},
		{"journalctl", "--no-pager", "-n", "500", "-o", "short-iso", "-u", "edge-agent"},
		{"df", "-h", f.root},
	} {
		out, err := a.Run(ctx, c[0], c[1:]...)
		add(fmt.Sprintf("%02d-%s.txt", len(parts), c[0]), out, err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Typeflag: tar.TypeReg, Size: int64(len(p.data)), Mode: 0o644, ModTime: a.Now().Truncate(time.Second)}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("collect: %w", err)
		}
		if _, err := w.Write(p.data); err != nil {
			return fmt.Errorf("collect: %w", err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	if a.g.json {
		return a.json(map[string]any{"schema_version": 1, "file": file, "bytes": b.Len()})
	}
	return a.text(fmt.Sprintf("%s: %s, %s. It holds states and journals, no keys and no configuration.\n", file, term.Count(len(parts), "part"), term.Bytes(int64(b.Len()))))
}
