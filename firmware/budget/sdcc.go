package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var (
	asmLabel  = regexp.MustCompile(`^_(\w+):`)
	asmCall   = regexp.MustCompile(`^\t(lcall|ljmp|acall|ajmp)\t_+(\w+)`)
	stackFrom = regexp.MustCompile(`Stack starts at: 0x([0-9a-f]+)`)
	romLine   = regexp.MustCompile(`ROM/EPROM/FLASH\s+0x\w+\s+0x\w+\s+(\d+)`)
	reti      = regexp.MustCompile(`^\treti`)
)

// library is what SDCC's own functions (multiplication, division) need at most beside their return address.
const library = 4

// measureSTC reads the memory map that the linker wrote, and the assembly that the compiler wrote.
func measureSTC(dir string, ram int) (usage, error) {
	mem, err := os.ReadFile(filepath.Join(dir, "image.mem"))
	if err != nil {
		return usage{}, err
	}
	from, rom := stackFrom.FindSubmatch(mem), romLine.FindSubmatch(mem)
	if from == nil || rom == nil || strings.Contains(string(mem), "ERROR") {
		return usage{}, fmt.Errorf("it does not link:\n%s", mem)
	}
	start, _ := strconv.ParseInt(string(from[1]), 16, 32)
	u := usage{ram: int(start)}
	u.flash, _ = strconv.Atoi(string(rom[1]))
	g := newGraph(2)
	g.exact = true
	files, _ := filepath.Glob(filepath.Join(dir, "*.asm"))
	for _, f := range files {
		if err := readAssembly(g, f); err != nil {
			return usage{}, err
		}
	}
	for _, to := range g.calls {
		for f, extra := range to {
			if _, ours := g.own[f]; !ours {
				g.own[f] = library
				to[f] = extra
			}
		}
	}
	u.stack, err = g.worst()
	u.stack += 2 // main is called
	return u, err
}

// readAssembly follows pushes and pops line by line: the compiler keeps them balanced around each call.
func readAssembly(g *graph, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	name, pushed := "", 0
	for s := bufio.NewScanner(f); s.Scan(); {
		l := s.Text()
		if m := asmLabel.FindStringSubmatch(l); m != nil {
			name, pushed = m[1], 0
			continue
		}
		switch {
		case name == "":
		case strings.HasPrefix(l, "\tpush"):
			pushed++
			g.own[name] = max(g.own[name], pushed)
		case strings.HasPrefix(l, "\tpop"):
			pushed--
		case reti.MatchString(l):
			g.interrupts = append(g.interrupts, name)
			pushed = 0
		case strings.HasPrefix(l, "\tret"):
			pushed = max(pushed, 0)
			if _, ok := g.own[name]; !ok {
				g.own[name] = 0
			}
		}
		if m := asmCall.FindStringSubmatch(l); m != nil && m[2] != name {
			extra := pushed + 2
			if strings.HasSuffix(m[1], "jmp") {
				extra = pushed
			}
			g.call(name, m[2], extra)
		}
	}
	return nil
}
