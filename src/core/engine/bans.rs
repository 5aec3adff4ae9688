//! Keys that the operator keeps out, by the wall clock. They are kept in the store, so that a
//! restart lets nobody in; who admits and who dials asks here. It closes nothing itself.

use std::collections::BTreeMap;

use crate::core::keys::PeerPublicKey;
use crate::core::state::{Batch, Pool, StoreFault, View};
use crate::core::time::UnixSeconds;

/// Most keys that are kept out at a time.
pub const BANS_MAX: usize = 10_000;
/// In front of the key, in [`Pool::Meta`].
const NAME: &[u8] = b"ban:";
/// Kept out for ever.
pub const FOR_EVER: UnixSeconds = u64::MAX;

fn name(key: &PeerPublicKey) -> Vec<u8> {
    [NAME, &key.0].concat()
}

/// The keys, each with the second until which it is kept out.
#[derive(Debug, Default)]
pub(super) struct Bans(BTreeMap<PeerPublicKey, UnixSeconds>);

impl Bans {
    /// Reads what the store holds.
    pub(super) fn load(view: &dyn View) -> Result<Self, StoreFault> {
        let entries = view.scan(Pool::Meta, NAME, NAME, BANS_MAX)?;
        let bans = entries.into_iter().filter_map(|(key, until)| {
            let key = key.get(NAME.len()..)?.try_into().ok()?;
            Some((
                PeerPublicKey(key),
                u64::from_be_bytes(until.try_into().ok()?),
            ))
        });
        Ok(Self(bans.collect()))
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (PeerPublicKey, UnixSeconds)> + '_ {
        self.0.iter().map(|(key, until)| (*key, *until))
    }

    /// Whether a key is kept out at a moment.
    pub(super) fn has(&self, key: &PeerPublicKey, wall: UnixSeconds) -> bool {
        self.0.get(key).is_some_and(|until| wall < *until)
    }

    /// Keeps a key out until a moment; what is over is forgotten. Nothing, where there is no room.
    pub(super) fn add(
        &mut self,
        key: PeerPublicKey,
        until: UnixSeconds,
        wall: UnixSeconds,
    ) -> Option<Batch> {
        let mut batch = Batch::new();
        self.0.retain(|key, until| {
            let is_over = *until <= wall;
            if is_over {
                batch.delete(Pool::Meta, name(key));
            }
            !is_over
        });
        if self.0.len() >= BANS_MAX && !self.0.contains_key(&key) {
            return None;
        }
        self.0.insert(key, until);
        batch.put(Pool::Meta, name(&key), until.to_be_bytes());
        Some(batch)
    }

    /// Lets a key in again.
    pub(super) fn remove(&mut self, key: &PeerPublicKey) -> Batch {
        let mut batch = Batch::new();
        self.0.remove(key);
        batch.delete(Pool::Meta, name(key));
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::state::MemoryStore;

    #[test]
    fn a_ban_outlives_a_restart_and_ends_at_its_time() {
        let mut store = MemoryStore::new();
        let (a, b) = (PeerPublicKey([1; 32]), PeerPublicKey([2; 32]));
        let mut bans = Bans::default();
        store.apply(&bans.add(a, 50, 10).unwrap());
        store.apply(&bans.add(b, FOR_EVER, 10).unwrap());
        let mut bans = Bans::load(&store).unwrap();
        assert!(bans.has(&a, 49) && !bans.has(&a, 50));
        assert!(bans.has(&b, u64::MAX - 1));
        // What is over leaves the store with the next change.
        store.apply(&bans.add(b, 70, 60).unwrap());
        let mut bans = Bans::load(&store).unwrap();
        assert_eq!(bans.all().collect::<Vec<_>>(), [(b, 70)]);
        store.apply(&bans.remove(&b));
        assert_eq!(Bans::load(&store).unwrap().all().count(), 0);
    }

    #[test]
    fn one_more_than_there_is_room_for_is_refused() {
        let mut bans = Bans::default();
        for number in 0..BANS_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            assert!(bans.add(PeerPublicKey(key), FOR_EVER, 1).is_some());
        }
        assert!(bans.add(PeerPublicKey([9; 32]), FOR_EVER, 1).is_none());
        assert!(bans.add(PeerPublicKey([0; 32]), 70, 1).is_some());
    }
}
