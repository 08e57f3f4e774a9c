package boot_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/internal/e2e/chips"
	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

// tool finds a program that we did not write: of Debian, or in the Python environment that setup.sh makes.
func tool(t *testing.T, name string) string {
	t.Helper()
	venv := os.Getenv("EDGE_MCU_VENV")
	if venv == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		venv = filepath.Join(home, "edgelog", "mcu-venv")
	}
	if path := filepath.Join(venv, "bin", name); exists(path) {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run deploy/bootstrap/setup.sh mcu", name)
	}
	return path
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// stm32flash and our flasher write the same bytes to the same chip.
func TestSTM32Flash(t *testing.T) {
	k := kinds()[0]
	now := k.image(2)
	theirs := target.NewSTM32()
	theirs.Boot0 = true
	theirs.Power(true)
	p := chips.Plug(t, theirs)
	t.Log(command(t, tool(t, "stm32flash"), "-b", "115200", "-m", "8n1", "-w", file(t, "node.bin", now), "-v", "-g", "0x08000000", p.Name))
	ours := target.NewSTM32()
	ours.Power(true)
	q := chips.Plug(t, ours)
	l := boot.NewSerialLine(serial.Options{Device: q.Name})
	defer l.Close()
	img, err := boot.Parse(now, stm32Base)
	if err != nil {
		t.Fatal(err)
	}
	f := boot.NewAN3155(l, boot.AN3155Options{NoParity: true, Enter: func(context.Context) error {
		q.Do(func(target.Chip) { ours.Boot0 = true; ours.Reset() })
		return nil
	}})
	if r, err := boot.Update(t.Context(), boot.Job{Flasher: f, Image: img}); err != nil {
		t.Fatalf("%+v %v", r, err)
	}
	p.Do(func(target.Chip) {
		q.Do(func(target.Chip) {
			if !bytes.Equal(theirs.Cells, ours.Cells) || !bytes.HasPrefix(ours.Cells, now) {
				t.Error("the two differ")
			}
			if !theirs.Went || !ours.Went {
				t.Error("the application was not started")
			}
		})
	})
}

const stm32Base = 0x08000000

// stcgal and our flasher write the same bytes to the same chip.
func TestSTCGal(t *testing.T) {
	k := kinds()[1]
	now := k.image(2)
	theirs := target.NewSTC89()
	p := chips.Plug(t, theirs)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // somebody switches the supply until the monitor was heard
		defer close(done)
		for {
			p.Do(func(c target.Chip) {
				if !c.Powered() || theirs.Runs || c.Steps() == 0 {
					c.Power(false)
					c.Power(true)
				}
			})
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool(t, "stcgal"), "-P", "stc89", "-p", p.Name, "-b", "9600", file(t, "node.bin", now)).CombinedOutput()
	close(stop)
	<-done
	if err != nil {
		t.Fatalf("stcgal: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	for _, want := range []string{"STC89C52RC", "11.05", "7.2C"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("stcgal does not say %q", want)
		}
	}
	ours := target.NewSTC89()
	q := chips.Plug(t, ours)
	l := boot.NewSerialLine(serial.Options{Device: q.Name})
	defer l.Close()
	img, err := boot.Parse(now, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := boot.NewSTC89(l, boot.STC89Options{Enter: func(context.Context) error {
		q.Do(func(c target.Chip) { c.Power(false); c.Power(true) })
		return nil
	}})
	if r, err := boot.Update(t.Context(), boot.Job{Flasher: f, Image: img}); err != nil {
		t.Fatalf("%+v %v", r, err)
	}
	p.Do(func(target.Chip) {
		q.Do(func(target.Chip) { // stcgal fills its last block with zeros, we with what erased flash holds
			if !bytes.Equal(theirs.Cells[:len(now)], ours.Cells[:len(now)]) || !bytes.HasPrefix(ours.Cells, now) {
				t.Error("the two differ")
			}
		})
	})
}

const smpScript = `
import asyncio, sys
from smpclient import SMPClient
from smpclient.transport.serial import SMPSerialTransport
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import ResetWrite

async def main(port, name):
    data = open(name, "rb").read()
    async with SMPClient(SMPSerialTransport(), port) as c:
        before = await c.request(ImageStatesRead())
        assert success(before), before
        print("before", [(i.slot, i.version, i.active, i.confirmed) for i in before.images])
        async for off in c.upload(data):
            pass
        r = await c.request(ImageStatesRead())
        assert success(r), r
        new = [i for i in r.images if i.slot == 1][0]
        r = await c.request(ImageStatesWrite(hash=new.hash))
        assert success(r), r
        await c.request(ResetWrite())
    await asyncio.sleep(0.5)
    async with SMPClient(SMPSerialTransport(), port) as c:
        r = await c.request(ImageStatesRead())
        assert success(r), r
        active = [i for i in r.images if i.active][0]
        assert active.hash == new.hash
        r = await c.request(ImageStatesWrite(hash=new.hash, confirm=True))
        assert success(r), r
        r = await c.request(ImageStatesRead())
        print("after", [(i.slot, i.version, i.active, i.confirmed) for i in r.images])

asyncio.run(main(*sys.argv[1:]))
`

// smpclient and our flasher leave the same slots.
func TestSMPClient(t *testing.T) {
	k := kinds()[2]
	old, now := k.image(1), k.image(2)
	theirs := target.NewMCUboot(old)
	theirs.Power(true)
	p := chips.Plug(t, theirs)
	t.Log(command(t, tool(t, "python3"), "-c", smpScript, p.Name, file(t, "node.signed.bin", now)))
	ours := target.NewMCUboot(old)
	ours.Power(true)
	q := chips.Plug(t, ours)
	l := boot.NewSerialLine(serial.Options{Device: q.Name})
	defer l.Close()
	img, err := boot.Parse(now, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := boot.NewSMP(l, boot.SMPOptions{})
	if r, err := boot.Update(t.Context(), boot.Job{Flasher: f, Image: img, Confirm: f.Confirm, Keep: f.Keep}); err != nil || r.Version != "1.2.0" {
		t.Fatalf("%+v %v", r, err)
	}
	p.Do(func(target.Chip) {
		q.Do(func(target.Chip) {
			for i := range theirs.Slots {
				if !bytes.Equal(theirs.Slots[i].Cells, ours.Slots[i].Cells) {
					t.Errorf("slot %d differs", i)
				}
			}
			if !k.holds(theirs, now) || !k.holds(ours, now) {
				t.Error("the new image does not run")
			}
		})
	})
}
