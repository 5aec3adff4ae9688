//! Sending pending and verified records again (`proto/reservoir.md`, section 10): each once in
//! every interval, at its own time, so the messages are spread over it; at most
//! [`BURST_MAX`] sets in [`PAUSE_MS`], the longest due first.

use std::collections::{BTreeMap, BTreeSet};

use super::Command;
use super::set::{CachedAsset, Set};
use crate::core::id::{AssetId, PayId};
use crate::core::time::Millis;

/// By default every set is sent again this long after it was last sent. A new node learns of older
/// records in this way alone.
pub const INTERVAL_MS: Millis = 15 * 60 * 1000;
/// Most sets in one step. With the pause: 200,000 sets take less than half of the interval.
pub const BURST_MAX: usize = 50;
/// Between two steps that send.
pub const PAUSE_MS: Millis = 100;

/// When each set is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relay {
    interval: Millis,
    times: BTreeMap<PayId, Millis>,
    queue: BTreeSet<(Millis, PayId)>,
    not_before: Millis,
}

impl Relay {
    pub const fn new(interval: Millis) -> Self {
        Self {
            interval,
            times: BTreeMap::new(),
            queue: BTreeSet::new(),
            not_before: 0,
        }
    }

    /// A set that was just sent.
    pub fn sent(&mut self, pay_id: PayId, now: Millis) {
        if !self.times.contains_key(&pay_id) {
            self.schedule(pay_id, now.saturating_add(self.interval));
        }
    }

    /// A set that was loaded: at a time within the interval that only depends on its id.
    pub fn loaded(&mut self, pay_id: PayId, now: Millis) {
        let share = pay_id
            .0
            .first_chunk()
            .copied()
            .map_or(0, u32::from_be_bytes);
        let within = u64::from(share).saturating_mul(self.interval) >> 32;
        self.forget(&pay_id);
        self.schedule(pay_id, now.saturating_add(within));
    }

    pub fn forget(&mut self, pay_id: &PayId) {
        if let Some(at) = self.times.remove(pay_id) {
            self.queue.remove(&(at, *pay_id));
        }
    }

    fn schedule(&mut self, pay_id: PayId, at: Millis) {
        self.times.insert(pay_id, at);
        self.queue.insert((at, pay_id));
    }

    /// The sets to be sent now; they are due again after the interval.
    pub fn due(&mut self, now: Millis) -> Vec<PayId> {
        if now < self.not_before {
            return Vec::new();
        }
        let due: Vec<PayId> = self
            .queue
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(BURST_MAX)
            .map(|(_, pay_id)| *pay_id)
            .collect();
        for pay_id in &due {
            self.forget(pay_id);
            self.schedule(*pay_id, now.saturating_add(self.interval));
        }
        if !due.is_empty() {
            self.not_before = now.saturating_add(PAUSE_MS);
        }
        due
    }

    pub fn next(&self) -> Option<Millis> {
        self.queue.first().map(|(at, _)| (*at).max(self.not_before))
    }
}

/// What is sent of a set: the assets that no block has, the records, and the proof. A payment is
/// not passed on; every node sees it itself or never.
pub(super) fn messages(
    pay_id: &PayId,
    set: &Set,
    assets: &BTreeMap<AssetId, CachedAsset>,
) -> Vec<(Command, Vec<u8>)> {
    let records = set.records();
    if set.link().is_some() {
        return vec![(Command::Transfer, records)];
    }
    let mut messages = Vec::new();
    let cached: Vec<u8> = set
        .assets()
        .filter_map(|id| assets.get(&id))
        .flat_map(|asset| asset.packed.iter().copied())
        .collect();
    if !cached.is_empty() {
        messages.push((Command::Assets, cached));
    }
    messages.push((Command::Issues, records));
    if let Some(proof) = set.proof(pay_id) {
        messages.push((Command::Proof, proof));
    }
    messages
}
