//! The pools on the disk (`proto/reservoir.md`, section 19): a letter for each pool in front of
//! its key, a version byte in front of each value, bincode behind it.
//!
//! | letter | key | value |
//! | --- | --- | --- |
//! | `A` | asset id | cached asset |
//! | `U` | pay id | pending set (UnverifiedTxEntries) |
//! | `V` | pay id | verified set |
//! | `O` | pay id | payments without records (OrphanPayment) |
//! | `C` | pay id | what verified a confirmed set, while its block may come off |
//! | `T` | | the time that lives are counted in, every few minutes |
//!
//! A set carries its deadline; the indexes by transaction, by link and by deadline follow from
//! the sets and are made at the start. One step is one batch, so what is acknowledged is whole.
//! After a start every entry is checked against the chain before it counts.

use std::collections::BTreeSet;

use super::caps::Caps;
use super::clock::Clock;
use super::codec::{
    encode_asset, encode_orphan, encode_set, encode_settled, encode_time, read_asset, read_orphan,
    read_set, read_settled, read_time,
};
use super::confirmed::Confirmed;
use super::pools::{Key, Pools};
use super::relay::Relay;
use super::set::Set;
use super::{ASSET_LIFE_S, Effect, Input, LIFE_S, Part, Reservoir, Timing};
use crate::core::id::{AssetId, PayId};
use crate::core::ledger::{Returned, read};
use crate::core::state::{Batch, Pool, StoreFault};
use crate::core::time::{Millis, Now};

const ASSETS: u8 = b'A';
const PENDING: u8 = b'U';
const VERIFIED: u8 = b'V';
const ORPHANS: u8 = b'O';
const SETTLED: u8 = b'C';
const TIME: u8 = b'T';

/// How often the time is kept while there is something that lapses, in seconds.
const TIME_EVERY_S: u64 = 300;

/// Entries that are read at a time.
const CHUNK: usize = 1_000;

fn key(letter: u8, id: &[u8]) -> Vec<u8> {
    [&[letter], id].concat()
}

fn change(batch: &mut Batch, letter: u8, id: &[u8], value: Option<Vec<u8>>) {
    match value {
        Some(value) => batch.put(Pool::Reservoir, key(letter, id), value),
        None => batch.delete(Pool::Reservoir, key(letter, id)),
    }
}

/// Everything that changed since the last batch.
pub(super) fn changes(
    pools: &mut Pools,
    relay: &mut Relay,
    touched: &mut BTreeSet<Part>,
    now: Millis,
) -> Batch {
    let mut batch = Batch::new();
    for dirty in std::mem::take(&mut pools.dirty) {
        match dirty {
            Key::Asset(id) => {
                touched.insert(Part::Asset(id));
                let value = pools.assets.get(&id).map(encode_asset);
                change(&mut batch, ASSETS, &id.0, value);
            }
            Key::Set(pay_id) => {
                touched.insert(Part::Set(pay_id));
                let set = pools.sets.get(&pay_id);
                let pending = set.filter(|set| set.verified.is_none()).map(encode_set);
                let verified = set.filter(|set| set.verified.is_some()).map(encode_set);
                change(&mut batch, PENDING, &pay_id.0, pending);
                change(&mut batch, VERIFIED, &pay_id.0, verified);
                match set {
                    Some(_) => relay.sent(pay_id, now),
                    None => relay.forget(&pay_id),
                }
            }
            Key::Orphan(pay_id) => {
                let value = pools.orphans.get(&pay_id).map(encode_orphan);
                change(&mut batch, ORPHANS, &pay_id.0, value);
            }
            Key::Settled(pay_id) => {
                let value = pools.settled.get(&pay_id).map(encode_settled);
                change(&mut batch, SETTLED, &pay_id.0, value);
            }
        }
    }
    batch
}

impl Reservoir {
    /// Reads the pools from the store. What the chain has made void since, or what can not be
    /// read, is dropped in the batch that comes out.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn load(
        caps: Caps,
        timing: Timing,
        now: Now,
        confirmed: &Confirmed<'_>,
        out: &mut Vec<Effect>,
    ) -> Result<Self, StoreFault> {
        let mut pools = Self::new(caps, timing, now);
        pools.load_time(now, confirmed, out)?;
        let mut void = Batch::new();
        for letter in [ASSETS, PENDING, VERIFIED, ORPHANS, SETTLED] {
            let mut from = vec![letter];
            loop {
                let view = confirmed.view();
                let entries = view.scan(Pool::Reservoir, &[letter], &from, CHUNK)?;
                let Some((last, _)) = entries.last() else {
                    break;
                };
                from = [last.as_slice(), &[0]].concat();
                for (key, value) in entries {
                    let id = key.get(1..).unwrap_or_default();
                    if !pools.load_entry(letter, id, &value, confirmed)? {
                        void.delete(Pool::Reservoir, key);
                    }
                }
            }
        }
        pools.drop_unlinked(confirmed)?;
        // What was read is on the disk; what was changed while reading is not.
        let all = changes(
            &mut pools.pools,
            &mut pools.relay,
            &mut BTreeSet::new(),
            now.mono,
        );
        let mut batch = differing(&all, confirmed)?;
        batch.extend(void);
        for pay_id in pools.pools.sets.keys() {
            pools.relay.loaded(*pay_id, now.mono);
        }
        if !batch.is_empty() {
            out.push(Effect::Log(format!(
                "{} entries of the pools were changed at the start",
                batch.len()
            )));
            out.push(Effect::Persist(batch));
        }
        pools.pools.verified_changed = false;
        Ok(pools)
    }

    /// What the stored pools change by when records of blocks come back while no node runs.
    /// The pools are read against the chain with those blocks (`before`), so nothing that follows
    /// from them is void, and are told of the chain without them (`after`). The records are in the
    /// order of the chain.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn with_returned(
        caps: Caps,
        now: Now,
        returned: Vec<Returned>,
        before: &Confirmed<'_>,
        after: &Confirmed<'_>,
    ) -> Result<Batch, StoreFault> {
        let mut effects = Vec::new();
        let mut pools = Self::load(caps, Timing::default(), now, before, &mut effects)?;
        let input = Input::BlocksTakenOff {
            returned,
            is_checked: true,
        };
        pools.step(now, input, after, &mut effects);
        let mut all = Batch::new();
        for effect in effects {
            match effect {
                Effect::Persist(batch) => all.extend(batch),
                Effect::Fault(fault) => return Err(fault),
                _ => {}
            }
        }
        Ok(all)
    }

    /// Keeps the time, so that a clock that is set back while no node runs lengthens no life by
    /// more than a few minutes.
    pub(super) fn keep_time(&mut self, batch: &mut Batch) {
        let is_due = self.time >= self.kept_time.saturating_add(TIME_EVERY_S);
        if is_due && self.pools.has_lapsing() {
            self.kept_time = self.time;
            batch.put(Pool::Reservoir, [TIME], encode_time(self.time));
        }
    }

    /// Goes on from the time that was kept if the clock is behind it.
    fn load_time(
        &mut self,
        now: Now,
        confirmed: &Confirmed<'_>,
        out: &mut Vec<Effect>,
    ) -> Result<(), StoreFault> {
        let kept = confirmed.view().get(Pool::Reservoir, &[TIME])?;
        self.kept_time = kept.and_then(|value| read_time(&value)).unwrap_or_default();
        if self.kept_time > now.wall {
            out.push(Effect::Log(format!(
                "the clock is {} s behind what it was when the node ran last; lives go on from then",
                self.kept_time - now.wall
            )));
            self.clock = Clock::new(Now {
                wall: self.kept_time,
                ..now
            });
            self.time = self.kept_time;
        }
        Ok(())
    }

    /// Takes an entry of the store; whether it counts.
    fn load_entry(
        &mut self,
        letter: u8,
        id: &[u8],
        value: &[u8],
        confirmed: &Confirmed<'_>,
    ) -> Result<bool, StoreFault> {
        Ok(match letter {
            ASSETS => {
                let testing = confirmed.chain().testing;
                match AssetId::from_bytes(id)
                    .ok()
                    .zip(read_asset(id, value, testing))
                {
                    Some((id, mut asset)) if !confirmed.has_asset(&id)? => {
                        let longest = self.time.saturating_add(ASSET_LIFE_S);
                        asset.deadline = asset.deadline.min(longest);
                        self.pools.put_asset(id, asset);
                        true
                    }
                    _ => false,
                }
            }
            PENDING | VERIFIED => {
                let testing = confirmed.chain().testing;
                match PayId::from_bytes(id).ok().zip(read_set(value, testing)) {
                    Some((pay_id, set))
                        if PayId::of([set.members.bytes()]) == pay_id
                            && set.verified.is_some() == (letter == VERIFIED) =>
                    {
                        self.load_set(pay_id, set, confirmed)?
                    }
                    _ => false,
                }
            }
            ORPHANS => match PayId::from_bytes(id).ok().zip(read_orphan(value)) {
                Some((pay_id, mut orphan)) => {
                    let longest = self.time.saturating_add(LIFE_S);
                    orphan.deadline = orphan.deadline.min(longest);
                    self.pools.put_orphan(pay_id, orphan);
                    true
                }
                None => false,
            },
            _ => match PayId::from_bytes(id).ok().zip(read_settled(value)) {
                Some((pay_id, settled)) if !self.pools.sets.contains_key(&pay_id) => {
                    self.pools.put_settled(pay_id, settled);
                    true
                }
                _ => false,
            },
        })
    }

    fn load_set(
        &mut self,
        pay_id: PayId,
        mut set: Set,
        confirmed: &Confirmed<'_>,
    ) -> Result<bool, StoreFault> {
        let longest = self.time.saturating_add(LIFE_S);
        set.deadline = set.deadline.min(longest);
        let mut block = None;
        for (id, mark) in set.members.marks() {
            let stored = read::transaction(confirmed.view(), id)?;
            *mark = stored.is_some();
            block = block.max(stored.map(|stored| stored.block));
            if self.pools.has_member(id) {
                return Ok(false);
            }
        }
        if block.is_some() && set.verified.is_none() {
            return Ok(false);
        }
        for asset in set.assets() {
            if !self.has_cached_asset(&asset) && !confirmed.has_asset(&asset)? {
                return Ok(false);
            }
        }
        let taken = |link| self.pools.links.contains_key(&link);
        if set.link().is_some_and(taken) {
            return Ok(false);
        }
        self.put_back(pay_id, set, block.unwrap_or_default());
        Ok(self.pools.sets.contains_key(&pay_id))
    }

    /// Drops transfers of what neither the chain nor the pools have any more.
    fn drop_unlinked(&mut self, confirmed: &Confirmed<'_>) -> Result<(), StoreFault> {
        let mut unlinked = Vec::new();
        for (link, pay_id) in &self.pools.links {
            let owned = match confirmed.record(link)? {
                Some(linked) => confirmed.ownership(linked.owner(), link)?.is_some(),
                None => false,
            };
            if !owned {
                unlinked.push((*link, *pay_id));
            }
        }
        loop {
            let before = unlinked.len();
            unlinked.retain(|(link, pay_id)| {
                let kept = self.pools.has_member(link);
                if !kept {
                    self.pools.take_set(pay_id);
                }
                kept
            });
            if unlinked.len() == before {
                return Ok(());
            }
        }
    }
}

/// The changes that say something else than the store does.
fn differing(batch: &Batch, confirmed: &Confirmed<'_>) -> Result<Batch, StoreFault> {
    let mut left = Batch::new();
    for (pool, key, value) in batch.iter() {
        if confirmed.view().get(pool, key)?.as_deref() != value {
            match value {
                Some(value) => left.put(pool, key, value),
                None => left.delete(pool, key),
            }
        }
    }
    Ok(left)
}
