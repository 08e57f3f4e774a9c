package api

import (
	"slices"
	"strings"
)

// Rank orders states of sources and qualities of readings from the worst: 0 dead or bad, 1 degraded or uncertain, 2 the rest.
func Rank(state string) int {
	switch {
	case state == SourceDead, strings.HasPrefix(state, "bad"):
		return 0
	case state == SourceDegraded, strings.HasPrefix(state, "uncertain"):
		return 1
	}
	return 2
}

// Keep leaves the sources and sensors that have the text in their source, id, name or series (small and large letters are
// alike), at most most of the sensors, the worst first; 0 is no bound. LeftOut says how many of each source are not shown.
func (s *Sensors) Keep(text string, most int) {
	if text != "" {
		s.Sources = matching(s.Sources, text)
	}
	n := 0
	for _, src := range s.Sources {
		n += len(src.Sensors)
	}
	if most <= 0 || n <= most {
		return
	}
	left := [3]int{most, most, most} // places for each rank: the worse come first
	var ranks [3]int
	for _, src := range s.Sources {
		for _, x := range src.Sensors {
			ranks[Rank(x.Quality)]++
		}
	}
	for r := 1; r < len(left); r++ {
		left[r] = max(left[r-1]-ranks[r-1], 0)
	}
	for i := range s.Sources {
		src := &s.Sources[i]
		all := src.Sensors
		src.Sensors = []Sensor{}
		for _, x := range all {
			if r := Rank(x.Quality); left[r] > 0 {
				left[r]--
				src.Sensors = append(src.Sensors, x)
			} else {
				src.LeftOut++
			}
		}
	}
}

func matching(sources []Source, text string) []Source {
	text = strings.ToLower(text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	out := []Source{}
	for _, src := range sources {
		if !has(src.Name) {
			src.Sensors = slices.DeleteFunc(slices.Clone(src.Sensors), func(x Sensor) bool { return !has(x.Series) && !has(x.ID) && !has(x.Label) })
			if len(src.Sensors) == 0 {
				continue
			}
		}
		out = append(out, src)
	}
	return out
}
