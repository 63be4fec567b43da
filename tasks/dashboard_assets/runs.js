// Incidents, ticks, backtests, sweeps, and the SQL box.

import { age, card, chip, clock, count, decimal, h, money, number, percent, plain, quiet, span, table, tile, tiles, time } from "./dom.js";
import { bars, heatMap, scatter } from "./charts.js";
import { botLink } from "./pages.js";

const title = (text, about) => h("div", { class: "title" }, h("h1", {}, text), h("p", {}, about));

export function incidentsPage(data) {
  const standing = data.incidents.filter((one) => one.standing);
  return [
    title("Incidents", standing.length ? `${count(standing.length)} standing` : "none standing"),
    card("What a person must know", table("Incidents", [
      { name: "State", value: (i) => chip(i.standing ? "standing" : "resolved", i.standing ? "bad" : "good") },
      { name: "Severity", value: (i) => i.severity },
      { name: "Kind", value: (i) => i.kind },
      { name: "Bot", value: (i) => (i.bot_id ? botLink(i.bot_id) : "account") },
      { name: "What", wrap: true, value: (i) => i.detail },
      { name: "Since (UTC)", value: (i) => time(i.ts) },
      { name: "Lasted", right: true, value: (i) => (i.standing ? age(i.ts, " so far") : span(i.lasted_s)) },
    ], data.incidents, { empty: "No incident was ever raised." })),
    card("Refused today, by the exchange or by a limit", table("Refused orders", [
      { name: "Bot", value: (r) => botLink(r.bot_id) },
      { name: "By", value: (r) => r.refused_by },
      { name: "Reason", wrap: true, value: (r) => r.reason },
      { name: "Times", right: true, value: (r) => count(r.times) },
      { name: "Last", value: (r) => age(r.last_at) },
    ], data.refused, { empty: "Nothing was refused today." })),
  ];
}

export function ticksPage(data) {
  const newest = [...data.ticks].reverse(), sorted = newest.map((t) => t.took_ms).sort((a, b) => a - b);
  const at = (q) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : NaN);
  const took = (value) => [decimal(value, value < 10 ? 1 : 0), h("span", { class: "unit" }, " ms")];
  return [
    title("Ticks", data.as_of.last_tick ? `number ${count(data.as_of.last_tick.tick_id)} is the newest` : "no tick yet"),
    tiles(tile("Median", took(at(0.5)), `of the newest ${count(sorted.length)}`), tile("99 of 100 below", took(at(0.99))), tile("Longest", took(sorted.at(-1) ?? NaN)),
      tile("Quiet", newest.length ? percent(newest.filter((t) => t.quiet).length / newest.length, 0) : "–", "wrote nothing but their row"), tile("Last tick", data.as_of.last_tick ? age(data.as_of.last_tick.ended_at) : "–")),
    card("How long the newest ticks took (ms)", newest.length ? bars("Duration of the newest ticks in milliseconds; the table below has the hours", newest.map((t) => ({
      value: t.took_ms, tone: t.note ? "bad" : t.quiet ? "idle" : "accent", name: clock(t.started_at).slice(11, 16), text: `tick ${t.tick_id}, ${clock(t.started_at)} UTC: ${decimal(t.took_ms, 1)} ms${t.note ? ". " + t.note : ""}` })), "ms") : quiet("No tick yet.")),
    card("By the hour", table("Ticks by the hour", [
      { name: "Hour (UTC)", value: (r) => clock(r.hour, false) },
      { name: "Ticks", right: true, value: (r) => count(r.ticks) },
      { name: "Quiet", right: true, value: (r) => count(r.quiet_ticks) },
      { name: "Median (ms)", right: true, value: (r) => decimal(r.p50_ms, 1) },
      { name: "p99 (ms)", right: true, value: (r) => decimal(r.p99_ms, 1) },
      { name: "Longest (ms)", right: true, value: (r) => decimal(r.max_ms, 1) },
      { name: "Placed", right: true, value: (r) => count(r.orders_placed) },
      { name: "Cancelled", right: true, value: (r) => count(r.orders_cancelled) },
      { name: "Fills", right: true, value: (r) => count(r.fills) },
      { name: "With a note", right: true, value: (r) => count(r.with_a_note) },
    ], data.hours)),
    card("With a note", table("Ticks with a note", [
      { name: "Tick", right: true, value: (t) => count(t.tick_id) },
      { name: "Time (UTC)", value: (t) => time(t.started_at) },
      { name: "Took (ms)", right: true, value: (t) => decimal(t.took_ms, 1) },
      { name: "Note", wrap: true, value: (t) => t.note },
    ], data.ticks.filter((t) => t.note), { empty: "None of the newest ticks has a note." })),
  ];
}

const quoteOf = (run) => String(run.symbol ?? "").split("/")[1]?.split(":")[0] ?? "";
const runLink = (run) => h("a", { href: "/backtests/" + encodeURIComponent(run.run_id) }, run.run_id);
const runColumns = [
  { name: "Run", value: runLink },
  { name: "Bot", value: (r) => r.bot_id },
  { name: "Market", value: (r) => r.symbol },
  { name: "Net PnL", right: true, value: (r) => (r.refused ? r.refused : money(r.net_pnl, quoteOf(r), true)) },
  { name: "Max drawdown", right: true, value: (r) => percent(r.max_drawdown) },
  { name: "Sharpe", right: true, value: (r) => decimal(r.sharpe, 2) },
  { name: "Fills", right: true, value: (r) => count(r.fills) },
  { name: "Fill rule", value: (r) => [r.fill, r.intrabar].filter(Boolean).join(", ") },
  { name: "From (UTC)", value: (r) => clock(r.first_ts, false) },
  { name: "To (UTC)", value: (r) => clock(r.last_ts, false) },
  { name: "Made", value: (r) => age(r.recorded_at) },
];

export const backtestsPage = (data) => [
  title("Backtests and sweeps", `${count(data.backtests.length)} backtests, ${count(data.sweeps.length)} sweeps`),
  card("Sweeps", table("Sweeps", [
    { name: "Sweep", value: (r) => h("a", { href: "/sweeps/" + encodeURIComponent(r.sweep_id) }, r.sweep_id) },
    { name: "Bot", value: (r) => r.bot_id },
    { name: "Market", value: (r) => r.symbol },
    { name: "Configurations", right: true, value: (r) => count(r.configurations) },
    { name: "State", value: (r) => (r.ended_at ? chip("done", "good") : chip("under way", "warn")) },
    { name: "Started", value: (r) => age(r.started_at) },
  ], data.sweeps, { empty: "No sweep was published. `gridkeeper sweep` makes one." })),
  card("Backtests", table("Backtests", runColumns, data.backtests, { empty: "No backtest was published. `gridkeeper backtest` makes one." })),
];

export function backtestPage(data) {
  const run = data.run, quote = quoteOf(run);
  return [
    title("Backtest " + run.run_id, [run.bot_id, run.kind, run.symbol, run.venue].filter(Boolean).join(" · ")),
    run.warnings && run.warnings !== "[]" ? h("div", { class: "incident warning" }, run.warnings) : null,
    tiles(tile("Net PnL", money(run.net_pnl, quote, true), "capital ", money(run.capital_quote, quote)), tile("Grid profit", money(run.grid_profit, quote, true), `${count(run.round_trips)} round trips`),
      tile("Fees paid", money(run.fees, quote), "funding ", money(run.funding, quote, true)), tile("Max drawdown", percent(run.max_drawdown)), tile("Sharpe", decimal(run.sharpe, 2), "Sortino ", decimal(run.sortino, 2)),
      tile("Fills", count(run.fills), `${count(run.bars)} candles`), tile("Fill rules", `${run.fill ?? "–"}`, `${run.intrabar ?? "–"}, latency ${plain(run.latency_s)} s, ${run.engine ?? "–"}`)),
    card("Fills", table("Fills of the backtest", [
      { name: "Time (UTC)", value: (f) => time(f.ts) },
      { name: "Side", value: (f) => chip(f.side, f.side === "buy" ? "working" : "holding") },
      { name: `Price (${quote})`, right: true, value: (f) => plain(f.price) },
      { name: "Quantity", right: true, value: (f) => plain(f.qty) },
      { name: "Fee", right: true, value: (f) => `${plain(f.fee)} ${f.fee_asset ?? ""}` },
    ], data.fills, { rows: 300, empty: "The fills of this run were not kept." })),
    card("Configuration", h("pre", { tabindex: 0 }, written(run.config))),
  ];
}

function written(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return String(text ?? "not kept"); }
}

export function sweepPage(data) {
  const runs = data.runs.filter((r) => r.net_pnl !== null && !r.refused), [first, second] = data.names, quote = quoteOf(data.sweep);
  const segments = [...new Set(runs.map((r) => r.segment ?? 0))].sort((a, b) => a - b), shown = runs.filter((r) => (r.segment ?? 0) === segments[0]);
  const front = paretoOf(shown), words = (r) => `${data.names.map((n) => `${n} ${r.at[n]}`).join(", ")}: net ${decimal(r.net_pnl, 2, true)} ${quote}, drawdown ${percent(r.max_drawdown)}`;
  const values = (name) => [...new Set(shown.map((r) => number(r.at[name])).filter(Number.isFinite))].sort((a, b) => a - b);
  const cells = new Map();
  for (const r of shown) {
    const key = `${r.at[first]}|${r.at[second]}`, before = cells.get(key);
    if (!before || number(r.net_pnl) > before.value) cells.set(key, { x: number(r.at[first]), y: number(r.at[second]), value: number(r.net_pnl), text: words(r) });
  }
  return [
    title("Sweep " + data.sweep.sweep_id, `${data.sweep.bot_id ?? ""} · ${data.sweep.symbol ?? ""} · ${count(data.runs.length)} runs, ${count(data.runs.length - runs.length)} refused` + (segments.length > 1 ? ` · the pictures show stretch ${segments[0]} of ${segments.length}; the best of it has to hold in the others` : "")),
    first && second ? card(`Net PnL (${quote}) over ${first} and ${second}`, heatMap(`Heat map of net PnL over ${first} and ${second}; the table below has the values`, values(first), values(second), [...cells.values()], [first, second]), quiet("green earns, red loses, the stronger the more")) : null,
    card("Net PnL against drawdown", scatter("Net PnL against maximum drawdown of each run; the table below has the best", shown.map((r) => ({ x: number(r.max_drawdown) * 100, y: number(r.net_pnl), tone: front.has(r) ? "accent" : "idle", text: words(r) })), "max drawdown (%)", `net PnL (${quote})`), quiet("The large dots are those that no other run beats in both.")),
    card("Not beaten in both", table("Pareto front", [...data.names.map((n) => ({ name: n, right: true, value: (r) => plain(r.at[n]) })), ...runColumns.filter((c) => ["Net PnL", "Max drawdown", "Sharpe", "Fills", "Run"].includes(c.name))], [...front].sort((a, b) => number(b.net_pnl) - number(a.net_pnl)))),
    card("All runs", table("All runs", [...data.names.map((n) => ({ name: n, right: true, value: (r) => plain(r.at[n]) })), { name: "Stretch", right: true, value: (r) => count(r.segment) }, ...runColumns.filter((c) => ["Net PnL", "Max drawdown", "Sharpe", "Fills", "Run"].includes(c.name))], [...data.runs].sort((a, b) => (number(b.net_pnl) || -Infinity) - (number(a.net_pnl) || -Infinity)), { rows: 200 })),
    data.sweep.summary ? card("Summary", h("pre", { tabindex: 0 }, written(data.sweep.summary))) : null,
  ];
}

function paretoOf(runs) {
  const found = new Set();
  let best = -Infinity;
  for (const run of [...runs].sort((a, b) => number(a.max_drawdown) - number(b.max_drawdown) || number(b.net_pnl) - number(a.net_pnl))) {
    if (number(run.net_pnl) > best) { best = number(run.net_pnl); found.add(run); }
  }
  return found;
}

const SAMPLES = {
  "Bots": "SELECT bot_id, mode, levels_working, levels_wanted, inventory, net_pnl, last_price, price_ts FROM report_bots",
  "Levels not working": "SELECT bot_id, level, state, reason FROM report_levels WHERE NOT working ORDER BY bot_id, level",
  "Newest round trips": "SELECT ts, bot_id, level, cycle, price, qty, realized, round(spread, 5) AS spread\nFROM report_fills WHERE role = 'exit' ORDER BY ts DESC LIMIT 20",
  "Profit by day": "SELECT bot_id, day, fills, realized, fees, funding, net_realized, equity_change FROM report_pnl_daily ORDER BY day DESC LIMIT 100",
  "Books and exchange": "SELECT venue, asset, balance, reported, difference, reported_at FROM report_ledger_balance WHERE account = 'wallet'",
  "Tables": "SHOW TABLES",
};

export function sqlPage() {
  const box = h("textarea", { id: "sql", spellcheck: "false", autocomplete: "off" }), answer = h("div", { "aria-live": "polite" }, quiet("The answer appears here."));
  box.value = new URLSearchParams(location.search).get("q") ?? SAMPLES.Bots;
  const send = (path) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ sql: box.value }) });
  const refused = async (reply) => answer.replaceChildren(h("div", { class: "incident" }, h("strong", {}, "refused"), (await reply.json()).error));
  const ask = async () => {
    run.disabled = true;
    try {
      const reply = await send("/api/sql");
      if (!reply.ok) return await refused(reply);
      const data = await reply.json();
      answer.replaceChildren(quiet(`${count(data.rows.length)} row${data.rows.length === 1 ? "" : "s"} in ${decimal(data.took_ms, 0)} ms`),
        ...[table("Answer", data.columns.map((name, i) => ({ name, right: typeof data.rows[0]?.[i] === "number", value: (r) => (r[i] === null ? "" : typeof r[i] === "object" ? JSON.stringify(r[i]) : String(r[i])) })), data.rows, { rows: 500, empty: "No row." })].flat().filter(Boolean));
    } catch { answer.replaceChildren(quiet("The dashboard does not answer.")); } finally { run.disabled = false; }
  };
  const download = async () => {
    const reply = await send("/api/sql.csv");
    if (!reply.ok) return refused(reply);
    const link = h("a", { href: URL.createObjectURL(await reply.blob()), download: "gridkeeper.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const run = h("button", { type: "button", class: "primary", onclick: ask }, "Ask");
  box.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask(); } });
  return [
    title("SQL", "one reading question on the published copy; ten seconds and 2,000 rows at most"),
    h("section", { class: "card" },
      h("div", { class: "samples", role: "group", "aria-label": "Examples" }, Object.entries(SAMPLES).map(([name, sql]) => h("button", { type: "button", onclick: () => { box.value = sql; ask(); } }, name))),
      h("label", { for: "sql" }, "Question (Ctrl+Enter asks)"), box,
      h("div", { class: "row" }, run, h("button", { type: "button", class: "plain", onclick: download }, "Download CSV"))),
    h("section", { class: "card" }, answer),
  ];
}
