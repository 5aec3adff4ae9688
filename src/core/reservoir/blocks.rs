//! The pools and the blocks: what is put into one, what leaves with one, what comes back with one
//! that is taken off (`proto/reservoir.md`, section 9).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Confirmed, Kind, LIFE_S, Member, REMEMBERED_BLOCKS, Remembered, Reservoir, ReservoirError, Set,
    State, Verified,
};
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::Account;
use crate::core::ledger::{self, Returned, read};
use crate::core::mining::assembly::{AssetNeed, Candidate};
use crate::core::record::Record;
use crate::core::state::StoreFault;
use crate::core::time::Now;

/// What can be said of a record that waits for a block.
enum Fit {
    Now(AssetNeed),
    Later,
    Never,
}

impl Reservoir {
    /// At most so many verified records that may stand in the next block, in the order in which
    /// they were taken. What can never stand in one any more is dropped.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn candidates(
        &mut self,
        limit: usize,
        state: Confirmed<'_>,
    ) -> Result<Vec<Candidate>, ReservoirError> {
        let mut candidates = Vec::new();
        let mut impossible = Vec::new();
        'sets: for pay_id in self.verified_order.values() {
            let Some(set) = self.sets.get(pay_id) else {
                continue;
            };
            for (index, member) in set.members.iter().enumerate() {
                if !member.present {
                    continue;
                }
                if candidates.len() >= limit {
                    break 'sets;
                }
                match self.fit(member, state)? {
                    Fit::Now(asset) => candidates.push(Candidate {
                        id: member.id,
                        packed: Arc::clone(&member.packed),
                        link: match set.kind {
                            Kind::Transfer { link } => Some(link),
                            Kind::Issues { .. } => None,
                        },
                        asset,
                    }),
                    Fit::Later => {}
                    Fit::Never => impossible.push((*pay_id, index)),
                }
            }
        }
        for (pay_id, index) in impossible {
            self.remove_member(&pay_id, index);
        }
        Ok(candidates)
    }

    fn fit(&self, member: &Member, state: Confirmed<'_>) -> Result<Fit, StoreFault> {
        let testing = self.chain.testing;
        let Ok((record, _)) = Record::unpack(&member.packed, testing) else {
            return Ok(Fit::Never);
        };
        if read::has_transaction(state.view, &member.id)? {
            return Ok(Fit::Never);
        }
        if let Record::BitmarkIssue(issue) = &record {
            if read::has_asset(state.view, &issue.asset_id)? {
                return Ok(Fit::Now(AssetNeed::None));
            }
            return Ok(match self.assets.get(&issue.asset_id) {
                Some(asset) => Fit::Now(AssetNeed::Cached {
                    id: issue.asset_id,
                    packed: Arc::clone(&asset.packed),
                }),
                None => Fit::Later,
            });
        }
        let Some(link) = record.link() else {
            return Ok(Fit::Never);
        };
        let Some(linked) = read::owned_record(state.view, &link, testing)? else {
            // Its block was taken off; it may come again.
            return Ok(Fit::Later);
        };
        let owns = read::currently_owns(state.view, linked.owner(), &link)?;
        Ok(if owns {
            Fit::Now(AssetNeed::None)
        } else {
            Fit::Never
        })
    }

    /// A block went in: what it confirms leaves the pools, with what contradicts it.
    pub fn confirmed(&mut self, now: Now, block: u64, confirmed: &[ledger::Confirmed]) {
        self.clock.see(now);
        self.forget_old(block);
        for item in confirmed {
            match item {
                ledger::Confirmed::Asset(id) => self.remove_asset(id),
                ledger::Confirmed::Issue(id) => self.leave(block, id),
                ledger::Confirmed::Transfer { id, link } => {
                    self.leave(block, id);
                    if let Some(other) = self.links.get(link).copied() {
                        self.leave(block, &other);
                    }
                }
            }
        }
    }

    /// One transaction is confirmed: the whole of a pending set goes, of a verified one it alone.
    fn leave(&mut self, block: u64, id: &TxId) {
        let Some(pay_id) = self.index.get(id).copied() else {
            return;
        };
        let Some(set) = self.sets.get(&pay_id) else {
            return;
        };
        let State::Verified(verified) = &set.state else {
            self.remove(&pay_id);
            return;
        };
        let index = set.members.iter().position(|m| m.id == *id && m.present);
        let members = set.members.iter().map(|m| Arc::clone(&m.packed)).collect();
        let remembered = Remembered {
            block,
            members,
            verified: verified.clone(),
        };
        self.remember(pay_id, remembered);
        if let Some(index) = index {
            self.remove_member(&pay_id, index);
        }
    }

    pub(super) fn remember(&mut self, pay_id: PayId, remembered: Remembered) {
        for packed in &remembered.members {
            self.remembered_of.insert(TxId::of(packed), pay_id);
        }
        self.remembered.insert(pay_id, remembered);
        self.persist_remembered(&pay_id);
    }

    fn forget_old(&mut self, block: u64) {
        let old: Vec<PayId> = self
            .remembered
            .iter()
            .filter(|(_, known)| known.block.saturating_add(REMEMBERED_BLOCKS) < block)
            .map(|(pay_id, _)| *pay_id)
            .collect();
        for pay_id in old {
            self.forget(&pay_id);
        }
    }

    fn forget(&mut self, pay_id: &PayId) -> Option<Remembered> {
        let remembered = self.remembered.remove(pay_id)?;
        for packed in &remembered.members {
            self.remembered_of.remove(&TxId::of(packed));
        }
        self.forget_remembered(pay_id);
        Some(remembered)
    }

    /// Blocks were taken off: their records come back, with their proof or payment as far as it is
    /// known here. `state` is that without these blocks.
    pub fn returned(&mut self, now: Now, records: Vec<Returned>, state: Confirmed<'_>) {
        self.clock.see(now);
        let mut sets: BTreeMap<PayId, Vec<Returned>> = BTreeMap::new();
        let mut order = Vec::new();
        for record in records {
            if let Record::AssetData(asset) = record.record {
                // A full cache is no reason to lose what others can bring again.
                let _ = self.cache_asset(now, asset, 0, state);
                continue;
            }
            let pay_id = self
                .remembered_of
                .get(&record.id)
                .copied()
                .unwrap_or_else(|| PayId::of([record.packed.as_slice()]));
            if !sets.contains_key(&pay_id) {
                order.push(pay_id);
            }
            sets.entry(pay_id).or_default().push(record);
        }
        for pay_id in order {
            let records = sets.remove(&pay_id).unwrap_or_default();
            self.return_set(now, pay_id, records, state);
        }
    }

    fn return_set(
        &mut self,
        now: Now,
        pay_id: PayId,
        records: Vec<Returned>,
        state: Confirmed<'_>,
    ) {
        let remembered = self.forget(&pay_id);
        let back: BTreeSet<TxId> = records.iter().map(|record| record.id).collect();
        if let Some(set) = self.sets.get(&pay_id).cloned() {
            // The rest of it is still here: all of it is again.
            self.remove(&pay_id);
            let members = set
                .members
                .into_iter()
                .map(|mut member| {
                    member.present |= back.contains(&member.id);
                    member
                })
                .collect();
            self.insert(now, pay_id, Set { members, ..set });
            return;
        }
        let (packed, verified) = match remembered {
            Some(known) => (known.members, known.verified),
            None => (
                records
                    .iter()
                    .map(|r| Arc::from(r.packed.as_slice()))
                    .collect(),
                Verified::Block,
            ),
        };
        let mut first = BTreeSet::new();
        let members: Vec<Member> = packed
            .into_iter()
            .map(|packed: Arc<[u8]>| {
                let id = TxId::of(&packed);
                let free = !self.index.contains_key(&id);
                Member {
                    id,
                    packed,
                    present: back.contains(&id) && free && first.insert(id),
                }
            })
            .collect();
        if !members.iter().any(|member| member.present) {
            return;
        }
        let Some((kind, owners)) = self.kind_of(&members, state) else {
            return;
        };
        if let Kind::Transfer { link } = &kind
            && self.links.contains_key(link)
        {
            return;
        }
        let set = Set {
            kind,
            members,
            state: State::Verified(verified),
            payments: None,
            deadline: self.clock.now().saturating_add(LIFE_S),
            number: 0,
            source: 0,
            owners,
            next_broadcast: 0,
        };
        self.insert(now, pay_id, set);
    }

    /// What a set is, from its records.
    pub(super) fn kind_of(
        &self,
        members: &[Member],
        state: Confirmed<'_>,
    ) -> Option<(Kind, BTreeSet<Account>)> {
        let mut assets: BTreeSet<AssetId> = BTreeSet::new();
        let mut owners = BTreeSet::new();
        for member in members {
            let (record, _) = Record::unpack(&member.packed, self.chain.testing).ok()?;
            match record {
                Record::BitmarkIssue(issue) => {
                    assets.insert(issue.asset_id);
                    owners.insert(issue.owner);
                }
                record => {
                    let link = record.link()?;
                    let linked = read::owned_record(state.view, &link, self.chain.testing);
                    if let Ok(Some(linked)) = linked {
                        owners.insert(*linked.owner());
                    }
                    return Some((Kind::Transfer { link }, owners));
                }
            }
        }
        Some((Kind::Issues { assets }, owners))
    }
}
