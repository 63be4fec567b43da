// Builds elements and writes numbers. Text only ever enters the page as text nodes and attributes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const DASH = "–";
export const number = (value) => (value === null || value === undefined || value === "" ? NaN : Number(value));

const signs = (text) => text.replace("-", "−");

export function decimal(value, places, signed = false) {
  const n = number(value);
  if (!Number.isFinite(n)) return DASH;
  const text = n.toLocaleString("en-GB", {
    minimumFractionDigits: places, maximumFractionDigits: places, signDisplay: signed ? "exceptZero" : "negative",
  });
  return signs(text);
}

// As many places as a price or a quantity needs: nine digits in all, no zeros at the end.
export function plain(value) {
  const n = number(value);
  if (!Number.isFinite(n)) return DASH;
  const whole = n === 0 ? 0 : Math.floor(Math.log10(Math.abs(n)));
  return signs(n.toLocaleString("en-GB", { maximumFractionDigits: Math.min(12, Math.max(0, 8 - whole)) }));
}

export const count = (value) => decimal(value, 0);
export const percent = (fraction, places = 2, signed = false) =>
  Number.isFinite(number(fraction)) ? decimal(number(fraction) * 100, places, signed) + " %" : DASH;

const unit = (text) => h("span", { class: "unit" }, " " + text);

// Money with its asset; a signed amount is coloured and carries its sign, so that colour alone tells nothing.
export function money(value, asset, signed = false) {
  const n = number(value);
  if (!Number.isFinite(n)) return h("span", {}, DASH);
  const small = n !== 0 && Math.abs(n) < 0.1;
  const tone = signed && Math.abs(n) >= 0.005 ? (n > 0 ? "good" : "bad") : null;
  return h("span", { class: tone, title: signs(String(value)) + " " + asset }, decimal(n, small ? 4 : 2, signed), unit(asset));
}

export const amount = (value, asset) => h("span", {}, plain(value), number(value) === number(value) ? unit(asset) : null);

export function span(seconds) {
  const n = Math.max(0, number(seconds));
  if (!Number.isFinite(n)) return DASH;
  if (n < 120) return decimal(n, 0) + " s";
  if (n < 7200) return decimal(n / 60, 0) + " min";
  if (n < 172800) return decimal(n / 3600, 0) + " h";
  return decimal(n / 86400, 0) + " d";
}

export function clock(at, seconds = true) {
  if (!at) return DASH;
  return at.slice(0, 10) + " " + at.slice(11, seconds ? 19 : 16);
}

export const time = (at, seconds = true) => (at ? h("time", { datetime: at, title: clock(at) + " UTC" }, clock(at, seconds)) : DASH);

// A time shown as its age; `tellAges` keeps it true.
export const age = (at, after = " ago") =>
  at ? h("time", { datetime: at, "data-after": after, class: "age", title: clock(at) + " UTC" }, span((Date.now() - Date.parse(at)) / 1000) + after) : h("span", {}, DASH);

export function tellAges() {
  for (const element of document.querySelectorAll("time.age")) {
    const text = span((Date.now() - Date.parse(element.dateTime)) / 1000) + element.dataset.after;
    if (element.textContent !== text) element.textContent = text;
  }
}

export const card = (title, ...content) => h("section", { class: "card" }, title ? h("h2", {}, title) : null, content);
export const quiet = (text) => h("p", { class: "quiet" }, text);
export const tile = (name, value, ...below) =>
  h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value), below.length ? h("dd", { class: "below" }, below) : null);
export const tiles = (...all) => h("dl", { class: "tiles" }, all);
export const chip = (text, tone) => h("span", { class: "chip " + (tone ?? "") }, text);

// columns: [{name, value: row => content, right, wrap}]; a table too wide for its place scrolls, by keyboard too.
export function table(caption, columns, rows, options = {}) {
  if (!rows.length) return quiet(options.empty ?? "Nothing here yet.");
  const shown = rows.slice(0, options.rows ?? 200);
  const head = h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.right ? "right" : null }, c.name)));
  const body = shown.map((row) =>
    h("tr", { class: options.tone?.(row) }, columns.map((c) => h("td", { class: [c.right && "right", c.wrap && "wrap"].filter(Boolean).join(" ") || null }, c.value(row)))),
  );
  const more = rows.length > shown.length ? quiet(`${count(rows.length)} rows, the first ${count(shown.length)} shown.`) : null;
  return [
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, body))),
    more,
  ];
}

// A row of choices, of which one is taken; it stands in the address, so that a reload and a link keep it.
export function choices(label, names, chosen, take) {
  return h("div", { class: "choices", role: "group", "aria-label": label },
    names.map((name) => h("button", { type: "button", "data-key": label + name, "aria-pressed": name === chosen ? "true" : "false", onclick: () => take(name) }, name)));
}
