// Finds the page for the address, reads its data, draws it, and does so again when there is something newer.

import { age, chip, h, quiet, tellAges } from "./dom.js";
import { botPage, botsPage, portfolioPage } from "./pages.js";
import { backtestPage, backtestsPage, incidentsPage, sqlPage, sweepPage, ticksPage } from "./runs.js";

const REFRESH_MS = 5000, STALE_S = 120;
const main = document.getElementById("main");
let shown = "", busy = false;

const PAGES = [
  [/^\/$/, "Portfolio", (_, span) => `/api/portfolio?span=${span}`, portfolioPage],
  [/^\/bots$/, "Bots", () => "/api/portfolio?span=1h", botsPage],
  [/^\/bots\/([^/]+)$/, "Bot", (id, span) => `/api/bots/${id}?span=${span}`, botPage],
  [/^\/incidents$/, "Incidents", () => "/api/incidents", incidentsPage],
  [/^\/ticks$/, "Ticks", () => "/api/ticks", ticksPage],
  [/^\/backtests$/, "Backtests", () => "/api/backtests", backtestsPage],
  [/^\/backtests\/([^/]+)$/, "Backtest", (id) => `/api/backtests/${id}`, backtestPage],
  [/^\/sweeps\/([^/]+)$/, "Sweep", (id) => `/api/sweeps/${id}`, sweepPage],
  [/^\/sql$/, "SQL", () => "/api/incidents", sqlPage],
];

const spanName = () => new URLSearchParams(location.search).get("span") ?? "1d";

function take(span) {
  history.replaceState(null, "", location.pathname + "?span=" + span);
  show(true);
}

function band(text, tone) {
  const place = document.getElementById("band");
  place.className = text ? "band " + tone : "";
  place.replaceChildren(...(text ? [h("div", { role: tone === "error" ? "alert" : null }, text)] : []));
}

function head(of) {
  document.getElementById("whose").replaceChildren(h("span", {}, of.portfolio), ...(of.mode ? [chip(of.mode, of.mode === "live" ? "live" : "accent")] : []), ...(of.synthetic ? [chip("synthetic prices", "synthetic")] : []));
  const fresh = document.getElementById("fresh");
  fresh.className = "fresh" + (of.age_s > STALE_S ? " stale" : "");
  fresh.replaceChildren("copy made ", age(of.published_at), ...(of.last_tick ? [", last tick ", age(of.last_tick.ended_at)] : []));
  if (of.synthetic) band("Synthetic prices: made up from a seed, no market behind them.", "synthetic");
  else if (of.age_s > STALE_S) band("Nothing new was published for a while: the bots do not tick, or cannot publish.", "error");
  else band("");
}

// What has the focus or is scrolled keeps it when its page is drawn anew.
function draw(content) {
  const key = document.activeElement?.dataset?.key, label = document.activeElement?.getAttribute?.("aria-label");
  const scrolled = [...main.querySelectorAll(".scroll")].map((one) => [one.getAttribute("aria-label"), one.scrollTop, one.scrollLeft]);
  main.replaceChildren(...content.flat(9).filter(Boolean));
  for (const [name, top, left] of scrolled) main.querySelectorAll(".scroll").forEach((one) => { if (one.getAttribute("aria-label") === name) { one.scrollTop = top; one.scrollLeft = left; } });
  const again = [...main.querySelectorAll("[data-key],[aria-label]")].find((one) => (key ? one.dataset.key === key : label && one.getAttribute("aria-label") === label));
  again?.focus({ preventScroll: true });
}

async function show(always = false) {
  if (busy && !always) return;
  busy = true;
  const path = location.pathname.length > 1 ? location.pathname.replace(/\/$/, "") : "/", asked = location.href;
  const [pattern, name, address, page] = PAGES.find(([one]) => one.test(path)) ?? PAGES[0];
  const id = path.match(pattern)?.[1];
  document.title = `${id ? decodeURIComponent(id) : name} · gridkeeper`;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.pathname === path || (link.pathname !== "/" && path.startsWith(link.pathname + "/")) || (link.pathname === "/backtests" && path.startsWith("/sweeps/"));
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  try {
    const reply = await fetch(address(id, spanName()));
    const data = await reply.json();
    if (asked !== location.href) return;
    if (!reply.ok) {
      if (reply.status !== 503 || !shown.startsWith(asked)) { draw([h("div", { class: "title" }, h("h1", {}, name)), quiet(data.error)]); shown = ""; }
      return;
    }
    head(data.as_of);
    const fresh = asked + " " + data.as_of.published_at;
    // A box with a question in it, and a copy that was drawn already, are left alone.
    if (fresh !== shown && !(page === sqlPage && shown.startsWith(asked))) draw(page(data, { spanName: spanName(), take }));
    shown = fresh;
  } catch (error) {
    if (!(error instanceof TypeError) || !String(error.message).includes("fetch")) throw error;
    band("The dashboard does not answer: it was stopped, or is starting again.", "error");
  } finally { busy = false; }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || link.origin !== location.origin || link.download || link.hash || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
  show(true);
});
addEventListener("popstate", () => show(true));
document.addEventListener("visibilitychange", () => { if (!document.hidden) show(); });
setInterval(tellAges, 1000);
setInterval(() => { if (!document.hidden) show(); }, REFRESH_MS);
show(true);
