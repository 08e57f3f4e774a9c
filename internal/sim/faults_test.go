package sim_test

import (
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/vfs"
)

// fault does one thing to machines, disks, hubs or the broker, and plans the next.
func (w *world) fault() {
	if w.calm.Load() {
		return
	}
	w.after(w.next(w.cfg.between), w.fault)
	w.replaceKilled()
	b := w.boxes[w.rng.IntN(len(w.boxes))]
	switch k := w.rng.IntN(100); {
	case k < 16:
		w.brokerFault(b, k)
	case k < 34:
		w.hubFault(k - 16)
	case b.m == nil:
	case k < 44:
		b.powerCut("")
	case k < 54:
		w.hit("kill-9", "%s", b.name)
		b.crash(vfs.CrashOptions{Keep: vfs.KeepAll})
	case k < 58:
		w.note("%s: stopped in good order", b.name)
		b.stop()
	case k < 66:
		b.disk.StopAfter(w.rng.Int64N(60)) // a power cut in the middle of something
		b.look()
	case k < 74:
		b.ioError()
	case k < 78:
		b.fill()
	case k < 82 && !*harshly, k < 79:
		b.step()
	default:
		b.rare()
	}
}

// replaceKilled starts a hub for each that was killed in a commit.
func (w *world) replaceKilled() {
	w.mu.Lock()
	killed := w.killed
	w.killed = nil
	w.mu.Unlock()
	for _, h := range killed {
		w.remove(h)
		if len(w.hubs) < maxHubs {
			w.startHub()
		}
	}
}

func (w *world) brokerFault(b *box, k int) {
	switch {
	case k < 6:
		if b.conn != nil {
			w.hit("cut", "%s loses its connection", b.name)
			b.cut("cut")
		}
	case k < 9:
		if c := b.conn; c != nil && !c.dead {
			w.hit("half-open", "%s talks into nothing", b.name)
			c.dead = true
			w.after(time.Duration(20+w.rng.IntN(70))*time.Second, func() {
				if b.conn == c && c.dead {
					b.cut("keep-alive")
				}
			})
		}
	case k < 13:
		w.hit("broker-restart", "the broker loses everything")
		w.broker++
		for _, x := range w.boxes {
			x.cut("broker restarted")
		}
	default: // the broker's queue for the hubs is dropped, nobody notices
		w.hit("broker-drops", "what is on its way is dropped")
		w.broker++
		for _, x := range w.boxes {
			if x.conn != nil {
				x.conn.broker = w.broker
			}
		}
	}
}

func (w *world) hubFault(k int) {
	switch {
	case k < 6:
		if len(w.hubs) > 0 {
			h := w.hubs[w.rng.IntN(len(w.hubs))]
			w.hit("hub-restart", "hub %d", h.id)
			w.remove(h)
			if w.one(3) {
				w.after(w.next(20*time.Second), func() { w.startHub() })
			} else {
				w.startHub()
			}
		}
	case k < 9:
		w.note("backup of the store")
		w.save = w.store.Backup()
	case k < 12:
		if !w.cfg.revert {
			return
		}
		w.hit("hub-restored", "all hubs stop, the store is restored, they start")
		n := max(len(w.hubs), 1)
		for len(w.hubs) > 0 {
			w.remove(w.hubs[0])
		}
		w.store.Restore(w.save)
		for range n {
			w.startHub()
		}
	case k < 14:
		if w.cfg.revert {
			w.hit("zombie-hub", "the store is restored under running hubs, which remember")
			w.store.Restore(w.save)
		}
	case k < 16:
		if len(w.hubs) > 0 && len(w.hubs) < maxHubs {
			w.hit("one-more-hub", "a further hub starts over the same store")
			w.startHub()
		}
	default:
		if len(w.hubs) > 1 {
			h := w.hubs[w.rng.IntN(len(w.hubs))]
			w.hit("hub-partitioned", "hub %d hears nothing for a while", h.id)
			for i := range w.hubs {
				if w.hubs[i] == h {
					w.hubs = append(w.hubs[:i:i], w.hubs[i+1:]...)
					break
				}
			}
			w.after(w.next(30*time.Second), func() {
				if !h.dead.Load() {
					w.hubs = append(w.hubs, h)
				}
			})
		}
	}
}

// apart lets go of a shadow: what comes now it would not see.
func (b *box) apart() {
	if b.twin != nil && !b.twin.frozen {
		b.twin = nil
	}
}

// ioError makes some operations of the disk fail.
func (b *box) ioError() {
	w := b.w
	b.apart()
	kinds := []vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpCreate, vfs.OpRename, vfs.OpRemove, vfs.OpReserve}
	r := vfs.Rule{Kind: kinds[w.rng.IntN(len(kinds))], Nth: 1 + w.rng.IntN(3), Sticky: w.one(4), Short: w.one(2)}
	w.hit("io-error", "%s: %s %d, sticky %v", b.name, r.Kind, r.Nth, r.Sticky)
	m := b.m
	m.fs.SetRules(r)
	if r.Sticky {
		w.after(w.next(10*time.Second), func() { m.fs.SetRules() })
	}
}

// fill leaves little room on the disk, for a while.
func (b *box) fill() {
	w := b.w
	u, err := b.disk.Usage("")
	if err != nil {
		return
	}
	b.apart()
	w.hit("disk-full", "%s", b.name)
	b.lineage.full = true
	disk, l := b.disk, b.lineage
	disk.SetCapacity(int64(u.Total-u.Free) + w.rng.Int64N(128<<10))
	w.after(w.next(20*time.Second), func() {
		disk.SetCapacity(diskWhole)
		l.full = false
	})
}

// step sets the wall clock of the box.
func (b *box) step() {
	d := time.Duration(b.w.rng.Int64N(int64(20*time.Hour))) - 10*time.Hour
	b.w.hit("clock-step", "%s by %s", b.name, d)
	b.skew += d
	b.both(func(m *machine) { m.skew = b.skew })
}

// rare faults happen in some seeds only: after them weaker promises hold for some records.
func (b *box) rare() {
	w := b.w
	switch k := w.rng.IntN(6); {
	case k == 0 && w.cfg.lying:
		b.apart()
		w.hit("lying-sync", "%s: the disk confirms what it has not written", b.name)
		b.lineage.lying++
		disk := b.disk
		disk.LyingSync(true)
		w.after(w.next(15*time.Second), func() {
			if b.disk == disk {
				b.powerCut("after lies")
			}
		})
	case k == 1 && w.cfg.rot:
		b.rot()
	case k == 2 && w.cfg.replace:
		w.hit("disk-replaced", "%s gets an empty disk", b.name)
		b.lineage.gone = true
		b.unheard()
		b.off()
		b.discard()
		b.lineage = w.newLineage()
		b.disk = vfs.NewMem()
		b.disk.SetCapacity(diskWhole)
		life := b.life
		w.after(w.next(5*time.Second), func() { b.ifLife(life, b.start) })
	case k == 3 && w.cfg.clone && len(w.boxes) < maxBoxes && b.lineage.lying == 0:
		w.hit("disk-cloned", "a second box starts from a copy of %s", b.name)
		c := w.newBox(b.disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}))
		c.lineage = w.fork(b.lineage)
		c.disk.SetCapacity(diskWhole)
		c.start()
	case k >= 4 && w.cfg.snapshot && b.twin != nil:
		if b.twin.frozen {
			b.resume()
			return
		}
		b.freeze()
	}
}

// unheard: the last acknowledgement did not reach the node; it sends its message again, to a log that may not know it.
func (b *box) unheard() {
	for _, s := range b.w.cfg.streams {
		if n := b.nodes[s]; n.msg != nil {
			again := *n.msg
			again.acked = false
			n.msg = &again
		}
	}
}

// discard gives up a snapshot.
func (b *box) discard() {
	if b.twin != nil && b.twin.frozen {
		b.twin.lineage.gone = true
	}
	b.twin = nil
}

// rot flips a bit of a file of the log.
func (b *box) rot() {
	w := b.w
	dir := "log-" + w.cfg.streams[w.rng.IntN(len(w.cfg.streams))]
	dir = path.Join(dir, strings.TrimPrefix(dir, "log-"))
	list, err := b.disk.List(dir)
	if err != nil || len(list) == 0 {
		return
	}
	info := list[w.rng.IntN(len(list))]
	if info.Size == 0 || info.Dir {
		return
	}
	f, err := b.disk.OpenRW(path.Join(dir, info.Name))
	if err != nil {
		return
	}
	defer f.Close()
	b.apart()
	at := w.rng.Int64N(min(info.Size, 1+int64(rand.New(rand.NewPCG(w.rng.Uint64(), 1)).IntN(20_000))))
	var one [1]byte
	if _, err := f.ReadAt(one[:], at); err != nil {
		return
	}
	one[0] ^= 1 << w.rng.IntN(8)
	if _, err := f.WriteAt(one[:], at); err != nil {
		return
	}
	b.lineage.rotten = true // whether the machine stops in the sync or not
	_ = f.Sync()
	w.hit("bit-rot", "%s: a bit of %s at %d", b.name, info.Name, at)
	b.look()
}
