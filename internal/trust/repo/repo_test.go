package repo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/trust/repo"
)

// TestPrepareAgain: a root key is lost. Only the next root must be signed; what the holders of other roles have signed
// stands, unless they are others. Nothing is called signed that a box would refuse.
func TestPrepareAgain(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]repo.Key{}
	key := func(name string) {
		t.Helper()
		k, err := repo.NewKey()
		must(err)
		must(k.Save(filepath.Join(dir, name)))
		keys[name] = k
	}
	for _, name := range []string{"anna", "ben", "carl", "dora", "eve", "online"} {
		key(name)
	}
	r := repo.At(dir)
	prepare := func(roots, targets string) []string {
		t.Helper()
		text := "roles:\n  root: {keys: [" + roots + "], threshold: 2}\n  targets: {keys: [" + targets + "]}\n" +
			"  snapshot: {keys: [online.pub]}\n  timestamp: {keys: [online.pub]}\n  agent: {keys: [online.pub], paths: [\"agent/*\"]}\n"
		must(os.WriteFile(filepath.Join(dir, "roles.yaml"), []byte(text), 0o644))
		roles, err := repo.LoadRoles(filepath.Join(dir, "roles.yaml"))
		must(err)
		files, err := r.Prepare(roles, now)
		must(err)
		return files
	}
	unsigned := func(want string) {
		t.Helper()
		if err := r.Unsigned(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("%v; want %s", err, want)
		}
	}
	files := prepare("anna.pub, ben.pub, carl.pub", "dora.pub")
	if len(files) != 2 {
		t.Fatalf("%v", files)
	}
	unsigned("1.root.json")
	must(repo.Sign(files[0], keys["anna"]))
	unsigned("1.root.json")
	must(repo.Sign(files[0], keys["ben"]))
	unsigned("targets.json")
	must(repo.Sign(files[1], keys["dora"]))
	must(r.Unsigned())

	files = prepare("eve.pub, ben.pub, carl.pub", "dora.pub") // anna's is lost
	if len(files) != 1 || !strings.HasSuffix(files[0], "2.root.json") {
		t.Fatalf("%v", files)
	}
	unsigned("2.root.json")
	must(repo.Sign(files[0], keys["ben"]))
	must(repo.Sign(files[0], keys["eve"]))
	unsigned("2.root.json") // one of the old holders is not enough
	must(repo.Sign(files[0], keys["carl"]))
	must(r.Unsigned())

	files = prepare("eve.pub, ben.pub, carl.pub", "anna.pub") // dora's is stolen
	if len(files) != 2 {
		t.Fatalf("targets of another holder stand: %v", files)
	}
	must(repo.Sign(files[0], keys["ben"]))
	must(repo.Sign(files[0], keys["carl"]))
	unsigned("targets.json")
	must(repo.Sign(files[1], keys["anna"]))
	must(r.Unsigned())
}
