package wire

import (
	"encoding/json"
	"fmt"
)

// MaxStateBytes bounds a birth or last will.
const MaxStateBytes = 4 << 10

// State is a device's birth or last will, retained on its State topic as JSON for people and tools too. It decides
// nothing: positions come with hello.
type State struct {
	Online bool   `json:"online"`
	Agent  string `json:"agent,omitempty"` // version
	Boot   string `json:"boot,omitempty"`  // kernel boot id
	Run    string `json:"run,omitempty"`   // random, of one run of the agent: who stands behind the name
}

// AppendState appends the JSON of a state.
func AppendState(dst []byte, s *State) []byte {
	c := *s
	c.Agent, c.Boot, c.Run = shorten(c.Agent, MaxStringBytes), shorten(c.Boot, MaxStringBytes), shorten(c.Run, MaxStringBytes)
	b, err := json.Marshal(&c)
	if err != nil { // a struct of a bool and texts always has a JSON form
		panic("wire: " + err.Error())
	}
	return append(dst, b...)
}

// ParseState reads a birth or last will. Unknown keys are ignored.
func ParseState(b []byte) (*State, error) {
	if len(b) > MaxStateBytes {
		return nil, malformed("state too long")
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: state: %v", ErrMessage, err)
	}
	return &s, nil
}
