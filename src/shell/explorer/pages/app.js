// Which page is shown, and that it stays true: the address behind # names the page, and the node
// tells when something changed.

import { age, announce, ask, el, foreign, Missing, number, title } from "./kit.js";
import { chain, node, peers, waiting } from "./views.js";
import { account, asset, block, provenance, record, search } from "./things.js";
import { documentView, listen } from "./drop.js";

// For each page: what it is called, what shows it, and of what changes it depends.
const PAGES = {
  "": ["Chain", (_, after) => chain(null, after), ["height", "mode", "pending", "verified", "upstreams", "peersKnown", "networkHeight"]],
  blocks: ["Blocks", ([below]) => chain(below), []],
  block: ["Block", ([n, from]) => block(n, from), ["height"]],
  record: ["Record", ([id]) => record(id), ["height", "pending", "verified"]],
  asset: ["Asset", ([id], after) => asset(id, after), ["assets", "pending", "verified"]],
  provenance: ["Owners", ([id], after) => provenance(id, after), ["height", "pending", "verified"]],
  account: ["Account", ([text, from]) => account(text, from), ["height", "pending", "verified"]],
  waiting: ["Waiting", ([id]) => waiting(id), ["height", "pending", "pendingSets", "verified", "assets"]],
  peers: ["Peers", () => peers(), ["upstreams", "upstreamKeys", "peersKnown", "height"]],
  node: ["Node", () => node(), ["height", "mode", "networkHeight", "upstreams", "pending", "verified", "peersKnown"]],
  search: ["Search", ([text]) => search(text), []],
  document: ["Document", () => documentView(), []],
};

// What is behind the # may be any word, also one that every object knows.
const pageOf = (name) => (Object.hasOwn(PAGES, name) ? PAGES[name] : undefined);

const content = document.getElementById("content");
let turn = 0;
let redraw = null;
let failed = false;

function route() {
  if (!location.hash.startsWith("#/")) return ["", []];
  const [name, ...parts] = location.hash.slice(2).split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return [name, parts.filter((part) => part !== "")];
}

// What had the focus, so that it has it again in the page that takes its place.
function focused() {
  const at = document.activeElement;
  if (!at || !content.contains(at) || at === content) return null;
  for (const name of ["href", "data-copy", "id", "aria-label"]) {
    if (at.hasAttribute(name)) {
      return `${at.tagName.toLowerCase()}[${name}=${CSS.escape(at.getAttribute(name))}]`;
    }
  }
  return at.tagName === "H1" ? "h1" : null;
}

async function render(isNews = false) {
  const mine = ++turn;
  const isOpen = () => mine === turn;
  const [name, parts] = route();
  const page = pageOf(name);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === "#/" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const later = [];
  let shown;
  failed = false;
  try {
    shown = page ? await page[1](parts, (work) => later.push(work)) : [title("There is no such page"), el("p", { class: "lead" }, el("a", { href: "#/" }, "To the chain"))];
  } catch (error) {
    if (!isOpen()) return;
    failed = !(error instanceof Missing);
    if (failed && isNews) return;
    shown = [title(failed ? "Not now" : "Not here"), el("p", { class: "lead" }, foreign(error.message))];
  }
  if (!isOpen() || shown === null) return;
  const had = isNews ? focused() : null;
  const slid = content.querySelector(".chain")?.scrollLeft ?? 0;
  redraw = null;
  content.replaceChildren(...shown.flat(Infinity).filter(Boolean));
  const heading = content.querySelector("h1");
  // A name that is written from right to left turns nothing but itself.
  document.title = (heading ? (heading.querySelector("bdi") ? "\u2068" + heading.textContent + "\u2069" : heading.textContent) + " – " : "") + "Bitmark explorer";
  if (isNews) {
    const strip = content.querySelector(".chain");
    if (strip) strip.scrollLeft = slid;
    if (had) content.querySelector(had)?.focus({ preventScroll: true });
  } else {
    window.scrollTo(0, 0);
    if (turn > 1) heading?.focus();
  }
  content.dataset.page = name || "chain";
  content.dataset.turn = String(mine);
  for (const work of later) {
    work(isOpen, (again) => { redraw = again; }).catch(() => {});
  }
}

// Live: changes that come while the page is being drawn are drawn once afterwards.
let now = null;
let isDrawing = false;
let isStale = false;

async function refresh() {
  if (isDrawing) {
    isStale = true;
    return;
  }
  isDrawing = true;
  do {
    isStale = false;
    await render(true);
  } while (isStale);
  isDrawing = false;
}

function pulse(look, text) {
  document.getElementById("pulse-dot").className = "dot " + look;
  document.getElementById("pulse-text").textContent = text;
}

// An answering node says so at least once in ten seconds (`HEARTBEAT` of live.rs).
const SILENCE = 25000;
let heard = performance.now();
let isSilent = false;

function listening() {
  if (!source || isSilent || performance.now() - heard < SILENCE) return;
  isSilent = true;
  pulse("bad", "the node does not answer");
}

function alive() {
  heard = performance.now();
  if (isSilent && now) state(now);
  isSilent = false;
}

function state(next) {
  const isNormal = next.mode === "Normal";
  pulse(isNormal ? "good" : "wait", (isNormal ? "Normal" : "Catching up") + " · block " + number(next.height) + (isNormal ? "" : " of " + number(Math.max(next.networkHeight, next.height))));
}

function changed(event) {
  const next = JSON.parse(event.data || "null");
  if (!next) return;
  const before = now;
  now = next;
  alive();
  state(next);
  document.documentElement.dataset.height = next.height;
  if (!before) {
    if (failed) refresh();
    return;
  }
  if (before.mode !== next.mode) announce(next.mode === "Normal" ? "The node is in step" : "The node is catching up");
  const page = pageOf(route()[0]);
  const isAffected = page && page[2].some((name) => JSON.stringify(before[name]) !== JSON.stringify(next[name]));
  if (isAffected || failed) refresh();
}

// A tab that nobody sees keeps no connection.
let source = null;
function follow() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    heard = performance.now();
    source = new EventSource("/api/live");
    source.addEventListener("change", changed);
    source.addEventListener("alive", alive);
    source.onerror = () => {
      isSilent = true;
      pulse("bad", "the node does not answer");
      // After an answer that is no stream the browser gives up; this page does not.
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(follow, 3000);
      }
    };
  }
}

const THEMES = { auto: "as the system has them", light: "light", dark: "dark" };
function paint(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.getElementById("theme").setAttribute("aria-label", "Colours: " + THEMES[theme]);
  document.getElementById("theme").title = "Colours: " + THEMES[theme];
}
function keep(theme) {
  try { localStorage.setItem("theme", theme); } catch { /* It holds for this page alone. */ }
}
function kept() {
  try { return THEMES[localStorage.getItem("theme")] ? localStorage.getItem("theme") : "auto"; } catch { return "auto"; }
}

let theme = kept();
paint(theme);
document.getElementById("theme").addEventListener("click", () => {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const order = isDark ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
  theme = order[(order.indexOf(theme) + 1) % 3];
  keep(theme);
  paint(theme);
  announce("Colours: " + THEMES[theme]);
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  content.focus();
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = document.getElementById("query").value;
  if (text.trim() === "") return;
  const hash = "#/search/" + encodeURIComponent(text);
  if (location.hash === hash) render();
  else location.hash = hash;
});
let width = innerWidth;
let pause = null;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(pause);
  pause = setTimeout(() => (redraw ? redraw() : route()[0] === "peers" && refresh()), 150);
});
addEventListener("hashchange", () => render());
document.addEventListener("visibilitychange", () => {
  follow();
  if (!document.hidden && now) refresh();
});
listen(() => render());
setInterval(age, 5000);
setInterval(listening, 1000);
follow();
render();
