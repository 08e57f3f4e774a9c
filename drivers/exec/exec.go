// Package exec runs a program and takes what it writes to standard output as readings, in line protocol or JSON lines.
//
// It keeps the contract of Telegraf's execd input, so that such plugins run unchanged: the program stays; on every
// interval it is told to collect by a newline on standard input, by a signal, or not at all; lines on standard error
// are its log (with E!, W!, I!, D! as levels); closing standard input asks it to end. A program that ends is started
// again after a pause that doubles.
package exec

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/lineproto"
)

// How the program is told to collect.
const (
	SignalNone  = "none"    // it speaks when it likes
	SignalStdin = "STDIN"   // a newline on standard input
	SignalHUP   = "SIGHUP"  // the signals of Telegraf
	SignalUSR1  = "SIGUSR1" //
	SignalUSR2  = "SIGUSR2" //
)

// What the program writes.
const (
	FormatInflux = "influx"
	FormatJSON   = "json" // one object a line
)

// Options of a program. Command is required.
type Options struct {
	Command      []string // program and arguments; no shell
	Dir          string
	Environment  []string      // KEY=value, added to the agent's
	Signal       string        // default none
	Interval     time.Duration // between two signals, default 10 s, at least 100 ms
	RestartDelay time.Duration // first pause, default 10 s as Telegraf; doubles to 5 min; back after a minute of running
	Format       string        // default influx
	JSON         door.Mapping  // for FormatJSON
	Labels       []record.Label
	Events       door.Events
}

// Program is a door.Source.
type Program struct{ o Options }

// New checks the options; nothing is started. The error wraps drivers.ErrConfig.
func New(o Options) (*Program, error) {
	bad := func(format string, a ...any) (*Program, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{drivers.ErrConfig}, a...)...)
	}
	if len(o.Command) == 0 || o.Command[0] == "" {
		return bad("command names no program")
	}
	if o.Signal == "" {
		o.Signal = SignalNone
	}
	if _, ok := signals[o.Signal]; !ok {
		return bad("signal %q: want none, STDIN, SIGHUP, SIGUSR1 or SIGUSR2", o.Signal)
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Interval < minInterval {
		return bad("interval %s: want at least %s", o.Interval, minInterval)
	}
	if o.RestartDelay == 0 {
		o.RestartDelay = defaultRestartDelay
	}
	if o.RestartDelay < 0 {
		return bad("restart_delay %s is negative", o.RestartDelay)
	}
	if o.Format == "" {
		o.Format = FormatInflux
	}
	if o.Format != FormatInflux && o.Format != FormatJSON {
		return bad("format %q: want influx or json", o.Format)
	}
	if err := o.JSON.Check(); err != nil {
		return bad("%v", err)
	}
	for _, e := range o.Environment {
		if !strings.Contains(e, "=") {
			return bad("environment %q: want KEY=value", e)
		}
	}
	return &Program{o}, nil
}

var signals = map[string]syscall.Signal{
	SignalNone: 0, SignalStdin: 0, SignalHUP: syscall.SIGHUP, SignalUSR1: syscall.SIGUSR1, SignalUSR2: syscall.SIGUSR2,
}

// Run implements door.Source.
func (p *Program) Run(ctx context.Context, emit door.Emit) error {
	for fails := 0; ctx.Err() == nil; fails++ {
		started := time.Now()
		err := p.once(ctx, emit)
		if ctx.Err() != nil {
			break
		}
		if time.Since(started) > steadyAfter {
			fails = 0
		}
		p.o.Events.TellDown(fmt.Errorf("%s ended: %w", p.o.Command[0], err))
		select {
		case <-time.After(door.Backoff(fails, p.o.RestartDelay)):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

var errExit = errors.New("exit code 0")

// once runs the program until it ends or ctx does, and says why it ended.
func (p *Program) once(ctx context.Context, emit door.Emit) error {
	cmd := osexec.Command(p.o.Command[0], p.o.Command[1:]...)
	cmd.Dir = p.o.Dir
	cmd.Env = append(os.Environ(), p.o.Environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children get the signals too
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, errW, err := os.Pipe()
	if err != nil {
		outW.Close()
		return err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = outW, errW
	err = cmd.Start()
	outW.Close()
	errW.Close()
	if err != nil {
		return err
	}
	p.o.Events.TellUp()
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	out, log := &pipe{f: stdout}, &pipe{f: stderr}
	wg.Go(func() { ended <- cmd.Wait() })
	wg.Go(func() { p.readOutput(ctx, out, emit) })
	wg.Go(func() { p.readLog(log) })
	err = p.drive(ctx, cmd, stdin, ended)
	// What the program left behind in its group may still hold the pipes open.
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	out.end()
	log.end()
	wg.Wait()
	return err
}

// pipe is what a program writes to. Behind its end what it left is read, however long the log takes to make room: only
// somebody outside its group can keep it open then.
type pipe struct {
	f     *os.File
	ended atomic.Bool
	left  int // bytes read behind the end
}

func (p *pipe) end() {
	p.ended.Store(true)
	p.f.SetReadDeadline(time.Now().Add(drainPatience)) // for a read that waits
}

func (p *pipe) Read(b []byte) (int, error) {
	if p.ended.Load() {
		if p.left > maxPipe {
			return 0, io.EOF
		}
		p.f.SetReadDeadline(time.Now().Add(drainPatience))
	}
	n, err := p.f.Read(b)
	if p.ended.Load() {
		p.left += n
	}
	return n, err
}

// drive signals the program on every interval until it has ended, and ends it when ctx does: standard input is
// closed, then SIGTERM, then SIGKILL.
func (p *Program) drive(ctx context.Context, cmd *osexec.Cmd, stdin io.WriteCloser, ended <-chan error) error {
	defer stdin.Close()
	tick := time.NewTicker(p.o.Interval)
	defer tick.Stop()
	written := make(chan struct{}, 1) // a newline is on its way; a program that does not read gets no second one
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stdin.Close()
	for {
		select {
		case err := <-ended:
			return exitReason(err)
		case <-ctx.Done():
			stdin.Close()
			return stop(cmd, ended)
		case <-tick.C:
		}
		switch p.o.Signal {
		case SignalNone:
		case SignalStdin:
			select {
			case written <- struct{}{}:
				wg.Go(func() {
					if _, err := stdin.Write([]byte{'\n'}); err == nil {
						<-written
					}
				})
			default:
			}
		default:
			if err := cmd.Process.Signal(signals[p.o.Signal]); err != nil && !errors.Is(err, os.ErrProcessDone) {
				p.o.Events.TellNote("warn", fmt.Sprintf("signal %s: %v", p.o.Signal, err))
			}
		}
	}
}

func exitReason(err error) error {
	if err == nil {
		return errExit
	}
	return err
}

func stop(cmd *osexec.Cmd, ended <-chan error) error {
	for _, s := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGKILL} {
		if s != 0 {
			syscall.Kill(-cmd.Process.Pid, s)
		}
		if s == syscall.SIGKILL {
			break
		}
		select {
		case err := <-ended:
			return exitReason(err)
		case <-time.After(stopPatience):
		}
	}
	return exitReason(<-ended)
}

// readOutput turns lines into messages until the program closes its output. While the log is full it does not read:
// the program then waits in its write, and nothing is lost. A last line without its newline may have been cut and
// is not taken.
func (p *Program) readOutput(ctx context.Context, r io.Reader, emit door.Emit) {
	lines := bufio.NewReaderSize(r, readBuffer)
	var batch, line []byte
	for long := false; ; {
		part, err := lines.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > maxLine && !long {
			long = true
			p.o.Events.TellMissed(door.MissedTooLarge, 1, fmt.Errorf("a line of more than %d bytes", maxLine))
		}
		if err == nil {
			if !long {
				batch = append(batch, line...)
			}
			line, long = line[:0], false
		}
		ended := err != nil && !errors.Is(err, bufio.ErrBufferFull)
		if len(batch) > 0 && (ended || lines.Buffered() == 0 || len(batch) >= readBuffer) {
			p.take(ctx, string(batch), emit)
			batch = batch[:0]
		}
		if ended {
			if len(bytes.TrimSpace(line)) > 0 && !long {
				p.o.Events.TellMissed(door.MissedMalformed, 1, errors.New("the last line has no newline: it may be cut"))
			}
			return
		}
	}
}

func (p *Program) take(ctx context.Context, text string, emit door.Emit) {
	var out []door.Reading
	flush := func() {
		if len(out) == 0 {
			return
		}
		if err := emit(ctx, door.Message{Readings: out}); err != nil {
			p.o.Events.TellMissed(door.WhyMissed(err), len(out), err)
		}
		out = out[:0]
	}
	add := func(rs []door.Reading, err error) {
		if err != nil {
			p.o.Events.TellMissed(door.MissedMalformed, 1, err)
			return
		}
		if out = rs; len(out) >= door.MaxReadings/4 {
			flush()
		}
	}
	if p.o.Format == FormatJSON {
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				add(p.o.JSON.JSON(out, []byte(line), p.o.Labels))
			}
		}
		flush()
		return
	}
	lineproto.Parse(text, func(pt lineproto.Point) {
		from := len(out)
		rs, err := door.FromPoint(out, pt, time.Nanosecond)
		for i := from; i < len(rs) && len(p.o.Labels) > 0; i++ {
			rs[i].Series.Labels = door.Labels(rs[i].Series.Labels, p.o.Labels...)
		}
		add(rs, err)
	}, func(e *lineproto.SyntaxError) { p.o.Events.TellMissed(door.MissedMalformed, 1, e) })
	flush()
}

// readLog passes on what the program writes to standard error, line by line.
func (p *Program) readLog(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLogLine)
	for skip := false; ; {
		line, err := lines.ReadSlice('\n')
		if text := strings.TrimSpace(string(line)); text != "" && !skip {
			level, rest := levelOf(text)
			p.o.Events.TellNote(level, strings.ToValidUTF8(rest, "?"))
		}
		skip = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !skip {
			return
		}
	}
}

// levelOf reads the level that a plugin puts before a line; without one it is an error, as Telegraf has it.
func levelOf(text string) (level, rest string) {
	if len(text) > 3 && text[1] == '!' && text[2] == ' ' {
		switch text[0] {
		case 'E':
			return "error", text[3:]
		case 'W':
			return "warn", text[3:]
		case 'I':
			return "info", text[3:]
		case 'D', 'T':
			return "debug", text[3:]
		}
	}
	return "error", text
}
