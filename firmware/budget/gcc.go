package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var (
	label  = regexp.MustCompile(`^[0-9a-f]+ <([\w.$]+)>:$`)
	branch = regexp.MustCompile(`\t(r?call|r?jmp|bl|b|b\.n|b\.w)\t.*<([\w.$]+)>$`)
)

// readGCC reads the disassembly and, of a compiler that writes them, the *.su files.
func readGCC(chip, image, dir string) (*graph, error) {
	tool, ret, entry := "avr-objdump", 2, 2
	if chip == "arm" {
		tool, ret, entry = "arm-none-eabi-objdump", 0, 36 // eight words and the alignment
	}
	g := newGraph(entry)
	if chip == "arm" {
		if err := g.readUsage(dir); err != nil {
			return nil, err
		}
	}
	out, err := exec.Command(tool, "-d", image).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	from := ""
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if m := label.FindStringSubmatch(s.Text()); m != nil {
			from = m[1]
			if strings.HasPrefix(from, "__vector_") && from != "__vectors" {
				g.interrupts = append(g.interrupts, from)
			}
		} else if n := avrPush(s.Text()); chip == "avr" && n > 0 {
			g.own[from] += n
		} else if m := branch.FindStringSubmatch(s.Text()); m != nil && m[2] != from && !strings.Contains(m[2], "+") {
			g.call(from, m[2], ret)
		}
	}
	for f := range g.calls { // start-up code reaches main, not the other way round
		if strings.HasPrefix(f, "__") && !strings.HasPrefix(f, "__vector_") {
			delete(g.calls[f], "main")
		}
	}
	return g, nil
}

// readUsage reads what -fstack-usage wrote.
func (g *graph) readUsage(dir string) error {
	files, _ := filepath.Glob(filepath.Join(dir, "*.su"))
	if len(files) == 0 {
		return fmt.Errorf("no stack usage files in %s", dir)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			p := strings.Split(l, "\t")
			if len(p) != 3 {
				continue
			}
			n, err := strconv.Atoi(p[1])
			if err != nil || strings.Contains(p[2], "dynamic") && !strings.Contains(p[2], "bounded") {
				return fmt.Errorf("%s: stack of %s is not bounded", f, p[0])
			}
			name := p[0][strings.LastIndex(p[0], ":")+1:]
			g.own[name] = max(g.own[name], n)
			if strings.HasSuffix(name, "_handler") {
				g.interrupts = append(g.interrupts, name)
			}
		}
	}
	return nil
}

var frame = regexp.MustCompile(`\tsbiw\tr28, 0x([0-9a-f]+)`)

// avrPush is what an instruction of a prologue takes: the compiler for the AVR writes no usage files.
func avrPush(l string) int {
	if strings.Contains(l, "\tpush\t") {
		return 1
	}
	if strings.Contains(l, "\trcall\t.+0 ") {
		return 2
	}
	if m := frame.FindStringSubmatch(l); m != nil {
		n, _ := strconv.ParseInt(m[1], 16, 32)
		return int(n)
	}
	return 0
}
