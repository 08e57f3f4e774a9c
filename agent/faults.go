package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/wire"
)

// faults turns what the parts report into declared faults and log lines: the one place where their events stop.
type faults struct {
	health.Tracker
	log     *slog.Logger
	unclean bool // the log was not closed in order the last time; known once it is open

	mu   sync.Mutex // guards said
	said map[string]time.Time
}

// noteEvery is the least time between two log lines of one thing that is noted again and again.
const (
	noteEvery = time.Minute
	maxSaid   = 1024
)

func (f *faults) raise(code health.Code, key, subject, text string) {
	if f.Raise(time.Now(), code, key, subject, text) {
		f.log.Warn(text, "code", string(code), "subject", subject)
	}
}

func (f *faults) clear(code health.Code, key string) {
	if f.Clear(time.Now(), code, key) {
		f.log.Info("over", "code", string(code), "key", key)
	}
}

func (f *faults) note(code health.Code, key, subject, text string) {
	now := time.Now()
	f.Note(now, now, code, key, subject, text)
	f.mu.Lock()
	id := string(code) + " " + key
	again := now.Sub(f.said[id]) < noteEvery
	if !again {
		if f.said == nil || len(f.said) >= maxSaid {
			f.said = map[string]time.Time{}
		}
		f.said[id] = now
	}
	f.mu.Unlock()
	if !again {
		f.log.Warn(text, "code", string(code), "subject", subject)
	}
}

// badReading is the code of each quality.
var badReading = map[record.Quality]health.Code{
	record.QualityBad: health.SensorBad, record.QualityNoConversion: health.SensorNoConversion, record.QualityPowerOn: health.SensorPowerOn,
	record.QualityAllZero: health.SensorAllZero, record.QualityCRC: health.SensorCRC, record.QualityTimeout: health.SensorTimeout,
	record.QualityShorted: health.SensorShorted, record.QualityBus: health.SensorBus, record.QualityNaN: health.SensorNaN,
	record.QualityDevice: health.SensorDevice, record.QualityMalformed: health.SensorMalformed, record.QualityOverflow: health.SensorOverflow,
	record.QualityUnsupported: health.SensorUnsupported, record.QualityBrownOut: health.SensorBrownOut,
	record.QualityAbsent: health.SensorVanished, record.QualityNoDevice: health.SensorNeverSeen,
	record.QualityUncertain: health.SensorUncertain, record.QualityOutOfRange: health.SensorRange,
	record.QualityStuck: health.SensorStuck, record.QualityStale: health.SensorStale,
}

// subjectOf names a series as a person would: its thing's id with the name that somebody gave it.
func subjectOf(s record.Series) string {
	id, name := s.Label("rom"), s.Label("name")
	switch {
	case id != "" && name != "":
		return id + " (" + name + ")"
	case id != "":
		return id
	case name != "":
		return name
	}
	return s.Key()
}

func (f *faults) collectEvents() collect.Events {
	seriesKey := func(source string, s record.Series) string { return source + "/" + s.Key() }
	return collect.Events{
		SourceDead: func(source string, _ record.Stamp, err error) {
			f.raise(health.SourceDead, source, source, "gives no readings: "+err.Error())
		},
		SourceBack: func(source string) { f.clear(health.SourceDead, source) },
		SourceSays: func(source, level, text string) {
			var l slog.Level
			if l.UnmarshalText([]byte(level)) != nil {
				l = slog.LevelError
			}
			f.log.Log(context.Background(), l, text, "source", source)
		},
		SeriesBad: func(source string, s record.Series, q record.Quality, _ record.Stamp) {
			code, ok := badReading[q]
			if !ok {
				code = health.SensorBad
			}
			key := seriesKey(source, s)
			for _, other := range badReading { // one line for a sensor: its reason may change
				if other != code {
					f.Clear(time.Now(), other, key)
				}
			}
			d, _ := health.Lookup(code)
			f.raise(code, key, subjectOf(s), d.Title)
		},
		SeriesGood: func(source string, s record.Series) {
			for _, code := range badReading {
				f.clear(code, seriesKey(source, s))
			}
		},
		SeriesLimit: func(source string, first record.Series) {
			f.note(health.SeriesOverflow, source, source, "makes more new series than a source may; the first refused is "+first.Key())
		},
		LogRefused: func(source, stream string, err error) {
			f.raise(health.LogFull, stream, "stream "+stream, "takes no readings of "+source+": "+whyFull(err))
		},
		LogBack: func(_, stream string) { f.clear(health.LogFull, stream) },
	}
}

func (f *faults) bufferEvents() buffer.Events {
	return buffer.Events{
		Recovered: func(stream string, r buffer.Recovery) {
			f.log.Info("log opened", "stream", stream, "segments", r.Segments, "scanned", r.Scanned, "torn_bytes", r.TornBytes, "damaged", r.Damaged)
			f.unclean = f.unclean || r.Scanned > 0
			if r.Held > 0 {
				f.raise(health.LogHeld, stream, "stream "+stream, held(r))
			}
		},
		GapMade: func(stream string, g record.Gap) {
			code := map[record.Reason]health.Code{record.ReasonRetention: health.DroppedUnsent, record.ReasonCorrupt: health.LogCorrupt,
				record.ReasonDiskLost: health.DiskLost, record.ReasonUnsendable: health.Unsendable}[g.Reason]
			if code == "" {
				return // delivered data that made room: nothing is lost
			}
			f.note(code, stream, "stream "+stream, fmt.Sprintf("offsets %s to %s (%s records): %s",
				term.CommaU(uint64(g.From)), term.CommaU(uint64(g.To)), term.CommaU(g.Len()), g.Reason))
		},
		StateChanged: func(stream string, s buffer.State, err error) {
			switch s {
			case buffer.StateFull:
				f.raise(health.LogFull, stream, "stream "+stream, whyFull(err))
			case buffer.StateFailing:
				f.raise(health.DiskFailing, stream, "stream "+stream, text(err, "the disk fails"))
			default:
				f.clear(health.LogFull, stream)
				f.clear(health.DiskFailing, stream)
			}
		},
		CommitFailed: func(stream string, err error) {
			f.note(health.WriteFailed, stream, "stream "+stream, "a commit failed, its records are kept in memory: "+err.Error())
		},
		Damaged: func(stream string, err error) {
			f.note(health.LogCorrupt, stream+"/file", "stream "+stream, err.Error())
		},
		CleanupFailed: func(stream string, err error) {
			f.log.Warn("a file that is no longer needed stays", "stream", stream, "err", err)
		},
	}
}

// held says why segments wait, and what waits with them: for a newer program, or for their key.
func held(r buffer.Recovery) string {
	newer := "need a newer version; they are kept, and delivered once it is back"
	locked := "need a key that was not given; they are kept, and delivery waits before them"
	switch {
	case r.Locked == r.Held:
		return fmt.Sprintf("%d segments %s", r.Held, locked)
	case r.Locked > 0:
		return fmt.Sprintf("%d segments %s; %d %s", r.Held-r.Locked, newer, r.Locked, locked)
	}
	return fmt.Sprintf("%d segments %s", r.Held, newer)
}

// whyFull tells a full disk from a stream that has filled its own room.
func whyFull(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "no space is left on the disk. Free some of it first (`edgectl explain B006`)"
	case err == nil, errors.Is(err, buffer.ErrFull), errors.Is(err, collect.ErrFull):
		return "its max_bytes are filled with records that are not delivered"
	}
	return err.Error()
}

func text(err error, otherwise string) string {
	if err != nil {
		return err.Error()
	}
	return otherwise
}

func (f *faults) uplinkEvents() uplink.Events {
	return uplink.Events{
		Conflict: func(stream string, e record.Epoch, at record.Offset) {
			f.note(health.UplinkConflict, stream, "stream "+stream, fmt.Sprintf("another history at offset %s of epoch %s", term.CommaU(uint64(at)), e))
		},
		Lost: func(stream string, e record.Epoch, r record.Range) {
			f.note(health.LocallyLost, stream, "stream "+stream, fmt.Sprintf("offsets %s to %s of epoch %s are delivered and no longer here",
				term.CommaU(uint64(r.From)), term.CommaU(uint64(r.To)), e))
		},
		Unsendable: func(stream string, e record.Epoch, r record.Range) {
			f.note(health.Unsendable, stream, "stream "+stream, fmt.Sprintf("offsets %s to %s of epoch %s: the hub cannot read them in any form",
				term.CommaU(uint64(r.From)), term.CommaU(uint64(r.To)), e))
		},
		Skipped: func(stream string, e record.Epoch, s wire.SkippedRange) {
			if s.Reason == "repeat" { // a resend that was recognised: nothing is missing
				return
			}
			f.note(health.DeadLetters, stream, "stream "+stream, fmt.Sprintf("offsets %s to %s of epoch %s: %s",
				term.CommaU(uint64(s.From)), term.CommaU(uint64(s.To)), e, s.Reason))
		},
		Notice: func(t string) {
			if strings.HasPrefix(t, "two-writers") {
				f.note(health.TwoWriters, t, strings.TrimPrefix(t, "two-writers "), "the hub sees two histories grow")
				return
			}
			f.log.Warn("notice from the hub", "text", t) // conflict and unknown-parent: told by name, acted upon by the protocol
		},
		Failed: func(stream string, err error) {
			f.raise(health.LogUnavailable, stream, "stream "+stream, "delivery cannot read the log: "+err.Error())
		},
	}
}

// linkCodes are the faults of a connection; one at a time is raised.
var linkCodes = []health.Code{health.UplinkUnreachable, health.UplinkRefused, health.CertificateRefused, health.UnknownCA,
	health.BrokerCertificate, health.UplinkFiles}

// linkFailed says why there is no connection; linkUp that there is one. ended is when the device's certificate ended, zero
// if it has not: a broker that refuses it may close the connection so fast that its reason is lost on the way.
func (f *faults) linkFailed(broker string, ended time.Time, err error) {
	code := linkCode(err)
	if code == health.UplinkUnreachable && !ended.IsZero() && brokenOff(err) {
		code = health.CertificateRefused
	}
	for _, c := range linkCodes {
		if c != code {
			f.Clear(time.Now(), c, "uplink")
		}
	}
	text := err.Error()
	if !strings.Contains(text, broker) {
		text = broker + ": " + text
	}
	if code == health.CertificateRefused && !ended.IsZero() {
		text = "it ended " + ended.Format(time.DateOnly) + ". " + text
	}
	f.raise(code, "uplink", "uplink", text)
}

func (f *faults) linkUp() {
	for _, c := range linkCodes {
		f.clear(c, "uplink")
	}
}

func linkCode(err error) health.Code {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var alert tls.AlertError
	switch {
	case errors.Is(err, mqttclient.ErrOptions):
		return health.UplinkFiles
	case errors.As(err, &authority):
		return health.UnknownCA
	case errors.As(err, &invalid), errors.As(err, &host):
		return health.BrokerCertificate
	case errors.As(err, &alert), mqttclient.Alert(err) != "":
		return health.CertificateRefused
	case errors.Is(err, mqttclient.ErrRefused):
		return health.UplinkRefused
	}
	return health.UplinkUnreachable
}

// brokenOff reports whether the other side was there and ended the connection.
func brokenOff(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}

func (f *faults) acknowledge(id uint64, by string) (health.Fault, error) {
	return f.Ack(time.Now(), id, by)
}
