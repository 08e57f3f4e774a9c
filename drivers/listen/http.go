package listen

import (
	"compress/gzip"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/drivers/lineproto"
)

// Headers of a producer's message.
const (
	HeaderProducer    = "X-Edgelog-Producer"
	HeaderIncarnation = "X-Edgelog-Incarnation" // 16 hexadecimal digits
	HeaderSequence    = "X-Edgelog-Sequence"    // decimal
	HeaderRepeated    = "X-Edgelog-Repeated"    // of the answer: it was taken before
)

func (d *Door) server(ctx context.Context, emit door.Emit) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/write", d.write(emit, false))
	mux.HandleFunc("POST /write", d.write(emit, false)) // InfluxDB 1
	mux.HandleFunc("POST /api/edgelog/json", d.write(emit, true))
	mux.HandleFunc("GET /api/edgelog/position", d.position)
	for _, p := range []string{"/ping", "/health"} {
		mux.HandleFunc("GET "+p, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	}
	return &http.Server{Handler: d.guard(mux), MaxHeaderBytes: maxHeader, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		WriteTimeout: readTimeout + emitTimeout}
}

// guard keeps web pages out (a browser names their origin), and those without the token.
func (d *Door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" {
			fail(w, http.StatusForbidden, "forbidden", errors.New("web pages may not write here"))
			return
		}
		if d.o.Token != "" {
			_, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if subtle.ConstantTimeCompare([]byte(got), []byte(d.o.Token)) != 1 {
				fail(w, http.StatusUnauthorized, "unauthorized", errors.New("the token is missing or another one"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// fail answers in the form of InfluxDB 2.
func fail(w http.ResponseWriter, status int, code string, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"code": code, "message": err.Error()}) //nolint:errcheck // the sender is gone
}

func (d *Door) write(emit door.Emit, asJSON bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		producer, err := producerOf(r.Header)
		if err != nil {
			fail(w, http.StatusBadRequest, "invalid", err)
			return
		}
		unit, ok := unitOf(r.URL.Query().Get("precision"))
		if !ok {
			fail(w, http.StatusBadRequest, "invalid", fmt.Errorf("precision %q: want ns, us, ms or s", r.URL.Query().Get("precision")))
			return
		}
		most := int64(MaxBody)
		if producer != nil {
			most = MaxProducerBody
		}
		body, err := readBody(w, r, most)
		if err != nil {
			var large *http.MaxBytesError
			if errors.As(err, &large) || errors.Is(err, door.ErrTooLarge) {
				d.o.Events.TellMissed(door.MissedTooLarge, 1, err)
				fail(w, http.StatusRequestEntityTooLarge, "request too large", fmt.Errorf("a body may have %d bytes", most))
				return
			}
			fail(w, http.StatusBadRequest, "invalid", fmt.Errorf("read body: %w", err))
			return
		}
		rs, err := d.parse(body, unit, asJSON)
		if err != nil {
			d.o.Events.TellMissed(door.MissedMalformed, 1, err)
			fail(w, http.StatusBadRequest, "invalid", fmt.Errorf("%w; nothing was taken", err))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), emitTimeout)
		defer cancel()
		d.answer(w, len(rs), d.put(ctx, emit, rs, producer))
	}
}

// put gives a whole body to the log.
func (d *Door) put(ctx context.Context, emit door.Emit, rs []door.Reading, producer *record.ProducerPosition) error {
	if len(rs) == 0 && producer == nil {
		return nil
	}
	if err := d.limit.Admit(rs); err != nil {
		return err
	}
	return emit(ctx, door.Message{Readings: rs, Durable: true, Producer: producer})
}

func (d *Door) answer(w http.ResponseWriter, n int, err error) {
	var order *door.OrderError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	case errors.Is(err, door.ErrRepeated):
		w.Header().Set(HeaderRepeated, "true")
		w.WriteHeader(http.StatusNoContent)
		return
	case errors.As(err, &order):
		w.Header().Set(HeaderSequence, strconv.FormatUint(order.Next, 10))
		fail(w, http.StatusConflict, "conflict", err)
		return // the sender keeps it and is told what to send first: nothing is missed
	case errors.Is(err, door.ErrTooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "request too large", err)
	case errors.Is(err, door.ErrSeries):
		fail(w, http.StatusUnprocessableEntity, "unprocessable entity", err)
	case errors.Is(err, door.ErrProducer):
		fail(w, http.StatusNotFound, "not found", err)
	default: // full, stopping, slow: worth another try
		w.Header().Set("Retry-After", "10")
		fail(w, http.StatusServiceUnavailable, "unavailable", err)
	}
	d.o.Events.TellMissed(door.WhyMissed(err), n, err)
}

func producerOf(h http.Header) (*record.ProducerPosition, error) {
	name := h.Get(HeaderProducer)
	if name == "" {
		if h.Get(HeaderSequence) != "" || h.Get(HeaderIncarnation) != "" {
			return nil, errors.New(HeaderSequence + " needs " + HeaderProducer)
		}
		return nil, nil
	}
	if len(name) > record.MaxProducerName {
		return nil, fmt.Errorf("%s is longer than %d bytes", HeaderProducer, record.MaxProducerName)
	}
	inc, err := strconv.ParseUint(h.Get(HeaderIncarnation), 16, 64)
	if err != nil {
		return nil, errors.New(HeaderIncarnation + ": want 1 to 16 hexadecimal digits")
	}
	seq, err := strconv.ParseUint(h.Get(HeaderSequence), 10, 64)
	if err != nil {
		return nil, errors.New(HeaderSequence + ": want a number")
	}
	return &record.ProducerPosition{Name: name, Incarnation: inc, Sequence: seq}, nil
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body := io.Reader(http.MaxBytesReader(w, r.Body, most))
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(b)) > most {
		err = door.ErrTooLarge
	}
	return b, err
}

// parse reads a whole body or refuses all of it.
func (d *Door) parse(body []byte, unit time.Duration, asJSON bool) ([]door.Reading, error) {
	if asJSON {
		return d.o.JSON.JSON(nil, body, d.o.Labels)
	}
	var out []door.Reading
	var first error
	lineproto.Parse(string(body), func(p lineproto.Point) {
		var err error
		if out, err = d.point(out, p, unit); err != nil && first == nil {
			first = err
		}
	}, func(e *lineproto.SyntaxError) {
		if first == nil {
			first = e
		}
	})
	return out, first
}

func (d *Door) point(dst []door.Reading, p lineproto.Point, unit time.Duration) ([]door.Reading, error) {
	from := len(dst)
	dst, err := door.FromPoint(dst, p, unit)
	for i := from; i < len(dst) && len(d.o.Labels) > 0; i++ {
		dst[i].Series.Labels = door.Labels(dst[i].Series.Labels, d.o.Labels...)
	}
	return dst, err
}

// position tells a producer where to go on.
func (d *Door) position(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	inc, err := strconv.ParseUint(q.Get("incarnation"), 16, 64)
	if err != nil || q.Get("producer") == "" {
		fail(w, http.StatusBadRequest, "invalid", errors.New("want producer=NAME&incarnation=HEX"))
		return
	}
	if d.o.Position == nil {
		fail(w, http.StatusNotFound, "not found", errors.New("no producers are configured"))
		return
	}
	seq, known, err := d.o.Position(q.Get("producer"), inc)
	if err != nil {
		fail(w, http.StatusNotFound, "not found", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"producer": q.Get("producer"), "known": known, "sequence": seq}) //nolint:errcheck // the sender is gone
}
