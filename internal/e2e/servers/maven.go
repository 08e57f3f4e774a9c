package servers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// shipped is a file of deploy/kafka.
func shipped(name string) string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "../../../deploy/kafka", name)
}

// mavenLibs is the directory with the jars that a pom names: mvn fetches them the first time, and whenever the pom has
// changed, into the user's cache.
func mavenLibs(pom string) (string, error) {
	b, err := os.ReadFile(pom)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	dir := filepath.Join(cache, "edgelog", "jars-"+hex.EncodeToString(sum[:6]))
	lock, err := lockFile(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return dir, nil
	}
	for _, p := range []string{"mvn", "java"} {
		if _, err := exec.LookPath(p); err != nil {
			return "", errMissing(p)
		}
	}
	out, err := exec.Command("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("fetch the jars of %s with mvn: %w\n%s", pom, err, out)
	}
	return dir, os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644)
}

func lockFile(name string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	return f, err
}

// kafkaLibs is the directory with Kafka's jars (deploy/kafka/pom.xml).
func kafkaLibs() (string, error) { return mavenLibs(shipped("pom.xml")) }

// ConsumerLibs is the directory with the jars of Kafka's clients beside a broker: Connect with its sinks, and Streams
// (deploy/kafka/consumers/pom.xml).
func ConsumerLibs() (string, error) { return mavenLibs(shipped("consumers/pom.xml")) }
