package uplink

import "time"

// Taken is found by assertion on a link: whether another client has used our name at the broker since our connection
// before. It is asked when the link has ended.
type Taken interface{ Taken() bool }

// rivalry notices another client under our name: two boxes from one card, or somebody's forgotten test. A broker lets the
// latest one in and closes the connection of the one before, so that two that always come back at once take turns of a
// second and neither delivers anything. That a broker closes a connection proves little, it may just have been restarted;
// that somebody else's last will stands in the place of ours is proof.
//
// Then each gives the other time: pauses grow up to maxRivalPause, with so much chance in them that two boxes do not keep
// step. While one waits the other delivers.
type rivalry struct {
	seen   int // connections that followed somebody else's
	active bool
}

const (
	rivalAfter    = 2 // connections that followed somebody else's
	maxRivalPause = 5 * time.Minute
	rivalOver     = 2 * maxRivalPause // a connection that stands for so long has no rival
)

// ended takes the end of a connection and reports whether there is a rival.
func (r *rivalry) ended(lasted time.Duration, taken bool) bool {
	switch {
	case lasted > rivalOver:
		*r = rivalry{}
	case taken:
		r.seen++
		r.active = r.seen >= rivalAfter
	}
	return r.active
}

// stands takes the age of the present connection and reports whether a rival that was there is gone.
func (r *rivalry) stands(age time.Duration) bool {
	if !r.active || age <= rivalOver {
		return false
	}
	*r = rivalry{}
	return true
}

// pause is how long to wait before the next connection; chance is random in [0, n).
func (r *rivalry) pause(chance func(time.Duration) time.Duration) time.Duration {
	most := min(backoffMin<<min(r.seen+1, 16), maxRivalPause)
	return most/4 + chance(most*3/4)
}
