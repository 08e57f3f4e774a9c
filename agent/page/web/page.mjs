// The page: asks the box every few seconds, draws what it said, keeps it when the box does not answer.

import {ago, bytes, clock, clockText, comma, duration, firstSentence, key, names, number, offset, rank, rate, rateText, reasons, seconds, sentence,
  shown, span, unitText} from "./words.mjs";
import {domain, draw, pointsOf, spark, told} from "./chart.mjs";

const every = 3000, patience = 5000; // ms between two looks, and for one answer
const firstRows = 12, sparkPoints = 70, sparkEvery = 60, maxSeries = 32;
const ranges = [["1 h", 3600, 130], ["24 h", 86400, 150], ["7 d", 604800, 175]]; // points of 30 s, 10 min, 1 h

const $ = (id) => document.getElementById(id);
function h(tag, attrs, ...kids) {
  const e = document.createElement(tag);
  for (const k in attrs) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), attrs[k]);
    else if (attrs[k] !== undefined && attrs[k] !== false) e.setAttribute(k, attrs[k]);
  }
  e.append(...kids.flat(9).filter((x) => x !== "" && x !== null && x !== undefined));
  return e;
}
const soft = (...kids) => h("p", {class: "soft"}, ...kids);
// prose shows what stands between backticks as code.
const prose = (s) => s.split("`").map((t, i) => (i % 2 ? h("code", {}, t) : t));

const box = {status: null, sensors: null, nodes: null, heard: 0, began: performance.now(), skew: 0, sparks: new Map(), sparked: 0, sparkSpan: 0};
const open = new Set(), texts = new Map(); // what is unfolded; explanations that were fetched
// now is the box's clock, in seconds; this device's may be wrong.
const now = () => Date.now() / 1000 + box.skew;

class NoAnswer extends Error {}

// ask gets JSON from the box; whatever comes between is a NoAnswer.
async function ask(path, wait = patience) {
  const cut = new AbortController(), timer = setTimeout(() => cut.abort(), wait);
  let r, v;
  try {
    r = await fetch(path, {signal: cut.signal});
    v = await r.json();
  } catch (e) {
    throw new NoAnswer("the box does not answer");
  } finally {
    clearTimeout(timer);
  }
  if (r.status === 401) location.reload(); // the login is over
  if (!r.ok) throw new NoAnswer(v.error || r.statusText);
  return v;
}

// put exchanges what stands in an element if it is another one, and leaves the focus where it was.
const drawn = new Map();
function put(id, what, make) {
  const mark = JSON.stringify(what);
  if (drawn.get(id) === mark) return;
  drawn.set(id, mark);
  const at = $(id), focus = at.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  at.replaceChildren(...[make()].flat(9).filter(Boolean));
  if (focus) [...at.querySelectorAll("[data-key]")].find((e) => e.dataset.key === focus)?.focus({preventScroll: true});
}

const look = {ok: ["✓ OK", "ok"], degraded: ["! DEGRADED", "warn"], failed: ["!! FAILED", "alarm"]};
const weight = {notice: ["– notice", ""], degraded: ["! degraded", "warn"], failed: ["!! failed", "alarm"]};

function head() {
  const s = box.status;
  if (!s) return;
  document.title = (s.state === "ok" ? "" : "! ") + s.device;
  $("device").textContent = s.device;
  $("state").textContent = (look[s.state] || [s.state])[0];
  $("state").className = "state " + (look[s.state] || ["", ""])[1];
  const up = s.started ? "up " + duration(now() - seconds(s.started)) : "";
  $("about").textContent = ["edge-agent " + s.version, up, clockText(s.clock)].filter(Boolean).join(" · ");
  const apart = Math.abs(box.skew);
  $("times").textContent = "Times are in this device's zone, UTC" + offset(now()) + "." + (apart > 20 ? " The box's clock and this device's are " + duration(apart) + " apart." : "");
}

// beat says whether the box answers; it runs on when nothing else does.
function beat() {
  const since = (performance.now() - (box.heard || box.began)) / 1000, silent = since > 2 * every / 1000 + 2;
  $("live").className = silent ? "silent" : "";
  if (silent) $("live").textContent = "no answer for " + duration(since) + (box.heard ? "; what stands below is what it said then" : "");
  else if (box.heard) $("live").textContent = "live";
}

const counts = (f) => f.active || f.severity !== "notice";

function faultCard(f) {
  const [word, kind] = weight[f.severity] || [f.severity, ""], name = "fault" + f.id;
  const more = h("details", {}, h("summary", {"data-key": name}, "explain " + f.code), h("div", {}));
  const fill = async () => {
    if (!more.open) return open.delete(name);
    open.add(name);
    if (!texts.has(f.code)) {
      try {
        texts.set(f.code, (await ask("/v1/explain/" + f.code)).faults[0]);
      } catch (e) {
        more.lastChild.replaceChildren("no answer: " + e.message);
        return;
      }
    }
    const t = texts.get(f.code);
    more.lastChild.replaceChildren(h("dl", {}, [["What it means", t.means], ["How it is found", t.found], ["What to do", t.do], ["What is at risk", t.risk]]
      .map(([k, v]) => [h("dt", {}, k), h("dd", {}, prose(v))])));
  };
  more.addEventListener("toggle", fill);
  if (open.has(name)) more.open = true;
  const next = f.acknowledged ? "acknowledged by " + f.acknowledged_by : f.active ? "" : "over; at the box: `edgectl faults ack " + f.id + "`";
  return h("article", {class: "card fault " + kind}, h("p", {}, h("b", {class: "mark"}, word), " ", h("span", {class: "soft"}, span(f, now()))),
    h("h3", {}, (f.subject ? f.subject + ": " : "") + f.title), h("p", {}, prose(sentence(f.text))),
    f.acknowledged ? "" : h("p", {}, prose(firstSentence(f.do))), next ? soft(prose(next)) : "", more);
}

function faults() {
  const all = box.status.faults || [], list = all.filter(counts), past = all.length - list.length;
  const lines = box.status.pipelines || [];
  put("faults", [all, lines, Math.floor(now() / 60)], () => [...list.map(faultCard), lines.flatMap(alarms),
    past ? soft(past + (past > 1 ? " past faults" : " past fault") + " nobody has acknowledged: ", h("code", {}, "edgectl faults")) : ""]);
}

// alarms that a pipeline has raised.
function alarms(p) {
  const t = now(), kind = {critical: "alarm", warning: "warn"}[p.severity] || "", list = p.alarms || [], more = (p.raised || 0) - list.length;
  const cards = list.map((a) => {
    const [first, beside] = known(a.series), since = seconds(a.since);
    return h("article", {class: "card fault " + kind}, h("p", {}, h("b", {class: "mark"}, "alarm, " + p.severity), " ",
      h("span", {class: "soft"}, since ? "since " + clock(since, t) + " " + offset(since) + " (" + duration(t - since) + ")" : "")),
    h("h3", {}, first + " ", h("small", {}, beside.join(" · "))), h("p", {}, sentence(a.text)), soft(p.name + ": " + p.text));
  });
  return more > 0 ? [...cards, soft("and " + comma(more) + " more of " + p.name)] : cards;
}

function pipelines(list) {
  const broken = list.filter((p) => p.state !== "ok"), behind = Math.max(...list.map((p) => p.lag));
  return sum("Pipelines", [...broken.map((p) => p.name + " " + p.state), list.length - broken.length + " ok"].join(", "),
    [comma(list.reduce((n, p) => n + p.results, 0)) + " results", behind ? comma(behind) + " records behind" : "", ...broken.map((p) => p.error || "")], broken.length ? "warn" : "");
}

function sum(name, main, rest, kind, meter) {
  return h("div", {class: "card"}, h("h2", {}, name), h("p", {class: "main " + (kind || "")}, main), meter === undefined ? "" : bar(meter),
    soft(rest.filter(Boolean).join(" · ")));
}
function bar(share) {
  const fill = h("i", {});
  fill.style.width = Math.min(Math.max(share * 100, 0), 100) + "%";
  return h("div", {class: "meter"}, fill);
}

function sums() {
  const s = box.status, src = s.sources, b = s.buffer, t = now();
  put("sums", [src, b, s.uplink, s.npu, s.update, s.pipelines, s.streams, Math.floor(t / 3)], () => {
    const broken = src.degraded + src.dead;
    const out = [sum("Sources", src.ok + " ok" + (broken ? ", " + src.degraded + " degraded, " + src.dead + " dead" : ""),
      [rate(src.readings_per_second) + " readings/s", "missed today " + comma(src.missed_today) + (src.missed_text && src.missed_today ? " (" + src.missed_text + ")" : "")],
      src.dead ? "alarm" : broken ? "warn" : "")];
    out.push(uplink(s.uplink, s.streams || [], t), buffer(b, s.uplink, t));
    if (s.pipelines?.length) out.push(pipelines(s.pipelines));
    if (s.npu) out.push(npu(s.npu));
    if (s.update) out.push(update(s.update, t));
    return out;
  });
}

function buffer(b, u, t) {
  const wear = b.wear_bytes_per_day ? "wear " + bytes(b.wear_bytes_per_day) + "/day" + (b.wear_limit_bytes_per_day ? " of " + bytes(b.wear_limit_bytes_per_day) : "") : "";
  const room = b.room_seconds > 0 && u.state !== "none" ? "room for " + duration(b.room_seconds) + " without a link" : "";
  return sum("Log on this disk", bytes(b.bytes) + " of " + bytes(b.max_bytes), [b.oldest ? "oldest " + duration(t - seconds(b.oldest)) : "", room,
    wear || "written today " + bytes(b.written_today_bytes), "disk free " + bytes(b.disk_free_bytes)], "", b.max_bytes ? b.bytes / b.max_bytes : 0);
}

function uplink(u, streams, t) {
  const waiting = streams.reduce((n, x) => n + x.buffered + x.in_flight, 0);
  const since = u.since ? " since " + clock(seconds(u.since), t) + " (" + duration(t - seconds(u.since)) + ")" : "";
  const how = {online: ["online", "ok"], waiting: ["connected" + since + ", the hub does not answer", "warn"], connecting: ["not connected" + since, "warn"]}[u.state] ||
    ["none configured: records stay on this box", ""];
  const b = u.budget, rest = [u.broker, u.last_ack ? "last answer " + ago(seconds(u.last_ack), t) : "", (u.error || "").replace("connect to " + u.broker + ": ", "")];
  if (u.state !== "none") rest.push(waiting ? comma(waiting) + " records wait" : "nothing waits");
  if (u.held === "pace") rest.push("backlog paced");
  if (b && b.hour_budget_bytes) rest.push(bytes(b.hour_bytes) + " of " + bytes(b.hour_budget_bytes) + " this hour");
  if (b && b.month_budget_bytes) rest.push(bytes(b.month_bytes) + " of " + bytes(b.month_budget_bytes) + " this month");
  if (b && b.used_up) rest.push("BUDGET USED UP: alarms only");
  if (u.certificate_ends) rest.push("certificate ends " + clock(seconds(u.certificate_ends), t));
  return sum("Uplink", how[0], rest, how[1]);
}

function npu(n) {
  if (n.state === "silent") return sum("NPU", "edge-npu does not answer", ["systemctl status edge-npu"], "alarm");
  const gauges = [n.temperature_celsius === undefined ? "" : n.temperature_celsius.toFixed(0) + " °C", n.load_percent === undefined ? "" : "load " + n.load_percent.toFixed(0) + " %"];
  const bad = [[n.bad, "bad"], [n.waiting, "waiting"], [n.dropped, "dropped"]].filter(([k]) => k > 0).map(([k, w]) => comma(k) + " " + w).join(", ");
  return sum("NPU" + (n.simulated ? " SIMULATED" : ""), n.chips ? n.chips_ok + " of " + n.chips + (n.chips === 1 ? " chip ok" : " chips ok") : "no chip seen",
    [gauges.filter(Boolean).join(", "), n.models_ready + " of " + n.models + " models ready", comma(n.done) + " inferences", bad], n.chips_ok < n.chips ? "warn" : "");
}

function update(u, t) {
  const rest = ["in force: " + (u.release || "the packaged programs"), u.reason ? u.reason + (u.detail ? ": " + u.detail : "") : "", u.failing ? "waits: " + u.failing : "",
    u.since ? "since " + clock(seconds(u.since), t) : "", u.hold ? "held by " + u.hold.by : "", u.pause ? "paused by " + u.pause.by : ""];
  if (u.total_bytes) rest.push(bytes(u.done_bytes || 0) + " of " + bytes(u.total_bytes));
  return sum("Update", (u.desired ? u.desired + " " : "none ") + u.state, rest, u.reason || u.failing ? "warn" : "", u.total_bytes ? (u.done_bytes || 0) / u.total_bytes : undefined);
}

const idOf = (stream, series) => stream + "|" + series;
const mark = (q) => ["bad", "unsure", ""][rank(q)];

function sensorRow(src, x) {
  const id = idOf(x.stream || src.stream, x.series), [first, beside] = names(x), [value, unit] = shown(x.value, x.unit), s = box.sparks.get(id);
  const small = s && spark(s.chart, s.series, src.interval_seconds, 84, 34), note = x.quality === "good" ? "" : x.quality;
  return h("button", {class: "row " + mark(x.quality) + (small ? " drawn" : ""), type: "button", "data-key": id, onclick: () => { location.hash = "#" + encodeURIComponent(id); }},
    h("span", {class: "name"}, first), small || "", h("span", {class: "value num"}, value, unit ? " " + unit : ""),
    h("span", {class: "beside"}, note ? h("b", {class: rank(x.quality) ? "warn" : "alarm"}, note + " ") : "", beside.join(" · ")), h("span", {class: "old"}, ago(seconds(x.time), now())));
}

function sourceCard(src) {
  const missed = Object.values(src.missed || {}).reduce((a, n) => a + n, 0), all = open.has("source" + src.name);
  const rows = [...src.sensors].sort((a, b) => rank(a.quality) - rank(b.quality)), few = all ? rows : rows.slice(0, Math.max(firstRows, rows.filter((x) => rank(x.quality) < 2).length));
  const more = rows.length - few.length;
  const facts = [src.interval_seconds ? "every " + duration(src.interval_seconds) : "", src.readings_per_second ? rateText(src.readings_per_second) : "", comma(src.taken) + " taken",
    src.unchanged ? comma(src.unchanged) + " unchanged" : "", comma(missed) + " missed" + (missed ? " (" + reasons(src.missed) + ")" : ""), src.port ? "on " + src.port : "", src.error];
  return h("div", {class: "card source"}, h("div", {class: "head"}, h("div", {class: "bar"}, h("h3", {}, src.name + " ", h("small", {}, src.driver + (src.simulated ? ", SIMULATED" : ""))),
    h("b", {class: ["alarm", "warn", "ok"][rank(src.state)]}, src.state)), soft(facts.filter(Boolean).join(" · "))),
    h("div", {class: "rows"}, few.map((x) => sensorRow(src, x)),
      more > 0 ? h("button", {class: "link fill", type: "button", "data-key": "source" + src.name, onclick: () => { open.add("source" + src.name); sensors(true); }}, "show " + more + " more") : "",
      src.left_out ? h("p", {class: "row fill soft"}, comma(src.left_out) + " more are not shown; find them by name") : ""));
}

function sensors(again) {
  if (!box.sensors) return;
  const list = [...(box.sensors.sources || [])].sort((a, b) => rank(a.state) - rank(b.state));
  const n = list.reduce((k, s) => k + s.sensors.length + (s.left_out || 0), 0);
  $("sensors").hidden = false;
  if (n > 20) $("match").hidden = false;
  $("span").textContent = box.sparkSpan ? "charts: last " + duration(box.sparkSpan) : "";
  put("sources", [list, box.sparked, again ? Math.random() : 0, Math.floor(now())], () => list.length ? list.map(sourceCard) :
    soft($("match").value ? "No sensor has this in its source, id, name or series." : "No source is configured."));
}

function streams() {
  const bad = (s) => (s.balanced ? (s.error || s.dropped ? 1 : 2) : 0), list = [...(box.status.streams || [])].sort((a, b) => bad(a) - bad(b));
  const quiet = list.filter((s) => !s.durable && bad(s) === 2), busy = list.filter((s) => !quiet.includes(s));
  put("streams", list, () => [h("h2", {}, "Streams"), ...busy.map((s) => h("div", {class: "card stream"},
    h("h3", {}, s.name, h("span", {class: "soft " + (s.balanced ? "ok" : "alarm")}, s.balanced ? "balanced" : "NOT BALANCED")),
    [["end", s.durable], ["delivered", s.delivered], ["in flight", s.in_flight], ["buffered", s.buffered], ["dropped", s.dropped]]
      .map(([k, v]) => h("div", {class: k === "dropped" && v ? "warn" : ""}, h("small", {}, k), comma(v))),
    s.error ? h("p", {class: "alarm fill"}, s.error) : "")), quiet.length ? soft("empty and balanced: " + quiet.map((s) => s.name).join(", ")) : ""]);
}

function nodes() {
  const lines = box.nodes?.lines || [];
  put("nodes", [lines, Math.floor(now() / 10)], () => lines.length ? [h("h2", {}, "Nodes"), ...lines.flatMap((l) => l.nodes.map((n) => h("div", {class: "card fault " + ({online: "", flashing: ""}[n.state] ?? "warn")},
    h("div", {class: "bar"}, h("h3", {}, n.name + " ", h("small", {}, "unit " + n.unit + " on " + l.name)), h("b", {class: n.state === "online" ? "ok" : "warn"}, n.state)),
    soft([n.chip, n.version, n.heard ? "heard " + ago(seconds(n.heard), now()) : "", comma(n.events_total) + " events", n.queue_events ? comma(n.queue_events) + " wait" : "", n.resets ? comma(n.resets) + " resets" : ""].filter(Boolean).join(" · ")),
    n.error ? h("p", {}, n.error) : ""))) ] : []);
}

// sparks asks for the small charts: a few questions for all series, once a minute.
async function sparks() {
  const t = now(), oldest = seconds(box.status?.buffer.oldest), wanted = new Map();
  const length = Math.min(Math.max(oldest ? t - oldest : 3600, 120), 3600), young = length < 3600 ? 10 : sparkEvery;
  if (!box.sensors || t - box.sparked < young) return;
  for (const src of box.sensors.sources || []) {
    const few = open.has("source" + src.name) ? src.sensors : [...src.sensors].sort((a, b) => rank(a.quality) - rank(b.quality)).slice(0, firstRows);
    for (const x of few) {
      const stream = x.stream || src.stream;
      if (!wanted.has(stream)) wanted.set(stream, []);
      if (!x.value || Number.isFinite(Number(x.value)) || x.value === "true" || x.value === "false") wanted.get(stream).push(x.series);
    }
  }
  box.sparked = t;
  for (const [stream, all] of wanted) {
    for (let i = 0; i < Math.min(all.length, 4 * maxSeries); i += maxSeries) {
      const some = all.slice(i, i + maxSeries), chart = await ask(chartPath(stream, some, length, sparkPoints), 20000);
      for (const series of chart.series) box.sparks.set(idOf(stream, series.series), {chart, series});
    }
  }
  box.sparkSpan = length;
  sensors(true);
}

function chartPath(stream, series, length, points) {
  const q = new URLSearchParams({stream, since: new Date((now() - length) * 1000).toISOString(), until: new Date(now() * 1000).toISOString(), points});
  for (const s of series) q.append("series", s);
  return "/v1/chart?" + q;
}

// one is the sensor that is looked at closely: its id and how far back.
const one = {id: "", range: 0, chart: null, at: 0, error: "", drawn: "", card: null, pointed: 0};

// known names a series by what its key says.
function known(series) {
  const {labels} = key(series);
  return names({series, label: labels.name, id: labels.rom});
}

function find(id) {
  for (const src of box.sensors?.sources || []) for (const x of src.sensors) if (idOf(x.stream || src.stream, x.series) === id) return [src, x];
  return null;
}

function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id !== one.id) Object.assign(one, {id, chart: null, at: 0, error: "", pointed: 0});
  $("box").hidden = id !== "";
  $("one").hidden = id === "";
  drawn.delete("one");
  if (id) scrollTo(0, 0);
  closer();
}

async function closer() {
  if (!one.id) return;
  showOne();
  const [, length, points] = ranges[one.range], id = one.id, range = one.range;
  if (one.chart && now() - one.at < Math.min(length / points, 60)) return;
  const asked = now(), cut = id.indexOf("|");
  try {
    const c = await ask(chartPath(id.slice(0, cut), [id.slice(cut + 1)], length, points), 25000);
    if (id === one.id && range === one.range) Object.assign(one, {chart: c, at: asked, error: ""});
  } catch (e) {
    if (!one.chart) one.error = e.message;
  }
  if (id === one.id && range === one.range) showOne();
}

function showOne() {
  const series = one.id.slice(one.id.indexOf("|") + 1), {labels} = key(series); // of a producer, or gone: only the log knows it
  const [src, x] = find(one.id) || [null, {series, label: labels.name, id: labels.rom}];
  const width = Math.min($("one").clientWidth || 340, 1060) - 26, t = now();
  put("one", [one.id, one.range, one.at, one.error, Boolean(one.chart), x, width, Math.floor(t / 3)], () => {
    const [first, beside] = names(x), [value, unit] = shown(x.value, x.unit), c = one.chart, s = c?.series[0];
    const out = [h("div", {class: "bar"}, h("button", {type: "button", "data-key": "back", onclick: () => { location.hash = ""; }}, "‹ all"),
      h("div", {class: "ranges", role: "group", "aria-label": "Range"}, ranges.map(([name], i) => h("button", {type: "button", "data-key": "range" + i, "aria-pressed": String(i === one.range),
        onclick: () => { Object.assign(one, {range: i, chart: null, at: 0, error: "", pointed: 0}); closer(); }}, name)))),
      h("h2", {}, first + " ", h("small", {}, beside.join(" · "))), src ? h("p", {class: "big num"}, value, h("small", {}, unit ? " " + unit : "")) : "",
      src ? h("p", {}, h("b", {class: ["alarm", "warn", "ok"][rank(x.quality)]}, x.quality), h("span", {class: "soft"}, " · " + ago(seconds(x.time), t) + " · source " + src.name + (x.simulated ? " · SIMULATED" : ""))) : ""];
    const fault = (box.status?.faults || []).find((f) => src && f.key === src.name + "/" + x.series && counts(f));
    if (fault) out.push(faultCard(fault));
    if (!s) return [...out, soft(one.error || "reading the log …")];
    const what = [one.id, one.range, one.at, width].join(); // what a finger points at stays while the chart is the same
    if (one.drawn !== what) Object.assign(one, {drawn: what, card: h("div", {class: "card"}, chartOf(c, s, src, width, t))});
    return [...out, one.card];
  });
}

function chartOf(c, s, src, width, t) {
  const points = pointsOf(s, c.point_seconds), dom = domain(points), scale = dom ? (dom.most - dom.least) || dom.most : 1, u = unitText(s.unit), name = ranges[one.range][0];
  const total = (k) => points.reduce((n, p) => n + (p[k] || 0), 0), of = (v) => number(v, scale) + (u ? " " + u : "");
  const sumUp = [dom ? "lowest " + of(dom.least) + ", highest " + of(dom.most) : points.length ? "no number in these readings" : "no reading in the last " + name,
    comma(total("readings")) + " readings", total("bad") ? comma(total("bad")) + " bad (×)" : "", total("uncertain") ? comma(total("uncertain")) + " uncertain (▲)" : ""].filter(Boolean).join(" · ");
  const notes = [];
  if (c.sampled) notes.push("Sampled: " + comma(c.records) + " of " + comma(c.held) + " records were read. A short peak or outage may not show.");
  if (c.truncated) notes.push("The box's time for one chart was over: a part was not read.");
  if (src?.unchanged) notes.push("A rule keeps unchanged readings out of the log: no point means no change.");
  for (const g of c.gaps || []) notes.push("Gap in the log: " + comma(g.count) + " records of " + g.stream + ", " + clock(seconds(g.time_from), t) + " to " + clock(seconds(g.time_until), t) + " (" + g.reason + ")");
  const pointed = h("p", {class: "soft num", role: "status"}, "tap the chart for single values");
  const svg = draw(c, s, {interval: src?.interval_seconds || 0, width, height: Math.min(Math.max(width * 0.55, 210), 380), now: t, sparse: c.sampled || Boolean(src?.unchanged),
    label: names({series: s.series})[0] + ", last " + name + ": " + sumUp, at: one.pointed, pick: (p) => { one.pointed = p?.t || 0; pointed.textContent = p ? told(p, c.point_seconds, s.unit, scale, t) : "tap the chart for single values"; }});
  svg.dataset.key = "chart";
  const table = h("details", {}, h("summary", {"data-key": "table"}, "as a table"));
  table.addEventListener("toggle", () => {
    if (!table.open) return open.delete("table");
    open.add("table");
    if (table.childElementCount > 1) return;
    const cell = (p, k) => h("td", {}, p[k] === undefined ? "" : number(p[k], scale));
    table.append(h("div", {class: "tablebox"}, h("table", {}, h("thead", {}, h("tr", {}, ["from", "mean", "least", "most", "readings", "bad"].map((k) => h("th", {scope: "col"}, k)))),
      h("tbody", {}, points.slice().reverse().map((p) => h("tr", {}, h("td", {}, clock(p.t - c.point_seconds / 2, t)), cell(p, "mean"), cell(p, "min"), cell(p, "max"), h("td", {}, comma(p.readings)), h("td", {}, comma(p.bad || 0))))))));
  });
  if (open.has("table")) table.open = true;
  return [h("p", {class: "num"}, sumUp), svg, pointed, soft("each point " + duration(c.point_seconds) + ": mean, and the band from least to most"),
    ...notes.map((n) => h("p", {class: "warn"}, n)), table];
}

let turn = 0;
async function round() {
  if (!document.hidden) {
    try {
      const match = $("match").value.trim();
      const status = await ask("/v1/status");
      box.heard = performance.now();
      box.skew = seconds(status.time) - Date.now() / 1000;
      box.status = status;
      head();
      faults();
      sums();
      streams();
      box.sensors = await ask("/v1/sensors" + (match ? "?match=" + encodeURIComponent(match) : ""));
      sensors();
      if (turn++ % 4 === 0) box.nodes = await ask("/v1/nodes").catch(() => null);
      nodes();
      if (one.id) await closer();
      else await sparks();
    } catch (e) {
      if (!(e instanceof NoAnswer)) console.error(e);
    }
    beat();
  }
  setTimeout(round, every);
}

addEventListener("hashchange", route);
let typed = 0;
$("match").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(async () => {
    box.sensors = await ask("/v1/sensors?match=" + encodeURIComponent($("match").value.trim())).catch(() => box.sensors);
    box.sparked = 0;
    sensors();
  }, 300);
});
let sized = 0;
addEventListener("resize", () => { clearTimeout(sized); sized = setTimeout(() => one.id && showOne(), 200); });
document.addEventListener("visibilitychange", beat);
setInterval(beat, 1000);
route();
round();
