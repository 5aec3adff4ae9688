//! What people are shown of the pools: sets and what each waits for, single records, what takes a
//! link. Reading only; every list has a limit that the caller gives.

use std::ops::Bound;

use super::due::Due;
use super::set::{Set, Verification};
use super::{LIFE_S, Reservoir};
use crate::core::id::{AssetId, PayId, TxId};

/// A record of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownMember<'a> {
    /// Its id.
    pub id: TxId,
    /// The asset of an issue.
    pub asset: Option<AssetId>,
    /// Its bytes.
    pub packed: &'a [u8],
    /// Whether a block has it already.
    pub confirmed: bool,
}

/// A set as it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSet<'a> {
    /// Its name.
    pub pay_id: PayId,
    /// All records that it has.
    pub count: usize,
    /// The first of them.
    pub members: Vec<ShownMember<'a>>,
    /// The assets that its records need, each once.
    pub assets: Vec<AssetId>,
    /// What a transfer follows; issues follow nothing.
    pub link: Option<TxId>,
    /// What is to be paid, if there is a list.
    pub due: Option<&'a Due>,
    /// What verified it.
    pub verified: Option<&'a Verification>,
    /// Seconds until it goes; a verified set stays.
    pub remaining_s: Option<u64>,
}

impl Reservoir {
    fn shown<'a>(&self, pay_id: PayId, set: &'a Set, most: usize) -> ShownSet<'a> {
        let members = set.members.iter().take(most).map(|member| ShownMember {
            id: member.id,
            asset: member.asset,
            packed: member.packed,
            confirmed: member.confirmed,
        });
        let remaining = set.deadline.saturating_sub(self.time).min(LIFE_S);
        ShownSet {
            pay_id,
            count: set.members.len(),
            members: members.collect(),
            assets: set.assets().collect(),
            link: set.link(),
            due: set.due.as_ref(),
            verified: set.verified.as_ref().map(|(how, _)| how),
            remaining_s: set.verified.is_none().then_some(remaining),
        }
    }

    /// At most `limit` sets behind this one, by pay id, each with at most `most` of its records.
    #[must_use]
    pub fn sets_behind(
        &self,
        after: Option<&PayId>,
        limit: usize,
        most: usize,
    ) -> Vec<ShownSet<'_>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sets = self.pools.sets.range((from, Bound::Unbounded));
        sets.take(limit)
            .map(|(pay_id, set)| self.shown(*pay_id, set, most))
            .collect()
    }

    /// One set, with at most `most` of its records.
    #[must_use]
    pub fn shown_set(&self, pay_id: &PayId, most: usize) -> Option<ShownSet<'_>> {
        let set = self.pools.sets.get(pay_id)?;
        Some(self.shown(*pay_id, set, most))
    }

    /// A record that no block has yet, packed.
    #[must_use]
    pub fn waiting_record(&self, id: &TxId) -> Option<&[u8]> {
        let (_, set) = self.pools.set_of(id)?;
        Some(set.members.find(id)?.packed)
    }

    /// The transfer that waits and follows this transaction.
    #[must_use]
    pub fn follower_of(&self, link: &TxId) -> Option<TxId> {
        let set = self.pools.sets.get(self.pools.links.get(link)?)?;
        set.members.first().map(|member| member.id)
    }

    /// Issues on an asset that wait: at most `most`, of the first `look` sets.
    #[must_use]
    pub fn waiting_issues(&self, asset: &AssetId, look: usize, most: usize) -> Vec<(TxId, &[u8])> {
        if !self.pools.uses.contains_key(asset) {
            return Vec::new();
        }
        let sets = self.pools.sets.values().take(look);
        sets.flat_map(|set| set.members.iter())
            .filter(|member| !member.confirmed && member.asset == Some(*asset))
            .take(most)
            .map(|member| (member.id, member.packed))
            .collect()
    }

    /// Assets that wait for an issue, packed, the next to end first.
    #[must_use]
    pub fn lone_assets(&self, limit: usize) -> Vec<(AssetId, &[u8])> {
        let ids = self.pools.unused().take(limit);
        ids.filter_map(|id| Some((id, self.cached_asset(&id)?)))
            .collect()
    }
}
