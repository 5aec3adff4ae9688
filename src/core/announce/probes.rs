//! Which unproven peer is dialled next to prove it (`proto/peer.md`, section 15).
//!
//! Bounds: one dial in an interval, at most [`IN_FLIGHT_MAX`] without a result. Entries from DNS
//! and the peer file come first; otherwise a source is drawn, then one of its entries, so that a
//! source with a thousand entries delays the others no more than one with a single entry.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Timing;
use super::peers::{Entry, Key, PeerTable, Source, Trust};
use crate::core::time::Millis;

/// Most probes without a result.
pub const IN_FLIGHT_MAX: usize = 8;

/// What was dialled and when the next dial may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probes {
    /// Until when each probe may take.
    in_flight: BTreeMap<Key, Millis>,
    /// Not before this.
    not_before: Millis,
    /// Nothing was due until this; `None` when nothing waits.
    due: Option<Millis>,
}

impl Probes {
    /// Something in the table changed: look again.
    pub const fn look_again(&mut self) {
        self.due = Some(0);
    }

    /// Takes `key` off the list of probes without a result.
    pub fn done(&mut self, key: &Key) {
        self.in_flight.remove(key);
    }

    /// Probes that took too long; they are off the list.
    pub fn take_late(&mut self, now: Millis) -> Vec<Key> {
        let late: Vec<Key> = self
            .in_flight
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in &late {
            self.in_flight.remove(key);
        }
        late
    }

    /// The next to dial, if one may be dialled at `now`.
    pub fn next(
        &mut self,
        now: Millis,
        timing: &Timing,
        peers: &PeerTable,
        prefer_ipv6: bool,
        rng: &mut ChaCha8Rng,
    ) -> Option<(Key, Vec<u8>)> {
        if self.next_wakeup()? > now || self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let (mut due, later) = peers.to_probe(now, prefer_ipv6);
        due.retain(|(key, _)| !self.in_flight.contains_key(key));
        let Some((key, entry)) = draw(&due, rng) else {
            self.due = later;
            return None;
        };
        self.in_flight
            .insert(key, now.saturating_add(timing.probe_timeout_ms));
        if due.len() == 1 {
            self.due = later;
        }
        self.not_before = now.saturating_add(timing.probe_interval_ms);
        Some((key, entry.listeners().to_vec()))
    }

    /// When to look again.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        let late = self.in_flight.values().min().copied();
        let free = self.in_flight.len() < IN_FLIGHT_MAX;
        let next = self
            .due
            .filter(|_| free)
            .map(|due| due.max(self.not_before));
        match (late, next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

fn draw<'a>(due: &[(Key, &'a Entry)], rng: &mut ChaCha8Rng) -> Option<(Key, &'a Entry)> {
    let first: Vec<(Key, &Entry)> = due
        .iter()
        .filter(|(_, entry)| entry.trust() == Trust::Bootstrap)
        .copied()
        .collect();
    if let Some(chosen) = first.choose(rng) {
        return Some(*chosen);
    }
    let sources: BTreeSet<Source> = due.iter().map(|(_, entry)| entry.source()).collect();
    let sources: Vec<Source> = sources.into_iter().collect();
    let source = *sources.choose(rng)?;
    let of_source: Vec<(Key, &Entry)> = due
        .iter()
        .filter(|(_, entry)| entry.source() == source)
        .copied()
        .collect();
    of_source.choose(rng).copied()
}
