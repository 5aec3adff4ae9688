//! What must hold, looked at after every step of every node.

use std::collections::BTreeMap;

use bitmarkd::core::id::TxId;
use bitmarkd::core::reservoir::Status;
use bitmarkd::core::state::{Pool, View as _};
use bitmarkd::core::time::Millis;

use crate::watch;
use crate::world::World;

/// How long a node may have strangers alone.
const ENCIRCLED_MS: Millis = 30_000;

/// After each step of a node: bounds, and more when its chain has changed.
pub fn after_step(world: &mut World, node: usize) {
    let target = &world.nodes[node];
    let engine = target.engine();
    let (usage, caps) = (engine.reservoir().usage(), target.plan.caps);
    // Records that come back from blocks may exceed the caps, twice as many again at most.
    assert!(
        usage.records <= 3 * caps.pending_records
            && usage.bytes <= 3 * caps.pending_bytes
            && usage.assets <= 3 * caps.assets,
        "node {node} holds more than its caps: {usage:?}"
    );
    let places = engine.upstreams().count();
    assert!(
        target.sockets.len() <= 2 * places + target.plan.subscribe.len() + 16,
        "node {node} has {} sockets",
        target.sockets.len()
    );
    if !world.scripts.is_empty() && !world.watch.is_sharing {
        not_encircled(world, node);
    }
    watch::after_step(world, node);
    let target = &world.nodes[node];
    let tip = target.engine().ledger().tip();
    if (tip.number, tip.digest) != (target.checked_height, target.checked_tip) {
        let at = world.at;
        let target = &mut world.nodes[node];
        target.checked_height = tip.number;
        target.checked_tip = tip.digest;
        target.tip_since = at;
        promises(world, node);
        one_owner(world, node);
    }
}

/// No node has strangers alone for long: a start, or the loss of a peer, is made good.
fn not_encircled(world: &mut World, node: usize) {
    let target = &world.nodes[node];
    let is_honest = |key| {
        world
            .nodes
            .iter()
            .any(|other| other.settings.own.key == key)
    };
    let registered = target.engine().upstreams().filter(|(_, is)| *is);
    let (honest, others): (Vec<_>, Vec<_>) = registered.partition(|(key, _)| is_honest(*key));
    let strangers = others.len();
    if !honest.is_empty() || strangers == 0 {
        world.nodes[node].encircled = None;
        return;
    }
    let at = world.at;
    let since = *world.nodes[node].encircled.get_or_insert(at);
    assert!(
        at - since < ENCIRCLED_MS,
        "node {node} has had none but {strangers} strangers since {since}"
    );
}

/// After a start: what was promised before is still there.
pub fn after_boot(world: &mut World, node: usize) {
    if world.is_checked {
        promises(world, node);
        one_owner(world, node);
    }
}

/// Nothing that a node acknowledged is lost there.
pub fn promises(world: &mut World, node: usize) {
    let target = &world.nodes[node];
    for id in &target.promised {
        if !world.clients.contested.contains(id) {
            assert_ne!(
                target.status(id),
                Status::Unknown,
                "node {node} has lost {id}, which it acknowledged"
            );
        }
    }
}

/// Every bitmark that is confirmed at a node has one owner there.
pub fn one_owner(world: &World, node: usize) {
    let store = &world.nodes[node].disk.seen;
    let mut owners: BTreeMap<TxId, u32> = BTreeMap::new();
    for (key, _) in store.scan(Pool::OwnerDigest, &[], &[], usize::MAX).unwrap() {
        let id = TxId::from_bytes(&key[key.len() - 32..]).unwrap();
        if let Some(issue) = world.clients.origin.get(&id) {
            *owners.entry(*issue).or_default() += 1;
        }
    }
    for (issue, count) in &owners {
        assert_eq!(
            *count, 1,
            "bitmark {issue} has {count} owners at node {node}"
        );
    }
    for issue in world.clients.origin.values() {
        if world.clients.origin.get(issue) == Some(issue) && !owners.contains_key(issue) {
            assert!(
                !store.contains(Pool::Transactions, &issue.0).unwrap(),
                "bitmark {issue} is confirmed and nobody's at node {node}"
            );
        }
    }
}

/// Whether all nodes stand on one block.
pub fn is_one_chain(world: &World) -> bool {
    let mut tips = world.nodes.iter().map(|node| node.engine().ledger().tip());
    let first = tips.next();
    tips.all(|tip| Some(tip) == first)
}

/// Whether all nodes stand on one block that has everything that was verified.
pub fn is_settled(world: &World) -> bool {
    let is_in_blocks = |id| {
        let mut nodes = world.nodes.iter();
        nodes.all(|node| node.status(id) == Status::Confirmed)
    };
    is_one_chain(world) && world.clients.verified.iter().all(is_in_blocks)
}

/// After everything is healed and quiet: one chain, and every promise in it.
pub fn at_the_end(world: &mut World) {
    for node in 0..world.nodes.len() {
        assert!(world.nodes[node].is_up());
        assert!(
            world.nodes[node].is_normal(),
            "node {node} is not Normal at the end"
        );
        promises(world, node);
        one_owner(world, node);
    }
    let tips: Vec<_> = world
        .nodes
        .iter()
        .map(|node| {
            let tip = node.engine().ledger().tip();
            (tip.number, tip.digest)
        })
        .collect();
    assert!(
        tips.windows(2).all(|pair| pair[0] == pair[1]),
        "the nodes stand on different blocks: {tips:?}"
    );
    for id in &world.clients.verified {
        let all: Vec<Status> = world.nodes.iter().map(|node| node.status(id)).collect();
        assert!(
            all.iter().all(|status| *status == Status::Confirmed),
            "{id} was verified and is not in a block everywhere: {all:?}"
        );
    }
}
