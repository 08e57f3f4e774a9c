package standin_test

import (
	"os/exec"
	"sort"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/ascend/standin"
)

// The libraries compile with every assertion for both architectures and export exactly the table's functions.
func TestBuildAndSymbols(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		if standin.Compiler(arch) == "" {
			if arch == "arm64" { // make test-npu installs the cross compiler and runs this with it
				continue
			}
			t.Fatalf("no C compiler for %s: install gcc", arch)
		}
		libs, err := standin.Build(t.TempDir(), standin.Options{Arch: arch})
		if err != nil {
			t.Fatal(err)
		}
		symbols, err := standin.Symbols()
		if err != nil {
			t.Fatal(err)
		}
		for lib, path := range map[string]string{"acl": libs.ACL, "dvpp": libs.DVPP, "dcmi": libs.DCMI} {
			var want []string
			for _, s := range symbols {
				if s.Library == lib {
					want = append(want, s.Name)
				}
			}
			out, err := exec.Command("nm", "-D", "--defined-only", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(string(out)) {
				f := strings.Fields(line)
				if name := f[len(f)-1]; !strings.HasPrefix(name, "standin_") {
					got = append(got, name)
				}
			}
			sort.Strings(want)
			sort.Strings(got)
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s %s exports\n%v\nthe table says\n%v", arch, lib, got, want)
			}
		}
	}
}
