//! What goes over the simulated wire between shared mempools, and whether it keeps the invariants
//! of `proto/mempool.md`, section 5. It sees messages and what nodes show of themselves.

use std::collections::BTreeMap;

use bitmarkd::core::ledger::read;
use bitmarkd::core::overlay::mempool::wire::{Batch, Message};
use bitmarkd::core::overlay::mempool::{BundleKey, Mode};
use bitmarkd::core::reservoir::Status;
use bitmarkd::core::time::Millis;

use crate::clients::Made;
use crate::world::{Frames, World};

/// One step of so many is looked at in full, which reads and digests every bundle: in lives of
/// sharing, and in others, which have more bundles and more steps.
const OFTEN: u64 = 4;
const SELDOM: u64 = 64;

/// How old a batch may be when it leaves.
const BATCH_AGE_MS: Millis = 10_000;

#[derive(Debug, Default)]
pub struct Watch {
    /// A life of shared mempools: every step is looked at in full.
    pub is_sharing: bool,
    /// Blocks come: what was taken in may leave again, and proofs may become too old.
    pub has_blocks: bool,
    /// Whether M5 is looked at. A batch may wait in its place while a fork turns the order round, so
    /// only where forks are rare.
    pub checks_order: bool,
    /// Node and ticket: the batch that is to be acknowledged.
    batches: BTreeMap<(usize, u64), Batch>,
    /// Epoch and id: the bundle.
    logs: BTreeMap<(u64, u64), BundleKey>,
    /// Node and bundle: the party that it came from, as long as the node lives.
    origins: BTreeMap<(usize, BundleKey), usize>,
    /// Epochs of a log and of who reads it: how far that is acknowledged.
    acked: BTreeMap<(u64, u64), u64>,
    /// Node and party: the epoch that it heard of last.
    heard: BTreeMap<(usize, usize), u64>,
    /// Node and party: what it was handed when it pulled last.
    pulled: BTreeMap<(usize, usize), Batch>,
    pub batches_seen: u64,
    pub acks_seen: u64,
    pub partial_acks: u64,
}

impl Watch {
    /// The memory of a node is gone.
    pub fn ended(&mut self, node: usize) {
        self.batches.retain(|(at, _), _| *at != node);
        self.origins.retain(|(at, _), _| *at != node);
        self.heard.retain(|(at, _), _| *at != node);
        self.pulled.retain(|(at, _), _| *at != node);
    }
}

fn message(frames: &Frames) -> Option<Message> {
    let at = frames.iter().position(|frame| frame == b"OVL1")?;
    Message::decode(frames.get(at + 1)?).ok()
}

fn epoch_of(world: &World, node: usize) -> u64 {
    let engine = world.nodes[node].engine.as_ref();
    engine.map_or(0, |engine| engine.mempool().epoch())
}

const fn is_node(world: &World, party: usize) -> bool {
    party < world.nodes.len()
}

/// After each step of a node.
pub fn after_step(world: &World, node: usize) {
    let target = &world.nodes[node];
    let engine = target.engine();
    let pool = engine.mempool();
    for (key, standing) in pool.standings() {
        let (acked, jobs) = (standing.acked, standing.jobs);
        assert!(
            jobs <= target.plan.mempool.inbound_per_peer,
            "M7: node {node} decides {jobs} messages of {key} at once"
        );
        let mut nodes = world.nodes.iter();
        let party = nodes.position(|other| other.settings.own.key == *key);
        let Some(party) = party.filter(|_| standing.mode == Mode::Overlay) else {
            continue;
        };
        let of = world.watch.heard.get(&(node, party)).copied();
        let said = of.and_then(|of| world.watch.acked.get(&(pool.epoch(), of)));
        assert!(
            acked <= said.copied().unwrap_or(0),
            "M4: node {node} takes {acked} for acknowledged by {party}, which said {said:?}"
        );
    }
    let every = if world.watch.is_sharing {
        OFTEN
    } else {
        SELDOM
    };
    if world.steps.is_multiple_of(every)
        && let Err(why) = engine.check_shared(&target.disk.seen)
    {
        panic!("node {node}: {why}");
    }
}

/// A node sends a request.
pub fn sends(world: &mut World, node: usize, to: usize, frames: &Frames) {
    match message(frames) {
        Some(Message::Batch(batch)) => logged(world, node, to, &batch),
        Some(Message::Pull(pull)) => {
            acknowledged(world, node, pull.epoch, pull.after);
            let of = world.watch.pulled.remove(&(node, to));
            if let Some(batch) = of.filter(|batch| batch.epoch == pull.epoch) {
                decided(world, node, &batch, pull.after);
            }
        }
        _ => {}
    }
}

/// A request arrives at a node.
pub fn asked(world: &mut World, node: usize, from: usize, ticket: u64, frames: &Frames) {
    match message(frames) {
        Some(Message::Hello(hello)) => {
            world.watch.heard.insert((node, from), hello.epoch);
        }
        Some(Message::Batch(batch)) => {
            world.watch.batches.insert((node, ticket), batch);
        }
        _ => {}
    }
}

/// A node answers a request.
pub fn answers(world: &mut World, node: usize, to: usize, ticket: u64, frames: &Frames) {
    let batch = world.watch.batches.remove(&(node, ticket));
    match (message(frames), batch) {
        (Some(Message::BatchAck(ack)), Some(batch)) => {
            world.watch.acks_seen += 1;
            acknowledged(world, node, ack.epoch, ack.upto);
            decided(world, node, &batch, ack.upto);
            let last = batch.items.last().map_or(0, |item| item.id);
            world.watch.partial_acks += u64::from(ack.upto < last);
            // All of it was new there: it is this peer's.
            if is_node(world, to) && usize::from(ack.accepted) == batch.items.len() {
                for item in &batch.items {
                    let key = item.bundle.key();
                    world.watch.origins.entry((node, key)).or_insert(to);
                }
            }
        }
        (Some(Message::Batch(batch)), _) => logged(world, node, to, &batch),
        (Some(Message::HelloAck(_, resume)), _) => {
            let of = world.watch.heard.get(&(node, to)).copied();
            acknowledged(world, node, of.unwrap_or(0), resume);
        }
        _ => {}
    }
}

/// A node takes the reply to its request.
pub fn hears(world: &mut World, node: usize, from: usize, frames: &Frames) {
    match message(frames) {
        Some(Message::HelloAck(hello, _)) => {
            world.watch.heard.insert((node, from), hello.epoch);
        }
        Some(Message::Batch(batch)) => {
            world.watch.pulled.insert((node, from), batch);
        }
        _ => {}
    }
}

fn acknowledged(world: &mut World, node: usize, epoch: u64, upto: u64) {
    let own = epoch_of(world, node);
    let known = world.watch.acked.entry((epoch, own)).or_default();
    *known = upto.max(*known);
}

/// A piece of a node's log leaves for a party: M1, M5, M6.
fn logged(world: &mut World, node: usize, to: usize, batch: &Batch) {
    world.watch.batches_seen += 1;
    let own = epoch_of(world, node);
    let is_current = batch.epoch == own;
    for item in &batch.items {
        let key = item.bundle.key();
        let before = world.watch.logs.insert((batch.epoch, item.id), key);
        assert!(
            before.is_none_or(|before| before == key),
            "M1: node {node} gives the id {} twice",
            item.id
        );
        if is_node(world, to) && !world.watch.has_blocks {
            assert!(
                world.watch.origins.get(&(node, key)) != Some(&to),
                "M6: node {node} sends {} back to {to}",
                hex::encode(key)
            );
        }
        if is_current && world.watch.checks_order {
            in_order(world, node, item.id, &key);
        }
    }
}

/// What a bundle cannot do without is before it in the log, or in a block.
fn in_order(world: &World, node: usize, id: u64, key: &BundleKey) {
    let Some((_, Some(need))) = world.clients.made.get(key) else {
        return;
    };
    let target = &world.nodes[node];
    let pool = target.engine().mempool();
    // A batch that was made before the node went over to another branch is in the order of that time.
    let tip = target.engine().ledger().tip().digest;
    if tip != target.checked_tip || world.at < target.tip_since + BATCH_AGE_MS {
        return;
    }
    match pool.position(need) {
        Some(Some(before)) => assert!(
            before < id,
            "M5: node {node} sends {id}, which needs {before}"
        ),
        Some(None) => {}
        None => assert!(
            holds(world, node, need),
            "M5: node {node} sends {id} without what it needs"
        ),
    }
}

/// Whether a node has a record that clients made: in its pools, parked, or in a block.
pub fn holds(world: &World, node: usize, key: &BundleKey) -> bool {
    let Some((made, _)) = world.clients.made.get(key) else {
        return true;
    };
    let target = &world.nodes[node];
    let pools = target.engine().reservoir();
    if target.engine().mempool().position(key).is_some() {
        return true;
    }
    match made {
        Made::Asset(id) => {
            pools.has_cached_asset(id) || read::has_asset(&target.disk.seen, id).unwrap()
        }
        Made::Issue(id) => target.status(id) != Status::Unknown,
        Made::Transfer(id) => {
            target.status(id) != Status::Unknown || world.clients.contested.contains(id)
        }
        Made::Proof(id) => matches!(target.status(id), Status::Verified | Status::Confirmed),
    }
}

/// Everything of a batch up to `upto` is decided at a node (M4).
fn decided(world: &World, node: usize, batch: &Batch, upto: u64) {
    if !world.nodes[node].is_up() {
        return;
    }
    for item in batch.items.iter().filter(|item| item.id <= upto) {
        let key = item.bundle.key();
        if world.watch.has_blocks {
            // A proof may be too old for it, and a rival may be in a block.
            continue;
        }
        assert!(
            holds(world, node, &key),
            "M4: node {node} acknowledges {} up to {upto} without it: {:?}",
            item.id,
            world.clients.made.get(&key)
        );
    }
}
