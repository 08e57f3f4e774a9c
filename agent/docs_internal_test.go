package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/drivers/modbus"
)

// reader is a machine on which every file that a guide names is there; profiles hold the guide's own.
type reader struct {
	config.OS
	profile string
}

func (r reader) ReadFile(name string) ([]byte, error) {
	if filepath.Ext(name) == ".yaml" {
		return []byte(r.profile), nil
	}
	return []byte("secret\n"), nil
}

func (r reader) Stat(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }

// TestGuidesConfigurations loads every configuration that the guides to sources print, and its drivers check it.
func TestGuidesConfigurations(t *testing.T) {
	for _, file := range []string{"sensors.md", "sensors-modbus.md", "doors.md"} {
		text, err := os.ReadFile("../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```yaml\n")[1:]
		n, profile := 0, ""
		for i := range blocks {
			blocks[i], _, _ = strings.Cut(blocks[i], "```")
			if strings.Contains(blocks[i], "\nregisters:") {
				profile = blocks[i]
				if _, err := modbus.Load(file, []byte(profile)); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
		for _, b := range blocks {
			switch {
			case strings.HasPrefix(b, "  - name:"):
				b = "sources:\n" + b
			case !strings.HasPrefix(b, "sources:"):
				continue // part of another one
			}
			c, err := config.Parse("/etc/edge-agent/agent.yaml", []byte("device: x\n"+b), reader{profile: profile})
			if err == nil {
				err = Check(c)
			}
			if err != nil {
				t.Errorf("%s: %v\n%s", file, err, b)
			}
			n++
		}
		if n == 0 {
			t.Errorf("%s: no configuration", file)
		}
	}
}

// TestPipelineGuidesConfiguration loads what the guide to pipelines prints.
func TestPipelineGuidesConfiguration(t *testing.T) {
	text, err := os.ReadFile("../docs/pipeline.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	c, err := config.Parse("/etc/edge-agent/agent.yaml", []byte("device: x\n"+block), reader{})
	if err != nil || len(c.Pipelines) != 3 {
		t.Errorf("%d pipelines, %v", len(c.Pipelines), err)
	}
}
