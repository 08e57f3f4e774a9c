package mqttsource

import (
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// Reader is one subscription without a connection.
type Reader struct{ d dialect }

// NewReader makes a reader.
func NewReader(s Subscription) (*Reader, error) {
	d, err := dialectOf(s)
	return &Reader{d}, err
}

// Read reads one message.
func (r *Reader) Read(m mqttclient.Message, tell func(door.Missed, int, error)) ([]door.Reading, string) {
	return r.d.read(nil, m, tell)
}
