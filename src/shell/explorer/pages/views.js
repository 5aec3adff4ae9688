// The pages about the whole: the chain as it grows, what waits, peers, the node itself.

import { accountValue, ask, assetValue, blockLink, bytes, card, chip, el, facts, foreign, kind, number, plural, short, span, table, title, to, txValue, value, when } from "./kit.js";
import { peers as drawPeers } from "./draw.js";
import { chooser } from "./drop.js";

let highest = 0;

function progress(overview) {
  const target = Math.max(overview.networkHeight, overview.height);
  if (overview.mode === "Normal") return el("p", { class: "small" }, "in step with its peers");
  return [el("p", { class: "small" }, "catching up: " + number(overview.height) + " of " + number(target)),
    el("progress", { max: target, value: overview.height, "aria-label": "Blocks fetched" })];
}

function strip(blocks) {
  const cards = blocks.slice(0, 8).map((block) => el("li", { class: block.number > highest && highest > 0 ? "fresh" : undefined },
    el("a", { class: "link", href: to.block(block.number) },
      el("b", {}, el("span", { class: "hidden" }, "Block "), number(block.number)),
      el("span", {}, plural(block.records, "record")), el("span", {}, when(block.timestamp)))));
  return el("ol", { class: "chain", "aria-label": "The newest blocks, the newest first", tabindex: 0 }, cards);
}

const blockRow = (block) => [
  el("a", { href: to.block(block.number) }, number(block.number)), when(block.timestamp), number(block.records),
  bytes(block.bytes), block.owner ? accountValue(block.owner) : "",
  block.digest ? value(block.digest, { what: "digest", href: to.block(block.number), ends: 6 }) : ""];

const BLOCKS = [{ name: "Block" }, { name: "Made" }, { name: "Records", number: true }, { name: "Size", number: true, wide: true }, { name: "Owner" }, { name: "Digest", wide: true }];

export async function chain(below) {
  const [overview, shown] = await Promise.all([ask("overview"), ask("blocks" + (below ? "?below=" + below : ""))]);
  const pools = overview.reservoir;
  const view = below ? [title("Older blocks")] : [
    title("The chain “" + overview.chain + "”"),
    el("p", { class: "lead" }, "Titles and who holds them, block by block, as this node has them."),
    el("ul", { class: "cards", "aria-label": "Now" },
      card("Highest block", number(overview.height), el("p", { class: "small" }, "made ", when(overview.tipTimestamp))),
      card("Mode", overview.mode === "Normal" ? "Normal" : "Catching up", progress(overview)),
      card("Waiting", number(pools.pending + pools.verified), el("p", { class: "small" }, el("a", { href: "#/waiting" }, number(pools.pending) + " for proof or payment, " + number(pools.verified) + " for a block"))),
      card("Peers", number(overview.upstreams), el("p", { class: "small" }, el("a", { href: "#/peers" }, "connected, of " + number(overview.peersKnown) + " known")))),
    chooser(), el("h2", {}, "As it grows"), strip(shown.blocks)];
  if (!below) highest = Math.max(highest, overview.height);
  view.push(el("h2", { class: below ? "hidden" : undefined }, "Blocks"), table("Blocks", BLOCKS, shown.blocks.map(blockRow)),
    el("p", { class: "buttons" }, below && el("a", { class: "button", href: "#/" }, "Newest"), shown.next && el("a", { class: "button", href: "#/blocks/" + shown.next }, "Older")));
  return view;
}

export function waitsFor(waits) {
  const lists = Object.entries(waits.due ?? {});
  const payments = lists.map(([currency, list]) => el("li", {}, currency + ": ", list.map((one, i) => [i > 0 && " and ", number(one.amount) + " to ", value(one.address, { what: "address", ends: 6 })])));
  const left = waits.remainingSeconds !== null && waits.remainingSeconds !== undefined
    ? el("div", { class: "small" }, "It goes in " + span(waits.remainingSeconds) + " unless that comes.") : null;
  if (waits.for === "block") return el("div", {}, "a block; verified by a " + waits.verifiedBy);
  if (waits.for === "asset") return el("div", {}, "its asset, which is not here: ", waits.missingAssets.map((id) => assetValue(id)));
  const missing = waits.missingAssets.length > 0 ? el("div", { class: "small" }, "Its asset is not here either: ", waits.missingAssets.map((id) => assetValue(id))) : null;
  const head = waits.for === "payment" ? "a payment" : payments.length > 0 ? "a proof of work, or a payment" : "a proof of work";
  return el("div", {}, head, payments.length > 0 && [payments.length > 1 ? ", one of these:" : ":", el("ul", { class: "due" }, payments)], left, missing);
}

export async function waiting(after) {
  const shown = await ask("pending" + (after ? "?after=" + after : ""));
  const rows = shown.list.map((set) => [
    el("div", {}, set.records.map((record) => el("div", {}, kind(record.type) + " ", txValue(record.id, { ends: 6 }))),
      set.count > set.records.length && el("div", { class: "small" }, "and " + plural(set.count - set.records.length, "more", "more"))),
    set.records[0] ? accountValue(set.records[0].owner) : "", chip(set.status), waitsFor(set.waits),
    value(set.payId, { what: "pay id", ends: 6 })]);
  return [title("Waiting"),
    el("p", { class: "lead" }, "Records that are in no block yet, and what each waits for."),
    el("ul", { class: "cards", "aria-label": "How much waits" },
      card("For proof or payment", number(shown.pending), el("p", { class: "small" }, "in " + plural(shown.pendingSets, "set"))),
      card("For a block", number(shown.verified)), card("Assets in no block", number(shown.assets)),
      card("Payments ahead of records", number(shown.orphanPayments))),
    table("Sets that wait", [{ name: "Records" }, { name: "Owner" }, { name: "Status" }, { name: "Waits for" }, { name: "Pay id", wide: true }], rows, "Nothing waits just now."),
    el("p", { class: "buttons" }, after && el("a", { class: "button", href: "#/waiting" }, "First"), shown.next && el("a", { class: "button", href: "#/waiting/" + shown.next }, "More")),
    shown.assetsWithoutIssue.length > 0 && [el("h2", {}, "Assets that wait for an issue"),
      table("Assets without an issue", [{ name: "Asset" }, { name: "Name" }, { name: "Registered by" }],
        shown.assetsWithoutIssue.map((one) => [assetValue(one.assetId), foreign(one.name), accountValue(one.registrant)]))]];
}

export async function peers() {
  const shown = await ask("peers");
  const sharing = new Map(shown.sharing.map((one) => [one.key, one.mode]));
  const ways = { overlay: "shared mempool", plain: "plain commands", unknown: "not known yet" };
  return [title("Peers"),
    el("p", { class: "lead" }, "Who this node is connected to. It knows " + plural(shown.knownCount, "node") + "; how others are connected among themselves nobody tells."),
    drawPeers(shown),
    el("h2", {}, "Connected from here"),
    table("Peers this node connects to", [{ name: "Key" }, { name: "Address" }, { name: "State" }, { name: "Block", number: true }, { name: "Records go by", wide: true }, { name: "Chosen", wide: true }],
      shown.upstreams.map((one) => [value(one.key, { what: "key" }), el("code", {}, foreign(one.address)), one.isRegistered ? el("span", { class: "chip good" }, "registered") : el("span", { class: "chip wait" }, "not there"),
        number(one.height), ways[sharing.get(one.key)] ?? "", one.isStatic ? "by the configuration" : "by itself"]), "None."),
    shown.publishers.length > 0 && [el("h2", {}, "Publishers it listens to"),
      table("Publishers", [{ name: "Key" }, { name: "Address" }, { name: "Messages", number: true }, { name: "Last heard" }],
        shown.publishers.map((one) => [value(one.key, { what: "key" }), el("code", {}, foreign(one.address)), number(one.messages), span(one.silentSeconds) + " ago"]))],
    el("h2", {}, "Known"),
    table("Known nodes", [{ name: "Key" }, { name: "Listens at" }, { name: "Heard of" }],
      shown.known.map((one) => [value(one.key, { what: "key" }), el("code", {}, one.listeners.map((at, i) => [i > 0 && " ", foreign(at)])), when(one.time)]), "None yet."),
    shown.known.length < shown.knownCount - 1 && el("p", { class: "note" }, "Only the first " + shown.known.length + " are listed."),
    el("p", { class: "note" }, "This node: ", value(shown.own, { what: "key of this node" }))];
}

export async function node() {
  const o = await ask("overview");
  const target = Math.max(o.networkHeight, o.height);
  const refused = Object.entries(o.refused).sort((a, b) => b[1] - a[1]);
  return [title("This node"),
    el("p", { class: "lead" }, o.mode === "Normal" ? "It is in step with its peers and takes records." : "It is catching up with its peers; records are taken when it is done."),
    el("ul", { class: "cards", "aria-label": "State" },
      card("Mode", o.mode === "Normal" ? "Normal" : "Catching up", el("p", { class: "small" }, o.state)),
      card("Progress", number(o.height) + " / " + number(target), el("progress", { max: Math.max(1, target), value: o.height, "aria-label": "Blocks here, of those that peers have" })),
      card("Running for", span(o.uptimeSeconds)), card("Blocks stored since", number(o.blocksStored), el("p", { class: "small" }, plural(o.blocksWaiting, "block") + " on the way in"))),
    facts([["Chain", o.chain], ["Key", value(o.key, { what: "key of this node", whole: true })], ["Highest block", [blockLink(o.height), " ", value(o.digest, { what: "digest", ends: 8 })]],
      ["Peers", plural(o.upstreams, "peer") + " connected, " + number(o.peersKnown) + " known; " + plural(o.rpcsKnown, "client service") + " known; " + plural(o.subscriptions, "publisher") + " listened to"],
      ["Mining", o.isMining ? "gives work to miners" : "off"],
      ["Pools", plural(o.reservoir.pending, "record") + " pending, " + number(o.reservoir.verified) + " verified, " + plural(o.reservoir.assets, "asset") + ", " + bytes(o.reservoir.bytes)],
      ["Lapsed", number(o.reservoir.expired)], ["Refused for want of room", number(o.reservoir.refusedFull)],
      ["Shared mempool", o.mempool.enabled ? plural(o.mempool.overlay, "peer") + " share, " + number(o.mempool.plain) + " by plain commands" : "off"]]),
    (o.payments ?? []).length > 0 && [el("h2", {}, "Services that tell payments"),
      table("Services that tell payments", [{ name: "Currency" }, { name: "State" }, { name: "Last answer" }, { name: "Payments seen", number: true }, { name: "Without an answer", number: true }],
        o.payments.map((one) => [one.currency, el("span", { class: "chip " + (one.isReachable ? "good" : "wait") }, one.isReachable ? "answers" : "does not answer"), when(one.lastAnswer), number(one.seen), number(one.failures)]))],
    el("h2", {}, "Refused since the start"),
    table("Refusals by reason", [{ name: "Reason" }, { name: "Times", number: true }], refused.map(([why, count]) => [why, number(count)]), "Nothing was refused.")];
}
