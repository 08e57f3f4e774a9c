package explore

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

// faults are what the budget still allows, and what brings new records.
func (s *state) faults() (out []action) {
	add := func(left int, name func() string, do func(s *state) bool) {
		if left > 0 {
			out = append(out, action{name: name, do: do})
		}
	}
	l := &s.left
	for i := range s.boxes {
		for k, l := range s.boxes[i].v.logs {
			add(s.left.Append, named("box %d appends to %s", i, l.Name), func(s *state) bool {
				s.left.Append--
				s.append(i, k, record.Record{Type: record.TypeInt})
				return true
			})
		}
		add(l.Dead, named("box %d appends what no store takes", i), func(s *state) bool {
			s.left.Dead--
			s.append(i, 0, record.Record{Type: record.TypeInt, Series: record.MaxSeriesPerEpoch + 1})
			return true
		})
		s.boxFaults(i, add)
		s.diskFaults(i, add)
	}
	s.machineFaults(add)
	s.nodes(add)
	s.network(add)
	s.hubFaults(add)
	return out
}

type adder func(left int, name func() string, do func(s *state) bool)

func (s *state) boxFaults(i int, add adder) {
	l := &s.left
	add(l.Crash, named("box %d loses power", i), func(s *state) bool {
		s.left.Crash--
		s.restart(i)
		return true
	})
	if !s.boxes[i].v.connected {
		return
	}
	add(l.Cut, named("box %d loses its connection", i), func(s *state) bool {
		s.left.Cut--
		b := s.boxes[i].change()
		b.connected = false
		b.s.Disconnected(s.now, nil)
		return true
	})
	if len(s.up)+len(s.down) > 0 {
		add(l.Late, named("box %d waits no longer", i), func(s *state) bool {
			s.left.Late--
			return s.tick(i, false).do(s)
		})
	}
}

// machineFaults are those of box 0 and its disk, and the second box.
func (s *state) machineFaults(add adder) {
	l := &s.left
	if s.spare.v == nil {
		add(l.Lie, named("the disk of box 0 begins to lie"), func(s *state) bool {
			s.left.Lie--
			s.spare = whole(&disk{clones(s.boxes[0].v.logs)})
			return true
		})
	} else {
		add(1, named("box 0 loses power and what its disk had only said it had"), func(s *state) bool {
			s.exchange(clones(s.spare.v.logs))
			s.spare = part[disk]{}
			s.left.lies++
			return true
		})
	}
	if s.snap.v == nil {
		add(l.Snapshot, named("a snapshot of box 0 is taken"), func(s *state) bool {
			s.left.Snapshot--
			s.snap = s.boxes[0].shared()
			return true
		})
	} else {
		add(1, named("box 0 goes on from its snapshot"), func(s *state) bool {
			s.resume()
			return true
		})
	}
	if len(s.boxes) == 1 {
		add(l.Clone, named("a second box starts from a copy of the disk"), func(s *state) bool {
			s.left.Clone--
			s.left.cloned++
			s.boxes = append(s.boxes, whole(&box{logs: clones(s.boxes[0].v.logs)}))
			s.restart(1)
			return true
		})
	}
	add(l.Replace, named("box 0 gets an empty disk"), func(s *state) bool {
		s.left.Replace--
		var logs []*log
		for _, l := range s.boxes[0].v.logs {
			logs = append(logs, s.newLog(l.Name))
		}
		s.exchange(logs)
		s.left.wiped++
		return true
	})
}

// exchange gives box 0 other logs.
func (s *state) exchange(logs []*log) {
	s.discard(s.boxes[0].v.logs, logs)
	s.boxes[0].change().logs = logs
	s.restart(0)
}

// resume is box 0 as it was when the snapshot was taken.
func (s *state) resume() {
	s.discard(s.boxes[0].v.logs, s.snap.v.logs)
	s.boxes[0], s.snap = s.snap, part[box]{}
	b := s.boxes[0].change()
	b.connected = false
	b.s.Disconnected(s.now, nil)
	s.left.snaps++
}

// diskFaults are those of the disk of a box, record by record.
func (s *state) diskFaults(i int, add adder) {
	l := &s.left
	if l.Rot+l.Drop == 0 {
		return
	}
	for k, log := range s.boxes[i].v.logs {
		all := log.Records()
		for _, h := range all {
			r := record.Range{From: h.Offset, To: h.Offset + 1}
			add(l.Rot, named("offset %d of %s of box %d rots", h.Offset, log.Name, i), func(s *state) bool {
				s.left.Rot--
				s.drop(i, k, r, record.ReasonCorrupt)
				return true
			})
		}
		if len(all) > 0 {
			add(l.Drop, named("the oldest of %s of box %d makes room", log.Name, i), func(s *state) bool {
				s.left.Drop--
				why := record.ReasonRetention
				l := s.boxes[i].v.logs[k]
				owed := slices.ContainsFunc(l.Owed(), func(o record.Owed) bool { return o.Contains(all[0].Offset) })
				if all[0].Offset < l.Position && !owed {
					why = record.ReasonDelivered
				}
				s.drop(i, k, record.Range{From: all[0].Offset, To: all[0].Offset + 1}, why)
				return true
			})
		}
	}
}

func clones(logs []*log) (out []*log) {
	for _, l := range logs {
		out = append(out, &log{l.Clone()})
	}
	return out
}

func (s *state) append(i, k int, r record.Record) {
	b := s.boxes[i].change()
	s.num++
	r.Kind, r.Num, r.Time = record.KindObservation, s.num, s.num
	if r.Series == 0 {
		r.Series = record.SeriesID(1 + s.num%2)
	}
	r.Clock = record.ClockApp
	b.logs[k].AppendRecord(r, true)
	b.s.LogChanged(b.logs[k].Name)
}

func (s *state) drop(i, k int, r record.Range, why record.Reason) {
	b := s.boxes[i].change()
	s.left.lost++
	b.logs[k].Drop(r, why)
	b.s.LogChanged(b.logs[k].Name)
}

// restart is a new process on the disk as it is.
func (s *state) restart(i int) {
	b := s.boxes[i].change()
	for _, l := range b.logs {
		l.Reopen()
	}
	b.connected = false
	b.s = s.sender(b.logs)
}

// nodes send messages to box 0, and again after whatever made it forget them.
func (s *state) nodes(add adder) {
	message := func(s *state, seq int) {
		b := s.boxes[0].change()
		for _, h := range b.logs[0].Records() {
			if p, ok := b.logs[0].Message(h.Offset); ok && p.Sequence >= uint64(seq) {
				return // the log knows it
			}
		}
		b.logs[0].AppendMessage(record.ProducerPosition{Name: "node", Incarnation: 1, Sequence: uint64(seq)}, true, int64(1000+seq))
		b.s.LogChanged(b.logs[0].Name)
	}
	add(s.left.Message, named("the node sends a message"), func(s *state) bool {
		s.left.Message--
		s.boxes[0].change().sent++
		message(s, s.boxes[0].v.sent)
		return true
	})
	if s.boxes[0].v.sent > 0 {
		add(s.left.Resend, named("the node sends its last message again"), func(s *state) bool {
			s.left.Resend--
			message(s, s.boxes[0].v.sent)
			return true
		})
	}
}

func (s *state) network(add adder) {
	l := &s.left
	for i, m := range s.up {
		add(l.Lose, told("lost: %s", m), func(s *state) bool {
			s.left.Lose--
			s.up = without(s.up, i)
			return true
		})
		if len(s.up) < maxWay {
			add(l.Twice, told("twice: %s", m), func(s *state) bool {
				s.left.Twice--
				s.up = append(s.up, s.up[i])
				return true
			})
		}
		if d, ok := m.Message.(*wire.Data); ok && d.BodyOK() {
			add(l.Spoil, told("damaged: %s", m), func(s *state) bool {
				s.left.Spoil--
				d := through(s.up[i].Message).(*wire.Data)
				d.Body[0] ^= 1
				s.up = slices.Clone(s.up)
				s.up[i] = send(d)
				return true
			})
		}
	}
	for i, m := range s.down {
		add(l.Lose, told("lost: %s", m), func(s *state) bool {
			s.left.Lose--
			s.down = without(s.down, i)
			return true
		})
		if len(s.down) < maxWay {
			add(l.Twice, told("twice: %s", m), func(s *state) bool {
				s.left.Twice--
				s.down = append(s.down, s.down[i])
				return true
			})
		}
	}
}

func (s *state) hubFaults(add adder) {
	l := &s.left
	add(l.HubRestart, named("the hub restarts"), func(s *state) bool {
		s.left.HubRestart--
		s.hubs[0] = newHub()
		return true
	})
	if len(s.hubs) == 1 {
		add(l.SecondHub, named("a second hub starts over the store"), func(s *state) bool {
			s.left.SecondHub--
			s.hubs = append(s.hubs, newHub())
			return true
		})
	}
	if s.save.v == nil {
		add(l.Backup, named("backup of the store"), func(s *state) bool {
			s.left.Backup--
			s.save = s.store.shared()
			return true
		})
		return
	}
	add(l.Restore, named("the store is restored, the hubs start anew"), func(s *state) bool {
		s.left.Restore--
		s.restore()
		for i := range s.hubs {
			s.hubs[i] = newHub()
		}
		return true
	})
	add(l.Zombie, named("the store is restored under running hubs"), func(s *state) bool {
		s.left.Zombie--
		s.restore()
		return true
	})
}

// restore puts the backup in the place of the store. Where it cannot be needed again it is forgotten: it would only tell
// apart states that are the same.
func (s *state) restore() {
	s.left.backups++
	s.store = s.save.shared()
	s.changeStore()
	if l := &s.left; l.Restore+l.Zombie+l.Backup == 0 {
		s.save = part[memory.Store]{}
	}
}
