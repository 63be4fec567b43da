// Portfolio, bots, and one bot in depth.

import { age, amount, card, chip, choices, clock, count, decimal, h, money, number, percent, plain, quiet, span, table, tile, tiles, time } from "./dom.js";
import { bridge, timeChart } from "./charts.js";

export const SPANS = ["1h", "6h", "1d", "7d", "30d", "1y", "all"];

export const STATES = {
  OPEN_ORDER_PLACED: ["entry rests", "working"],
  CLOSE_ORDER_PLACED: ["holding, exit rests", "holding"],
  OPEN_ORDER_FILLED: ["holding, no exit yet", "holding"],
  COMPLETE: ["complete", "complete"],
  NOT_ACTIVE: ["not working", "idle"],
};
const stateOf = (level) => STATES[level.state] ?? [String(level.state).toLowerCase(), level.working ? "working" : "idle"];
const ms = (at) => Date.parse(at.endsWith("Z") ? at : at + "Z");

export const botLink = (id) => h("a", { href: "/bots/" + encodeURIComponent(id) }, id);
const modeChip = (bot) => chip(bot.mode === "run" ? "running" : bot.mode, bot.mode === "run" ? "good" : "warn");

export const incident = (one) =>
  h("div", { class: "incident " + (one.severity === "critical" || one.severity === "error" ? "" : "warning") },
    h("strong", {}, one.kind), one.bot_id ? [botLink(one.bot_id), " "] : null, one.detail, " ", h("span", { class: "unit" }, "since ", age(one.ts)));

// The last known value of every bot at every moment, summed: a bot without a sample there keeps its earlier one.
function summed(points, name) {
  const last = new Map(), found = [];
  for (const point of points) {
    last.set(point.bot_id, number(point[name]));
    let sum = 0;
    for (const value of last.values()) sum += value;
    const at = ms(point.at);
    if (found.length && found.at(-1)[0] === at) found.at(-1)[1] = sum; else found.push([at, sum]);
  }
  // Until every bot has begun, a sum would jump with each that joins.
  const begun = new Set(), all = last.size;
  let from = 0;
  for (const point of points) {
    begun.add(point.bot_id);
    if (begun.size === all) { from = ms(point.at); break; }
  }
  return found.filter((p) => p[0] >= from);
}

function fallen(points) {
  let peak = -Infinity;
  return points.map(([at, value]) => {
    peak = Math.max(peak, value);
    return [at, peak > 0 ? (-100 * (peak - value)) / peak : 0];
  });
}

const equityChart = (points, asset, stepS, height) =>
  timeChart({ label: `Equity in ${asset} over time`, height, unit: asset, legend: false, format: (v) => decimal(v, 2), readout: `${asset}, one point every ${span(stepS)}`,
    lines: [{ name: "Equity", tone: "accent", points }] });

const drawdownChart = (points) =>
  timeChart({ label: "Drawdown in percent of the peak within this span", height: 120, unit: "%", format: (v) => decimal(v, 2), include: [0],
    lines: [{ name: "Drawdown from the peak of this span (%)", tone: "bad", area: true, points: fallen(points) }] });

const daysTable = (rows, asset) =>
  table("Profit by day", [
    { name: "Day (UTC)", value: (r) => r.day },
    { name: "Bot", value: (r) => botLink(r.bot_id) },
    { name: "Fills", right: true, value: (r) => count(r.fills) },
    { name: "Volume", right: true, value: (r) => money(r.volume_quote, asset(r)) },
    { name: "Realised", right: true, value: (r) => money(r.realized, asset(r), true) },
    { name: "Fees paid", right: true, value: (r) => money(r.fees, asset(r)) },
    { name: "Funding", right: true, value: (r) => money(r.funding, asset(r), true) },
    { name: "Net realised", right: true, value: (r) => money(r.net, asset(r), true) },
  ], rows, { rows: 60, empty: "No trade and no funding in these days." });

function stack(bot) {
  const working = bot.levels_working, wanted = Math.max(0, bot.levels_wanted - working), rest = Math.max(0, bot.levels - working - wanted);
  if (!bot.levels) return null;
  const part = (n, tone) => { if (!n) return null; const one = h("span", { class: "b-" + tone }); one.style.flexGrow = n; return one; };
  return [h("div", { class: "stack", "aria-hidden": "true" }, part(working, "working"), part(wanted, "holding"), part(rest, "idle")),
    h("p", { class: "quiet" }, `${count(working)} levels work of ${count(bot.levels_wanted)} wanted, ${count(bot.levels)} in all`)];
}

const botCard = (bot) =>
  h("section", { class: "card" },
    h("h2", {}, botLink(bot.bot_id), modeChip(bot)),
    quiet(`${bot.kind} · ${bot.symbol} · ${bot.venue}` + (bot.mode_reason ? ` · ${bot.mode_reason}` : "")),
    h("dl", { class: "facts" },
      h("dt", {}, "Net PnL"), h("dd", {}, money(bot.net_pnl, bot.quote_asset, true)),
      h("dt", {}, bot.own_part), h("dd", {}, money(bot.grid_profit, bot.quote_asset, true)),
      h("dt", {}, "Floating"), h("dd", {}, money(bot.unrealized, bot.quote_asset, true)),
      h("dt", {}, "Fees paid"), h("dd", {}, money(bot.fees, bot.quote_asset)),
      h("dt", {}, "Held"), h("dd", {}, amount(bot.inventory, bot.symbol.split("/")[0])),
      h("dt", {}, "Equity"), h("dd", {}, money(bot.equity, bot.quote_asset)),
      h("dt", {}, "Price"), h("dd", {}, amount(bot.last_price, bot.quote_asset), " ", h("span", { class: "unit" }, age(bot.price_ts)))),
    stack(bot));

export function portfolioPage(data, { spanName, take }) {
  const asset = data.totals[0]?.asset ?? "";
  const single = data.totals.length === 1;
  const quotes = new Map(data.bots.map((b) => [b.bot_id, b.quote_asset]));
  const equity = single ? summed(data.series.points, "equity") : [], exposure = single ? summed(data.series.points, "exposure") : [];
  return [
    h("div", { class: "title" }, h("h1", {}, "Portfolio"), h("p", {}, `${count(data.bots.length)} bots, ${count(data.incidents.length)} standing incidents`), choices("Span", SPANS, spanName, take)),
    data.incidents.map(incident),
    data.totals.map((t) => tiles(
      tile("Net PnL", money(t.net_pnl, t.asset, true), number(t.capital_quote) ? percent(number(t.net_pnl) / number(t.capital_quote), 2, true) + " of the capital" : ""),
      tile("Equity", money(t.equity, t.asset), "capital ", money(t.capital_quote, t.asset)),
      tile("Exposure at cost", money(t.exposure_at_cost, t.asset), number(t.equity) ? percent(number(t.exposure_at_cost) / number(t.equity), 1) + " of equity" : ""),
      single && data.peak !== null ? tile("Drawdown", percent(Math.max(0, 1 - number(t.equity) / number(data.peak)), 2), "from the peak of ", money(data.peak, t.asset)) : null,
      tile(t.own_part, money(t.grid_profit, t.asset, true), "floating ", money(t.unrealized, t.asset, true)),
      tile("Fees paid", money(t.fees, t.asset), "funding ", money(t.funding, t.asset, true)),
      tile("Data", age(data.as_of.published_at), "last tick ", data.as_of.last_tick ? age(data.as_of.last_tick.ended_at) : "–"))),
    single ? h("div", { class: "two" },
      card("Equity", equityChart(equity, asset, data.series.step_s, 330)),
      card("Exposure and drawdown", timeChart({ label: `Exposure in ${asset} over time`, height: 150, unit: asset, format: (v) => decimal(v, 0), include: [0],
        lines: [{ name: `Value of what is held (${asset})`, tone: "holding", area: true, points: exposure }] }), drawdownChart(equity))) : quiet("Bots with different quote assets are not added up; see each bot."),
    h("div", { class: "bots" }, data.bots.map(botCard)),
    card("Days", daysTable(data.days, (r) => quotes.get(r.bot_id) ?? "")),
  ];
}

const ownPart = (bots) => (new Set(bots.map((b) => b.own_part)).size === 1 ? bots[0].own_part : "Closed trades");

export const botsPage = (data) => [
  h("div", { class: "title" }, h("h1", {}, "Bots"), h("p", {}, `${count(data.bots.length)} bots`)),
  data.bots.length ? null : quiet("No bot has ticked yet."),
  data.incidents.map(incident),
  h("div", { class: "bots" }, data.bots.map(botCard)),
  card("Side by side", table("Bots side by side", [
    { name: "Bot", value: (b) => botLink(b.bot_id) },
    { name: "State", value: modeChip },
    { name: "Market", value: (b) => `${b.symbol} · ${b.venue}` },
    { name: "Net PnL", right: true, value: (b) => money(b.net_pnl, b.quote_asset, true) },
    { name: ownPart(data.bots), right: true, value: (b) => money(b.grid_profit, b.quote_asset, true) },
    { name: "Floating", right: true, value: (b) => money(b.unrealized, b.quote_asset, true) },
    { name: "Fees", right: true, value: (b) => money(b.fees, b.quote_asset) },
    { name: "Round trips", right: true, value: (b) => count(b.round_trips) },
    { name: "Orders live", right: true, value: (b) => [count(b.orders_live), b.orders_uncertain ? h("span", { class: "warn" }, ` (${count(b.orders_uncertain)} uncertain)`) : null] },
    { name: "Running since (UTC)", value: (b) => time(b.started_at, false) },
  ], data.bots)),
];

function priceChart(data) {
  const bot = data.bot, points = data.series.points, quote = bot.quote_asset;
  const line = points.map((p) => [ms(p.at), number(p.price)]), last = number(bot.last_price);
  const band = points.map((p) => [ms(p.at), number(p.price_low), number(p.price_high)]);
  // Between two samples the executions are the prices that are known.
  if (data.series.step_s <= 60 && line.length) for (const f of data.fills) if (ms(f.ts) >= line[0][0]) line.push([ms(f.ts), number(f.price)]);
  line.sort((a, b) => a[0] - b[0]);
  if (bot.price_ts && line.length && ms(bot.price_ts) > line.at(-1)[0]) line.push([ms(bot.price_ts), last]);
  const levels = data.levels.map((l) => {
    const [words, tone] = stateOf(l), holds = tone === "holding";
    const value = number(l.resting_price ?? (holds ? l.exit_price : l.entry_price));
    return { value, tone, dash: tone === "idle", text: `level ${l.level}: ${words} at ${plain(value)} ${quote}${l.reason ? ". " + l.reason : ""}` };
  });
  const near = [...levels].sort((a, b) => Math.abs(a.value - last) - Math.abs(b.value - last)).slice(0, 10).map((l) => l.value);
  const marks = data.fills.map((f) => ({ at: ms(f.ts), value: number(f.price), side: f.side, text: `${clock(f.ts)} UTC ${f.side} ${plain(f.qty)} at ${plain(f.price)} ${quote} (${f.role})` }));
  return timeChart({ label: `Price of ${bot.symbol} in ${quote} with levels and fills; the tables below say the same`, height: 380, unit: quote,
    include: near.filter(Number.isFinite), levels, marks, readout: `one point every ${span(data.series.step_s)}; the nearest ten levels are always in sight`,
    lines: [{ name: "Price", tone: "ink", points: line, band: data.series.step_s > 60 ? band : null }],
    keys: [["working", "entry rests"], ["holding", "exit rests"], ["idle", "not working", true], ["buy", "bought"], ["sell", "sold"]] });
}

function levelsTable(data) {
  const bot = data.bot, quote = bot.quote_asset, base = bot.symbol.split("/")[0], last = number(bot.last_price);
  const nearest = data.levels.reduce((best, l) => (best === null || Math.abs(number(l.entry_price) - last) < Math.abs(number(best.entry_price) - last) ? l : best), null);
  return table("Levels", [
    { name: "Level", right: true, value: (l) => count(l.level) },
    { name: "State", value: (l) => chip(...stateOf(l)) },
    ...(data.levels.some((l) => l.reason) ? [{ name: "Why not", wrap: true, value: (l) => l.reason || "" }] : []),
    { name: `Entry (${quote})`, right: true, value: (l) => plain(l.entry_price) },
    { name: `Exit (${quote})`, right: true, value: (l) => plain(l.exit_price) },
    { name: `Rests at (${quote})`, right: true, value: (l) => plain(l.resting_price) },
    { name: `Quantity (${base})`, right: true, value: (l) => plain(l.qty) },
    { name: `Held (${base})`, right: true, value: (l) => plain(l.held) },
    { name: "Cycle", right: true, value: (l) => count(l.cycle) },
    { name: "Changed", value: (l) => age(l.updated_at) },
  ], [...data.levels].reverse(), { tone: (l) => (l === nearest ? "here" : null), rows: 400, empty: "The bot has no levels before its first price." });
}

export function botPage(data, { spanName, take }) {
  const bot = data.bot, quote = bot.quote_asset, base = bot.symbol.split("/")[0];
  const equity = data.series.points.map((p) => [ms(p.at), number(p.equity)]);
  return [
    h("div", { class: "title" }, h("h1", {}, bot.bot_id), modeChip(bot),
      h("p", {}, `${bot.kind} on ${bot.symbol}, ${bot.venue}`, bot.mode_reason ? `: ${bot.mode_reason}` : "", bot.started_at ? `; since ${clock(bot.started_at, false)} UTC` : ""),
      choices("Span", SPANS, spanName, take)),
    data.incidents.map(incident),
    tiles(
      tile("Net PnL", money(bot.net_pnl, quote, true), number(bot.capital_quote) ? percent(number(bot.net_pnl) / number(bot.capital_quote), 2, true) + " of the capital" : ""),
      tile(bot.own_part, money(bot.grid_profit, quote, true), `${count(bot.round_trips)} round trips`),
      tile("Floating", money(bot.unrealized, quote, true), "at the last price"),
      tile("Held", amount(bot.inventory, base), "cost ", money(bot.exposure_at_cost, quote)),
      tile("Equity", money(bot.equity, quote), "capital ", money(bot.capital_quote, quote)),
      tile("Price", amount(bot.last_price, quote), age(bot.price_ts)),
      tile("Orders live", count(bot.orders_live), bot.orders_uncertain ? `${count(bot.orders_uncertain)} uncertain` : "none uncertain")),
    card("Price, levels and fills", priceChart(data)),
    card(`Levels: ${count(bot.levels_working)} working of ${count(bot.levels_wanted)} wanted, ${count(bot.levels)} in all`, levelsTable(data)),
    h("div", { class: "two" },
      card("Where the profit comes from", bridge(data.bridge, quote), quiet(`in ${quote}; open lots at the last price, no closing fee assumed`)),
      card("Equity", equityChart(equity, quote, data.series.step_s, 200), drawdownChart(equity))),
    h("div", { class: "two" },
      card("Resting orders", table("Resting orders", [
        { name: "Side", value: (o) => chip(o.side, o.side === "buy" ? "working" : "holding") },
        { name: `Price (${quote})`, right: true, value: (o) => (o.price === null ? "market" : plain(o.price)) },
        { name: `Quantity (${base})`, right: true, value: (o) => plain(o.qty) },
        { name: "Filled", right: true, value: (o) => percent(number(o.filled_qty) / number(o.qty), 0) },
        { name: "Status", value: (o) => o.status },
        { name: "For", value: (o) => `${o.role} ${o.leg_id}` },
        { name: "Age", value: (o) => age(o.created_at, "") },
      ], data.orders, { empty: "No order rests." })),
      card("Open lots", table("Open lots", [
        { name: "Lot", value: (l) => l.lot_id },
        { name: `Quantity (${base})`, right: true, value: (l) => plain(l.qty) },
        { name: `Average (${quote})`, right: true, value: (l) => decimal(l.average_price, 2) },
        { name: "Floating", right: true, value: (l) => money(l.unrealized, quote, true) },
        { name: "Age", value: (l) => age(l.opened_at, "") },
      ], data.lots, { empty: "Nothing is held." }))),
    card("Fills", table("Fills", [
      { name: "Time (UTC)", value: (f) => time(f.ts) },
      { name: "Side", value: (f) => chip(f.side, f.side === "buy" ? "working" : "holding") },
      { name: "For", value: (f) => `${f.role} ${f.leg_id}` },
      { name: `Price (${quote})`, right: true, value: (f) => plain(f.price) },
      { name: `Quantity (${base})`, right: true, value: (f) => plain(f.qty) },
      { name: "Fee", right: true, value: (f) => amount(f.fee, f.fee_asset) },
      { name: "Realised", right: true, value: (f) => money(f.realized, quote, true) },
      { name: "As", value: (f) => (f.maker ? "maker" : "taker") },
    ], data.fills, { rows: 100, empty: "No fill within this span (two days at most)." })),
    card("Days", daysTable(data.days, () => quote)),
    card("Decisions of today", table("Decisions", [
        { name: "Time (UTC)", value: (j) => time(j.ts) },
        { name: "Decision", value: (j) => j.decision },
        { name: "About", value: (j) => j.subject },
        { name: "Reason", wrap: true, value: (j) => j.reason },
      ], data.journal, { empty: "No decision today." })),
  ];
}
