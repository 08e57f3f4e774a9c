package receive

// Bodies is the decoder that a round uses.
type Bodies struct{ bodies }

// NewBodies makes one.
func NewBodies() *Bodies { return &Bodies{} }

// Reset frees what was decoded, as the end of a round does.
func (b *Bodies) Reset() { b.reset() }
