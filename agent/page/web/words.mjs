// How numbers, times and names are written: as edgectl writes them (a test holds this file against it).

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");
export const comma = (n) => grouped(String(Math.trunc(n)));

// decimal groups the digits of a number in text from five digits on and leaves other text alone.
export function decimal(s) {
  const m = /^(-?)([1-9]\d{4,})(\.\d*)?$/.exec(s);
  return m ? m[1] + grouped(m[2]) + (m[3] || "") : s;
}

const sizes = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function bytes(n) {
  if (n < 0) return "-" + bytes(-n - 1);
  if (n < 1024) return Math.trunc(n) + " B";
  let f = n / 1024, i = 0;
  for (; f >= 1023.5 && i < sizes.length - 1; i++) f /= 1024;
  return f.toFixed(f < 9.95 ? 1 : 0) + " " + sizes[i];
}

// duration is a length of time, given in seconds, in its two largest units.
export function duration(s) {
  if (s < 0) return "-" + duration(-s);
  if (s === 0) return "0s";
  if (s < 1e-3) return Math.trunc(s * 1e6 + 1e-6) + " µs";
  if (s < 1) return Math.trunc(s * 1e3 + 1e-6) + " ms";
  s = Math.trunc(s);
  if (s < 60) return s + "s";
  const m = Math.trunc(s / 60);
  if (m < 60) return m + "m";
  const hours = Math.trunc(m / 60);
  if (hours < 24) return hours + "h " + String(m % 60).padStart(2, "0") + "m";
  const days = Math.trunc(hours / 24);
  return days >= 30 || hours % 24 === 0 ? days + "d" : days + "d " + (hours % 24) + "h";
}

export function ago(then, now) {
  if (!then) return "never";
  const s = now - then;
  if (s < -1) return "in " + duration(-s);
  return s < 1 ? "just now" : duration(s) + " ago";
}

export function rate(r) {
  if (r <= 0) return "0";
  if (r < 0.001) return "<0.001";
  if (r < 0.095) return String(Number(r.toPrecision(1)));
  return r < 9.95 ? r.toFixed(1) : comma(r + 0.5);
}

export function rateText(r) {
  if (r >= 10) return comma(r + 0.5) + " readings/s";
  return r >= 1 ? r.toFixed(1) + " readings/s" : (r * 60).toFixed(1) + " readings/min";
}

const units = {Cel: "°C", By: "B", "By/s": "B/s", "1": "", "{}": ""};
export const unitText = (u) => units[u] ?? u ?? "";

// shown is a value with its unit as people read it: [value, unit].
export function shown(value, unit) {
  if (value === undefined || value === "") return ["–", ""];
  if ((unit === "By" || unit === "By/s") && /^-?\d+$/.test(value)) {
    const [size, binary] = bytes(Number(value)).split(" ");
    return [size, unit.replace("By", binary)];
  }
  return [unit ? decimal(value) : value, unitText(unit)];
}

// number writes a computed one: no more digits than the span of what is shown calls for.
export function number(x, span) {
  if (x === 0) return "0";
  const size = Math.abs(span) || Math.abs(x);
  const digits = Math.min(Math.max(2 - Math.floor(Math.log10(size)), 0), 6);
  const text = x.toFixed(digits);
  return Math.abs(x) < 1e15 ? decimal(digits > 0 ? text.replace(/\.?0+$/, "") : text) : x.toExponential(3);
}

const two = (n) => String(n).padStart(2, "0");
export const seconds = (text) => (text ? Date.parse(text) / 1000 : 0);

// offset of the zone of this browser at a time, as +01:00.
export function offset(t) {
  const m = -new Date(t * 1000).getTimezoneOffset(), a = Math.abs(m);
  return (m < 0 ? "-" : "+") + two(Math.trunc(a / 60)) + ":" + two(a % 60);
}

// clock is a time of day, with the date if that is not today's, in the zone of this browser.
export function clock(t, now) {
  const d = new Date(t * 1000), day = (x) => x.getFullYear() + "-" + two(x.getMonth() + 1) + "-" + two(x.getDate());
  const time = two(d.getHours()) + ":" + two(d.getMinutes());
  return day(d) === day(new Date(now * 1000)) ? time : day(d) + " " + time;
}

// rank orders states and qualities from the worst.
export function rank(s) {
  if (s === "dead" || s.startsWith("bad")) return 0;
  return s === "degraded" || s.startsWith("uncertain") ? 1 : 2;
}

// key takes the key of a series apart: name{label="value",…}.
export function key(series) {
  const [, name, rest] = /^([^{]*)(?:\{(.*)\})?$/s.exec(series) || [null, series, ""];
  const labels = {};
  for (const m of (rest || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[m[1]] = m[2].replace(/\\(.)/g, "$1");
  return {name, labels};
}

// names of a sensor: what a person called it first, the rest beside it.
export function names(x) {
  const k = key(x.series), rest = [];
  for (const [label, v] of Object.entries(k.labels)) {
    if (label !== "name" && label !== "rom" && label !== "simulated") rest.push(v);
  }
  const first = x.label || x.id || [k.name, ...rest].join(" ");
  const beside = x.label || x.id ? [k.name, ...rest] : [];
  if (x.label && x.id) beside.push(x.id);
  return [first, beside];
}

export function clockText(c) {
  if (!c.synchronised) return "clock NOT synchronised";
  const how = [c.source, c.error_seconds > 0 ? "±" + duration(c.error_seconds) : ""].filter(Boolean).join(", ");
  return "clock synchronised" + (how ? " (" + how + ")" : "");
}

// span says when a fault is or was.
export function span(f, now) {
  const since = seconds(f.since), until = seconds(f.until), zone = " " + offset(since);
  const times = f.count > 1 ? ", " + comma(f.count) + " times" : "";
  if (f.active) return "since " + clock(since, now) + zone + " (" + duration(now - since) + times + ")";
  if (until === since) return "at " + clock(since, now) + zone + times;
  return "from " + clock(since, now) + " to " + clock(until, now) + zone + " (" + duration(until - since) + times + ")";
}

// sentence ends with a mark.
export const sentence = (s) => (s && !/[.?!]$/.test(s) ? s + "." : s || "");

export function firstSentence(s) {
  const i = (s || "").indexOf(". ");
  return i > 0 ? s.slice(0, i + 1) : s || "";
}

export const reasons = (m) => Object.entries(m || {}).sort((a, b) => b[1] - a[1]).map(([k, n]) => k + " " + comma(n)).join(", ");
