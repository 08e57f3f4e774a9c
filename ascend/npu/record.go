package npu

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgelog/edgelog/internal/api"
)

// messageBytes is what the bodies of one message may take together; a message has at most 48 KiB in all.
const messageBytes = 40 << 10

func digest(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func cut(s string) string {
	if len(s) <= maxRecordText {
		return s
	}
	n := maxRecordText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// labels of every series that a model makes.
func (w *Worker) labels(g *generation) map[string]string {
	sum := g.sum
	l := map[string]string{"model": g.m.Name, "version": g.m.Version, "sha256": sum[:min(16, len(sum))], "runtime": w.runtime()}
	if w.simulated() {
		l["simulated"] = "true"
	}
	return l
}

// record makes the records of one inference, and the answer to who asked for it. An inference that failed is a record
// with a bad quality and the reason in a series of its own: a bad record has no value.
func (w *Worker) record(g *generation, it *item, out *outcome, err error, ms float64, j *job, sum, where string) ([]api.IngestRecord, api.NPUResult) {
	labels := w.labels(g)
	res := api.NPUResult{SchemaVersion: api.SchemaVersion, Model: g.m.Name, Simulated: w.simulated(), Quality: "good", Recorded: it.record}
	if err != nil {
		res.Quality, res.Error = "bad:malformed", cut(err.Error())
		if errors.Is(err, errDevice) {
			res.Quality = "bad:device"
		}
		return badRecords(labels, it, res.Quality, res.Error), res
	}
	body := map[string]any{"schema": api.NPUSchema, "kind": g.m.Output.Kind, "text": out.text, "result": out.body,
		"input":      map[string]any{"kind": it.ref.Kind, "ref": cut(it.ref.Name), "sha256": sum},
		"latency_ms": ms, "device_ms": float64(j.device.Microseconds()) / 1000, "batch": j.batch}
	if where != "" {
		body["decoded_by"] = where
	}
	text := encode(body, messageBytes/max(len(j.in), 1)-64)
	var merr error
	if res.Result, merr = json.Marshal(out.body); merr != nil {
		res.Result = nil
	}
	records := []api.IngestRecord{{Name: api.NPURecord, Labels: labels, Type: "json", Value: text}}
	if g.m.Output.Chart {
		for _, c := range out.charts {
			l := labels
			if c.label != "" {
				l = map[string]string{"output": c.label}
				for k, v := range labels {
					l[k] = v
				}
			}
			records = append(records, api.IngestRecord{Name: c.name, Labels: l, Unit: c.unit, Type: "float",
				Value: json.RawMessage(strconv.FormatFloat(c.value, 'g', -1, 64))})
		}
	}
	return records, res
}

// encode is the body as JSON; a result that is too long for its message is left out, and that is said.
func encode(body map[string]any, limit int) json.RawMessage {
	text, err := json.Marshal(body)
	if err == nil && len(text) <= max(limit, 400) {
		return text
	}
	short := map[string]any{}
	for k, v := range body {
		if k != "result" {
			short[k] = v
		}
	}
	short["truncated"] = true
	if text, err = json.Marshal(short); err != nil {
		return json.RawMessage(`{"schema":1,"truncated":true}`)
	}
	return text
}

// badRecords say that an input gave no result.
func badRecords(labels map[string]string, it *item, quality, why string) []api.IngestRecord {
	text, err := json.Marshal(map[string]any{"schema": api.NPUSchema, "error": cut(why), "input": map[string]any{"kind": it.ref.Kind, "ref": cut(it.ref.Name)}})
	if err != nil {
		text = []byte(`{"schema":1}`)
	}
	failed := map[string]string{}
	for k, v := range labels {
		failed[k] = v
	}
	return []api.IngestRecord{
		{Name: api.NPURecord, Labels: labels, Type: "json", Value: json.RawMessage("null"), Quality: quality},
		{Name: "npu.failed", Labels: failed, Type: "json", Value: text},
	}
}

// note is a message without input: what happened to a model or the device, gauges of the chips.
func (w *Worker) noteRecord(name, model, text string, more map[string]any) api.IngestRecord {
	body := map[string]any{"schema": api.NPUSchema, "text": cut(text)}
	for k, v := range more {
		body[k] = v
	}
	labels := map[string]string{}
	if model != "" {
		labels["model"] = model
	}
	if w.simulated() {
		labels["simulated"] = "true"
	}
	return api.IngestRecord{Name: name, Labels: labels, Type: "json", Value: encode(body, 4096)}
}

// seriesName makes a fit name of a gauge.
func seriesName(gauge string) string { return "npu." + strings.ToLower(gauge) }
