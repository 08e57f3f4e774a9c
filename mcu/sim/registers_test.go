package sim_test

import (
	"encoding/csv"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestRegisterTable checks that firmware/REGISTERS.md shows what firmware/registers.csv says, and that nothing overlaps.
func TestRegisterTable(t *testing.T) {
	f, err := os.Open("../../firmware/registers.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../firmware/REGISTERS.md")
	if err != nil {
		t.Fatal(err)
	}
	end := uint64(0)
	for _, r := range rows[1:] {
		if line := "| " + strings.Join(r, " | ") + " |"; !strings.Contains(string(doc), line) {
			t.Errorf("REGISTERS.md lacks %q", line)
		}
		at, err := strconv.ParseUint(r[0], 0, 16)
		if err != nil {
			t.Fatal(err)
		}
		words, err := strconv.ParseUint(r[2], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		if at < end {
			t.Errorf("%s at %#x overlaps what stands before", r[1], at)
		}
		end = at + words
	}
	if end != 0x17a {
		t.Errorf("the map ends at %#x, REG_END is 0x17a", end)
	}
}
