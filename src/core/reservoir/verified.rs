//! What a block may be made of (`proto/reservoir.md`, section 9): verified records in the order
//! in which they were verified, each looked at again before it is handed out.

use std::collections::BTreeMap;

use super::confirmed::Confirmed;
use super::error::Refusal;
use super::set::{Kind, Set};
use super::{Effect, Reservoir};
use crate::core::id::{AssetId, PayId};
use crate::core::mining::assembly::{AssetNeed, Candidate};
use crate::core::state::StoreFault;
use crate::core::time::Now;

/// Whether a set may go into the next block.
enum Fit {
    Now(Vec<AssetNeed>),
    /// What it follows is in the pools itself.
    Later,
    Never,
}

impl Reservoir {
    /// At most `limit` verified records. What can never stand in a block any more is dropped.
    ///
    /// # Errors
    /// [`Refusal::InvalidCount`] for none, or a fault of the store.
    pub fn verified(
        &mut self,
        now: Now,
        limit: usize,
        confirmed: &Confirmed<'_>,
        out: &mut Vec<Effect>,
    ) -> Result<Vec<Candidate>, Refusal> {
        if limit == 0 {
            return Err(Refusal::InvalidCount);
        }
        if self.held {
            return Ok(Vec::new());
        }
        self.begin(now);
        let mut candidates = Vec::new();
        let mut needs = BTreeMap::new();
        let mut impossible = Vec::new();
        for (_, pay_id) in &self.pools.verified {
            let Some(set) = self.pools.sets.get(pay_id) else {
                continue;
            };
            match self.fit(set, &mut needs, confirmed)? {
                Fit::Later => {}
                Fit::Never => impossible.push(*pay_id),
                Fit::Now(needs) => {
                    let records = set.live().zip(needs).map(|(member, asset)| Candidate {
                        id: member.id,
                        packed: member.packed.into(),
                        link: set.link(),
                        asset,
                    });
                    candidates.extend(records);
                }
            }
            if candidates.len() >= limit {
                candidates.truncate(limit);
                break;
            }
        }
        if !impossible.is_empty() {
            self.drop_impossible(&impossible, confirmed);
            self.finish(out);
        }
        Ok(candidates)
    }

    fn drop_impossible(&mut self, pay_ids: &[PayId], confirmed: &Confirmed<'_>) {
        for pay_id in pay_ids {
            self.drop_set(pay_id, confirmed);
            self.effects.push(Effect::Log(format!(
                "{pay_id} can not stand in a block any more and is dropped"
            )));
        }
    }

    fn fit(
        &self,
        set: &Set,
        needs: &mut BTreeMap<AssetId, AssetNeed>,
        confirmed: &Confirmed<'_>,
    ) -> Result<Fit, StoreFault> {
        if let Kind::Transfer { link } = &set.kind {
            return Ok(match confirmed.record(link)? {
                Some(linked) if confirmed.ownership(linked.owner(), link)?.is_some() => {
                    Fit::Now(vec![AssetNeed::None])
                }
                Some(_) => Fit::Never,
                None if self.pools.has_member(link) => Fit::Later,
                None => Fit::Never,
            });
        }
        let mut of_set = Vec::new();
        for asset in set.live().filter_map(|member| member.asset) {
            let need = match needs.get(&asset) {
                Some(need) => need.clone(),
                None => self.need(&asset, confirmed)?,
            };
            if need == AssetNeed::Missing {
                return Ok(Fit::Never);
            }
            needs.insert(asset, need.clone());
            of_set.push(need);
        }
        Ok(Fit::Now(of_set))
    }

    fn need(&self, id: &AssetId, confirmed: &Confirmed<'_>) -> Result<AssetNeed, StoreFault> {
        if confirmed.has_asset(id)? {
            return Ok(AssetNeed::None);
        }
        Ok(self
            .pools
            .assets
            .get(id)
            .map_or(AssetNeed::Missing, |asset| AssetNeed::Cached {
                id: *id,
                packed: asset.packed.clone(),
            }))
    }
}
