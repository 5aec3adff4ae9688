//! The cache of assets that are in no block yet (`proto/reservoir.md`, section 4).
//!
//! One time for each asset: a repeat makes it longer, never shorter, and it counts only while no
//! set uses the asset.

use super::caps::{NoRoom, Room, Source};
use super::confirmed::Confirmed;
use super::error::Refusal;
use super::set::CachedAsset;
use super::{ASSET_LIFE_S, Effect, Reservoir};
use crate::core::id::AssetId;
use crate::core::record::{AssetData, Record};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A repeat that would lengthen a life by less is not written to the disk.
const EXTENSION_MIN_S: u64 = 3600;

/// Most assets that make room for one newcomer.
const EVICTIONS_MAX: usize = 64;
/// Most assets that are looked at for that.
const LOOKS_MAX: usize = 4 * EVICTIONS_MAX;

impl Reservoir {
    /// Caches an asset; its id, and whether it is new. None of `kept` makes room for it.
    pub(super) fn cache_asset(
        &mut self,
        asset: AssetData,
        source: Source,
        kept: &BTreeSet<AssetId>,
        confirmed: &Confirmed<'_>,
    ) -> Result<(AssetId, bool), Refusal> {
        let registrant = asset.registrant;
        if registrant.testing != confirmed.chain().testing {
            return Err(Refusal::WrongNetwork);
        }
        let id = AssetId::of(&asset.fingerprint);
        let record = Record::AssetData(asset);
        let packed: Arc<[u8]> = match self.pools.assets.get(&id) {
            // The very record was checked when it came first.
            Some(cached) if is_packed(&cached.packed, &record, registrant.testing) => {
                Arc::clone(&cached.packed)
            }
            _ => record.pack(&registrant)?.into(),
        };
        if confirmed.has_asset(&id)? {
            return Ok((id, false));
        }
        let deadline = self.time.saturating_add(ASSET_LIFE_S);
        if let Some(cached) = self.pools.assets.get(&id) {
            if !says_the_same(&cached.packed, &record, registrant.testing) {
                return Err(Refusal::AssetsAlreadyRegistered);
            }
            if deadline >= cached.deadline.saturating_add(EXTENSION_MIN_S) {
                let cached = CachedAsset {
                    deadline,
                    ..cached.clone()
                };
                self.pools.put_asset(id, cached);
            }
            return Ok((id, false));
        }
        let asset = CachedAsset {
            packed,
            source,
            deadline,
        };
        self.admit(source, asset.room(), kept)?;
        self.pools.put_asset(id, asset);
        Ok((id, true))
    }

    /// Makes room where only assets that no set uses stand in the way, of the peer that holds most
    /// first, the next to end first; never one of `kept`. A peer whose share is full loses its own alone. Nothing goes unless
    /// the newcomer fits then.
    pub(super) fn admit(
        &mut self,
        source: Source,
        room: Room,
        kept: &BTreeSet<AssetId>,
    ) -> Result<(), Refusal> {
        match self.victims(source, room, kept) {
            Some(victims) => {
                for id in victims {
                    if let Some(gone) = self.pools.take_asset(&id)
                        && self.evicted.len() < super::EVICTED_MAX
                    {
                        self.evicted.push((id, gone.source));
                    }
                }
                Ok(())
            }
            None => Err(self.full(source)),
        }
    }

    /// The assets that have to go for a newcomer; nothing if that does not help.
    fn victims(
        &self,
        source: Source,
        room: Room,
        kept: &BTreeSet<AssetId>,
    ) -> Option<BTreeSet<AssetId>> {
        let mut trial = self.pools.usage.of(source);
        let records = Room {
            records: room.records,
            ..Room::default()
        };
        trial.fits(&self.caps, records).ok()?;
        let mut own = self.pools.unused_of(source).take(LOOKS_MAX);
        // Who holds most loses first.
        let most = self.pools.usage.most_assets();
        let of_most = most.map(|peer| self.pools.unused_of(Some(peer)));
        let of_most = of_most.into_iter().flatten().take(LOOKS_MAX);
        let mut all = of_most.chain(self.pools.unused().take(LOOKS_MAX));
        let mut victims = BTreeSet::new();
        while let Err(full) = trial.fits(&self.caps, room) {
            let may_go = |id: &AssetId| !kept.contains(id) && !victims.contains(id);
            let next = match full {
                _ if victims.len() == EVICTIONS_MAX => None,
                NoRoom::Share => own.find(may_go),
                NoRoom::Whole => all.find(may_go),
            }?;
            let asset = self.pools.assets.get(&next)?;
            trial.give_back(asset.room(), asset.source == source);
            victims.insert(next);
        }
        Some(victims)
    }

    pub(super) fn full(&mut self, source: Source) -> Refusal {
        self.refused_full = self.refused_full.saturating_add(1);
        self.effects.push(Effect::Full { source });
        Refusal::Full
    }
}

/// Whether these are the bytes of the record, signature included.
fn is_packed(cached: &[u8], record: &Record, testing: bool) -> bool {
    Record::unpack(cached, testing).is_ok_and(|(old, _)| old == *record)
}

/// Whether name, fingerprint, metadata and registrant are those of the cached record. The
/// signature may differ.
pub(super) fn says_the_same(cached: &[u8], record: &Record, testing: bool) -> bool {
    match (Record::unpack(cached, testing), record) {
        (Ok((Record::AssetData(old), _)), Record::AssetData(new)) => {
            old.name == new.name
                && old.fingerprint == new.fingerprint
                && old.metadata == new.metadata
                && old.registrant == new.registrant
        }
        _ => false,
    }
}
