package drivers_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// fan reads the speed of a fan from a file, as hwmon has it.
type fan struct{ file string }

func (f fan) Quantities() []drivers.Quantity {
	return []drivers.Quantity{{Series: record.Series{Name: "fan.speed", Unit: "/min", Type: record.TypeInt}, Max: 20000}}
}

func (f fan) Read(_ context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	text, err := os.ReadFile(f.file)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", drivers.ErrNoDevice, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil { // a reading that failed is a sample, too
		return append(dst, drivers.Sample{Quality: record.QualityMalformed, Detail: text[:min(len(text), record.MaxDetailBytes)]}), nil
	}
	return append(dst, drivers.Sample{Type: record.TypeInt, Num: n}), nil
}

func (f fan) Close() error { return nil }

// A sensor of one quantity: who schedules, stamps and keeps its samples is none of its business.
func ExampleSensor() {
	dir, err := os.MkdirTemp("", "edgelog")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "fan1_input")
	var s drivers.Sensor = fan{file}
	for _, text := range []string{"1480\n", "garbage", ""} {
		if text == "" {
			err = os.Remove(file)
		} else {
			err = os.WriteFile(file, []byte(text), 0o600)
		}
		if err != nil {
			log.Fatal(err)
		}
		samples, err := s.Read(context.Background(), nil)
		for _, x := range samples {
			fmt.Println(s.Quantities()[x.Quantity].Name, x.Num, x.Quality)
		}
		if err != nil {
			fmt.Println("the whole sensor:", strings.SplitN(err.Error(), ":", 2)[0])
		}
	}
	// Output:
	// fan.speed 1480 good
	// fan.speed 0 bad:malformed
	// the whole sensor: device not found
}
