// Charts as SVG. What is drawn is computed by pure functions; only draw and spark touch the document.

import {clock, comma, number, offset, seconds, unitText} from "./words.mjs";

// breakAfter is how far, in seconds, two points may lie apart before what lies between them is a gap: a source is allowed
// one missing reading. Without an interval the usual distance counts.
export function breakAfter(points, part, interval) {
  if (interval > 0) return Math.max(1.5 * part, 2.5 * interval);
  const d = [];
  for (let i = 1; i < points.length; i++) d.push(points[i].t - points[i - 1].t);
  d.sort((a, b) => a - b);
  return Math.max(1.5 * part, d.length ? 3 * d[d.length >> 1] : 0);
}

// pieces are the runs of points without a gap between them; points without a number end a run, too.
export function pieces(points, far) {
  const out = [];
  let run = null;
  for (const p of points) {
    if (p.mean === undefined) {
      run = null;
      continue;
    }
    if (!run || p.t - run[run.length - 1].t > far) out.push((run = []));
    run.push(p);
  }
  return out;
}

// domain is the range of the values, widened so that a flat line lies in the middle.
export function domain(points) {
  let lo = Infinity, hi = -Infinity;
  for (const p of points) {
    if (p.mean === undefined) continue;
    lo = Math.min(lo, p.min);
    hi = Math.max(hi, p.max);
  }
  if (lo > hi) return null;
  const pad = hi > lo ? (hi - lo) * 0.06 : Math.max(Math.abs(hi) * 0.02, 0.5);
  return {lo: lo - pad, hi: hi + pad, least: lo, most: hi};
}

// ticks are round values within a range.
export function ticks(lo, hi, about) {
  const raw = (hi - lo) / about, mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * mag).find((s) => s >= raw * 0.999);
  const out = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi + step * 1e-9; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return out;
}

// hours are times on the clock of this browser at which the axis is marked.
export function hours(from, to, about) {
  const steps = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
  const step = steps.find((s) => (to - from) / s <= about) || 604800;
  const shift = -new Date(to * 1000).getTimezoneOffset() * 60;
  const out = [];
  for (let t = Math.ceil((from + shift) / step) * step - shift; t <= to; t += step) out.push(t);
  return {step, times: out};
}

// points of a series of /v1/chart, with the middle of each part as its time.
export function pointsOf(series, part) {
  return series.points.map((p) => ({...p, t: seconds(p.time) + part / 2}));
}

const n1 = (x) => Math.round(x * 10) / 10;
const line = (run, x, y) => run.map((p, i) => (i ? "L" : "M") + n1(x(p.t)) + " " + n1(y(p.mean))).join("");
const band = (run, x, y) => run.map((p, i) => (i ? "L" : "M") + n1(x(p.t)) + " " + n1(y(p.max))).join("") +
  run.slice().reverse().map((p) => "L" + n1(x(p.t)) + " " + n1(y(p.min))).join("") + "Z";

const svgNS = "http://www.w3.org/2000/svg";
function el(tag, attrs, ...kids) {
  const e = document.createElementNS(svgNS, tag);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  e.append(...kids);
  return e;
}

// lines draws the runs: a band from least to most, and the mean; a run of one point is a dot.
function lines(into, runs, x, y, dot) {
  for (const run of runs) {
    if (run.some((p) => p.max > p.min)) into.append(el("path", {class: "band", d: band(run, x, y)}));
    if (run.length > 1) into.append(el("path", {class: "line", d: line(run, x, y)}));
    else into.append(el("circle", {class: "dot", cx: n1(x(run[0].t)), cy: n1(y(run[0].mean)), r: dot}));
  }
}

// spark is a small chart without axes; null if there is nothing to draw.
export function spark(chart, series, interval, width, height) {
  const points = pointsOf(series, chart.point_seconds), dom = domain(points);
  if (!dom) return null;
  const from = seconds(chart.since), to = seconds(chart.until);
  const x = (t) => 1 + ((t - from) / (to - from)) * (width - 2);
  const y = (v) => height - 3 - ((v - dom.lo) / (dom.hi - dom.lo)) * (height - 6);
  const svg = el("svg", {class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true"});
  lines(svg, pieces(points, breakAfter(points, chart.point_seconds, interval)), x, y, 1.2);
  for (const p of points) {
    if (p.bad) svg.append(el("rect", {class: "bad", x: n1(x(p.t) - 1), y: height - 3, width: 2, height: 3}));
  }
  return svg;
}

// gapsOf are the spans without a reading between the first and the last point, and up to now.
export function gapsOf(points, far, until) {
  const out = [];
  for (let i = 1; i < points.length; i++) {
    if (points[i].t - points[i - 1].t > far) out.push([points[i - 1].t, points[i].t]);
  }
  const last = points[points.length - 1];
  if (last && until - last.t > far) out.push([last.t, until]);
  return out;
}

// draw is the large chart. pick is called with the point that a finger, a pointer or the arrow keys show, or null.
// at is the time that was shown in the chart before this one, 0 for none.
export function draw(chart, series, {interval, width, height, now, pick, at, label, sparse}) {
  const points = pointsOf(series, chart.point_seconds), part = chart.point_seconds;
  const from = seconds(chart.since), to = Math.min(seconds(chart.until), Math.max(now, from + 1));
  const dom = domain(points) || {lo: 0, hi: 1};
  const marks = domain(points) ? ticks(dom.lo, dom.hi, Math.max(Math.floor(height / 48), 2)) : [];
  const step = marks.length > 1 ? marks[1] - marks[0] : dom.hi - dom.lo;
  const texts = marks.map((v) => number(v, step * 10));
  const left = 12 + 7 * Math.max(2, ...texts.map((s) => s.length)), right = width - 8, top = 8, bottom = height - 34;
  const x = (t) => left + ((t - from) / (to - from)) * (right - left);
  const y = (v) => bottom - ((v - dom.lo) / (dom.hi - dom.lo)) * (bottom - top);
  const svg = el("svg", {class: "chart", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: "0", "aria-label": label});
  const far = breakAfter(points, part, interval);
  if (!sparse) {
    for (const [a, b] of gapsOf(points, far, to)) {
      svg.append(el("rect", {class: "gap", x: n1(x(a)), y: top, width: n1(Math.max(x(b) - x(a), 1)), height: bottom - top}));
    }
  }
  marks.forEach((v, i) => svg.append(el("line", {class: "grid", x1: left, x2: right, y1: n1(y(v)), y2: n1(y(v))}),
    el("text", {x: left - 6, y: n1(y(v)) + 4, "text-anchor": "end"}, texts[i])));
  const axis = hours(from, to, Math.max(Math.floor((right - left) / 76), 2));
  for (const t of axis.times) {
    const at = n1(x(t)), text = axis.step >= 86400 ? clock(t, 0).slice(5, 10) : clock(t, t);
    svg.append(el("line", {class: "grid", x1: at, x2: at, y1: top, y2: bottom}));
    svg.append(el("text", {x: Math.min(Math.max(at, left + 14), right - 14), y: bottom + 26, "text-anchor": "middle"}, text));
  }
  svg.append(el("line", {class: "axis", x1: left, x2: right, y1: bottom, y2: bottom}));
  lines(svg, pieces(points, sparse ? Infinity : far), x, y, 2);
  for (const p of points) {
    const at = n1(x(p.t));
    if (p.bad) svg.append(el("path", {class: "bad", d: `M${at - 3} ${bottom + 3}l6 6m0 -6l-6 6`}));
    else if (p.uncertain) svg.append(el("path", {class: "unsure", d: `M${at - 3} ${bottom + 9}l3 -6l3 6z`}));
  }
  const cursor = el("line", {class: "cursor", y1: top, y2: bottom, visibility: "hidden"});
  svg.append(cursor);
  let shown = -1;
  const show = (i) => {
    shown = i;
    const p = points[i];
    cursor.setAttribute("visibility", p ? "visible" : "hidden");
    if (p) for (const k of ["x1", "x2"]) cursor.setAttribute(k, n1(x(p.t)));
    pick(p || null);
  };
  const near = (t) => points.reduce((best, p, i) => (best < 0 || Math.abs(p.t - t) < Math.abs(points[best].t - t) ? i : best), -1);
  const move = (e) => {
    const box = svg.getBoundingClientRect();
    show(near(from + (((e.clientX - box.left) * width) / box.width - left) / (right - left) * (to - from)));
  };
  if (at) show(near(at));
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", (e) => e.pointerType === "mouse" && show(-1));
  svg.addEventListener("keydown", (e) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[e.key];
    if (!by || !points.length) return;
    e.preventDefault();
    show(shown < 0 ? points.length - 1 : Math.min(Math.max(shown + by, 0), points.length - 1));
  });
  return svg;
}

// told is one point in words.
export function told(p, part, unit, scale, now) {
  const begin = p.t - part / 2;
  const parts = [clock(begin, now) + (part < 60 ? ":" + String(new Date(begin * 1000).getSeconds()).padStart(2, "0") : "") + " " + offset(begin)];
  if (p.mean !== undefined) {
    const u = unitText(unit);
    parts.push(number(p.mean, scale) + (u ? " " + u : ""));
    if (p.max > p.min) parts.push(number(p.min, scale) + " to " + number(p.max, scale));
  }
  parts.push(comma(p.readings) + (p.readings === 1 ? " reading" : " readings"));
  if (p.bad) parts.push(comma(p.bad) + " bad");
  if (p.uncertain) parts.push(comma(p.uncertain) + " uncertain");
  return parts.join(" · ");
}
