package owserver

import "io"

// ReadAnswer is readAnswer, for the fuzz test.
func ReadAnswer(r io.Reader) (result int32, payload []byte, err error) {
	h, p, err := readAnswer(r)
	return h.result, p, err
}
