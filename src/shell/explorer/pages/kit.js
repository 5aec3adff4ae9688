// Small things that all pages use: elements, values that are linked and copied, times, asking the
// node. Texts of records are only ever set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

// What others wrote is shown as it is: a sign that cannot be seen, or that turns the line around, by
// its number, a blank at an end or beside another one as ␣. Pictures of several signs stay whole.
const ODD = /(?<whole>\p{RGI_Emoji})|(?<blanks>^ +| +$| {2,})|(?<odd>[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[\u{20}\u{3000}]])/gv;
const numbered = (sign) => "U+" + sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");

function pieces(text) {
  if (/^[ \u3000]+$/.test(text)) return [{ odd: "(blank)" }];
  const all = [];
  let end = 0;
  for (const { 0: found, index, groups } of text.matchAll(ODD)) {
    if (groups.whole) continue;
    all.push({ plain: text.slice(end, index) }, { odd: groups.blanks ? "␣".repeat(found.length) : numbered(found) });
    end = index + found.length;
  }
  all.push({ plain: text.slice(end) });
  return all.filter((piece) => piece.plain !== "");
}

// A text of others for a page: nothing around it is turned by it.
export const foreign = (text) => el("bdi", {}, pieces(String(text)).map((piece) => piece.plain ?? el("span", { class: "odd" }, piece.odd)));
// The same where there is place for a text alone: in drawings, labels, what is announced.
export const plain = (text) => pieces(String(text)).map((piece) => piece.plain ?? piece.odd).join("");

export class Missing extends Error {}

// Asks the node. What is not there is a Missing with the node's own words.
export async function ask(path) {
  let response;
  try {
    response = await fetch("/api/" + path, { headers: { accept: "application/json" } });
  } catch {
    throw new Error("The node cannot be reached. This page goes on by itself when it is back.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const words = answer.error || "the node answered " + response.status;
  throw response.status === 404 || response.status === 400 ? new Missing(words) : new Error(words);
}

export function announce(text) {
  const place = document.getElementById("announce");
  place.textContent = "";
  setTimeout(() => { place.textContent = plain(text); }, 50);
}

export const number = (value) => Number(value ?? 0).toLocaleString("en");
export const plural = (count, one, many = one + "s") => number(count) + " " + (Number(count) === 1 ? one : many);
export function short(text, ends = 8) {
  const signs = [...(text ?? "")];
  return signs.length > ends * 2 + 3 ? signs.slice(0, ends).join("") + "…" + signs.slice(-ends).join("") : text ?? "";
}
export const bytes = (count) => (count < 1024 ? plural(count, "byte") : count < 1048576 ? (count / 1024).toFixed(1) + " KiB" : (count / 1048576).toFixed(1) + " MiB");

export function span(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  if (all < 60) return all + " s";
  if (all < 3600) return Math.floor(all / 60) + " min";
  if (all < 172800) return Math.floor(all / 3600) + " h";
  return Math.floor(all / 86400) + " days";
}

const moment = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").replace(".000Z", " UTC");

// When something was, as a span that is kept up to date by `age`.
export function when(seconds, full = false) {
  if (seconds === null || seconds === undefined) return el("span", { class: "none" }, "not yet");
  const time = el("time", { datetime: new Date(seconds * 1000).toISOString(), title: moment(seconds), "data-time": seconds });
  if (full) time.append(moment(seconds));
  else time.append(span(Date.now() / 1000 - seconds) + " ago");
  if (!full) time.classList.add("age");
  return time;
}

export function age() {
  for (const time of document.querySelectorAll("time.age")) {
    time.textContent = span(Date.now() / 1000 - Number(time.dataset.time)) + " ago";
  }
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard: the old way.
    const field = el("textarea", { readonly: true, class: "hidden" });
    const focused = document.activeElement;
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    focused?.focus();
  }
  announce(what + " copied");
}

// Two sheets, or a tick: fonts do not all have such letters.
function sign(isDone) {
  const picture = svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true", focusable: "false", class: "sign" });
  if (isDone) picture.append(svg("path", { d: "M3 8.5 6.5 12 13 4.5" }));
  else picture.append(svg("rect", { x: 5.5, y: 5.5, width: 8, height: 8, rx: 1.5 }), svg("path", { d: "M10.5 2.5H4A1.5 1.5 0 0 0 2.5 4v6.5" }));
  return picture;
}

// A value with a link, if it leads anywhere, and a button that copies it whole.
export function value(text, { href, what = "value", whole = false, ends = 8, label } = {}) {
  const shown = el("code", { title: whole ? undefined : plain(text) }, foreign(label ?? (whole ? text : short(text, ends))));
  const button = el("button", { type: "button", class: "copy", "aria-label": "Copy " + what + " " + plain(short(text, 6)), "data-copy": text, title: "Copy", onclick: async (event) => {
    const at = event.currentTarget;
    await copy(text, what);
    at.replaceChildren(sign(true));
    setTimeout(() => at.replaceChildren(sign(false)), 1200);
  } }, sign(false));
  return el("span", { class: "value" }, href ? el("a", { href }, shown) : shown, button);
}

export const to = {
  block: (n) => "#/block/" + n,
  record: (id) => "#/record/" + id,
  provenance: (id) => "#/provenance/" + id,
  asset: (id) => "#/asset/" + id,
  account: (account) => "#/account/" + account,
};

export const blockLink = (n) => (n === null || n === undefined ? el("span", { class: "none" }, "in no block yet") : el("a", { href: to.block(n) }, "block " + number(n)));
export const txValue = (id, more = {}) => value(id, { href: to.record(id), what: "transaction id", ...more });
export const assetValue = (id, more = {}) => value(id, { href: to.asset(id), what: "asset id", ...more });

// A colour of its own for each account, so that it is known again.
export function hue(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 3600;
  return sum / 10;
}

export function faceInto(group, text, x, y, r) {
  const turn = hue(text);
  group.append(
    svg("circle", { cx: x, cy: y, r, fill: `hsl(${turn} 45% 52%)` }),
    svg("path", { d: `M${x - r} ${y}a${r} ${r} 0 0 0 ${2 * r} 0Z`, fill: `hsl(${(turn + 70) % 360} 45% 62%)`, transform: `rotate(${Math.round(turn)} ${x} ${y})` }),
  );
}

export function accountValue(account, more = {}) {
  if (!account) return el("span", { class: "none" }, "nobody");
  const face = svg("svg", { viewBox: "0 0 18 18", width: 16, height: 16, class: "face", "aria-hidden": "true" });
  faceInto(face, account, 9, 9, 9);
  return el("span", { class: "value who" }, face, value(account, { href: to.account(account), what: "account", ends: 7, ...more }));
}

const KINDS = {
  BaseData: "Block owner (old form)",
  AssetData: "Asset",
  BitmarkIssue: "Issue",
  BitmarkTransferUnratified: "Transfer",
  BitmarkTransferCountersigned: "Transfer, countersigned",
  BlockFoundation: "Block owner",
  BlockOwnerTransfer: "Block transfer",
};
export const kind = (type) => KINDS[type] ?? type;

export function chip(status) {
  const looks = { Confirmed: "good", Normal: "good", Pending: "wait", Verified: "wait", Resynchronise: "wait" };
  return el("span", { class: "chip " + (looks[status] ?? "") }, status);
}

export function table(caption, heads, rows, none = "Nothing here.") {
  if (rows.length === 0) return el("p", { class: "none" }, none);
  const look = (head) => [head.number && "number", head.wide && "wide"].filter(Boolean).join(" ") || undefined;
  // On a narrow screen rows are laid out one cell below the other; the roles stay what they are.
  const title = (head) => el("th", { class: look(head), scope: "col", role: "columnheader" }, head.name);
  const cell = (content, head) => el("td", { class: look(head), role: "cell", "data-name": head.name }, el("div", {}, content));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", { role: "table" }, el("caption", { class: "hidden" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map(title))),
      el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row" }, row.map((content, i) => cell(content, heads[i])))))));
}

export const facts = (pairs) => el("dl", {}, pairs.filter(Boolean).map(([name, content]) => [el("dt", {}, name), el("dd", {}, content)]));
export const card = (title, figure, ...more) => el("li", { class: "card" }, el("h2", {}, title), el("p", { class: "figure" }, figure), more);

export const title = (text, ...more) => el("h1", { tabindex: -1 }, text, more);
