//! Bundles of peers that wait for something the pools do not have (`proto/mempool.md`, sections 4.1
//! and 4.7). They keep their bytes here. When what they may wait for has come, the pools are asked
//! again, a piece at a time in the order in which they came.
//!
//! Bounds: a count and bytes; who holds most makes room, oldest first, so that nobody pushes out what
//! others wait for; keys that were never of use count as one. One that alone is beyond the bounds is
//! not taken.

use std::collections::{BTreeMap, BTreeSet};

use super::bundle::{Bundle, BundleKey, Kind};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

#[derive(Debug, Clone)]
struct Parked {
    bundle: Bundle,
    from: PeerPublicKey,
    /// Whose share it is of.
    share: PeerPublicKey,
    /// Who sent it besides, [`OTHERS_MAX`] at most.
    others: Vec<PeerPublicKey>,
    since: Millis,
    place: u64,
}

/// The share of all keys that were never of use, which anybody can make: it is one.
pub(super) const STRANGERS: PeerPublicKey = PeerPublicKey([0; 32]);

/// Senders of a parked bundle that are remembered beside the first.
const OTHERS_MAX: usize = 16;

/// What one peer has parked.
#[derive(Debug, Clone, Default)]
struct Share {
    places: BTreeSet<u64>,
    bytes: usize,
}

/// Which kinds are to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Kinds(u8);

impl Kinds {
    const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind.byte())
    }

    const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind.byte() != 0
    }
}

/// A walk over those that were there when it began.
#[derive(Debug, Clone, Copy)]
struct Pass {
    kinds: Kinds,
    next: u64,
    end: u64,
}

/// All that wait.
#[derive(Debug, Clone)]
pub(super) struct Parking {
    most: usize,
    most_bytes: usize,
    parked: BTreeMap<BundleKey, Parked>,
    by_age: BTreeMap<u64, BundleKey>,
    shares: BTreeMap<PeerPublicKey, Share>,
    bytes: usize,
    next_place: u64,
    wanted: Kinds,
    pass: Option<Pass>,
    /// What the last piece was a part of.
    tried: Kinds,
    /// How often something came that others may have waited for.
    arrivals: u64,
    /// No new walk before this.
    not_before: Millis,
}

impl Parking {
    pub const fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            most,
            most_bytes,
            parked: BTreeMap::new(),
            by_age: BTreeMap::new(),
            shares: BTreeMap::new(),
            bytes: 0,
            next_place: 0,
            wanted: Kinds(0),
            pass: None,
            tried: Kinds(0),
            arrivals: 0,
            not_before: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.parked.len()
    }

    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who sent it.
    pub fn sender(&self, key: &BundleKey) -> Option<PeerPublicKey> {
        self.parked.get(key).map(|parked| parked.from)
    }

    /// The same in a share of its sender's own.
    #[cfg(test)]
    pub fn park(&mut self, now: Millis, from: PeerPublicKey, bundle: Bundle) -> u64 {
        self.park_as(now, from, from, bundle)
    }

    /// Takes one as a part of a share; gives back how many were dropped, itself included.
    pub fn park_as(
        &mut self,
        now: Millis,
        from: PeerPublicKey,
        share_of: PeerPublicKey,
        bundle: Bundle,
    ) -> u64 {
        let key = bundle.key();
        let size = bundle.payload.len();
        if let Some(parked) = self.parked.get_mut(&key) {
            let is_known = parked.from == from || parked.others.contains(&from);
            if !is_known && parked.others.len() < OTHERS_MAX {
                parked.others.push(from);
            }
            return 0;
        }
        if self.most == 0 || size > self.most_bytes {
            return 1;
        }
        let mut dropped = 0;
        while self.parked.len() >= self.most || self.bytes.saturating_add(size) > self.most_bytes {
            let Some(victim) = self.victim(&share_of, size) else {
                break;
            };
            self.remove(&victim);
            dropped += 1;
        }
        let place = self.next_place;
        self.next_place = place.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.by_age.insert(place, key);
        let share = self.shares.entry(share_of).or_default();
        share.places.insert(place);
        share.bytes = share.bytes.saturating_add(size);
        let parked = Parked {
            bundle,
            from,
            share: share_of,
            others: Vec::new(),
            since: now,
            place,
        };
        self.parked.insert(key, parked);
        dropped
    }

    /// The oldest bundle of the peer that would hold most with the newcomer: by number where that
    /// is the bound, else by bytes. Of equals it is the newcomer's own.
    fn victim(&self, from: &PeerPublicKey, size: usize) -> Option<BundleKey> {
        let is_full = self.parked.len() >= self.most;
        let held = |peer: &PeerPublicKey, share: &Share| {
            let own = usize::from(peer == from);
            if is_full {
                share.places.len() + own
            } else {
                share.bytes.saturating_add(own * size)
            }
        };
        let most = self
            .shares
            .iter()
            .max_by_key(|(peer, share)| (held(peer, share), *peer == from));
        let oldest = most.and_then(|(_, share)| share.places.first())?;
        self.by_age.get(oldest).copied()
    }

    /// Everybody who sent it, the first one first.
    pub fn senders(&self, key: &BundleKey) -> Vec<PeerPublicKey> {
        let parked = self.parked.get(key).into_iter();
        parked
            .flat_map(|parked| std::iter::once(parked.from).chain(parked.others.iter().copied()))
            .collect()
    }

    /// It waits no more. Gives back who sent it.
    pub fn remove(&mut self, key: &BundleKey) -> Option<PeerPublicKey> {
        let parked = self.parked.remove(key)?;
        let size = parked.bundle.payload.len();
        self.by_age.remove(&parked.place);
        self.bytes = self.bytes.saturating_sub(size);
        if let Some(share) = self.shares.get_mut(&parked.share) {
            share.places.remove(&parked.place);
            share.bytes = share.bytes.saturating_sub(size);
            if share.places.is_empty() {
                self.shares.remove(&parked.share);
            }
        }
        Some(parked.from)
    }

    /// Drops those that have waited for `life`; gives back how many.
    pub fn expire(&mut self, now: Millis, life: Millis) -> u64 {
        let mut dropped = 0;
        while let Some((_, oldest)) = self.by_age.first_key_value() {
            let oldest = *oldest;
            let since = self.parked.get(&oldest).map_or(0, |parked| parked.since);
            if now.saturating_sub(since) < life {
                break;
            }
            self.remove(&oldest);
            dropped += 1;
        }
        dropped
    }

    /// The chain changed: all are to be tried.
    pub fn want_all(&mut self) {
        for kind in Kind::ALL {
            self.want_if_any(kind);
        }
        self.arrivals = self.arrivals.wrapping_add(1);
    }

    /// Something of this kind has come: what may have waited for it is to be tried.
    pub fn want_after(&mut self, came: Kind) {
        match came {
            Kind::Assets => self.want_if_any(Kind::Issues),
            Kind::Issues => self.want_if_any(Kind::Proof),
            Kind::Transfer | Kind::Proof => {}
        }
        self.arrivals = self.arrivals.wrapping_add(1);
    }

    fn want_if_any(&mut self, kind: Kind) {
        if !self.parked.is_empty() {
            self.want(kind);
        }
    }

    /// Those of a kind are to be tried.
    pub const fn want(&mut self, kind: Kind) {
        self.wanted = self.wanted.with(kind);
    }

    /// How often something came that others may have waited for.
    pub const fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// When the next piece may be tried; `None`: there is nothing to try.
    pub fn due(&self) -> Option<Millis> {
        if self.parked.is_empty() {
            return None;
        }
        if self.pass.is_some() {
            return Some(0);
        }
        (self.wanted != Kinds::default()).then_some(self.not_before)
    }

    /// The next piece: at most `count` bundles and, unless it is a single one, `bytes`. A walk that
    /// ends lets no other begin before `pause` has passed.
    pub fn piece(
        &mut self,
        now: Millis,
        pause: Millis,
        count: usize,
        bytes: usize,
    ) -> Vec<(BundleKey, PeerPublicKey, Bundle)> {
        let mut pass = self.pass.take().unwrap_or(Pass {
            kinds: std::mem::take(&mut self.wanted),
            next: 0,
            end: self.next_place,
        });
        self.tried = pass.kinds;
        let mut piece = Vec::new();
        let mut total = 0_usize;
        let mut is_done = true;
        for (place, key) in self.by_age.range(pass.next..pass.end.max(pass.next)) {
            let Some(parked) = self.parked.get(key) else {
                continue;
            };
            if pass.kinds.has(parked.bundle.kind) {
                total = total.saturating_add(parked.bundle.payload.len());
                if piece.len() >= count || (!piece.is_empty() && total > bytes) {
                    is_done = false;
                    break;
                }
                piece.push((*key, parked.from, parked.bundle.clone()));
            }
            pass.next = place.saturating_add(1);
        }
        if is_done {
            self.not_before = now.saturating_add(pause);
        } else {
            self.pass = Some(pass);
        }
        piece
    }

    /// There is no room in the pools: the walk ends, and begins anew after a pause.
    pub fn give_up(&mut self, now: Millis, pause: Millis) {
        self.pass = None;
        self.wanted = Kinds(self.wanted.0 | self.tried.0);
        self.not_before = now.saturating_add(pause);
    }

    /// Whether counts and indexes agree, and the bounds hold (M3, M7).
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if self.parked.len() > self.most || self.bytes > self.most_bytes {
            return Err("M7: more is parked than may be".to_owned());
        }
        let sizes = self.parked.values();
        let bytes: usize = sizes.map(|parked| parked.bundle.payload.len()).sum();
        if bytes != self.bytes || self.by_age.len() != self.parked.len() {
            return Err("M3: what is parked was counted wrongly".to_owned());
        }
        let in_shares: usize = self.shares.values().map(|share| share.places.len()).sum();
        let shares: usize = self.shares.values().map(|share| share.bytes).sum();
        if in_shares != self.parked.len() || shares != self.bytes {
            return Err("M3: what peers have parked was counted wrongly".to_owned());
        }
        for (place, key) in &self.by_age {
            if self.parked.get(key).map(|parked| parked.place) != Some(*place) {
                return Err("M3: a parked bundle is not at its place".to_owned());
            }
        }
        Ok(())
    }

    /// The keys of all.
    pub fn keys(&self) -> impl Iterator<Item = &BundleKey> {
        self.parked.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerPublicKey = PeerPublicKey([1; 32]);

    fn bundle(kind: Kind, number: u8, size: usize) -> Bundle {
        Bundle {
            kind,
            payload: vec![number; size],
        }
    }

    #[test]
    fn the_oldest_make_room_and_the_bounds_are_exact() {
        let mut lot = Parking::new(2, 10);
        assert_eq!(lot.park(0, PEER, bundle(Kind::Issues, 1, 5)), 0);
        assert_eq!(lot.park(0, PEER, bundle(Kind::Issues, 2, 5)), 0);
        assert_eq!(lot.park(0, PEER, bundle(Kind::Issues, 2, 5)), 0, "again");
        assert_eq!(lot.len(), 2);
        assert_eq!(lot.park(0, PEER, bundle(Kind::Issues, 3, 1)), 1);
        assert_eq!(lot.sender(&bundle(Kind::Issues, 1, 5).key()), None);
        assert_eq!(lot.sender(&bundle(Kind::Issues, 3, 1).key()), Some(PEER));
        assert_eq!(lot.park(0, PEER, bundle(Kind::Issues, 4, 10)), 2);
        assert_eq!((lot.len(), lot.bytes()), (1, 10));
        assert_eq!(lot.park(0, PEER, bundle(Kind::Issues, 5, 11)), 1, "itself");
        assert_eq!((lot.len(), lot.bytes()), (1, 10));
        lot.check().unwrap();
    }

    #[test]
    fn a_peer_pushes_out_its_own_and_not_what_others_wait_for() {
        let other = PeerPublicKey([2; 32]);
        let mut lot = Parking::new(4, 100);
        for number in 0..2 {
            lot.park(0, PEER, bundle(Kind::Proof, number, 5));
        }
        for number in 10..200 {
            lot.park(0, other, bundle(Kind::Proof, number, 5));
        }
        for number in 0..2 {
            let key = bundle(Kind::Proof, number, 5).key();
            assert_eq!(lot.sender(&key), Some(PEER));
        }
        assert_eq!(lot.len(), 4);
        // The same by bytes.
        let mut lot = Parking::new(1000, 100);
        lot.park(0, PEER, bundle(Kind::Proof, 0, 40));
        for number in 10..200 {
            lot.park(0, other, bundle(Kind::Proof, number, 20));
        }
        assert_eq!(lot.sender(&bundle(Kind::Proof, 0, 40).key()), Some(PEER));
        assert_eq!(lot.bytes(), 100);
        lot.check().unwrap();
    }

    #[test]
    fn everybody_who_sent_a_bundle_is_remembered() {
        let other = PeerPublicKey([2; 32]);
        let mut lot = Parking::new(4, 100);
        let proof = bundle(Kind::Proof, 1, 5);
        for from in [PEER, other, other, PEER] {
            lot.park(0, from, proof.clone());
        }
        assert_eq!(lot.senders(&proof.key()), [PEER, other]);
    }

    #[test]
    fn what_has_waited_its_life_is_dropped_and_nothing_sooner() {
        let mut lot = Parking::new(5, 100);
        lot.park(10, PEER, bundle(Kind::Proof, 1, 5));
        lot.park(20, PEER, bundle(Kind::Proof, 2, 5));
        assert_eq!(lot.expire(109, 100), 0);
        assert_eq!(lot.expire(110, 100), 1);
        assert_eq!(lot.len(), 1);
        lot.check().unwrap();
    }

    #[test]
    fn those_that_may_wait_for_what_came_are_tried_in_pieces_in_their_order() {
        let mut lot = Parking::new(10, 1000);
        for number in 0..3 {
            lot.park(0, PEER, bundle(Kind::Issues, number, 4));
            lot.park(0, PEER, bundle(Kind::Proof, number, 4));
        }
        assert_eq!(lot.due(), None);
        lot.want_after(Kind::Transfer);
        assert_eq!(lot.due(), None, "nothing waits for a transfer on the way");
        lot.want_after(Kind::Assets);
        assert_eq!(lot.due(), Some(0));
        let numbers = |piece: Vec<(BundleKey, PeerPublicKey, Bundle)>| -> Vec<u8> {
            piece.iter().map(|(.., bundle)| bundle.payload[0]).collect()
        };
        assert_eq!(numbers(lot.piece(5, 500, 10, 8)), [0, 1]);
        assert_eq!(lot.due(), Some(0));
        assert_eq!(numbers(lot.piece(5, 500, 10, 8)), [2]);
        assert_eq!(lot.due(), None);
        lot.want_all();
        assert_eq!(lot.due(), Some(505));
        assert_eq!(lot.piece(505, 500, 10, 3).len(), 1, "always one");
        lot.give_up(505, 1_000);
        assert_eq!(lot.due(), Some(1_505), "all of them once more");
        assert_eq!(lot.piece(1_505, 500, 10, 1_000).len(), 6);
        assert_eq!(lot.due(), None);
    }
}
