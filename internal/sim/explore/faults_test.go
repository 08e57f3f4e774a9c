package explore

import (
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// faults are what the budget still allows, and what brings new records.
func (s *state) faults() (out []action) {
	add := func(left *int, name string, do func(s *state) bool) {
		if *left > 0 {
			out = append(out, action{name: name, do: do})
		}
	}
	l := &s.left
	for i := range s.boxes {
		for k := range s.boxes[i].logs {
			add(&l.Append, fmt.Sprintf("box %d appends to %s", i, s.boxes[i].logs[k].Name), func(s *state) bool {
				s.left.Append--
				s.append(s.boxes[i], k, record.Record{Type: record.TypeInt})
				return true
			})
		}
		add(&l.Dead, fmt.Sprintf("box %d appends what no store takes", i), func(s *state) bool {
			s.left.Dead--
			s.append(s.boxes[i], 0, record.Record{Type: record.TypeInt, Series: record.MaxSeriesPerEpoch + 1})
			return true
		})
		s.boxFaults(i, add)
	}
	s.nodes(add)
	s.network(add)
	s.hubFaults(add)
	return out
}

type adder func(left *int, name string, do func(s *state) bool)

func (s *state) boxFaults(i int, add adder) {
	l := &s.left
	b := s.boxes[i]
	add(&l.Crash, fmt.Sprintf("box %d loses power", i), func(s *state) bool {
		s.left.Crash--
		s.restart(s.boxes[i])
		return true
	})
	if b.connected {
		add(&l.Cut, fmt.Sprintf("box %d loses its connection", i), func(s *state) bool {
			s.left.Cut--
			s.boxes[i].connected = false
			s.boxes[i].s.Disconnected(s.now, nil)
			return true
		})
		if len(s.up)+len(s.down) > 0 {
			add(&l.Late, fmt.Sprintf("box %d waits no longer", i), func(s *state) bool {
				s.left.Late--
				return s.tick(i, false).do(s)
			})
		}
	}
	if s.spare == nil {
		add(&l.Lie, fmt.Sprintf("the disk of box %d begins to lie", i), func(s *state) bool {
			s.left.Lie--
			s.spare = clones(s.boxes[i].logs)
			return i == 0
		})
	} else if i == 0 {
		one := 1
		add(&one, "box 0 loses power and what its disk had only said it had", func(s *state) bool {
			s.discard(s.boxes[0].logs, s.spare)
			s.boxes[0].logs, s.spare = s.spare, nil
			s.restart(s.boxes[0])
			s.left.lies++
			return true
		})
	}
	if s.snap == nil && i == 0 {
		add(&l.Snapshot, "a snapshot of box 0 is taken", func(s *state) bool {
			s.left.Snapshot--
			s.snap = copyOf(s.boxes[0])
			return true
		})
	} else if i == 0 {
		one := 1
		add(&one, "box 0 goes on from its snapshot", func(s *state) bool {
			s.discard(s.boxes[0].logs, s.snap.logs)
			s.boxes[0], s.snap = s.snap, nil
			s.boxes[0].connected = false
			s.boxes[0].s.Disconnected(s.now, nil)
			s.left.snaps++
			return true
		})
	}
	if len(s.boxes) == 1 {
		add(&l.Clone, "a second box starts from a copy of the disk", func(s *state) bool {
			s.left.Clone--
			s.left.cloned++
			b := &box{logs: clones(s.boxes[0].logs)}
			s.boxes = append(s.boxes, b)
			s.restart(b)
			return true
		})
	}
	if i == 0 {
		add(&l.Replace, "box 0 gets an empty disk", func(s *state) bool {
			s.left.Replace--
			var logs []*log
			for _, l := range s.boxes[0].logs {
				logs = append(logs, s.newLog(l.Name))
			}
			s.discard(s.boxes[0].logs, logs)
			s.boxes[0].logs = logs
			s.restart(s.boxes[0])
			s.left.wiped++
			return true
		})
	}
	for k := range b.logs {
		for _, h := range b.logs[k].Records() {
			r := record.Range{From: h.Offset, To: h.Offset + 1}
			add(&l.Rot, fmt.Sprintf("offset %d of %s of box %d rots", h.Offset, b.logs[k].Name, i), func(s *state) bool {
				s.left.Rot--
				s.drop(s.boxes[i], k, r, record.ReasonCorrupt)
				return true
			})
		}
		if all := b.logs[k].Records(); len(all) > 0 {
			add(&l.Drop, fmt.Sprintf("the oldest of %s of box %d makes room", b.logs[k].Name, i), func(s *state) bool {
				s.left.Drop--
				why := record.ReasonRetention
				l := s.boxes[i].logs[k]
				owed := slices.ContainsFunc(l.Owed(), func(o record.Owed) bool { return o.Contains(all[0].Offset) })
				if all[0].Offset < l.Position && !owed {
					why = record.ReasonDelivered
				}
				s.drop(s.boxes[i], k, record.Range{From: all[0].Offset, To: all[0].Offset + 1}, why)
				return true
			})
		}
	}
}

func clones(logs []*log) (out []*log) {
	for _, l := range logs {
		out = append(out, &log{Log: l.Clone()})
	}
	return out
}

func (s *state) append(b *box, k int, r record.Record) {
	s.num++
	r.Kind, r.Num, r.Time = record.KindObservation, s.num, s.num
	if r.Series == 0 {
		r.Series = record.SeriesID(1 + s.num%2)
	}
	r.Clock = record.ClockApp
	b.logs[k].AppendRecord(r, true)
	b.s.LogChanged(b.logs[k].Name)
}

func (s *state) drop(b *box, k int, r record.Range, why record.Reason) {
	s.left.lost++
	b.logs[k].Drop(r, why)
	b.s.LogChanged(b.logs[k].Name)
}

// restart is a new process on the disk as it is.
func (s *state) restart(b *box) {
	for _, l := range b.logs {
		l.Reopen()
	}
	b.connected = false
	b.s = s.sender(b.logs)
}

// nodes send messages to box 0, and again after whatever made it forget them.
func (s *state) nodes(add adder) {
	message := func(s *state, seq int) {
		b := s.boxes[0]
		for _, h := range b.logs[0].Records() {
			if p, ok := b.logs[0].Message(h.Offset); ok && p.Sequence >= uint64(seq) {
				return // the log knows it
			}
		}
		b.logs[0].AppendMessage(record.ProducerPosition{Name: "node", Incarnation: 1, Sequence: uint64(seq)}, true, int64(1000+seq))
		b.s.LogChanged(b.logs[0].Name)
	}
	add(&s.left.Message, "the node sends a message", func(s *state) bool {
		s.left.Message--
		s.boxes[0].sent++
		message(s, s.boxes[0].sent)
		return true
	})
	if s.boxes[0].sent > 0 {
		add(&s.left.Resend, "the node sends its last message again", func(s *state) bool {
			s.left.Resend--
			message(s, s.boxes[0].sent)
			return true
		})
	}
}

func (s *state) network(add adder) {
	l := &s.left
	for i := range s.up {
		add(&l.Lose, "lost: "+tell(s.up[i]), func(s *state) bool {
			s.left.Lose--
			s.up = append(s.up[:i:i], s.up[i+1:]...)
			return true
		})
		if len(s.up) < maxWay {
			add(&l.Twice, "twice: "+tell(s.up[i]), func(s *state) bool {
				s.left.Twice--
				s.up = append(s.up, through(s.up[i]))
				return true
			})
		}
		if d, ok := s.up[i].(*wire.Data); ok && d.BodyOK() {
			add(&l.Spoil, "damaged: "+tell(d), func(s *state) bool {
				s.left.Spoil--
				d := through(s.up[i]).(*wire.Data)
				d.Body[0] ^= 1
				s.up[i] = d
				return true
			})
		}
	}
	for i := range s.down {
		add(&l.Lose, "lost: "+tell(s.down[i]), func(s *state) bool {
			s.left.Lose--
			s.down = append(s.down[:i:i], s.down[i+1:]...)
			return true
		})
		if len(s.down) < maxWay {
			add(&l.Twice, "twice: "+tell(s.down[i]), func(s *state) bool {
				s.left.Twice--
				s.down = append(s.down, through(s.down[i]).(*wire.Ack))
				return true
			})
		}
	}
}

func (s *state) hubFaults(add adder) {
	l := &s.left
	add(&l.HubRestart, "the hub restarts", func(s *state) bool {
		s.left.HubRestart--
		s.hubs[0] = s.hub()
		return true
	})
	if len(s.hubs) == 1 {
		add(&l.SecondHub, "a second hub starts over the store", func(s *state) bool {
			s.left.SecondHub--
			s.hubs = append(s.hubs, s.hub())
			return true
		})
	}
	if s.save == nil {
		add(&l.Backup, "backup of the store", func(s *state) bool {
			s.left.Backup--
			s.save = s.store.Backup()
			return true
		})
		return
	}
	add(&l.Restore, "the store is restored, the hubs start anew", func(s *state) bool {
		s.left.Restore--
		s.left.backups++
		s.store.Restore(s.save)
		for i := range s.hubs {
			s.hubs[i] = s.hub()
		}
		return true
	})
	add(&l.Zombie, "the store is restored under running hubs", func(s *state) bool {
		s.left.Zombie--
		s.left.backups++
		s.store.Restore(s.save)
		return true
	})
}
