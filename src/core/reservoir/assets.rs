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

/// A repeat that would lengthen a life by less is not written to the disk.
const EXTENSION_MIN_S: u64 = 3600;

/// Most assets that make room for one newcomer.
const EVICTIONS_MAX: usize = 64;

impl Reservoir {
    /// Caches an asset; its id, and whether it is new.
    pub(super) fn cache_asset(
        &mut self,
        asset: AssetData,
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<(AssetId, bool), Refusal> {
        let registrant = asset.registrant;
        if registrant.testing != confirmed.chain().testing {
            return Err(Refusal::WrongNetwork);
        }
        let id = AssetId::of(&asset.fingerprint);
        let record = Record::AssetData(asset);
        let packed = record.pack(&registrant)?;
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
            packed: packed.into(),
            source,
            deadline,
        };
        self.admit(source, asset.room(), &BTreeSet::new())?;
        self.pools.put_asset(id, asset);
        Ok((id, true))
    }

    /// Makes room where only assets that no set uses stand in the way, the next to end first;
    /// never one of `kept`. A peer whose share is full loses its own alone.
    pub(super) fn admit(
        &mut self,
        source: Source,
        room: Room,
        kept: &BTreeSet<AssetId>,
    ) -> Result<(), Refusal> {
        let records = Room {
            records: room.records,
            ..Room::default()
        };
        let mut left = if self.pools.usage.fits(&self.caps, source, records).is_ok() {
            EVICTIONS_MAX
        } else {
            0
        };
        loop {
            let full = match self.pools.usage.fits(&self.caps, source, room) {
                Ok(()) => return Ok(()),
                Err(full) => full,
            };
            let oldest = match full {
                _ if left == 0 => None,
                NoRoom::Share => self.pools.oldest_unused_of(source, kept),
                NoRoom::Whole => self.pools.oldest_unused(kept),
            };
            let Some(oldest) = oldest else {
                return Err(self.full(source));
            };
            self.pools.take_asset(&oldest);
            left -= 1;
        }
    }

    pub(super) fn full(&mut self, source: Source) -> Refusal {
        self.refused_full = self.refused_full.saturating_add(1);
        self.effects.push(Effect::Full { source });
        Refusal::Full
    }
}

/// Whether name, fingerprint, metadata and registrant are those of the cached record. The
/// signature may differ.
fn says_the_same(cached: &[u8], record: &Record, testing: bool) -> bool {
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
