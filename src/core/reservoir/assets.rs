//! The asset cache (`proto/reservoir.md`, section 4). An asset that a set uses does not run out;
//! a repetition starts its life anew and never shortens it.

use std::sync::Arc;

use super::{ASSET_LIFE_S, Asset, Confirmed, Refusal, Reservoir, ReservoirError, Source, Timed};
use crate::core::id::AssetId;
use crate::core::ledger::read;
use crate::core::record::{AssetData, Record, RecordError};
use crate::core::time::Now;

impl Reservoir {
    /// Caches an asset; tells its id and whether it was new.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn cache_asset(
        &mut self,
        now: Now,
        asset: AssetData,
        source: Source,
        state: Confirmed<'_>,
    ) -> Result<(AssetId, bool), ReservoirError> {
        self.clock.see(now);
        let id = AssetId::of(&asset.fingerprint);
        let registrant = asset.registrant;
        let record = Record::AssetData(asset);
        let packed = record.pack(&registrant)?;
        if registrant.testing != self.chain.testing {
            return Err(RecordError::WrongNetwork.into());
        }
        if read::has_asset(state.view, &id)? {
            return Ok((id, false));
        }
        let deadline = self.clock.now().saturating_add(ASSET_LIFE_S);
        if let Some(cached) = self.assets.get(&id) {
            if !same(&cached.packed, &record, self.chain.testing) {
                return Err(Refusal::AssetsAlreadyRegistered.into());
            }
            self.renew_asset(&id, deadline);
            return Ok((id, false));
        }
        self.room_for_asset(source)?;
        self.insert_asset(id, packed.into(), deadline, source);
        self.persist_asset(&id);
        Ok((id, true))
    }

    pub(super) fn insert_asset(
        &mut self,
        id: AssetId,
        packed: Arc<[u8]>,
        deadline: u64,
        source: Source,
    ) {
        self.deadlines.insert((deadline, Timed::Asset(id)));
        self.idle_assets.insert((deadline, id));
        *self.assets_of.entry(source).or_default() += 1;
        let asset = Asset {
            packed,
            deadline,
            source,
            users: 0,
        };
        self.assets.insert(id, asset);
    }

    fn renew_asset(&mut self, id: &AssetId, deadline: u64) {
        let Some(asset) = self.assets.get_mut(id) else {
            return;
        };
        let (old, new) = (asset.deadline, deadline.max(asset.deadline));
        asset.deadline = new;
        if asset.users == 0 {
            self.idle_assets.remove(&(old, *id));
            self.idle_assets.insert((new, *id));
        }
        self.deadlines.remove(&(old, Timed::Asset(*id)));
        self.deadlines.insert((new, Timed::Asset(*id)));
        self.persist_asset(id);
    }

    /// Makes room among the assets that no set uses; one peer has a quarter of it.
    fn room_for_asset(&mut self, source: Source) -> Result<(), ReservoirError> {
        let of_source = self.assets_of.get(&source).copied().unwrap_or_default();
        if source != 0 && of_source >= self.caps.assets / self.caps.peer_share.max(1) {
            self.refused_full += 1;
            return Err(Refusal::Full.into());
        }
        if self.assets.len() < self.caps.assets {
            return Ok(());
        }
        let Some((_, oldest)) = self.idle_assets.first().copied() else {
            self.refused_full += 1;
            return Err(Refusal::Full.into());
        };
        self.remove_asset(&oldest);
        Ok(())
    }

    /// Drops an asset: it is confirmed, or ran out.
    pub(super) fn remove_asset(&mut self, id: &AssetId) {
        let Some(asset) = self.assets.remove(id) else {
            return;
        };
        self.idle_assets.remove(&(asset.deadline, *id));
        self.deadlines.remove(&(asset.deadline, Timed::Asset(*id)));
        if let Some(count) = self.assets_of.get_mut(&asset.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.assets_of.remove(&asset.source);
            }
        }
        self.forget_asset(id);
    }

    pub(super) fn use_asset(&mut self, id: &AssetId) {
        if let Some(asset) = self.assets.get_mut(id) {
            asset.users += 1;
            self.idle_assets.remove(&(asset.deadline, *id));
        }
    }

    pub(super) fn release_asset(&mut self, id: &AssetId) {
        if let Some(asset) = self.assets.get_mut(id) {
            asset.users = asset.users.saturating_sub(1);
            if asset.users == 0 {
                self.idle_assets.insert((asset.deadline, *id));
            }
        }
    }
}

/// Whether two records say the same of an asset; signatures are not compared.
fn same(cached: &[u8], new: &Record, testing: bool) -> bool {
    let (Ok((Record::AssetData(old), _)), Record::AssetData(new)) =
        (Record::unpack(cached, testing), new)
    else {
        return false;
    };
    old.name == new.name
        && old.fingerprint == new.fingerprint
        && old.metadata == new.metadata
        && old.registrant == new.registrant
}
