// Pictures as SVG, drawn at the width they have: lines over time, a bridge, a heat map, a scatter.

import { clock, count, decimal, h, plain, s } from "./dom.js";

const LEFT = 8, TOP = 10, BOTTOM = 22;

// A place that draws itself again whenever its width changes.
function fitted(label, height, draw, extra) {
  const place = h("div", { class: "chart", tabindex: 0, role: "img", "aria-label": label });
  place.style.height = height + "px";
  let width = 0;
  new ResizeObserver(([entry]) => {
    const next = Math.round(entry.contentRect.width);
    if (next > 0 && next !== width) {
      width = next;
      place.replaceChildren(draw(width, height));
      extra?.(place, width);
    }
  }).observe(place);
  return place;
}

function steps(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  const base = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * base).find((one) => one >= raw) ?? base;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

const TIMES = [60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 15552000, 31536000];

function moments(from, to, wanted) {
  const step = 1000 * (TIMES.find((one) => one * 1000 >= (to - from) / wanted) ?? 63072000);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return { step, found };
}

function moment(at, step) {
  const text = new Date(at).toISOString();
  if (step >= 2592000000) return text.slice(0, 7);
  return step >= 86400000 ? text.slice(5, 10) : text.slice(11, 16);
}

function domain(values, flat = 0.01) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return null;
  const pad = high > low ? (high - low) * 0.06 : Math.max(Math.abs(high) * flat, 1e-9);
  return [low - pad, high + pad];
}

// options: {label, height, unit, format, lines: [{name, tone, dash, area, points: [[ms, value]], low, high}],
//           marks: [{at, value, side, text}], levels: [{value, tone, dash, text}], include: [value], readout}
export function timeChart(options) {
  const all = options.lines.flatMap((line) => line.points);
  const bounds = domain([...all.map((p) => p[1]).filter((v) => v !== null), ...(options.include ?? [])]);
  if (all.length < 2 || !bounds) return h("p", { class: "quiet" }, options.empty ?? "Too few samples for a picture yet; the first ones come every minute.");
  const format = options.format ?? plain;
  const from = Math.min(...options.lines.filter((l) => l.points.length).map((l) => l.points[0][0]));
  const to = Math.max(...options.lines.filter((l) => l.points.length).map((l) => l.points.at(-1)[0]));
  const out = h("output", { class: "readout", "aria-live": "off" }, options.readout ?? "");
  let scaleX = null, scaleY = null, cursor = null, at = null;

  const draw = (width, height) => {
    const [low, high] = bounds;
    const labels = steps(low, high, Math.max(2, height / 48)).filter((v) => v >= low && v <= high);
    const right = 10 + 7.2 * Math.max(...labels.map((v) => format(v).length));
    scaleX = (t) => LEFT + ((t - from) / Math.max(1, to - from)) * (width - LEFT - right);
    scaleY = (v) => TOP + (1 - (v - low) / (high - low)) * (height - TOP - BOTTOM);
    const when = moments(from, to, Math.max(2, width / 110));
    cursor = s("g", { class: "cursor", visibility: "hidden" }, s("line", { y1: TOP, y2: height - BOTTOM }), options.lines.map((l) => s("circle", { r: 3.5, class: "f-" + l.tone })));
    return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
      labels.map((v) => [
        s("line", { class: "rule", x1: LEFT, x2: width - right, y1: scaleY(v), y2: scaleY(v) }),
        s("text", { x: width - right + 6, y: scaleY(v) + 4 }, format(v)),
      ]),
      when.found.map((t) => s("text", { class: "middle", x: Math.min(Math.max(scaleX(t), 18), width - right - 14), y: height - 5 }, moment(t, when.step))),
      (options.levels ?? []).filter((l) => l.value >= low && l.value <= high).map((l) =>
        s("line", { class: "level s-" + l.tone + (l.dash ? " dash" : ""), x1: LEFT, x2: width - right, y1: scaleY(l.value), y2: scaleY(l.value) }, s("title", {}, l.text))),
      options.lines.map((line) => shape(line, scaleX, scaleY, height)),
      (options.marks ?? []).filter((m) => m.at >= from && m.at <= to && m.value >= low && m.value <= high).map((m) => {
        const x = scaleX(m.at), y = scaleY(m.value), d = m.side === "buy" ? `M${x} ${y - 1}l4.5 8h-9z` : `M${x} ${y + 1}l4.5 -8h-9z`;
        return s("path", { class: "mark f-" + m.side, d }, s("title", {}, m.text));
      }),
      cursor);
  };

  const show = (ms) => {
    at = Math.min(Math.max(ms, from), to);
    const found = options.lines.map((line) => nearest(line.points, at));
    const lead = found.find((p) => p) ?? [at];
    cursor.setAttribute("visibility", "visible");
    const x = scaleX(lead[0]);
    cursor.firstChild.setAttribute("x1", x);
    cursor.firstChild.setAttribute("x2", x);
    found.forEach((p, i) => {
      const dot = cursor.childNodes[i + 1];
      dot.setAttribute("visibility", p && p[1] !== null ? "inherit" : "hidden");
      if (p && p[1] !== null) { dot.setAttribute("cx", scaleX(p[0])); dot.setAttribute("cy", scaleY(p[1])); }
    });
    const words = options.lines.map((line, i) => (found[i] && found[i][1] !== null ? `${line.name} ${format(found[i][1])} ${options.unit}` : null)).filter(Boolean);
    out.textContent = `${clock(new Date(lead[0]).toISOString())} UTC · ${words.join(" · ")}`;
  };
  const hide = () => { cursor?.setAttribute("visibility", "hidden"); out.textContent = options.readout ?? ""; };
  const place = fitted(options.label, options.height ?? 240, draw);
  place.addEventListener("pointermove", (event) => {
    const box = place.getBoundingClientRect(), first = scaleX(from), last = scaleX(to);
    show(from + ((event.clientX - box.left - first) / Math.max(1, last - first)) * (to - from));
  });
  place.addEventListener("pointerleave", hide);
  place.addEventListener("blur", hide);
  place.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    out.setAttribute("aria-live", "polite");
    show((at ?? to) + (move * (to - from)) / 60);
  });
  const legend = options.legend === false ? null : h("ul", { class: "legend" }, [...options.lines.map((l) => [l.tone, l.name, l.dash]), ...(options.keys ?? [])].map(([tone, name, dash]) =>
    h("li", {}, h("span", { class: `key k-${tone}${dash ? " dash" : ""}`, "aria-hidden": "true" }), name)));
  return h("figure", {}, legend, place, out);
}

function shape(line, x, y, height) {
  const points = line.points.filter((p) => p[1] !== null);
  const step = line.stepped;
  let d = "", before = null;
  for (const p of points) {
    d += before === null ? `M${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}` : step ? `H${x(p[0]).toFixed(1)}V${y(p[1]).toFixed(1)}` : `L${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`;
    before = p;
  }
  const parts = [];
  if (line.band?.length > 1) {
    const up = line.band.map((b) => `${x(b[0]).toFixed(1)} ${y(b[2]).toFixed(1)}`), down = line.band.map((b) => `${x(b[0]).toFixed(1)} ${y(b[1]).toFixed(1)}`).reverse();
    parts.push(s("path", { class: "band f-" + line.tone, d: `M${up.join("L")}L${down.join("L")}Z` }));
  }
  if (line.area && points.length > 1) parts.push(s("path", { class: "band f-" + line.tone, d: `${d}V${y(line.area === true ? 0 : line.area).toFixed(1)}H${x(points[0][0]).toFixed(1)}Z` }));
  parts.push(s("path", { class: "line s-" + line.tone + (line.dash ? " dash" : ""), d }));
  return parts;
}

function nearest(points, at) {
  let low = 0, high = points.length - 1;
  if (high < 0) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < at) low = middle; else high = middle;
  }
  return Math.abs(points[low][0] - at) <= Math.abs(points[high][0] - at) ? points[low] : points[high];
}

// Steps to a sum: [{id, name, value}], the last one is the sum itself.
export function bridge(rows, unit) {
  let sum = 0;
  const bars = rows.map((row) => {
    const value = Number(row.value), from = row.id === "net" ? 0 : sum;
    if (row.id !== "net") sum += value;
    return { ...row, value, from, to: from + value };
  }).filter((bar) => bar.id === "net" || Math.abs(bar.value) > 1e-12 || ["grid", "floating", "fees"].includes(bar.id));
  const low = Math.min(0, ...bars.flatMap((b) => [b.from, b.to])), high = Math.max(0, ...bars.flatMap((b) => [b.from, b.to]));
  const label = "PnL bridge in " + unit + ": " + bars.map((b) => `${b.name} ${decimal(b.value, 2, true)}`).join(", ");
  const row = 34, height = bars.length * row + 6;
  return fitted(label, height, (width) => {
    const names = 104, digits = 12 + 8 * Math.max(...bars.map((b) => decimal(b.value, 2, true).length));
    const x = (v) => names + ((v - low) / Math.max(1e-12, high - low)) * (width - names - digits);
    return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
      s("line", { class: "rule", x1: x(0), x2: x(0), y1: 0, y2: height }),
      bars.map((b, i) => [
        s("text", { x: 0, y: i * row + 22 }, b.name),
        s("rect", { class: "f-" + (b.id === "net" ? "accent" : b.value >= 0 ? "good" : "bad"), x: Math.min(x(b.from), x(b.to)), y: i * row + 8, width: Math.max(1.5, Math.abs(x(b.to) - x(b.from))), height: row - 14, rx: 2 }),
        s("text", { class: "strong", x: Math.max(x(b.from), x(b.to)) + 6, y: i * row + 22 }, decimal(b.value, 2, true)),
      ]));
  });
}

// cells: [{x, y, value, text, href}]; xs and ys are the values of the axes in order.
export function heatMap(label, xs, ys, cells, names) {
  const values = cells.map((c) => c.value).filter(Number.isFinite);
  const largest = Math.max(...values.map(Math.abs), 1e-12);
  const row = Math.min(34, Math.max(14, 360 / ys.length)), height = ys.length * row + 40;
  return fitted(label, height, (width) => {
    const left = 14 + 7 * Math.max(...ys.map((y) => plain(y).length), 4), column = (width - left - 4) / xs.length;
    const skip = Math.ceil((8 * Math.max(...xs.map((x) => plain(x).length)) + 10) / column);
    return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
      ys.map((y, j) => s("text", { x: left - 8, y: (ys.length - 1 - j + 0.5) * row + 4, class: "end" }, plain(y))),
      xs.map((x, i) => (i % skip ? null : s("text", { x: left + (i + 0.5) * column, y: height - 24, class: "middle" }, plain(x)))),
      s("text", { x: left + (width - left) / 2, y: height - 6, class: "middle" }, `${names[0]} →   ${names[1]} ↑`),
      cells.filter((c) => Number.isFinite(c.value)).map((c) => {
        const rect = s("rect", { class: "cell f-" + (c.value >= 0 ? "good" : "bad"), x: left + xs.indexOf(c.x) * column, y: (ys.length - 1 - ys.indexOf(c.y)) * row, width: Math.max(1, column - 1), height: row - 1 }, s("title", {}, c.text));
        rect.style.fillOpacity = (0.12 + 0.88 * Math.abs(c.value) / largest).toFixed(3);
        return rect;
      }));
  });
}

// points: [{x, y, text, tone}]
export function scatter(label, points, nameX, nameY) {
  const dx = domain(points.map((p) => p.x)), dy = domain(points.map((p) => p.y));
  if (!dx) return h("p", { class: "quiet" }, "No run has figures yet.");
  return fitted(label, 300, (width, height) => {
    const ticks = steps(dy[0], dy[1], 5), left = 14 + 7.2 * Math.max(...ticks.map((v) => plain(v).length));
    const x = (v) => left + ((v - dx[0]) / (dx[1] - dx[0])) * (width - left - 12), y = (v) => TOP + (1 - (v - dy[0]) / (dy[1] - dy[0])) * (height - TOP - 40);
    return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
      ticks.map((v) => [s("line", { class: "rule", x1: left, x2: width, y1: y(v), y2: y(v) }), s("text", { x: left - 8, y: y(v) + 4, class: "end" }, plain(v))]),
      steps(dx[0], dx[1], Math.max(2, width / 130)).map((v) => s("text", { x: x(v), y: height - 22, class: "middle" }, plain(v))),
      s("text", { x: left + (width - left) / 2, y: height - 4, class: "middle" }, `${nameX} →   ${nameY} ↑`),
      points.map((p) => s("circle", { class: "dot f-" + p.tone, cx: x(p.x), cy: y(p.y), r: p.tone === "accent" ? 5 : 3 }, s("title", {}, p.text))));
  });
}

export const bars = (label, rows, unit) => {
  const highest = Math.max(...rows.map((r) => r.value), 1e-9);
  return fitted(label, 180, (width, height) => {
    const column = (width - 60) / Math.max(rows.length, 1), y = (v) => TOP + (1 - v / highest) * (height - TOP - BOTTOM), skip = Math.ceil(70 / column);
    return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
      steps(0, highest, 3).map((v) => [s("line", { class: "rule", x1: 0, x2: width - 58, y1: y(v), y2: y(v) }), s("text", { x: width - 52, y: y(v) + 4 }, `${count(v)} ${unit}`)]),
      rows.map((r, i) => [
        s("rect", { class: "f-" + (r.tone ?? "accent"), x: i * column + 1, y: y(r.value), width: Math.max(1, column - 2), height: Math.max(1, height - BOTTOM - y(r.value)), rx: 1 }, s("title", {}, r.text)),
        i % skip ? null : s("text", { x: Math.max(i * column + column / 2, 18), y: height - 5, class: "middle" }, r.name),
      ]));
  });
};
