//! The pools themselves and every index over them (`proto/reservoir.md`, section 3).
//!
//! Invariants, kept by the pairs of `put_…` and `take_…`: every index and counter says exactly
//! what recounting would; what changed since the last batch is noted. Everything is in ordered
//! maps, so two nodes with the same inputs walk through it alike. Nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};

use super::caps::{Source, Usage};
use super::set::{CachedAsset, Kind, Orphan, Set, Settled};
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::Account;
use crate::core::time::UnixSeconds;

/// A pool by its name, with a key of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Asset(AssetId),
    Set(PayId),
    Orphan(PayId),
    Settled(PayId),
}

/// The lists of what ends by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lapsing {
    Orphan,
    Set,
    UnusedAsset,
}

/// The sizes of the pools, as the reference counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Links that a transfer has taken.
    pub pending_transfer: usize,
    /// Pending records.
    pub unverified_tx_index: usize,
    /// Pending sets.
    pub unverified_tx_entries: usize,
    /// Verified records.
    pub verified_tx: usize,
    /// Pay ids with payments and without records.
    pub orphan_payment: usize,
    /// Cached assets.
    pub assets: usize,
}

/// All pools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pools {
    pub assets: BTreeMap<AssetId, CachedAsset>,
    pub sets: BTreeMap<PayId, Set>,
    pub orphans: BTreeMap<PayId, Orphan>,
    pub settled: BTreeMap<PayId, Settled>,
    /// Live members of sets: how the id of the record and the pay id begin. What is asked of it is
    /// looked up in the set.
    pub members: BTreeSet<(Beginning, Beginning)>,
    /// How many they are.
    pub live_records: usize,
    /// Members of sets and of settled sets that stand in a block.
    pub confirmed_members: BTreeMap<TxId, PayId>,
    /// By the last block of them.
    pub settled_blocks: BTreeSet<(u64, PayId)>,
    /// Links that are taken.
    pub links: BTreeMap<TxId, PayId>,
    /// How many sets use an asset, cached or not.
    pub uses: BTreeMap<AssetId, usize>,
    /// What ends when.
    pub lapses: BTreeSet<(Lapsing, UnixSeconds, Key)>,
    /// Assets without a use by who brought them, the next to end first.
    pub unused_by_source: BTreeSet<(Source, UnixSeconds, AssetId)>,
    /// Verified sets in the order in which they were.
    pub verified: BTreeSet<(UnixSeconds, PayId)>,
    /// Issue sets of an owner.
    pub owners: BTreeMap<Account, usize>,
    pub usage: Usage,
    pub pending_records: usize,
    pub orphan_bytes: usize,
    /// Changed since the last batch.
    pub dirty: BTreeSet<Key>,
    /// What a block could be made of has changed since this was last asked.
    pub verified_changed: bool,
}

/// How an id begins: enough to tell nearly all of them apart, in a quarter of the room.
pub(super) type Beginning = u64;

fn beginning(id: &[u8]) -> Beginning {
    id.first_chunk()
        .copied()
        .map_or(0, Beginning::from_be_bytes)
}

/// The pay id that begins so and goes on with this byte alone.
fn pay_id_from(begin: Beginning, then: u8) -> PayId {
    let mut id = [then; PayId::SIZE];
    for (byte, first) in id.iter_mut().zip(begin.to_be_bytes()) {
        *byte = first;
    }
    PayId(id)
}

impl Pools {
    pub fn sizes(&self) -> Sizes {
        Sizes {
            pending_transfer: self.links.len(),
            unverified_tx_index: self.pending_records,
            unverified_tx_entries: self.sets.len() - self.verified.len(),
            verified_tx: self.live_records - self.pending_records,
            orphan_payment: self.orphans.len(),
            assets: self.assets.len(),
        }
    }

    pub fn set_of(&self, id: &TxId) -> Option<(PayId, &Set)> {
        let begin = beginning(&id.0);
        let all = (begin, Beginning::MIN)..=(begin, Beginning::MAX);
        self.members.range(all).find_map(|(_, begin)| {
            let first = pay_id_from(*begin, 0);
            let last = pay_id_from(*begin, u8::MAX);
            let mut sets = self.sets.range(first..=last);
            let found = sets.find(|(_, set)| set.members.has_live(id))?;
            Some((*found.0, found.1))
        })
    }

    /// Whether a record is a live member of a set.
    pub fn has_member(&self, id: &TxId) -> bool {
        self.set_of(id).is_some()
    }

    pub fn put_set(&mut self, pay_id: PayId, set: Set) {
        self.take_set(&pay_id);
        self.take_settled(&pay_id);
        self.dirty.insert(Key::Set(pay_id));
        let mut added = 0;
        for member in set.live() {
            self.members
                .insert((beginning(&member.id.0), beginning(&pay_id.0)));
            added += 1;
        }
        self.live_records += added;
        for member in set.members.iter().filter(|member| member.confirmed) {
            self.confirmed_members.insert(member.id, pay_id);
        }
        match set.verified {
            Some((_, at)) => {
                self.verified.insert((at, pay_id));
                self.verified_changed = true;
            }
            None => {
                self.pending_records += added;
                self.lapses
                    .insert((Lapsing::Set, set.deadline, Key::Set(pay_id)));
            }
        }
        for asset in set.assets() {
            self.use_asset(asset);
        }
        match &set.kind {
            Kind::Issues { owners } => {
                for owner in owners {
                    *self.owners.entry(*owner).or_default() += 1;
                }
            }
            Kind::Transfer { link } => {
                self.links.insert(*link, pay_id);
            }
        }
        self.usage.add(set.source, set.room());
        self.sets.insert(pay_id, set);
    }

    pub fn take_set(&mut self, pay_id: &PayId) -> Option<Set> {
        let set = self.sets.remove(pay_id)?;
        self.dirty.insert(Key::Set(*pay_id));
        let mut removed = 0;
        for member in set.live() {
            self.members
                .remove(&(beginning(&member.id.0), beginning(&pay_id.0)));
            removed += 1;
        }
        self.live_records -= removed;
        for member in set.members.iter().filter(|member| member.confirmed) {
            self.confirmed_members.remove(&member.id);
        }
        match set.verified {
            Some((_, at)) => {
                self.verified.remove(&(at, *pay_id));
                self.verified_changed = true;
            }
            None => {
                self.pending_records -= removed;
                self.lapses
                    .remove(&(Lapsing::Set, set.deadline, Key::Set(*pay_id)));
            }
        }
        for asset in set.assets() {
            self.leave_asset(asset);
        }
        match &set.kind {
            Kind::Issues { owners } => {
                for owner in owners {
                    let left = self.owners.get(owner).map_or(0, |sets| sets - 1);
                    if left == 0 {
                        self.owners.remove(owner);
                    } else {
                        self.owners.insert(*owner, left);
                    }
                }
            }
            Kind::Transfer { link } => {
                if self.links.get(link) == Some(pay_id) {
                    self.links.remove(link);
                }
            }
        }
        self.usage.remove(set.source, set.room());
        Some(set)
    }

    fn use_asset(&mut self, id: AssetId) {
        let uses = self.uses.entry(id).or_default();
        *uses += 1;
        if *uses == 1 {
            self.unlist_asset(&id);
        }
    }

    fn leave_asset(&mut self, id: AssetId) {
        let left = self.uses.get(&id).map_or(0, |uses| uses - 1);
        if left == 0 {
            self.uses.remove(&id);
            self.list_asset(&id);
        } else {
            self.uses.insert(id, left);
        }
    }

    /// Its time counts from now on.
    fn list_asset(&mut self, id: &AssetId) {
        if let Some(asset) = self.assets.get(id) {
            let key = Key::Asset(*id);
            self.lapses
                .insert((Lapsing::UnusedAsset, asset.deadline, key));
            self.unused_by_source
                .insert((asset.source, asset.deadline, *id));
        }
    }

    /// Its time does not count.
    fn unlist_asset(&mut self, id: &AssetId) {
        if let Some(asset) = self.assets.get(id) {
            let key = Key::Asset(*id);
            self.lapses
                .remove(&(Lapsing::UnusedAsset, asset.deadline, key));
            self.unused_by_source
                .remove(&(asset.source, asset.deadline, *id));
        }
    }

    pub fn put_asset(&mut self, id: AssetId, asset: CachedAsset) {
        self.take_asset(&id);
        self.dirty.insert(Key::Asset(id));
        self.usage.add(asset.source, asset.room());
        self.assets.insert(id, asset);
        if !self.uses.contains_key(&id) {
            self.list_asset(&id);
        }
    }

    pub fn take_asset(&mut self, id: &AssetId) -> Option<CachedAsset> {
        self.unlist_asset(id);
        let asset = self.assets.remove(id)?;
        self.dirty.insert(Key::Asset(*id));
        self.usage.remove(asset.source, asset.room());
        Some(asset)
    }

    pub fn put_orphan(&mut self, pay_id: PayId, orphan: Orphan) {
        self.take_orphan(&pay_id);
        let key = Key::Orphan(pay_id);
        self.dirty.insert(key);
        self.orphan_bytes += orphan.bytes();
        self.lapses.insert((Lapsing::Orphan, orphan.deadline, key));
        self.orphans.insert(pay_id, orphan);
    }

    pub fn take_orphan(&mut self, pay_id: &PayId) -> Option<Orphan> {
        let orphan = self.orphans.remove(pay_id)?;
        let key = Key::Orphan(*pay_id);
        self.dirty.insert(key);
        self.orphan_bytes -= orphan.bytes();
        self.lapses.remove(&(Lapsing::Orphan, orphan.deadline, key));
        Some(orphan)
    }

    pub fn put_settled(&mut self, pay_id: PayId, settled: Settled) {
        self.take_settled(&pay_id);
        self.dirty.insert(Key::Settled(pay_id));
        for id in &settled.members {
            self.confirmed_members.insert(*id, pay_id);
        }
        self.settled_blocks.insert((settled.block, pay_id));
        self.settled.insert(pay_id, settled);
    }

    pub fn take_settled(&mut self, pay_id: &PayId) -> Option<Settled> {
        let settled = self.settled.remove(pay_id)?;
        self.dirty.insert(Key::Settled(*pay_id));
        for id in &settled.members {
            self.confirmed_members.remove(id);
        }
        self.settled_blocks.remove(&(settled.block, *pay_id));
        Some(settled)
    }

    /// Whether there is anything that ends.
    pub fn has_lapsing(&self) -> bool {
        !self.lapses.is_empty()
    }

    /// What ends next of one list.
    pub fn next_lapse(&self, list: Lapsing) -> Option<(UnixSeconds, Key)> {
        let lowest = Key::Asset(AssetId::default());
        self.lapses
            .range((list, 0, lowest)..)
            .next()
            .filter(|(at, ..)| *at == list)
            .map(|(_, deadline, key)| (*deadline, *key))
    }

    /// What ends at `from` or later, of one list.
    pub fn lapsing_from(&self, list: Lapsing, from: UnixSeconds) -> Vec<Key> {
        let lowest = Key::Asset(AssetId::default());
        self.lapses
            .range((list, from, lowest)..)
            .take_while(|(at, ..)| *at == list)
            .map(|(.., key)| *key)
            .collect()
    }

    /// Gives something so many seconds more.
    pub fn lengthen(&mut self, key: &Key, by: u64) {
        match key {
            Key::Asset(id) => {
                if let Some(mut asset) = self.take_asset(id) {
                    asset.deadline = asset.deadline.saturating_add(by);
                    self.put_asset(*id, asset);
                }
            }
            Key::Set(pay_id) => {
                if let Some(mut set) = self.take_set(pay_id) {
                    set.deadline = set.deadline.saturating_add(by);
                    self.put_set(*pay_id, set);
                }
            }
            Key::Orphan(pay_id) => {
                if let Some(mut orphan) = self.take_orphan(pay_id) {
                    orphan.deadline = orphan.deadline.saturating_add(by);
                    self.put_orphan(*pay_id, orphan);
                }
            }
            Key::Settled(_) => {}
        }
    }

    /// The assets of this source that no set uses, the next to end first.
    pub fn unused_of(&self, source: Source) -> impl Iterator<Item = AssetId> {
        self.unused_by_source
            .range((source, 0, AssetId::default())..)
            .take_while(move |(at, ..)| *at == source)
            .map(|(.., id)| *id)
    }

    /// The assets that no set uses, the next to end first.
    pub fn unused(&self) -> impl Iterator<Item = AssetId> {
        let lowest = Key::Asset(AssetId::default());
        self.lapses
            .range((Lapsing::UnusedAsset, 0, lowest)..)
            .filter_map(|(.., key)| match key {
                Key::Asset(id) => Some(*id),
                _ => None,
            })
    }

    /// Every index and counter, made anew from what is kept.
    #[cfg(test)]
    pub fn recounted(&self) -> Self {
        let mut fresh = Self::default();
        for (id, asset) in &self.assets {
            fresh.put_asset(*id, asset.clone());
        }
        for (pay_id, set) in &self.sets {
            fresh.put_set(*pay_id, set.clone());
        }
        for (pay_id, orphan) in &self.orphans {
            fresh.put_orphan(*pay_id, orphan.clone());
        }
        for (pay_id, settled) in &self.settled {
            fresh.put_settled(*pay_id, settled.clone());
        }
        fresh.dirty = self.dirty.clone();
        fresh.verified_changed = self.verified_changed;
        fresh
    }
}
