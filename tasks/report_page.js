"use strict";
// Draws the figures of a report. Everything it needs stands in the page; it asks nobody for anything.
(async () => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const figures = JSON.parse(byId("figures").textContent);
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  const INTERVALS_MIN = [1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080, 43200];
  const DAY_MS = 86400000;
  const PRINT_WIDTH_PX = 640; // A4 between the margins of the page and of a card.
  let printing = false;

  async function inflate(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(plain).text();
  }

  function palette() {
    return figures.palettes[darkScheme.matches && !printing ? "dark" : "light"];
  }

  // Only keys that hold colours are looked at, so no text of a user can be taken for one.
  function coloured(value, colours, key) {
    if (Array.isArray(value)) return value.map((part) => coloured(part, colours, key));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, coloured(part, colours, name)]));
    const isColour = typeof value === "string" && value[0] === "@" && /color$/.test(key || "");
    return isColour ? colours[value.slice(1)] : value;
  }

  function unpack(packed) {
    const { candles, fills } = packed;
    const factor = 10 ** -candles.decimals;
    const bars = { t: [], o: [], h: [], l: [], c: [], interval: candles.interval_ms };
    let time = candles.start_ms, close = 0;
    for (let i = 0; i < candles.t.length; i++) {
      time += candles.t[i] * candles.unit_ms;
      const open = close + candles.o[i];
      close = open + candles.c[i];
      bars.t.push(time);
      bars.o.push(open * factor);
      bars.c.push(close * factor);
      bars.h.push((Math.max(open, close) + candles.h[i]) * factor);
      bars.l.push((Math.min(open, close) - candles.l[i]) * factor);
    }
    let at = 0;
    const scale = 10 ** -fills.decimals;
    const done = { ...fills, t: fills.t.map((step) => (at += step)), p: fills.p.map((price) => price * scale) };
    return { bars, fills: done };
  }

  function firstAtOrAfter(times, time) {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1; else high = middle;
    }
    return low;
  }

  const two = (number) => String(number).padStart(2, "0");
  function stamp(time) {
    const day = new Date(time);
    return `${day.getUTCFullYear()}-${two(day.getUTCMonth() + 1)}-${two(day.getUTCDate())} ${two(day.getUTCHours())}:${two(day.getUTCMinutes())}`;
  }
  const figure = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: 9 });
  const money = (value) => (value > 0 ? "+" : "") + value.toLocaleString("en-US", { maximumSignificantDigits: 5 });
  function lengthOf(interval) {
    const minutes = interval / 60000;
    if (minutes >= 1440) return `${+(minutes / 1440).toFixed(1)} d`;
    return minutes >= 60 ? `${+(minutes / 60).toFixed(1)} h` : `${+minutes.toFixed(1)} min`;
  }

  // Merges the visible candles to as many as the width can show; extremes are kept.
  function visibleCandles(bars, from, to, countMax) {
    const steps = [bars.interval, ...INTERVALS_MIN.map((minutes) => minutes * 60000).filter((step) => step > bars.interval)];
    const interval = steps.find((step) => (to - from) / step <= countMax) || steps[steps.length - 1];
    const merged = { x: [], open: [], high: [], low: [], close: [], hovertext: [], interval };
    const end = firstAtOrAfter(bars.t, to + interval);
    let last = -1;
    for (let i = firstAtOrAfter(bars.t, Math.floor(from / interval) * interval); i < end; i++) {
      const start = Math.floor(bars.t[i] / interval) * interval;
      const place = merged.x.length - 1;
      if (start === last) {
        merged.high[place] = Math.max(merged.high[place], bars.h[i]);
        merged.low[place] = Math.min(merged.low[place], bars.l[i]);
        merged.close[place] = bars.c[i];
      } else {
        last = start;
        merged.x.push(start + interval / 2);
        merged.open.push(bars.o[i]);
        merged.high.push(bars.h[i]);
        merged.low.push(bars.l[i]);
        merged.close.push(bars.c[i]);
      }
    }
    merged.x.forEach((middle, i) => {
      merged.hovertext.push(`<b>${stamp(middle - interval / 2)}</b> ${lengthOf(interval)}<br>open ${figure(merged.open[i])}, close ${figure(merged.close[i])}<br>` +
        `high ${figure(merged.high[i])}, low ${figure(merged.low[i])}`);
    });
    return merged;
  }

  function visibleFills(fills, from, to, countMax, unit, base) {
    const start = firstAtOrAfter(fills.t, from), end = firstAtOrAfter(fills.t, to + 1);
    const stride = Math.max(1, Math.ceil((end - start) / countMax));
    const sides = [0, 1].map(() => ({ x: [], y: [], hovertext: [] }));
    let shown = 0;
    for (let i = start; i < end; i += stride, shown++) {
      const side = sides[fills.s[i]];
      const gain = fills.g[i];
      side.x.push(fills.t[i]);
      side.y.push(fills.p[i]);
      side.hovertext.push(`<b>${fills.s[i] ? "buy" : "sell"}</b> ${fills.r[i]}<br>${figure(fills.q[i])} ${base} at ${figure(fills.p[i])} ${unit}<br>` +
        `${stamp(fills.t[i])}${gain ? `<br>realised ${money(gain)} ${unit}` : ""}`);
    }
    return { sides, shown, inside: end - start };
  }

  function baseLayout(colours, narrow) {
    const axis = {
      gridcolor: colours.grid, zerolinecolor: colours.line, linecolor: colours.line, tickcolor: colours.line,
      automargin: false, separatethousands: true, exponentformat: "none", tickfont: { size: narrow ? 10.5 : 12 },
    };
    return {
      axis,
      layout: {
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colours.muted },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
        margin: { l: narrow ? 54 : 66, r: narrow ? 10 : 14, t: 24, b: 42 },
        hoverlabel: { bgcolor: colours.card, bordercolor: colours.line, align: "left", font: { color: colours.ink, size: 12.5 } },
        hoverdistance: 24, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      },
    };
  }

  // Writes the unit of each axis above its upper end, where it costs no width and needs no turned head.
  function styled(own, colours, narrow) {
    const { axis, layout } = baseLayout(colours, narrow);
    const full = { ...layout, ...coloured(own, colours), annotations: [] };
    for (const name of Object.keys(full).filter((key) => /^[xy]axis/.test(key))) {
      const { title, ...rest } = full[name];
      full[name] = { ...axis, ...rest };
      if (name[0] === "x") Object.assign(full[name], { showgrid: false, ticks: rest.ticks ?? "outside", ticklen: 4, nticks: rest.nticks ?? (narrow ? 5 : 10) });
      if (title && title.text)
        full.annotations.push({
          text: title.text, showarrow: false, xref: "paper", yref: "paper", x: 0, y: rest.domain ? rest.domain[1] : 1,
          xanchor: "left", yanchor: "bottom", xshift: 4 - full.margin.l, yshift: 5, font: { size: 11, color: colours.muted },
        });
    }
    return full;
  }

  function priceTraces(chart, from, to, width, colours) {
    const { series, spec } = chart;
    const merged = visibleCandles(series.bars, from, to, Math.max(50, Math.floor(width / 5.5)));
    const found = visibleFills(series.fills, from, to, Math.max(80, Math.floor(width / 3.2)), spec.unit, spec.base);
    const colour = (name) => ({ line: { color: colours[name], width: 1.1 }, fillcolor: colours[name] });
    const candles = {
      type: "candlestick", ...merged, increasing: colour("up"), decreasing: colour("down"), hoverinfo: "text", name: "price", whiskerwidth: 0,
    };
    const size = found.shown > 180 ? 6 : 8;
    const markers = found.sides.map((side, buys) => ({
      type: "scatter", mode: "markers", ...side, hoverinfo: "text", name: buys ? "buy" : "sell",
      marker: { symbol: buys ? "triangle-up" : "triangle-down", size, color: colours[buys ? "buy" : "sell"], line: { color: colours.card, width: 0.8 } },
    }));
    const near = spanOf(merged, spec.levels);
    const dropped = series.fills.total - series.fills.t.length;
    const kept = dropped ? ` (a sample of ${figure(series.fills.total)})` : "";
    chart.note = `${lengthOf(merged.interval)} candles, ${figure(found.shown)} of ${figure(found.inside)} fills drawn${kept}`;
    return { traces: [candles, ...markers], range: near };
  }

  // The visible prices, widened to the levels that lie no further away than the prices span.
  function spanOf(merged, levels) {
    let low = Math.min(...merged.low), high = Math.max(...merged.high);
    if (!Number.isFinite(low)) return undefined;
    const reach = (high - low) * 0.35;
    const close = levels.filter((level) => level >= low - reach && level <= high + reach);
    low = Math.min(low, ...close);
    high = Math.max(high, ...close);
    const room = (high - low || high * 0.01) * 0.04;
    return [low - room, high + room];
  }

  // The last price runs as a line into the ladder of levels, with its value where the axis has its numbers.
  function markLast(layout, bars, colours) {
    const last = bars.c[bars.c.length - 1];
    if (!layout.yaxis.range || last < layout.yaxis.range[0] || last > layout.yaxis.range[1]) return;
    layout.yaxis.tickvals = ticksApart(layout.yaxis.range, last, layout.height * 0.6);
    layout.shapes = [{
      type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: last, y1: last, line: { color: colours.ink, width: 1, dash: "dot" },
    }];
    layout.annotations.push({
      text: figure(last), showarrow: false, xref: "paper", yref: "y", x: 0, y: last, xanchor: "right", yanchor: "middle", xshift: -2,
      bgcolor: colours.ink, borderpad: 3, font: { size: layout.yaxis.tickfont.size - 1, color: colours.card },
    });
  }

  // Round values for the axis, without the ones that the tag of the last price would cover.
  function ticksApart([low, high], taken, heightPx) {
    const rough = (high - low) / Math.max(3, heightPx / 48);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const covered = (high - low) * 16 / heightPx;
    const ticks = [];
    for (let count = Math.ceil(low / step); count * step <= high; count++)
      if (Math.abs(count * step - taken) > covered) ticks.push(Number((count * step).toPrecision(12)));
    return ticks;
  }

  // Leaves as much room beside the bars as the longest label needs, whatever the width.
  function fitLabels(layout, spec, width) {
    const [low, high] = spec.extent;
    const labelPx = 14 + 7 * spec.label_length;
    const perPixel = (high - low || 1) / Math.max(60, width - layout.margin.l - layout.margin.r - labelPx - 6);
    layout.xaxis.range = [low - (low < 0 ? 6 * perPixel : 0), high + labelPx * perPixel];
  }

  // However far one zooms in, a rung of the ladder stays a rung.
  function thinLadder(traces, layout) {
    if (!layout.yaxis.range) return;
    const perPixel = (layout.yaxis.range[1] - layout.yaxis.range[0]) / (layout.height * 0.62);
    for (const trace of traces) if (trace.type === "bar") trace.width = Math.min(trace.width, 6 * perPixel);
  }

  // What the lines span inside the visible range.
  function spanOfLines(lines, [from, to]) {
    const values = lines.flatMap((line) => line.y.filter((value, i) => value !== null && line.x[i] >= from && line.x[i] <= to));
    if (!values.length) return undefined;
    const low = Math.min(...values), high = Math.max(...values);
    const room = (high - low || Math.abs(high) * 0.01 || 1) * 0.06;
    return [low - room, high + room];
  }

  // Each line ends in its last value; two that end close together are pushed apart.
  function markEnds(layout, lines, colours) {
    const ends = lines.filter((line) => line.y.length).map((line) => ({ y: line.y[line.y.length - 1], colour: line.line.color }));
    if (!layout.yaxis.range) return;
    const gap = (layout.yaxis.range[1] - layout.yaxis.range[0]) * 0.08;
    ends.sort((one, other) => other.y - one.y);
    const push = ends.length === 2 && ends[0].y - ends[1].y < gap ? (gap - (ends[0].y - ends[1].y)) / gap * 8 : 0;
    ends.forEach((end, place) => layout.annotations.push({
      text: `<b>${Math.round(end.y).toLocaleString("en-US")}</b>`, showarrow: false, xref: "paper", yref: "y", x: 1, y: end.y,
      xanchor: "left", yanchor: "middle", xshift: 5, yshift: place ? -push : push, font: { size: layout.yaxis.tickfont.size, color: end.colour },
    }));
  }

  function drawn(chart) {
    const width = printing ? PRINT_WIDTH_PX : chart.box.clientWidth;
    const narrow = width < 520;
    const colours = palette();
    const layout = styled(chart.spec.layout, colours, narrow);
    Object.assign(layout, { width, height: chart.box.clientHeight, autosize: false });
    chart.width = width;
    let traces = coloured(chart.spec.traces, colours);
    if (chart.range) layout.xaxis.range = chart.range;
    if (chart.spec.kind === "price") {
      const part = priceTraces(chart, ...chart.range, width, colours);
      traces = [...traces.filter((trace) => trace.mode === "lines" && !trace.yaxis), part.traces[0], ...traces.filter((trace) => trace.mode !== "lines" || trace.yaxis), ...part.traces.slice(1)];
      layout.yaxis.range = part.range;
      layout.xaxis.rangeslider = { visible: false };
      layout.hovermode = "closest";
      markLast(layout, chart.series.bars, colours);
      thinLadder(traces, layout);
      byId(`note${chart.bot}`).textContent = chart.note;
    }
    // The same share of the width as the ladder beside the prices, so that the two time axes line up.
    if (chart.spec.kind === "equity" || chart.spec.kind === "exposure") layout.margin.r = narrow ? 52 : 14 + Math.round((width - 80) * 0.075);
    if (chart.spec.kind === "equity") layout.yaxis.range = spanOfLines(traces.filter((trace) => !trace.yaxis), chart.range);
    if (chart.spec.kind === "equity") markEnds(layout, traces.filter((trace) => !trace.yaxis), colours);
    if (chart.spec.kind === "bridge") {
      layout.margin = { l: 84, r: 8, t: 4, b: 30 };
      layout.xaxis.showgrid = true;
      layout.xaxis.nticks = 5;
      fitLabels(layout, chart.spec, width);
    }
    return { traces, layout };
  }

  function draw(chart) {
    const { traces, layout } = drawn(chart);
    return Plotly.react(chart.box, traces, layout, { displayModeBar: false, doubleClick: false });
  }

  function show(bot, range) {
    for (const chart of charts.filter((one) => one.bot === bot && one.range)) {
      chart.range = range || chart.whole;
      draw(chart);
    }
    const whole = charts.find((one) => one.bot === bot && one.whole).whole;
    document.querySelectorAll(`.spans[data-bot="${bot}"] button`).forEach((button) => {
      const days = Number(button.dataset.days);
      const wanted = days ? Math.max(whole[0], whole[1] - days * DAY_MS) : whole[0];
      button.hidden = days > 0 && days * DAY_MS >= whole[1] - whole[0];
      const now = range || whole;
      button.setAttribute("aria-pressed", String(Math.abs(now[0] - wanted) < 1000 && Math.abs(now[1] - whole[1]) < 1000));
    });
  }

  function listen(chart) {
    const asTime = (value) => (typeof value === "number" ? value : Date.parse(`${value.replace(" ", "T")}Z`));
    chart.box.on("plotly_relayout", (change) => {
      const start = change["xaxis.range[0]"], end = change["xaxis.range[1]"];
      if (start !== undefined) show(chart.bot, [Math.max(chart.whole[0], asTime(start)), Math.min(chart.whole[1], asTime(end))]);
    });
    chart.box.on("plotly_doubleclick", () => show(chart.bot, null));
  }

  function wholeRange(spec, series) {
    const times = [...(series.bars.t.length ? [series.bars.t[0], series.bars.t[series.bars.t.length - 1] + series.bars.interval] : [])];
    for (const trace of spec.equity ? spec.equity.traces : []) times.push(trace.x[0], trace.x[trace.x.length - 1]);
    return [Math.min(...times), Math.max(...times)];
  }

  const charts = [];
  try {
    const [library, packed] = await Promise.all([inflate("plotly"), inflate("series")]);
    const script = document.createElement("script");
    script.textContent = library;
    document.head.append(script);
    JSON.parse(packed).map(unpack).forEach((series, bot) => {
      const specs = figures.bots[bot];
      const whole = wholeRange(specs, series);
      for (const kind of ["price", "equity", "exposure", "bridge"]) {
        if (!specs[kind]) continue;
        const timed = kind !== "bridge";
        charts.push({ bot, spec: specs[kind], series, box: byId(kind + bot), whole: timed ? whole : null, range: timed ? whole : null });
      }
    });
  } catch (problem) {
    document.querySelectorAll(".chart").forEach((box) => {
      box.classList.add("failed");
      box.textContent = `This browser could not unpack the charts (${problem.message}); a browser of 2023 or later draws them. The tables are complete.`;
    });
    root.dataset.state = "failed";
    return;
  }

  for (const chart of charts) {
    await draw(chart);
    if (chart.range) listen(chart);
  }
  new Set(charts.filter((chart) => chart.range).map((chart) => chart.bot)).forEach((bot) => show(bot, null));
  document.querySelectorAll(".spans").forEach((group) => group.addEventListener("click", (event) => {
    const days = event.target.dataset.days;
    if (days === undefined) return;
    const bot = Number(group.dataset.bot);
    const whole = charts.find((chart) => chart.bot === bot && chart.whole).whole;
    show(bot, days === "0" ? null : [Math.max(whole[0], whole[1] - days * DAY_MS), whole[1]]);
  }));
  const resized = new ResizeObserver((entries) => entries.forEach((entry) => {
    const chart = charts.find((one) => one.box === entry.target);
    if (!printing && chart.box.clientWidth !== chart.width) draw(chart);
  }));
  charts.forEach((chart) => resized.observe(chart.box));
  darkScheme.addEventListener("change", () => charts.forEach(draw));
  addEventListener("beforeprint", () => { printing = true; charts.forEach(draw); });
  addEventListener("afterprint", () => { printing = false; charts.forEach(draw); });
  root.dataset.state = "ready";
})();
