// Budget prints what a firmware image takes of its chip and fails when it is too much: flash, RAM, and the worst-case
// stack, which it reads from the compiler's stack usage files and the call graph of the code. The firmware has no
// recursion and no calls through pointers; interrupts do not interrupt each other.
//
//	budget -chip avr|arm|stc89 -flash BYTES -ram BYTES -margin BYTES IMAGE BUILD-DIRECTORY
package main

import (
	"debug/elf"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	chip := flag.String("chip", "", "avr, arm or stc89")
	flash := flag.Int("flash", 0, "bytes of flash that may be used")
	ram := flag.Int("ram", 0, "bytes of RAM that the stack is in")
	margin := flag.Int("margin", 0, "bytes of RAM that must stay free under the deepest stack")
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	image, dir := flag.Arg(0), flag.Arg(1)
	u, err := measure(*chip, image, dir, *ram)
	if err != nil {
		fmt.Fprintf(os.Stderr, "budget: %s: %v\n", image, err)
		os.Exit(1)
	}
	free := *ram - u.ram - u.stack
	fmt.Printf("%-22s flash %6d of %6d   RAM %5d of %6d   stack %4d   margin %5d (at least %d)\n",
		strings.TrimSuffix(filepath.Base(dir), ".d"), u.flash, *flash, u.ram, *ram, u.stack, free, *margin)
	if u.flash > *flash || free < *margin {
		fmt.Fprintf(os.Stderr, "budget: %s is over its budget\n", image)
		os.Exit(1)
	}
}

// usage is in bytes; ram is without the stack.
type usage struct{ flash, ram, stack int }

func measure(chip, image, dir string, ram int) (usage, error) {
	if chip == "stc89" {
		return measureSTC(dir, ram)
	}
	f, err := elf.Open(image)
	if err != nil {
		return usage{}, err
	}
	defer f.Close()
	var u usage
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		if s.Flags&elf.SHF_WRITE != 0 {
			u.ram += int(s.Size)
		}
		if s.Type == elf.SHT_PROGBITS && s.Name != ".noinit" {
			u.flash += int(s.Size)
		}
	}
	g, err := readGCC(chip, image, dir)
	if err != nil {
		return usage{}, err
	}
	u.stack, err = g.worst()
	return u, err
}

// graph says what each function puts on the stack and whom it calls with how much more on it.
type graph struct {
	own        map[string]int
	calls      map[string]map[string]int
	interrupts []string
	entry      int  // what an interrupt pushes by itself
	exact      bool // calls carry what is on the stack when they are made, not only the return address
}

func newGraph(entry int) *graph {
	return &graph{own: map[string]int{}, calls: map[string]map[string]int{}, entry: entry}
}

func (g *graph) call(from, to string, extra int) {
	if g.calls[from] == nil {
		g.calls[from] = map[string]int{}
	}
	g.calls[from][to] = max(g.calls[from][to], extra)
}

// worst is the deepest path from main, and on top of it the deepest interrupt.
func (g *graph) worst() (int, error) {
	deep, err := g.depth("main", nil)
	if err != nil {
		return 0, err
	}
	top := 0
	for _, i := range g.interrupts {
		d, err := g.depth(i, nil)
		if err != nil {
			return 0, err
		}
		top = max(top, d+g.entry)
	}
	return deep + top, nil
}

func (g *graph) depth(f string, path []string) (int, error) {
	for _, p := range path {
		if p == f {
			return 0, fmt.Errorf("recursion: %s", strings.Join(append(path, f), " → "))
		}
	}
	deep := g.own[f]
	for to, extra := range g.calls[f] {
		if !g.exact {
			extra += g.own[f]
		}
		d, err := g.depth(to, append(path, f))
		if err != nil {
			return 0, err
		}
		deep = max(deep, extra+d)
	}
	return deep, nil
}
