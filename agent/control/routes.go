package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
)

func (s *Server) controlRoutes(m *http.ServeMux) *http.ServeMux {
	m.HandleFunc("POST /v1/faults/ack", s.ack)
	m.HandleFunc("POST /v1/reload", s.reload)
	return m
}

func (s *Server) ingestRoutes(m *http.ServeMux) *http.ServeMux {
	m.HandleFunc("POST /v1/ingest/{producer}", s.ingest)
	m.HandleFunc("GET /v1/ingest/{producer}", s.position)
	m.HandleFunc("/", unknown)
	return m
}

func unknown(w http.ResponseWriter, r *http.Request) {
	problem(w, fmt.Errorf("%w: %s %s is not served here", ErrNotFound, r.Method, r.URL.Path))
}

// answer writes one JSON value.
func answer(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		problem(w, fmt.Errorf("encode answer: %w", err))
		return
	}
	deadline(w, writeTimeout)
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(data, '\n')) //nolint:errcheck // the reader has gone; there is nobody to tell
}

var statuses = []struct {
	err    error
	status int
	code   string
}{
	{ErrNotFound, http.StatusNotFound, api.CodeNotFound},
	{ErrBadRequest, http.StatusBadRequest, api.CodeBadRequest},
	{ErrTooLarge, http.StatusRequestEntityTooLarge, api.CodeTooLarge},
	{ErrFull, http.StatusInsufficientStorage, api.CodeFull},
	{ErrStopped, http.StatusServiceUnavailable, api.CodeStopped},
	{ErrOrder, http.StatusConflict, api.CodeOrder},
	{buffer.ErrNoStream, http.StatusNotFound, api.CodeNotFound},
	{errBusy, http.StatusTooManyRequests, api.CodeBusy},
}

var errBusy = errors.New("too many requests at once")

// problem answers with an error.
func problem(w http.ResponseWriter, err error) {
	status, code := http.StatusServiceUnavailable, api.CodeUnavailable
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			status, code = s.status, s.code
			break
		}
	}
	data, merr := json.Marshal(api.Problem{SchemaVersion: api.SchemaVersion, Error: err.Error(), Code: code})
	if merr != nil {
		data = []byte(`{"error":"cannot encode the error"}`)
	}
	deadline(w, writeTimeout)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n')) //nolint:errcheck // as in answer
}

// request decodes a bounded body strictly.
func request(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, api.MaxRequestBytes))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("%w: a request has at most %d bytes", ErrTooLarge, api.MaxRequestBytes)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	case dec.More():
		return fmt.Errorf("%w: something follows the request", ErrBadRequest)
	}
	return nil
}

// take gets a place in the room, or says busy.
func take(room chan struct{}) (free func(), err error) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, nil
	default:
		return nil, fmt.Errorf("%w: %d are served already; try again in a moment", errBusy, cap(room))
	}
}

func (s *Server) ack(w http.ResponseWriter, r *http.Request) {
	var req api.AckRequest
	if err := request(w, r, &req); err != nil {
		problem(w, err)
		return
	}
	by := who(r)
	f, err := s.o.Operator.Ack(req.ID, by)
	if err != nil {
		problem(w, err)
		return
	}
	s.log.Info("fault acknowledged", "id", req.ID, "code", f.Code, "by", by)
	answer(w, f)
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	by := who(r)
	s.log.Info("reload asked for", "by", by)
	unhurried(w)
	out, err := s.o.Operator.Reload(r.Context(), by)
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, out)
}

func producerOf(r *http.Request) (string, error) {
	name := r.PathValue("producer")
	if name == "" || len(name) > record.MaxProducerName {
		return "", fmt.Errorf("%w: a producer's name has 1 to %d characters", ErrBadRequest, record.MaxProducerName)
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._:-", c)) {
			return "", fmt.Errorf("%w: a producer's name has only a-z A-Z 0-9 . _ : -", ErrBadRequest)
		}
	}
	return name, nil
}

func (s *Server) ingest(w http.ResponseWriter, r *http.Request) {
	free, err := take(s.ingests)
	if err != nil {
		problem(w, err)
		return
	}
	defer free()
	name, err := producerOf(r)
	var req api.IngestRequest
	if err == nil {
		err = request(w, r, &req)
	}
	if err == nil {
		err = checkIngest(&req)
	}
	if err != nil {
		problem(w, err)
		return
	}
	unhurried(w)
	pos, err := s.o.Ingester.Ingest(r.Context(), name, &req)
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, pos)
}

func checkIngest(req *api.IngestRequest) error {
	switch {
	case req.Sequence == 0:
		return fmt.Errorf("%w: sequence numbers begin at 1", ErrBadRequest)
	case len(req.Records) == 0:
		return fmt.Errorf("%w: a message has at least one record", ErrBadRequest)
	case len(req.Records) > api.MaxIngestRecords:
		return fmt.Errorf("%w: a message has at most %d records", ErrTooLarge, api.MaxIngestRecords)
	}
	for i := range req.More {
		if m := &req.More[i]; m.Sequence != req.Sequence+uint64(i)+1 || len(m.Records) == 0 || len(m.Records) > api.MaxIngestRecords {
			return fmt.Errorf("%w: more[%d] must have sequence %d and 1 to %d records", ErrBadRequest, i, req.Sequence+uint64(i)+1, api.MaxIngestRecords)
		}
	}
	return nil
}

func (s *Server) position(w http.ResponseWriter, r *http.Request) {
	name, err := producerOf(r)
	var incarnation uint64
	if v := r.URL.Query().Get("incarnation"); err == nil && v != "" {
		if incarnation, err = strconv.ParseUint(v, 10, 64); err != nil {
			err = fmt.Errorf("%w: incarnation %q is not a number", ErrBadRequest, v)
		}
	}
	if err != nil {
		problem(w, err)
		return
	}
	pos, err := s.o.Ingester.Position(name, incarnation)
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, pos)
}
