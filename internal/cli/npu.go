package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

const npuHelp = "  edgectl npu                         chips, models, latency, queue, faults\n" +
	"  edgectl npu run --model M a.jpg …   what a model says; nothing is recorded\n\n" +
	"--npu-dir DIR is where the worker's socket lies; $EDGE_NPU_DIR or /run/edge-npu.\n"

func (a *app) npu(ctx context.Context, args []string) error {
	model, dir := "", a.Getenv("EDGE_NPU_DIR")
	words, err := a.parse("npu", args, 1000, func(f *flag.FlagSet) {
		f.StringVar(&model, "model", "", "")
		f.StringVar(&dir, "npu-dir", dir, "")
	})
	if err != nil {
		return err
	}
	client := api.NewNPUClient(dir)
	switch {
	case len(words) == 0:
		return a.npuStatus(ctx, client)
	case words[0] == "run" && model != "" && len(words) > 1:
		return a.npuRun(ctx, client, model, words[1:])
	}
	return usagef("npu: write edgectl npu, or edgectl npu run --model M FILE…")
}

func (a *app) npuStatus(ctx context.Context, client *api.NPUClient) error {
	s, err := client.Status(ctx)
	if errors.Is(err, api.ErrNPUSilent) {
		return &exit{ExitUnreachable, fmt.Errorf("%w; `systemctl status edge-npu` says why. Is it another directory? See --npu-dir", err)}
	}
	if err != nil {
		return err
	}
	if a.g.json {
		err = a.json(s)
	} else {
		err = a.text(a.view().npu(s))
	}
	if err == nil && len(s.Faults) > 0 {
		err = &exit{code: ExitDegraded}
	}
	return err
}

// npu is one screen: faults first, then chips, then models.
func (v view) npu(s *api.NPUStatus) string {
	var b strings.Builder
	state := v.style.Paint(term.Green, "OK")
	if len(s.Faults) > 0 {
		state = v.style.Paint(term.Yellow, "DEGRADED")
	}
	name := "NPU"
	if s.Simulated {
		name += " SIMULATED"
	}
	parts := []string{name, state, "edge-npu " + s.Version, "up " + term.Duration(v.now.Sub(s.Started))}
	if s.CANN != "" {
		parts = append(parts, "CANN "+s.CANN)
	}
	if s.Driver != "" {
		parts = append(parts, "driver "+s.Driver)
	}
	b.WriteString(v.clean(v.fields(3, parts...)))
	for _, f := range s.Faults {
		b.WriteString(v.clean("!  " + term.Wrap(f.Subject+": "+f.Text, v.style.Width()-3, "   ") + "\n   edgectl explain " + f.Code + "\n"))
	}
	if s.Warning != "" {
		b.WriteString(v.clean("-  " + term.Wrap(s.Warning, v.style.Width()-3, "   ") + "\n"))
	}
	b.WriteByte('\n')
	chips := term.Table{Head: []string{"CHIP", "NAME", "HEALTH", "TEMP", "POWER", "AI CORE", "MEMORY"}, Right: []bool{false, false, false, true, true, true, true}, Gap: 2}
	for _, c := range s.Chips {
		memory := "-"
		if total := c.Gauges["memory.total"]; total > 0 {
			if used, told := c.Gauges["memory.used"]; told {
				memory = term.Bytes(int64(used))
			}
			memory += " of " + term.Bytes(int64(total))
		}
		chips.Row(v.clean(c.ID), v.clean(c.Name), v.clean(c.Health), gauge(c, "temperature", "%.0f °C"), power(c), gauge(c, "utilization.aicore", "%.0f %%"), memory)
	}
	if len(s.Chips) > 0 {
		b.WriteString(v.clean(chips.String()) + "\n")
	}
	models := term.Table{Head: []string{"MODEL", "VERSION", "STATE", "TEST", "DONE", "BAD", "QUEUE", "DROPPED", "p50", "p99 ms"},
		Right: []bool{false, false, false, false, true, true, true, true, true, true}, Gap: 2}
	for _, m := range s.Models {
		var dropped uint64
		for _, n := range m.Dropped {
			dropped += n
		}
		models.Row(v.clean(m.Name), v.clean(m.Version), m.State, m.SelfTest, term.CommaU(m.Done), term.CommaU(m.Bad), fmt.Sprintf("%d of %d", m.Queue, m.QueueMax),
			term.CommaU(dropped), fmt.Sprintf("%.1f", m.P50), fmt.Sprintf("%.1f", m.P99))
	}
	b.WriteString(models.String())
	for _, m := range s.Models {
		if text := pictures(m); text != "" {
			b.WriteString(v.clean(term.Wrap(m.Name+": "+text, v.style.Width(), "  ") + "\n"))
		}
	}
	b.WriteString(v.fields(0, term.CommaU(s.Durable)+" messages durable", fmt.Sprintf("%d waiting", s.Waiting), fmt.Sprintf("%d restarts", s.Restarts), untold(s.Untold)))
	if s.LastError != "" {
		b.WriteString(v.clean(term.Wrap("last error: "+s.LastError, v.style.Width(), "  ") + "\n"))
	}
	return b.String()
}

// untold says how many records of chips and models are missing from the log, "" if none is.
func untold(n uint64) string {
	if n == 0 {
		return ""
	}
	return term.CommaU(n) + " records of chips and models left out"
}

// pictures says who decodes a model's pictures, and what could not be left to the device.
func pictures(m api.NPUModel) string {
	if m.Media == "" {
		return ""
	}
	by, why, _ := strings.Cut(m.Media, ": ")
	if by == "device" {
		why = term.CommaU(m.OnDevice)
		if m.LeftToProcessor > 0 {
			why += ", " + term.CommaU(m.LeftToProcessor) + " left to the processor"
		}
	}
	return "pictures are decoded by the " + by + " (" + why + ")"
}

func gauge(c api.NPUChip, name, format string) string {
	if x, ok := c.Gauges[name]; ok {
		return fmt.Sprintf(format, x)
	}
	return "-"
}

// power is the chip's, or where it has no figure of its own that of its board.
func power(c api.NPUChip) string {
	if _, ok := c.Gauges["power"]; ok {
		return gauge(c, "power", "%.1f W")
	}
	return gauge(c, "board_power", "%.1f W (board)")
}

// npuFields is the worker's line of the agent's status.
func npuFields(n *api.NPUSummary) []string {
	if n.State == api.NPUSilent {
		return []string{"NPU       edge-npu does not answer", "systemctl status edge-npu"}
	}
	simulated := ""
	if n.Simulated {
		simulated = " SIMULATED"
	}
	chips := fmt.Sprintf("NPU      %s %d %s ok", simulated, n.ChipsOK, plural(n.ChipsOK, "chip"))
	if n.ChipsOK < n.Chips {
		chips = fmt.Sprintf("NPU      %s %d of %d chips ok", simulated, n.ChipsOK, n.Chips)
	}
	out := []string{chips}
	if n.Chips == 0 {
		out[0] = "NPU      " + simulated + " no chip seen"
	}
	var chip []string
	if n.Temperature != nil {
		chip = append(chip, fmt.Sprintf("%.0f °C", *n.Temperature))
	}
	if n.Load != nil {
		chip = append(chip, fmt.Sprintf("load %.0f %%", *n.Load))
	}
	out = append(out, strings.Join(chip, ", "))
	out = append(out, fmt.Sprintf("%d of %d models ready", n.Ready, n.Models), term.CommaU(n.Done)+" inferences")
	for _, k := range []struct {
		n    uint64
		what string
	}{{n.Bad, "bad"}, {uint64(n.Waiting), "waiting"}, {n.Dropped, "dropped"}} {
		if k.n > 0 {
			out = append(out, term.CommaU(k.n)+" "+k.what)
		}
	}
	if n.Restarts > 0 {
		out = append(out, term.Count(n.Restarts, "restart"))
	}
	return out
}

// npuResult is one line of npu run --json.
type npuResult struct {
	File string `json:"file"`
	*api.NPUResult
}

func (a *app) npuRun(ctx context.Context, client *api.NPUClient, model string, files []string) error {
	bad := 0
	for _, name := range files {
		info, err := os.Stat(name)
		if err == nil && info.Size() > api.MaxNPUInput {
			err = fmt.Errorf("%s has %d bytes, at most %d are taken", name, info.Size(), api.MaxNPUInput)
		}
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		res, err := client.Infer(ctx, model, "", data)
		if err != nil {
			return err
		}
		if res.Quality != "good" {
			bad++
		}
		if a.g.json {
			err = json.NewEncoder(a.Stdout).Encode(npuResult{filepath.Base(name), res})
		} else {
			text := npuText(res)
			if res.Simulated {
				text += "   SIMULATED"
			}
			_, err = io.WriteString(a.Stdout, a.Style.Text(filepath.Base(name)+"   "+text)+"\n")
		}
		if err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	if bad > 0 {
		return &exit{ExitError, fmt.Errorf("%d of %d files gave no result", bad, len(files))}
	}
	return nil
}

// npuText is a result in a few words: labels with their scores, values, boxes.
func npuText(res *api.NPUResult) string {
	if res.Error != "" {
		return res.Quality + ": " + res.Error
	}
	var body map[string]any
	if json.Unmarshal(res.Result, &body) != nil {
		return string(res.Result)
	}
	var parts []string
	for _, key := range []string{"top", "boxes", "values"} {
		list, _ := body[key].([]any)
		for _, x := range list[:min(len(list), 8)] {
			switch m := x.(type) {
			case map[string]any:
				name := fmt.Sprint(m["label"])
				if m["label"] == nil {
					name = fmt.Sprint(m["name"])
				}
				score := m["score"]
				if score == nil {
					score = m["value"]
				}
				parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %.4g", name, score)))
			default:
				parts = append(parts, fmt.Sprintf("%.4g", x))
			}
		}
	}
	if score, ok := body["score"]; ok {
		parts = append(parts, fmt.Sprintf("score %.4g", score))
		if body["anomaly"] == true {
			parts = append(parts, "ANOMALY")
		}
	}
	if len(parts) == 0 {
		var keys []string
		for k := range body {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		return "nothing found (" + strings.Join(keys, ", ") + ")"
	}
	return strings.Join(parts, ", ")
}

// npuLine is a record of an inference as one readable line; false if it is none.
func npuLine(r *api.Record) (string, bool) {
	if !strings.HasPrefix(r.Name, "npu.") || r.Type != "json" {
		return "", false
	}
	var body struct {
		Text, Error string
		Latency     float64 `json:"latency_ms"`
		Input       struct{ Kind, Ref string }
	}
	var labels map[string]string
	if json.Unmarshal(r.Labels, &labels) != nil || json.Unmarshal(r.Value, &body) != nil || body.Text == "" && body.Error == "" {
		return "", false
	}
	line := r.Name + "  " + labels["model"] + "  " + body.Text + body.Error
	if body.Input.Ref != "" {
		line += "  " + filepath.Base(body.Input.Ref)
	}
	if body.Latency > 0 {
		line += fmt.Sprintf("  %.1f ms", body.Latency)
	}
	if labels["simulated"] == "true" {
		line += "  simulated"
	}
	return strings.Join(strings.Fields(line), " "), true
}
