// A document that is dropped or chosen: fingerprinted here, looked up by its fingerprint alone.

import { ask, announce, assetValue, bytes, el, facts, foreign, Missing, accountValue, blockLink, title, value, to } from "./kit.js";
import { fingerprint } from "./sha3.js";

let newest = null;
let show = () => {};

async function take(file) {
  const mine = { name: file.name, size: file.size, done: 0 };
  newest = mine;
  if (location.hash === "#/document") show();
  else location.hash = "#/document";
  announce("Reading " + file.name);
  try {
    mine.fingerprint = await fingerprint(file, (done) => {
      mine.done = done;
      const bar = document.getElementById("reading");
      if (bar && newest === mine) bar.value = done;
    });
    try {
      mine.asset = await ask("fingerprint?text=" + encodeURIComponent(mine.fingerprint));
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
    }
    announce(mine.asset ? "This document is registered" : "This document is not registered");
  } catch (error) {
    mine.error = error.message;
  }
  if (newest === mine) show();
}

export function chooser() {
  const input = el("input", { type: "file", id: "file", "aria-label": "Choose a document to look up", onchange: () => input.files[0] && take(input.files[0]) });
  return el("section", { class: "place", "aria-label": "Look up a document" },
    el("p", {}, el("strong", {}, "Is a document registered? "), "Drop it anywhere on this page, or choose it. It is fingerprinted in your browser and never leaves it."),
    el("div", { class: "file" }, input, el("span", { "aria-hidden": "true" }, "Choose a document")));
}

export function documentView() {
  if (!newest) return [title("A document"), el("p", { class: "lead" }, "Choose one to see whether it is registered."), chooser()];
  const own = [["Name", foreign(newest.name)], ["Size", bytes(newest.size)]];
  if (newest.error) return [title("A document"), el("p", { class: "bad" }, "It could not be looked up: " + newest.error), facts(own), chooser()];
  if (!newest.fingerprint) {
    return [title("Reading the document"), facts(own), el("progress", { id: "reading", max: Math.max(1, newest.size), value: newest.done, "aria-label": "Bytes read" })];
  }
  own.push(["Fingerprint", value(newest.fingerprint, { what: "fingerprint", whole: true })]);
  if (!newest.asset) {
    return [title("This document is not registered"),
      el("p", { class: "lead" }, "No asset on this chain, and none that waits, has its fingerprint. One changed byte makes another fingerprint."),
      el("div", { id: "fingerprint", "data-fingerprint": newest.fingerprint }, facts(own)), el("h2", {}, "Another one"), chooser()];
  }
  const asset = newest.asset;
  return [title("This document is registered"),
    el("p", { class: "lead" }, "It is the asset “", foreign(asset.name), "”, byte for byte."),
    el("div", { id: "fingerprint", "data-fingerprint": newest.fingerprint }, facts([
      ["Asset", assetValue(asset.assetId, { label: asset.name || undefined })], ["Registered by", accountValue(asset.registrant)], ["In", blockLink(asset.block)], ...own])),
    el("p", { class: "buttons" }, el("a", { class: "button", href: to.asset(asset.assetId) }, "Look at the asset")),
    el("h2", {}, "Another one"), chooser()];
}

export function listen(render) {
  show = render;
  const veil = document.getElementById("veil");
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    veil.hidden = depth === 0;
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    depth = 0;
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
