// Package standin builds libraries of our own that stand in for the vendor's libascendcl.so, libacl_dvpp.so and libdcmi.so where no
// Ascend device is to be had: tests, benchmarks and the demo.
//
// The libraries have the vendor's binary interface and are loaded by the same code path; only the silicon is missing.
// One table (abi.csv, symbols.csv) gives the C side its constants, prototypes and assertions and the Go side its
// tests, so that neither can drift alone. They export standin_identity: whoever loads them says "simulated". The
// package belongs to tests and the demo; no program imports it.
package standin

import (
	"crypto/sha256"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed csrc abi.csv symbols.csv
var files embed.FS

// ErrNoCompiler is returned where there is no C compiler for the target.
var ErrNoCompiler = errors.New("no C compiler")

// Pin is one constant or layout of the interface. Kind is enum:TYPE, errcode, layout-LP64 and the like.
type Pin struct {
	Kind, Name string
	Value      string
	Source     string
}

// Symbol is one function of the interface.
type Symbol struct {
	Library   string // acl, dvpp or dcmi
	Name      string
	Need      string // r required, o optional, n newer runtimes only
	Signature string // i32(*U i32)
}

func table(name string) ([][]string, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.FieldsPerRecord, r.LazyQuotes = '#', 4, true
	return r.ReadAll()
}

// Pins lists the constants and layouts.
func Pins() ([]Pin, error) {
	rows, err := table("abi.csv")
	if err != nil {
		return nil, fmt.Errorf("read abi.csv: %w", err)
	}
	var out []Pin
	for _, r := range rows[1:] {
		out = append(out, Pin{r[0], r[1], r[2], r[3]})
	}
	return out, nil
}

// Symbols lists the functions.
func Symbols() ([]Symbol, error) {
	rows, err := table("symbols.csv")
	if err != nil {
		return nil, fmt.Errorf("read symbols.csv: %w", err)
	}
	var out []Symbol
	for _, r := range rows {
		out = append(out, Symbol{r[0], r[1], r[2], r[3]})
	}
	return out, nil
}

var cTypes = map[string]string{"i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t", "u8": "uint8_t", "u16": "uint16_t",
	"u32": "uint32_t", "u64": "uint64_t", "f32": "float", "U": "uintptr_t", "P": "void *", "S": "const char *", "T": "const char *", "B": "uint8_t *"}

func cType(t string) string {
	if c, ok := cTypes[t]; ok {
		return c
	}
	if base, ok := strings.CutPrefix(t, "*"); ok {
		if c, ok := cTypes[base]; ok {
			return c + " *"
		}
		return "void *"
	}
	return t // a structure by value
}

// header is abi.h: constants, prototypes and assertions.
func header() (string, error) {
	pins, err := Pins()
	if err != nil {
		return "", err
	}
	symbols, err := Symbols()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("#ifndef STANDIN_ABI_H\n#define STANDIN_ABI_H\n#include <stddef.h>\n#include \"types.h\"\n")
	for _, p := range pins {
		switch base, field, isField := strings.Cut(strings.TrimSuffix(p.Name, "@"), "."); {
		case p.Kind != "layout-LP64":
			fmt.Fprintf(&b, "#define %s (%s)\n", p.Name, p.Value)
		case isField:
			fmt.Fprintf(&b, "_Static_assert(offsetof(%s, %s) == %s, \"%s\");\n", base, field, p.Value, p.Name)
		default:
			fmt.Fprintf(&b, "_Static_assert(sizeof(%s) == %s, \"%s\");\n", base, p.Value, p.Name)
		}
	}
	for _, s := range symbols {
		ret, args, _ := strings.Cut(strings.TrimSuffix(s.Signature, ")"), "(")
		var list []string
		for _, a := range strings.Fields(args) {
			list = append(list, cType(a))
		}
		if len(list) == 0 {
			list = []string{"void"}
		}
		fmt.Fprintf(&b, "%s %s(%s);\n", cType(ret), s.Name, strings.Join(list, ", "))
	}
	b.WriteString("#endif\n")
	return b.String(), nil
}

// Libraries are the paths of a build.
type Libraries struct{ ACL, DVPP, DCMI string }

func libraries(dir string) Libraries {
	return Libraries{ACL: filepath.Join(dir, "libascendcl.so"), DVPP: filepath.Join(dir, "libacl_dvpp.so"), DCMI: filepath.Join(dir, "libdcmi.so")}
}

// Options of a build.
type Options struct {
	Arch   string   // amd64 or arm64; "" is that of this program
	Remove []string // symbols to leave out: an older or newer driver
}

// Compiler is the C compiler for an architecture, "" if there is none on the PATH.
func Compiler(arch string) string {
	names := map[string][]string{"amd64": {"x86_64-linux-gnu-gcc"}, "arm64": {"aarch64-linux-gnu-gcc"}}[arch]
	if arch == hostArch {
		names = append([]string{"cc", "gcc"}, names...)
	}
	for _, n := range names {
		if _, err := exec.LookPath(n); err == nil {
			return n
		}
	}
	return ""
}

// Build compiles the libraries into dir, which is made.
func Build(dir string, o Options) (Libraries, error) {
	if o.Arch == "" {
		o.Arch = hostArch
	}
	out := libraries(dir)
	cc := Compiler(o.Arch)
	if cc == "" {
		return out, fmt.Errorf("%w for %s: install gcc, or for arm64 gcc-aarch64-linux-gnu", ErrNoCompiler, o.Arch)
	}
	src := filepath.Join(dir, "src")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return out, fmt.Errorf("make directory: %w", err)
	}
	err := fs.WalkDir(files, "csrc", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(src, d.Name()), text, 0o644)
	})
	if err != nil {
		return out, fmt.Errorf("write sources: %w", err)
	}
	h, err := header()
	if err != nil {
		return out, err
	}
	if err := os.WriteFile(filepath.Join(src, "abi.h"), []byte(h), 0o644); err != nil {
		return out, fmt.Errorf("write abi.h: %w", err)
	}
	// The media library needs the runtime's, as the vendor's does; -Bsymbolic keeps the two that hold core.c apart.
	for _, lib := range []struct {
		path  string
		files []string
		flags []string
	}{{out.ACL, []string{"core.c", "acl.c", "mem.c", "container.c", "load.c", "describe.c", "dataset.c", "execute.c", "aipp.c"}, []string{"-DSTANDIN_RUNTIME", "-Wl,-Bsymbolic"}},
		{out.DVPP, []string{"dvpp.c", "jpeg.c"}, []string{"-L" + dir, "-lascendcl"}},
		{out.DCMI, []string{"core.c", "dcmi.c"}, []string{"-Wl,-Bsymbolic"}}} {
		args := []string{"-shared", "-fPIC", "-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-I" + src, "-o", lib.path}
		for _, r := range o.Remove {
			args = append(args, "-D"+r+"=removed_"+r)
		}
		for _, f := range lib.files {
			args = append(args, filepath.Join(src, f))
		}
		args = append(append(args, lib.flags...), "-pthread", "-lm", "-Wl,-soname,"+filepath.Base(lib.path))
		if text, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
			return out, fmt.Errorf("compile %s: %w\n%s", filepath.Base(lib.path), err, text)
		}
	}
	return out, nil
}

// Cached is Build into the user's cache, once for each state of the sources and options.
func Cached(o Options) (Libraries, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		h.Write(text)
		return err
	})
	if err != nil {
		return Libraries{}, err
	}
	fmt.Fprintf(h, "%v %s", o, os.Getenv("STANDIN_CACHE"))
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "edgelog-standin", hex.EncodeToString(h.Sum(nil)[:8]))
	out := libraries(dir)
	if _, err := os.Stat(out.DCMI); err == nil { // it comes last, with the directory's name
		return out, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return out, fmt.Errorf("make directory: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return out, fmt.Errorf("make directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	if _, err := Build(tmp, o); err != nil {
		return out, err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) { // another test was faster: the same
		if _, serr := os.Stat(out.DCMI); serr != nil {
			return out, fmt.Errorf("keep libraries: %w", err)
		}
	}
	return out, nil
}
