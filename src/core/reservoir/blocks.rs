//! What blocks do to the pools (`proto/reservoir.md`, section 9): confirmed records leave, and
//! with them what has become impossible; records of a block that comes off return with the proof
//! or the payment that had verified them.
//!
//! What verified a confirmed set is kept while its block may be taken off, and for at most as
//! many records as may be pending. Those come back whatever room there is: they are acknowledged.
//! So do their assets, and what transfers in the pools follow. That is at most twice as many again
//! as may be pending. Everything else that comes back is a newcomer, and refused when there is no
//! room.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::confirmed::Confirmed;
use super::due::Due;
use super::error::Refusal;
use super::members::{Member, Members};
use super::payments::transfer_due;
use super::set::{CachedAsset, Kind, Set, Settled};
use super::{ASSET_LIFE_S, Effect, LIFE_S, Reservoir};
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::ledger;
use crate::core::record::Record;
use crate::core::state::StoreFault;

impl Reservoir {
    pub(super) fn on_block_stored(
        &mut self,
        number: u64,
        records: &[ledger::Confirmed],
        confirmed: &Confirmed<'_>,
    ) {
        let mut gone = Vec::new();
        for record in records {
            match record {
                ledger::Confirmed::Asset(id) => {
                    self.pools.take_asset(id);
                }
                ledger::Confirmed::Issue(id) => gone.extend(self.confirm(id, number)),
                ledger::Confirmed::Transfer { id, link } => {
                    let same = self
                        .same_transfer(id, link, confirmed)
                        .unwrap_or_else(|fault| {
                            self.effects.push(Effect::Fault(fault));
                            None
                        });
                    gone.extend(self.confirm(&same.unwrap_or(*id), number));
                    gone.extend(self.drop_rival(link));
                }
            }
        }
        self.drop_followers(gone, confirmed);
        for record in records {
            if let ledger::Confirmed::Issue(id) | ledger::Confirmed::Transfer { id, .. } = record {
                let result = self.list_follower(id, confirmed);
                self.note_fault(result);
            }
        }
        while let Some((block, pay_id)) = self.pools.settled_blocks.first().copied() {
            let final_now = block.saturating_add(confirmed.chain().rules.fork_protection) < number;
            if !final_now && self.pools.confirmed_members.len() <= self.caps.pending_records {
                break;
            }
            self.pools.take_settled(&pay_id);
        }
    }

    /// A record is in a block: a pending set goes whole, of a verified one this record. What
    /// went without being in that block, perhaps.
    fn confirm(&mut self, id: &TxId, block: u64) -> Vec<TxId> {
        let Some(pay_id) = self.pools.set_of(id).map(|(pay_id, _)| pay_id) else {
            return Vec::new();
        };
        let Some(mut set) = self.pools.take_set(&pay_id) else {
            return Vec::new();
        };
        if set.verified.is_none() {
            return set.ids();
        }
        for (member, mark) in set.members.marks() {
            *mark |= member == id;
        }
        self.put_back(pay_id, set, block);
        Vec::new()
    }

    /// Keeps what is left of a verified set, or what verified it.
    pub(super) fn put_back(&mut self, pay_id: PayId, set: Set, block: u64) {
        let whole = set.live().next().is_none();
        match set.verified {
            Some(verified) if whole => {
                let settled = Settled {
                    members: set.members.iter().map(|member| member.id).collect(),
                    verified,
                    due: set.due,
                    source: set.source,
                    deadline: set.deadline,
                    block,
                };
                self.pools.put_settled(pay_id, settled);
            }
            _ => self.pools.put_set(pay_id, set),
        }
    }

    /// The transfer of the pools that a block has in another form: bytes can say one record in
    /// more than one way, and each has an id of its own. The pools have the canonical one alone.
    fn same_transfer(
        &self,
        id: &TxId,
        link: &TxId,
        confirmed: &Confirmed<'_>,
    ) -> Result<Option<TxId>, StoreFault> {
        let waiting = self.pools.links.get(link);
        let Some(set) = waiting.and_then(|pay_id| self.pools.sets.get(pay_id)) else {
            return Ok(None);
        };
        let ours = set.members.first().map(|member| member.id);
        if ours == Some(*id) {
            return Ok(ours);
        }
        let record = confirmed.record(id)?;
        let canonical = record.map(|record| TxId::of(&record.pack_unchecked()));
        Ok(ours.filter(|ours| canonical == Some(*ours)))
    }

    /// A transfer that the pools know in its canonical form, in that form.
    fn as_known(&self, record: &ledger::Returned) -> Option<ledger::Returned> {
        record.record.link()?;
        let packed = record.record.pack_unchecked();
        let id = TxId::of(&packed);
        let is_other = id != record.id && self.pools.confirmed_members.contains_key(&id);
        is_other.then(|| ledger::Returned {
            id,
            packed,
            record: record.record.clone(),
        })
    }

    /// Nobody else may follow this link any more. What went.
    fn drop_rival(&mut self, link: &TxId) -> Vec<TxId> {
        let rival = self.pools.links.get(link).copied();
        let set = rival.and_then(|pay_id| self.pools.take_set(&pay_id));
        set.map_or_else(Vec::new, |set| set.ids())
    }

    /// Removes a record as if a block had confirmed it.
    ///
    /// # Errors
    /// [`Refusal::DeleteIdUnlocked`] unless the pools are held.
    pub fn delete_transaction(&mut self, id: &TxId, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        if !self.held {
            return Err(Refusal::DeleteIdUnlocked);
        }
        self.confirm(id, 0);
        self.finish(out);
        Ok(())
    }

    /// Removes the transfer that has taken this link.
    ///
    /// # Errors
    /// [`Refusal::DeleteLinkUnlocked`] unless the pools are held.
    pub fn delete_link(&mut self, link: &TxId, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        if !self.held {
            return Err(Refusal::DeleteLinkUnlocked);
        }
        self.drop_rival(link);
        self.finish(out);
        Ok(())
    }

    /// Removes an asset from the cache.
    pub fn delete_asset(&mut self, id: &AssetId, out: &mut Vec<Effect>) {
        self.pools.take_asset(id);
        self.finish(out);
    }

    pub(super) fn on_blocks_taken_off(
        &mut self,
        mut returned: Vec<ledger::Returned>,
        is_checked: bool,
        confirmed: &Confirmed<'_>,
    ) {
        for record in &mut returned {
            if let Some(known) = self.as_known(record) {
                *record = known;
            }
        }
        let packed: BTreeMap<TxId, &ledger::Returned> =
            returned.iter().map(|record| (record.id, record)).collect();
        let is_known = |record: &ledger::Returned| match &record.record {
            Record::AssetData(_) => false,
            _ => self.pools.confirmed_members.contains_key(&record.id),
        };
        let (known, newcomers): (Vec<_>, Vec<_>) = returned.iter().partition(|one| is_known(one));
        let followed = self.followed(&returned);
        let mut needed: BTreeSet<AssetId> = self.pools.uses.keys().copied().collect();
        let kept = returned
            .iter()
            .filter(|one| is_known(one) || followed.contains(&one.id));
        needed.extend(kept.filter_map(|one| match &one.record {
            Record::BitmarkIssue(issue) => Some(issue.asset_id),
            _ => None,
        }));
        for record in known {
            let result = self.return_record(record, &packed, &followed, confirmed);
            self.note_fault(result);
        }
        for record in newcomers.into_iter().filter(|_| is_checked) {
            let result = match &record.record {
                Record::AssetData(asset) => {
                    let id = AssetId::of(&asset.fingerprint);
                    self.return_asset(id, &record.packed, &mut needed, confirmed)
                }
                Record::BitmarkIssue(_)
                | Record::BitmarkTransferUnratified(_)
                | Record::BitmarkTransferCountersigned(_)
                | Record::BlockOwnerTransfer(_) => {
                    self.return_record(record, &packed, &followed, confirmed)
                }
                Record::BaseData(_) | Record::BlockFoundation(_) => Ok(()),
            };
            self.note_fault(result);
        }
        // What did not come back has no followers.
        let ids = returned.iter().map(|record| record.id);
        self.drop_followers(ids.collect(), confirmed);
    }

    /// The returned records that transfers in the pools, or that come back verified, follow: at
    /// most as many as may be pending.
    fn followed(&self, returned: &[ledger::Returned]) -> BTreeSet<TxId> {
        let mut links = BTreeSet::new();
        let mut followed = BTreeSet::new();
        for record in returned.iter().rev() {
            let is_followed =
                links.contains(&record.id) || self.pools.links.contains_key(&record.id);
            if is_followed && followed.len() < self.caps.pending_records {
                followed.insert(record.id);
            }
            let is_known = self.pools.confirmed_members.contains_key(&record.id);
            if is_known || followed.contains(&record.id) {
                links.extend(record.record.link());
            }
        }
        followed
    }

    /// A store that can not be read is told; the step goes on.
    fn note_fault(&mut self, result: Result<(), StoreFault>) {
        self.effects.extend(result.err().map(Effect::Fault));
    }

    /// An asset of a verified set comes back in any case; none makes room for the next.
    fn return_asset(
        &mut self,
        id: AssetId,
        packed: &[u8],
        needed: &mut BTreeSet<AssetId>,
        confirmed: &Confirmed<'_>,
    ) -> Result<(), StoreFault> {
        if confirmed.has_asset(&id)? || self.has_cached_asset(&id) {
            return Ok(());
        }
        let asset = CachedAsset {
            packed: packed.into(),
            source: None,
            deadline: self.time.saturating_add(ASSET_LIFE_S),
        };
        if needed.contains(&id) || self.admit(None, asset.room(), needed).is_ok() {
            needed.insert(id);
            self.pools.put_asset(id, asset);
        }
        Ok(())
    }

    fn return_record(
        &mut self,
        record: &ledger::Returned,
        packed: &BTreeMap<TxId, &ledger::Returned>,
        followed: &BTreeSet<TxId>,
        confirmed: &Confirmed<'_>,
    ) -> Result<(), StoreFault> {
        let id = record.id;
        if self.pools.has_member(&id) || confirmed.has_transaction(&id)? {
            return Ok(());
        }
        let known = self.pools.confirmed_members.get(&id).copied();
        let set = match known {
            Some(pay_id) => match self.pools.take_set(&pay_id) {
                Some(set) => Some((pay_id, set)),
                None => match self.pools.take_settled(&pay_id) {
                    Some(settled) => rebuilt(settled, packed, confirmed)?.map(|set| (pay_id, set)),
                    None => None,
                },
            },
            None => None,
        };
        let Some((pay_id, mut set)) = set else {
            return self.return_unproved(record, followed, confirmed);
        };
        let rival = |link| self.pools.links.contains_key(&link);
        if set.link().is_some_and(rival) {
            return Ok(());
        }
        for (member, mark) in set.members.marks() {
            *mark &= *member != id;
        }
        self.pools.put_set(pay_id, set);
        Ok(())
    }

    /// A record whose proof or payment this node never saw: it waits for one again, if there is
    /// room for it, and for an issue its asset.
    fn return_unproved(
        &mut self,
        record: &ledger::Returned,
        followed: &BTreeSet<TxId>,
        confirmed: &Confirmed<'_>,
    ) -> Result<(), StoreFault> {
        let mut member = Member {
            id: record.id,
            packed: &record.packed,
            asset: None,
            confirmed: false,
        };
        let (kind, due) = match (&record.record, record.record.link()) {
            (Record::BitmarkIssue(issue), _) => {
                let asset = issue.asset_id;
                if !self.has_cached_asset(&asset) && !confirmed.has_asset(&asset)? {
                    return Ok(());
                }
                member.asset = Some(asset);
                let due = Due::for_issues(confirmed, &[asset].into(), 1)?;
                let owners = [issue.owner].into();
                (Kind::Issues { owners }, due)
            }
            (_, Some(link)) if !self.pools.links.contains_key(&link) => {
                let due = transfer_due(&link, confirmed)?;
                (Kind::Transfer { link }, due.or(Some(Due(Vec::new()))))
            }
            _ => return Ok(()),
        };
        let set = Set {
            kind,
            members: std::iter::once(member).collect(),
            due,
            source: None,
            deadline: self.time.saturating_add(LIFE_S),
            verified: None,
        };
        if followed.contains(&record.id) || self.room_for(&set).is_ok() {
            self.put_new(PayId::of([record.packed.as_slice()]), set);
        }
        Ok(())
    }
}

/// The set whose records were all confirmed, every one of them still marked so. Nothing when a
/// record of it can not be had any more.
fn rebuilt(
    settled: Settled,
    packed: &BTreeMap<TxId, &ledger::Returned>,
    confirmed: &Confirmed<'_>,
) -> Result<Option<Set>, StoreFault> {
    let mut members = Vec::with_capacity(settled.members.len());
    for id in settled.members {
        let bytes = match packed.get(&id) {
            Some(record) => Cow::Borrowed(record.packed.as_slice()),
            None => match confirmed.packed(&id)? {
                Some(packed) => Cow::Owned(packed),
                None => return Ok(None),
            },
        };
        members.push((id, bytes));
    }
    let all = members.iter().map(|(id, bytes)| (*id, &**bytes, true));
    let Some((kind, members)) = read_members(all, confirmed.chain().testing) else {
        return Ok(None);
    };
    Ok(Some(Set {
        kind,
        members,
        due: settled.due,
        source: settled.source,
        deadline: settled.deadline,
        verified: Some(settled.verified),
    }))
}

/// What packed records are as a set, each with its mark of being confirmed; nothing when they are none.
pub(super) fn read_members<'a>(
    packed: impl Iterator<Item = (TxId, &'a [u8], bool)>,
    testing: bool,
) -> Option<(Kind, Members)> {
    let mut members = Vec::new();
    let mut kind = None;
    for (id, bytes, confirmed) in packed {
        let (record, used) = Record::unpack(bytes, testing).ok()?;
        if used != bytes.len() {
            return None;
        }
        let mut member = Member {
            id,
            packed: bytes,
            asset: None,
            confirmed,
        };
        match (&record, record.link(), &mut kind) {
            (Record::BitmarkIssue(issue), _, Some(Kind::Issues { owners })) => {
                owners.insert(issue.owner);
                member.asset = Some(issue.asset_id);
            }
            (Record::BitmarkIssue(issue), _, None) => {
                let owners = [issue.owner].into();
                kind = Some(Kind::Issues { owners });
                member.asset = Some(issue.asset_id);
            }
            (_, Some(link), None) => kind = Some(Kind::Transfer { link }),
            _ => return None,
        }
        members.push(member);
    }
    Some((kind?, members.into_iter().collect()))
}
