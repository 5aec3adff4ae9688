// Drawings: a chain of owners, and the peers around this node. Both are lists of links first, so a
// keyboard and a screen reader go through them in order; what is drawn is told in words as well.

import { el, svg, short, number, plain, to, faceInto, kind } from "./kit.js";

const dated = (seconds) => (seconds ? new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") : "not in a block yet");

// `steps` from the issue to the newest; `asset` above them.
export function owners(asset, steps, { isCurrent, hasMore } = {}) {
  const width = Math.max(300, Math.min(760, document.getElementById("content").clientWidth - 50));
  const box = 74;
  const gap = 40;
  const left = 8;
  const letters = width < 480 ? 6 : 12;
  const items = [];
  if (hasMore) items.push({ more: true });
  else if (asset) items.push({ asset });
  items.push(...steps.map((step, i) => ({ step, isLast: i === steps.length - 1 })));
  const height = items.length * (box + gap) - gap + 16;
  const words = steps.length === 1 ? "one owner" : steps.length + " owners";
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Chain of " + words + ", the first on top", "data-owners": steps.length });
  items.forEach((item, i) => {
    const y = 8 + i * (box + gap);
    if (i > 0) {
      const waits = item.step && item.step.block === null;
      picture.append(
        svg("path", { class: "d-line" + (waits ? " d-dash" : ""), d: `M${left + 34} ${y - gap}V${y - 8}` }),
        svg("path", { class: "d-head", d: `M${left + 28} ${y - 10}h12l-6 9Z` }),
        svg("text", { class: "d-soft", x: left + 52, y: y - gap / 2 + 4 }, item.step.link ? "passed on to" : "issued to"),
      );
    }
    if (item.more) {
      picture.append(svg("rect", { class: "d-box d-dash", x: left, y, width: width - 16, height: box, rx: 12 }),
        svg("text", { class: "d-soft", x: left + 24, y: y + box / 2 + 5 }, "earlier owners are not drawn yet"));
      return;
    }
    if (item.asset) {
      const link = svg("a", { href: to.asset(item.asset.assetId) });
      const name = item.asset.missing ? "asset not known here" : item.asset.name ? plain(item.asset.name) : "an asset without a name";
      const signs = [...name];
      link.append(
        svg("title", {}, "Asset " + name),
        svg("rect", { class: "d-asset", x: left, y, width: width - 16, height: box, rx: 12 }),
        svg("path", { class: "d-line", d: `M${left + 24} ${y + 20}h14l7 7v25h-21Zm14 0v7h7` }),
        svg("text", { class: "d-text", x: left + 66, y: y + 32 }, signs.length > letters * 3 ? signs.slice(0, letters * 3).join("") + "…" : name),
        svg("text", { class: "d-soft d-mono", x: left + 66, y: y + 53 }, "asset " + short(item.asset.assetId, letters - 1)),
      );
      picture.append(link);
      return;
    }
    const step = item.step;
    const isNow = item.isLast && isCurrent;
    const look = step.block === null ? " d-wait" : isNow ? " d-now" : "";
    const link = svg("a", { href: to.record(step.id) });
    const what = step.block === null ? step.status.toLowerCase() : "block " + number(step.block) + " · " + dated(step.timestamp);
    link.append(
      svg("title", {}, kind(step.type) + " to " + step.owner + ", " + what + (isNow ? ", the present owner" : "")),
      svg("rect", { class: "d-box" + look, x: left, y, width: width - 16, height: box, rx: 12 }),
    );
    faceInto(link, step.owner, left + 34, y + box / 2, 15);
    link.append(
      svg("text", { class: "d-text d-mono", x: left + 66, y: y + 32 }, short(step.owner, letters)),
      svg("text", { class: "d-soft", x: left + 66, y: y + 53 }, what),
    );
    if (isNow) link.append(svg("text", { class: "d-soft", x: width - 22, y: y + 32, "text-anchor": "end" }, width < 480 ? "now" : "present owner"));
    picture.append(link);
  });
  return el("div", { class: "drawing" }, picture);
}

const turned = (i, count, r, cx, cy, start = -Math.PI / 2) => {
  const angle = start + (2 * Math.PI * i) / Math.max(1, count);
  return [cx + r * Math.cos(angle), cy + r * Math.sin(angle)];
};

export function peers(shown) {
  const width = Math.max(300, Math.min(900, document.getElementById("content").clientWidth - 30));
  const isNarrow = width < 560;
  const height = isNarrow ? width * 1.05 : 460;
  const [cx, cy] = [width / 2, height / 2];
  const near = new Map();
  for (const one of shown.upstreams) near.set(one.key, { key: one.key, upstream: one });
  for (const one of shown.publishers) near.set(one.key, { ...near.get(one.key), key: one.key, publisher: one });
  for (const one of shown.sharing) near.set(one.key, { ...near.get(one.key), key: one.key, sharing: one });
  const all = [...near.values()].slice(0, 24);
  const far = shown.known.filter((one) => !near.has(one.key)).slice(0, 48);
  const label = `This node and ${all.length} peers near it, of ${number(shown.knownCount)} known`;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label + "; the tables below tell the same" });
  const outer = Math.min(cx, cy) - 14;
  const inner = outer * (isNarrow ? 0.62 : 0.68);
  far.forEach((one, i) => {
    const [x, y] = turned(i, far.length, outer, cx, cy, -Math.PI / 2 + 0.13);
    picture.append(svg("circle", { class: "d-known", cx: x, cy: y, r: 4 }, svg("title", {}, "known: " + one.key)));
  });
  all.forEach((one, i) => {
    const [x, y] = turned(i, all.length, inner, cx, cy);
    const isUp = one.upstream?.isRegistered;
    if (one.upstream) picture.append(svg("path", { class: (isUp ? "d-line" : "d-faint d-dash"), d: `M${cx} ${cy}L${x} ${y}` }));
    else picture.append(svg("path", { class: "d-faint", d: `M${cx} ${cy}L${x} ${y}` }));
    if (one.publisher) {
      const [mx, my] = [(cx + x) / 2 + (y - cy) * 0.14, (cy + y) / 2 - (x - cx) * 0.14];
      picture.append(svg("path", { class: "d-line d-dash", d: `M${cx} ${cy}Q${mx} ${my} ${x} ${y}` }));
    }
  });
  all.forEach((one, i) => {
    const [x, y] = turned(i, all.length, inner, cx, cy);
    const isUp = one.upstream?.isRegistered;
    const r = isNarrow ? 12 : 15;
    const below = y >= cy - 1;
    picture.append(svg("g", {},
      svg("title", {}, one.key),
      svg("circle", { class: "d-peer" + (one.upstream && !isUp ? " d-lost" : ""), cx: x, cy: y, r }),
      svg("text", { class: "d-text d-mono", x, y: below ? y + r + 17 : y - r - 20, "text-anchor": "middle" }, one.key.slice(0, 8)),
      svg("text", { class: "d-soft", x, y: below ? y + r + 33 : y - r - 5, "text-anchor": "middle" },
        one.upstream ? (isUp ? "block " + number(one.upstream.height) : "not there") : one.publisher ? "publisher" : "connects to us")));
  });
  picture.append(svg("circle", { class: "d-own", cx, cy, r: 40 }),
    svg("text", { class: "d-own-text", x: cx, y: cy + 4.5, "text-anchor": "middle" }, "this node"));
  const entry = (look, text) => el("li", {}, el("i", { class: look, "aria-hidden": "true" }), text);
  return el("div", {}, el("div", { class: "drawing" }, picture),
    el("ul", { class: "legend" }, entry("", "this node registered there"), entry("dash", "this node listens to its publications, or it is not there now"), entry("spot", "known, not connected")));
}
