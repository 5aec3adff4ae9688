//! The pools in the store (`proto/reservoir.md`, section 19): one entry a set, an asset, an orphan
//! payment, and the proof of a confirmed set; the first byte of the key says which. What can be
//! computed from these (indexes, links, deadlines, payments) is not stored twice.
//!
//! After a start every entry is looked at against the chain before it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    ASSET_LIFE_S, Caps, Confirmed, Kind, LIFE_S, Member, Orphan, PaymentDetail, Remembered,
    Reservoir, ReservoirError, Set, State, Timed, Verified, payments,
};
use crate::core::chain::Chain;
use crate::core::codec;
use crate::core::currency::Currency;
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::ledger::read;
use crate::core::mining::proof::ClientNonce;
use crate::core::state::{Entry, Pool};
use crate::core::time::{Millis, Now};

const VERSION: u8 = 1;
const SET: u8 = b'E';
const ASSET: u8 = b'A';
const ORPHAN: u8 = b'O';
const CONFIRMED: u8 = b'C';
/// Entries read at a time.
const PAGE: usize = 1024;

#[derive(Serialize, Deserialize)]
enum StoredState {
    Pending,
    Proof(Vec<u8>),
    Payment,
    Block,
}

#[derive(Serialize, Deserialize)]
struct StoredSet {
    members: Vec<Vec<u8>>,
    present: Vec<bool>,
    state: StoredState,
    deadline: u64,
    number: u64,
    source: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredAsset {
    packed: Vec<u8>,
    deadline: u64,
    source: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredOrphan {
    currency: u64,
    tx_id: String,
    amounts: Vec<(Vec<u8>, u64)>,
    deadline: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredConfirmed {
    block: u64,
    members: Vec<Vec<u8>>,
    state: StoredState,
}

fn key(kind: u8, id: &[u8]) -> Vec<u8> {
    [&[kind], id].concat()
}

fn stored_state(state: &State) -> StoredState {
    match state {
        State::Pending => StoredState::Pending,
        State::Verified(Verified::Proof(nonce)) => StoredState::Proof(nonce.as_bytes().to_vec()),
        State::Verified(Verified::Payment) => StoredState::Payment,
        State::Verified(Verified::Block) => StoredState::Block,
    }
}

fn state_of(stored: StoredState) -> Option<State> {
    Some(match stored {
        StoredState::Pending => State::Pending,
        StoredState::Proof(nonce) => {
            State::Verified(Verified::Proof(ClientNonce::new(&nonce).ok()?))
        }
        StoredState::Payment => State::Verified(Verified::Payment),
        StoredState::Block => State::Verified(Verified::Block),
    })
}

impl Reservoir {
    pub(super) fn persist_set(&mut self, pay_id: &PayId) {
        let Some(set) = self.sets.get(pay_id) else {
            return;
        };
        let stored = StoredSet {
            members: set.members.iter().map(|m| m.packed.to_vec()).collect(),
            present: set.members.iter().map(|m| m.present).collect(),
            state: stored_state(&set.state),
            deadline: set.deadline,
            number: set.number,
            source: set.source,
        };
        let value = codec::encode(VERSION, &stored);
        self.batch.put(Pool::Reservoir, key(SET, &pay_id.0), value);
    }

    pub(super) fn forget_set(&mut self, pay_id: &PayId) {
        self.batch.delete(Pool::Reservoir, key(SET, &pay_id.0));
    }

    pub(super) fn persist_asset(&mut self, id: &AssetId) {
        let Some(asset) = self.assets.get(id) else {
            return;
        };
        let stored = StoredAsset {
            packed: asset.packed.to_vec(),
            deadline: asset.deadline,
            source: asset.source,
        };
        let value = codec::encode(VERSION, &stored);
        self.batch.put(Pool::Reservoir, key(ASSET, &id.0), value);
    }

    pub(super) fn forget_asset(&mut self, id: &AssetId) {
        self.batch.delete(Pool::Reservoir, key(ASSET, &id.0));
    }

    pub(super) fn persist_orphan(&mut self, pay_id: &PayId) {
        let Some(orphan) = self.orphans.get(pay_id) else {
            return;
        };
        let detail = &orphan.detail;
        let stored = StoredOrphan {
            currency: detail.currency.code(),
            tx_id: detail.tx_id.clone(),
            amounts: detail
                .amounts
                .iter()
                .map(|(a, n)| (a.clone(), *n))
                .collect(),
            deadline: orphan.deadline,
        };
        let value = codec::encode(VERSION, &stored);
        self.batch
            .put(Pool::Reservoir, key(ORPHAN, &pay_id.0), value);
    }

    pub(super) fn forget_orphan(&mut self, pay_id: &PayId) {
        self.batch.delete(Pool::Reservoir, key(ORPHAN, &pay_id.0));
    }

    pub(super) fn persist_remembered(&mut self, pay_id: &PayId) {
        let Some(known) = self.remembered.get(pay_id) else {
            return;
        };
        let stored = StoredConfirmed {
            block: known.block,
            members: known.members.iter().map(|m| m.to_vec()).collect(),
            state: stored_state(&State::Verified(known.verified.clone())),
        };
        let value = codec::encode(VERSION, &stored);
        self.batch
            .put(Pool::Reservoir, key(CONFIRMED, &pay_id.0), value);
    }

    pub(super) fn forget_remembered(&mut self, pay_id: &PayId) {
        self.batch
            .delete(Pool::Reservoir, key(CONFIRMED, &pay_id.0));
    }

    /// The pools as the store has them. Entries that are damaged, or that the chain has made
    /// impossible meanwhile, are dropped from the store with the next changes; they are counted.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn load(
        now: Now,
        chain: &'static Chain,
        caps: Caps,
        rebroadcast_ms: Millis,
        state: Confirmed<'_>,
    ) -> Result<(Self, usize), ReservoirError> {
        let mut pools = Self::new(chain, caps, rebroadcast_ms);
        pools.clock.see(now);
        let mut dropped = 0;
        for (full, value) in all(state, ASSET)? {
            let read = pools.load_asset(&full, &value, state)?;
            dropped += pools.drop_unless(read, full);
        }
        // In the order in which they were taken, which is the order in a block.
        let mut sets = Vec::new();
        for (full, value) in all(state, SET)? {
            match codec::decode::<StoredSet>(VERSION, &value) {
                Some(stored) => sets.push((stored.number, full, stored)),
                None => dropped += pools.drop_unless(false, full),
            }
        }
        sets.sort_by_key(|(number, ..)| *number);
        let count = sets.len().max(1) as u64;
        for (position, (_, full, stored)) in sets.into_iter().enumerate() {
            // Spread over the first interval, so that a restart is no flood.
            let offset = rebroadcast_ms.saturating_mul(position as u64) / count;
            let read = pools.load_set(now, &full, stored, offset, state)?;
            dropped += pools.drop_unless(read, full);
        }
        for (full, value) in all(state, ORPHAN)? {
            let read = pools.load_orphan(&full, &value);
            dropped += pools.drop_unless(read.is_some(), full);
        }
        for (full, value) in all(state, CONFIRMED)? {
            let read = pools.load_confirmed(&full, &value);
            dropped += pools.drop_unless(read.is_some(), full);
        }
        Ok((pools, dropped))
    }

    fn drop_unless(&mut self, is_good: bool, full: Vec<u8>) -> usize {
        if is_good {
            return 0;
        }
        self.batch.delete(Pool::Reservoir, full);
        1
    }

    /// A life is never longer than it was made, whatever the clock does.
    fn lifetime(&self, deadline: u64, life: u64) -> u64 {
        deadline.min(self.clock.now().saturating_add(life))
    }

    fn load_asset(
        &mut self,
        full: &[u8],
        value: &[u8],
        state: Confirmed<'_>,
    ) -> Result<bool, ReservoirError> {
        let id = full.get(1..).and_then(|id| AssetId::from_bytes(id).ok());
        let (Some(id), Some(stored)) = (id, codec::decode::<StoredAsset>(VERSION, value)) else {
            return Ok(false);
        };
        if read::has_asset(state.view, &id)? {
            return Ok(false);
        }
        let deadline = self.lifetime(stored.deadline, ASSET_LIFE_S);
        self.insert_asset(id, stored.packed.into(), deadline, stored.source);
        Ok(true)
    }

    fn load_set(
        &mut self,
        now: Now,
        full: &[u8],
        stored: StoredSet,
        offset: Millis,
        state: Confirmed<'_>,
    ) -> Result<bool, ReservoirError> {
        let pay_id = full.get(1..).and_then(|id| PayId::from_bytes(id).ok());
        let (Some(pay_id), Some(of)) = (pay_id, state_of(stored.state)) else {
            return Ok(false);
        };
        if stored.present.len() != stored.members.len() {
            return Ok(false);
        }
        let mut members = Vec::with_capacity(stored.members.len());
        for (packed, present) in stored.members.into_iter().zip(stored.present) {
            let id = TxId::of(&packed);
            let is_confirmed = read::has_transaction(state.view, &id)?;
            if is_confirmed && present && of == State::Pending {
                return Ok(false);
            }
            members.push(Member {
                id,
                packed: packed.into(),
                present: present && !is_confirmed && !self.index.contains_key(&id),
            });
        }
        if !members.iter().any(|member| member.present) {
            return Ok(false);
        }
        let Some((kind, owners)) = self.kind_of(&members, state) else {
            return Ok(false);
        };
        let payments = match &kind {
            Kind::Issues { assets } => {
                payments::for_issues(assets, members.len(), state, self.chain)?
            }
            Kind::Transfer { link } => {
                if self.links.contains_key(link) {
                    return Ok(false);
                }
                let linked = read::owned_record(state.view, link, self.chain.testing)?;
                let ownership = match &linked {
                    Some(linked) => read::ownership(state.view, linked.owner(), link)?,
                    None => None,
                };
                match (linked, ownership) {
                    (Some(linked), Some(ownership)) => Some(payments::for_transfer(
                        &ownership,
                        linked.escrow(),
                        state,
                        self.chain,
                    )?),
                    // The link is spent: this one can never stand in a block.
                    (Some(_), None) => return Ok(false),
                    (None, _) => None,
                }
            }
        };
        let set = Set {
            kind,
            members,
            state: of,
            payments,
            deadline: self.lifetime(stored.deadline, LIFE_S),
            number: 0,
            source: stored.source,
            owners,
            next_broadcast: 0,
        };
        self.insert(now, pay_id, set);
        self.shift_broadcast(&pay_id, now.mono.saturating_add(offset));
        Ok(true)
    }

    fn shift_broadcast(&mut self, pay_id: &PayId, at: Millis) {
        if let Some(set) = self.sets.get_mut(pay_id) {
            self.broadcasts.remove(&(set.next_broadcast, *pay_id));
            set.next_broadcast = at;
            self.broadcasts.insert((at, *pay_id));
        }
    }

    fn load_orphan(&mut self, full: &[u8], value: &[u8]) -> Option<()> {
        let pay_id = PayId::from_bytes(full.get(1..)?).ok()?;
        let stored: StoredOrphan = codec::decode(VERSION, value)?;
        let deadline = self.lifetime(stored.deadline, LIFE_S);
        let detail = PaymentDetail {
            currency: Currency::from_code(stored.currency).ok()?,
            tx_id: stored.tx_id,
            amounts: stored.amounts.into_iter().collect::<BTreeMap<_, _>>(),
        };
        self.deadlines.insert((deadline, Timed::Orphan(pay_id)));
        self.orphans.insert(pay_id, Orphan { detail, deadline });
        Some(())
    }

    fn load_confirmed(&mut self, full: &[u8], value: &[u8]) -> Option<()> {
        let pay_id = PayId::from_bytes(full.get(1..)?).ok()?;
        let stored: StoredConfirmed = codec::decode(VERSION, value)?;
        let State::Verified(verified) = state_of(stored.state)? else {
            return None;
        };
        let members: Vec<Arc<[u8]>> = stored.members.into_iter().map(Arc::from).collect();
        for packed in &members {
            self.remembered_of.insert(TxId::of(packed), pay_id);
        }
        let known = Remembered {
            block: stored.block,
            members,
            verified,
        };
        self.remembered.insert(pay_id, known);
        Some(())
    }
}

/// All entries of a kind.
fn all(state: Confirmed<'_>, kind: u8) -> Result<Vec<Entry>, ReservoirError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut from = vec![kind];
    loop {
        let page = state.view.scan(Pool::Reservoir, &[kind], &from, PAGE)?;
        let is_last = page.len() < PAGE;
        entries.extend(page);
        match entries.last() {
            Some((last, _)) if !is_last => {
                from.clone_from(last);
                from.push(0);
            }
            _ => return Ok(entries),
        }
    }
}
