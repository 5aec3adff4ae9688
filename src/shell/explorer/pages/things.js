// The pages about one thing: a block, a record, an asset, a provenance, an account; and the search.

import { accountValue, announce, ask, assetValue, blockLink, bytes, chip, el, facts, foreign, kind, number, plural, short, table, title, to, txValue, value, when } from "./kit.js";
import { owners } from "./draw.js";
import { waitsFor } from "./views.js";

const about = (record) => {
  if (record.type === "AssetData") return [assetValue(record.assetId, { label: record.name || undefined })];
  if (record.assetId) return ["on asset ", assetValue(record.assetId, { ends: 6 })];
  return record.link ? ["follows ", txValue(record.link, { ends: 6 })] : "";
};

export async function block(number_, from) {
  const b = await ask("blocks/" + encodeURIComponent(number_) + (from ? "?from=" + from : ""));
  const rows = (b.list ?? []).map((record) => [number(record.index + 1), kind(record.type),
    txValue(record.id, record.type === "AssetData" ? { href: to.asset(record.assetId), ends: 6 } : { ends: 6 }), accountValue(record.owner), about(record)]);
  return [title("Block " + number(b.number)),
    el("p", { class: "lead" }, plural(b.records, "record") + ", made ", when(b.timestamp), "."),
    el("p", { class: "buttons" }, b.number > 1 && el("a", { class: "button", href: to.block(b.number - 1), rel: "prev" }, "← Block " + number(b.number - 1)),
      b.number < b.height ? el("a", { class: "button", href: to.block(b.number + 1), rel: "next" }, "Block " + number(b.number + 1) + " →") : el("span", { class: "note" }, "This is the newest block.")),
    facts([["Digest", b.digest && value(b.digest, { what: "digest", whole: true })],
      ["Digest on the reference's screens", b.displayDigest && value(b.displayDigest, { what: "digest", whole: true })],
      ["Made", when(b.timestamp, true)], ["Owner", b.owner && accountValue(b.owner)],
      b.foundationId && ["Owned as", txValue(b.foundationId, { whole: true })],
      ["Follows", b.number > 1 ? [blockLink(b.number - 1), " ", value(b.header.previousBlock, { what: "digest" })] : "nothing: it is the first"],
      ["Merkle root", value(b.header.merkleRoot, { what: "merkle root", whole: true })],
      ["Difficulty", el("code", {}, b.header.difficulty)], ["Nonce", el("code", {}, b.header.nonce)], ["Version", String(b.header.version)], ["Size", bytes(b.bytes)]]),
    el("h2", {}, "Records"),
    table("Records of block " + b.number, [{ name: "#", number: true }, { name: "Kind" }, { name: "Transaction" }, { name: "Owner" }, { name: "About" }], rows, "They cannot be read."),
    el("p", { class: "buttons" }, b.from > 0 && el("a", { class: "button", href: to.block(b.number) }, "First records"), b.next && el("a", { class: "button", href: to.block(b.number) + "/" + b.next }, "More records"))];
}

const NAMES = { assetId: "Asset", owner: "Owner", nonce: "Nonce", signature: "Signature", countersignature: "Countersignature", link: "Follows", escrow: "Escrow", payments: "Fees are paid to", version: "Version", name: "Name", fingerprint: "Fingerprint", registrant: "Registered by", metadata: "Metadata", currency: "Currency", paymentAddress: "Fees are paid to" };

function field(name, content) {
  if (content === null) return null;
  if (name === "owner" || name === "registrant") return [NAMES[name], accountValue(content, { whole: true })];
  if (name === "assetId") return [NAMES[name], assetValue(content, { whole: true })];
  if (name === "link") return [NAMES[name], txValue(content, { whole: true })];
  if (name === "metadata") return content.length > 0 && [NAMES[name], el("ul", {}, content.map(([key, text]) => el("li", {}, el("strong", {}, foreign(key)), ": ", foreign(text))))];
  if (typeof content === "object") return [NAMES[name] ?? name, el("code", {}, foreign(JSON.stringify(content)))];
  return [NAMES[name] ?? name, value(String(content), { what: (NAMES[name] ?? name).toLowerCase(), whole: true })];
}

function standing(r) {
  if (r.isCurrent === true) return [el("span", { class: "chip good" }, "present owner"), " nobody follows in a block"];
  if (r.isCurrent === false) return "it was passed on since";
  return null;
}

// A plain link: the listener gives the file its name.
const proof = (id) => el("a", { class: "button", href: "/api/title/" + id, "aria-describedby": "proof-note" }, "Proof of title");
const proofNote = () => el("p", { class: "note", id: "proof-note" }, "The proof of title is a file that shows whose this is, from the registration on, and the blocks that say so. It is checked without a node: ", el("code", {}, "bitmark-cli verify FILE"), ".");

export async function record(id) {
  const r = await ask("records/" + encodeURIComponent(id));
  const isTitle = r.type !== "AssetData" && r.type !== "BaseData";
  const shows = standing(r);
  return [title(kind(r.type), " ", chip(r.status)),
    el("p", { class: "lead" }, r.block !== null ? ["It is in ", blockLink(r.block), ", made ", when(r.timestamp), "."] : "It is in no block yet."),
    isTitle && el("p", { class: "buttons" }, el("a", { class: "button", href: to.provenance(r.id) }, "Draw its owners"), r.isCurrent === true && proof(r.id)),
    r.isCurrent === true && proofNote(),
    facts([["Transaction id", value(r.id, { what: "transaction id", whole: true })],
      ["On the reference's screens", value(r.displayId, { what: "transaction id", whole: true })],
      ["Status", chip(r.status)], r.waits && ["Waits for", waitsFor(r.waits)], ["Block", blockLink(r.block)],
      r.timestamp && ["Made", when(r.timestamp, true)], shows && ["Standing", shows],
      r.waitingFollower && ["A transfer waits", txValue(r.waitingFollower)],
      r.asset && ["Asset", r.asset.missing ? [assetValue(r.asset.assetId), " which is not here"] : assetValue(r.asset.assetId, { label: r.asset.name || undefined })],
      ["Size", bytes(r.bytes)]]),
    el("h2", {}, "Fields"), facts(Object.entries(r.fields).map(([name, content]) => field(name, content)))];
}

const ISSUES = [{ name: "Bitmark" }, { name: "Issued to" }, { name: "Block" }, { name: "Owners" }];
const issueRow = (one) => [txValue(one.id), accountValue(one.owner), one.block === null ? chip(one.status) : blockLink(one.block), el("a", { href: to.provenance(one.id), "aria-label": "Draw the owners of " + short(one.id, 6) }, "draw")];

// Looks through the chain a slice at a time, as long as this page is open.
async function lookThrough(path, from, note, isOpen, slices = 400) {
  const found = [];
  let next = from;
  for (let i = 0; i < slices && next !== null && isOpen(); i += 1) {
    const slice = await ask(path + "?from=" + next);
    found.push(...slice.found);
    next = slice.next;
    note.textContent = next === null ? "" : "Looking through the chain: block " + number(next) + " of " + number(slice.height) + "…";
  }
  return { found, next };
}

export async function asset(id, after) {
  const a = await ask("assets/" + encodeURIComponent(id));
  const note = el("p", { class: "note", role: "status" });
  const place = el("div", { id: "issues" }, table("Bitmarks issued on this asset", ISSUES, a.issues.map(issueRow), "None is found yet."));
  after(async (isOpen) => {
    if (a.block === null) return;
    const { found, next } = await lookThrough("assets/" + id + "/issues", a.block, note, isOpen);
    const known = new Set(a.issues.map((one) => one.id));
    const all = [...a.issues, ...found.filter((one) => !known.has(one.id))];
    if (!isOpen()) return;
    if (all.length > a.issues.length) place.replaceChildren(table("Bitmarks issued on this asset", ISSUES, all.map(issueRow)));
    note.textContent = next === null ? plural(all.length, "bitmark") + "; all blocks were looked through." : "Blocks from " + number(next) + " on were not looked through.";
  });
  return [title(a.name ? foreign(a.name) : "An asset without a name", " ", chip(a.status)),
    el("p", { class: "lead" }, "An asset, registered by ", accountValue(a.registrant), a.block !== null ? [" in ", blockLink(a.block), "."] : "; it is in no block yet."),
    facts([["Asset id", value(a.assetId, { what: "asset id", whole: true })], ["Fingerprint", value(a.fingerprint, { what: "fingerprint", whole: true })],
      field("metadata", a.metadata), a.timestamp && ["Made", when(a.timestamp, true)], ["Signature", value(a.signature, { what: "signature", whole: true })], ["Size", bytes(a.bytes)]]),
    el("h2", {}, "Bitmarks"), place, note];
}

export async function provenance(id, after) {
  const steps = [];
  let part = await ask("records/" + encodeURIComponent(id) + "/provenance");
  const first = part;
  steps.push(...part.steps);
  for (let i = 0; i < 8 && part.next; i += 1) {
    part = await ask("records/" + part.next + "/provenance");
    steps.push(...part.steps);
  }
  steps.reverse();
  let isCurrent = first.isCurrent === true;
  let waiting = first.waitingFollower;
  const note = el("p", { class: "note", role: "status" });
  const picture = el("div", { id: "owners" });
  const list = el("div", {});
  const proofPlace = el("div", { id: "proof" });
  const heading = title("Owners");
  // The newest owner whose record is in a block.
  let owned = isCurrent ? first.id : null;
  const draw = () => {
    if (proofPlace.dataset.id !== (owned ?? "")) {
      proofPlace.replaceChildren(...(owned ? [el("p", { class: "buttons" }, proof(owned)), proofNote()] : []));
      proofPlace.dataset.id = owned ?? "";
    }
    picture.replaceChildren(owners(part.asset, steps, { isCurrent, hasMore: Boolean(part.next) }));
    list.replaceChildren(table("Owners, the first on top", [{ name: "Owner" }, { name: "By" }, { name: "Transaction" }, { name: "Block" }, { name: "When" }],
      steps.map((step) => [accountValue(step.owner), kind(step.type), txValue(step.id), step.block === null ? chip(step.status) : blockLink(step.block), when(step.timestamp)])));
  };
  draw();
  after(async (isOpen, redrawn) => {
    redrawn(draw);
    // From a record that waits: whoever has it as long as that is in no block.
    const below = steps.findLast((step) => step.block !== null);
    if (below && steps[steps.length - 1].block === null && (await ask("records/" + below.id)).isCurrent === true) {
      owned = below.id;
      draw();
    }
    while (isOpen()) {
      const last = steps[steps.length - 1];
      if (last.block !== null && !isCurrent) {
        const { found, next } = await lookThrough("records/" + last.id + "/following", last.block, note, isOpen);
        if (!isOpen()) return;
        if (found.length === 0) {
          note.textContent = next === null ? "" : "Blocks from " + number(next) + " on were not looked through for later owners.";
          break;
        }
        steps.push(found[0]);
      } else if (waiting) {
        const r = await ask("records/" + waiting);
        steps.push({ id: r.id, type: r.type, owner: r.owner, link: r.link, block: r.block, timestamp: r.timestamp, status: r.status });
        isCurrent = false;
        waiting = null;
        draw();
        break;
      } else break;
      const now = await ask("records/" + steps[steps.length - 1].id);
      isCurrent = now.isCurrent === true;
      if (isCurrent) owned = now.id;
      waiting = now.waitingFollower;
      draw();
    }
    if (isOpen() && note.textContent === "") announce(plural(steps.length, "owner"));
  });
  return [heading, el("p", { class: "lead" }, "Who has held this title, from the first owner down. Each box is a signed record."), proofPlace, picture, note, el("h2", {}, "The same as a list"), list];
}

export async function account(text, from) {
  const a = await ask("accounts/" + encodeURIComponent(text) + (from ? "?from=" + from : ""));
  const rows = a.list.map((one) => [
    one.asset ? assetValue(one.asset.assetId, { label: one.asset.missing ? undefined : one.asset.name || undefined }) : ["the ", blockLink(one.ownedBlock)],
    txValue(one.id), blockLink(one.issueBlock), [blockLink(one.sinceBlock), one.waitingFollower && [" ", el("a", { href: to.record(one.waitingFollower) }, "a transfer waits")]],
    el("a", { href: to.provenance(one.id), "aria-label": "Draw the owners of " + short(one.id, 6) }, "draw")]);
  return [title("Account"),
    el("p", { class: "lead" }, accountValue(a.account, { whole: true })),
    !a.isOfThisNetwork && el("p", { class: "bad" }, "This account belongs to another network (" + a.network + "); it owns nothing here."),
    el("h2", {}, "What it owns"),
    table("What this account owns", [{ name: "What" }, { name: "By transaction" }, { name: "Issued in" }, { name: "Held since" }, { name: "Owners" }], rows, "Nothing that is in a block."),
    el("p", { class: "buttons" }, a.from > 0 && el("a", { class: "button", href: to.account(a.account) }, "First"), a.next !== null && el("a", { class: "button", href: to.account(a.account) + "/" + a.next }, "More"))];
}

const place = (one) => (one.kind === "block" ? to.block(one.number) : one.kind === "record" ? to.record(one.id) : one.kind === "asset" ? to.asset(one.assetId) : to.account(one.account));
const words = (one) => (one.kind === "block" ? "Block " + number(one.number) : one.kind === "record" ? (one.type === "payment" ? "Records of this pay id" : kind(one.type)) + " " + short(one.id) : one.kind === "asset" ? ["Asset “", foreign(one.name), "” " + short(one.assetId)] : "Account " + short(one.account));

export async function search(text) {
  let shown = await ask("search?text=" + encodeURIComponent(text));
  for (let i = 0; i < 50 && shown.next; i += 1) shown = await ask("search?text=" + encodeURIComponent(text) + "&below=" + shown.next);
  if (shown.found.length === 1) {
    location.replace(place(shown.found[0]));
    return null;
  }
  if (shown.found.length === 0) {
    return [title("Nothing found"), el("p", { class: "lead" }, "Nothing here is called ", el("code", {}, foreign(short(text, 30))), "."),
      el("p", { class: "note" }, "A block has a number and a digest of 64 hex digits, a transaction an id of 64, an asset an id of 128; an account begins with e, f or another letter and has about 50. A fingerprint is searched for exactly as it was registered.")];
  }
  return [title(plural(shown.found.length, "thing") + " found"), el("ul", { class: "results" }, shown.found.map((one) => el("li", {}, el("a", { href: place(one) }, words(one)))))];
}
