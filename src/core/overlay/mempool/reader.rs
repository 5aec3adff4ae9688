//! Reading the log for one peer (`proto/mempool.md`, sections 2.3 and 4.2): what comes next, and
//! what it needs not be sent.
//!
//! One read looks at no more than [`SCAN_MAX`] entries; the next goes on where it ended.

use super::bundle::{Bundle, Pools};
use super::mutants;
use super::peers::Peer;
use super::timeline::{self, Timeline};
use super::wire::{BATCH_HEAD, ITEM_HEAD, Item};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Most entries in one read.
const SCAN_MAX: usize = 2000;

/// How much one read may give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub items: usize,
    /// Of bundles, unless it is a single one.
    pub bytes: usize,
    /// Of the whole message.
    pub message: usize,
}

/// What one read gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    pub items: Vec<Item>,
    /// Everything up to here is among the items or needs not be sent.
    pub upto: u64,
    /// Bundles that fit into no message.
    pub too_large: u64,
    /// Entries of which the bytes were gone.
    pub gone: u64,
}

impl Taken {
    /// Ids and sizes.
    pub fn sizes(&self) -> Vec<(u64, usize)> {
        let sizes = self.items.iter();
        sizes
            .map(|item| (item.id, item.bundle.payload.len()))
            .collect()
    }
}

/// The next bundles of `log` for `peer` behind the id `from`.
pub(super) fn read(
    log: &mut Timeline,
    now: Millis,
    pools: &dyn Pools,
    (key, peer): (&PeerPublicKey, &Peer),
    from: u64,
    limits: Limits,
) -> Taken {
    let mut taken = Taken {
        upto: from,
        ..Taken::default()
    };
    let (mut bytes, mut message) = (0_usize, BATCH_HEAD);
    for _ in 0..SCAN_MAX {
        if taken.items.len() >= limits.items {
            break;
        }
        let Some((id, locator)) = log.after(taken.upto) else {
            taken.upto = taken.upto.max(log.head());
            break;
        };
        if log
            .get(&locator)
            .is_none_or(|item| is_skipped(item, key, peer))
        {
            taken.upto = id;
            continue;
        }
        let Some(payload) = pools.payload(&locator) else {
            log.gone(pools, &locator);
            taken.gone += 1;
            taken.upto = id;
            continue;
        };
        if !log.is_in_order(pools, id, &locator) {
            log.reorder(now, pools, locator);
            taken.upto = id;
            continue;
        }
        let size = payload.len();
        let whole = size.saturating_add(ITEM_HEAD);
        if whole.saturating_add(BATCH_HEAD) > limits.message {
            taken.too_large += 1;
            taken.upto = id;
            continue;
        }
        let is_full = bytes.saturating_add(size) > limits.bytes
            || message.saturating_add(whole) > limits.message;
        if is_full && !taken.items.is_empty() {
            break;
        }
        bytes = bytes.saturating_add(size);
        message = message.saturating_add(whole);
        taken.upto = id;
        let kind = locator.kind();
        let bundle = Bundle { kind, payload };
        taken.items.push(Item { id, bundle });
    }
    taken
}

/// Whether the peer needs not be sent it: it came from there, or is not wanted there.
pub(super) fn is_skipped(item: &timeline::Item, key: &PeerPublicKey, peer: &Peer) -> bool {
    if mutants::BUNDLE_RETURNED_TO_ORIGIN {
        return false;
    }
    item.origin == Some(*key)
        || item.is_held_by(peer.holder())
        || (item.origin.is_some() && !peer.wants_relay)
}
