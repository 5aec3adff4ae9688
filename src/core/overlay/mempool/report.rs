//! What the operator and the simulator see: numbers, peers, and whether all is as it should be
//! (`proto/mempool.md`, sections 4.8 and 5).

use super::bundle::{BundleKey, Pools};
use super::peers::{Mode, Open, Peer};
use super::timeline::State;
use super::{Counters, Mempool, reader, retry};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Entries that are looked at for the oldest that was not acknowledged.
const LOOK_MAX: usize = 100;

/// How far a peer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How it is spoken to.
    pub mode: Mode,
    /// Its epoch as it is known here; 0: not known.
    pub epoch: u64,
    /// The highest of our ids that it acknowledged.
    pub acked: u64,
    /// Its messages that are being decided.
    pub jobs: usize,
}

/// One peer, for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerReport {
    /// Its key.
    pub key: PeerPublicKey,
    /// How it is spoken to.
    pub mode: Mode,
    /// Whether our connection to it is registered.
    pub alive: bool,
    /// The highest of our ids that it acknowledged.
    pub acked: u64,
    /// The highest of its ids that we decided.
    pub remote_done: u64,
    /// Whether a batch or a plain command is on its way to it.
    pub in_flight: bool,
    /// Its messages that are being decided.
    pub jobs: usize,
    /// Of a live one, how long the oldest bundle that it is to have has been ready, in milliseconds.
    pub oldest_unacknowledged_ms: Option<Millis>,
}

impl Mempool {
    /// Whether a peer of this key has spoken the overlay's language, or is connected.
    #[must_use]
    pub fn knows(&self, key: &PeerPublicKey) -> bool {
        self.peers.get(key).is_some()
    }

    /// Where a bundle stands, if it is here: its id, once it is ready.
    #[must_use]
    pub fn position(&self, key: &BundleKey) -> Option<Option<u64>> {
        if let Some(locator) = self.timeline.find(key) {
            let state = self.timeline.get(&locator).map(|item| item.state);
            return Some(match state {
                Some(State::Ready(id)) => Some(id),
                _ => None,
            });
        }
        self.parking.sender(key).map(|_| None)
    }

    /// Whether a bundle is here and waits for what it needs.
    #[must_use]
    pub fn is_waiting(&self, key: &BundleKey) -> bool {
        let found = self.timeline.find(key);
        let item = found.and_then(|locator| self.timeline.get(&locator));
        match item {
            Some(item) => item.state == State::Unready,
            None => self.parking.sender(key).is_some(),
        }
    }

    /// Who sent a bundle that is parked, or was when it began to be tried anew.
    #[must_use]
    pub fn parked_sender(&self, key: &BundleKey) -> Option<PeerPublicKey> {
        let parked = self.parking.sender(key);
        parked.or_else(|| retry::sender(&self.retry, key))
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Every number with its name: counters, then what is there now.
    #[must_use]
    pub fn report(&self) -> Vec<(&'static str, u64)> {
        let mut all = self.counters.list();
        let of_mode = |mode: Mode| {
            let alive = self.peers.iter().filter(|(_, peer)| peer.alive);
            alive.filter(|(_, peer)| peer.mode == mode).count()
        };
        let in_flight = self.peers.iter().filter(|(_, peer)| is_in_flight(peer));
        let (unready, quiet) = self.timeline.others();
        let now = [
            ("peers", self.peers.iter().count()),
            ("peers_unknown", of_mode(Mode::Unknown)),
            ("peers_overlay", of_mode(Mode::Overlay)),
            ("peers_plain", of_mode(Mode::Plain)),
            ("in_flight", in_flight.count()),
            ("inbound_jobs", self.jobs_running()),
            ("timeline_length", self.timeline.ready()),
            ("unready", unready),
            ("non_qualified", quiet),
            ("parked", self.parking.len()),
            ("parked_bytes", self.parking.bytes()),
        ];
        all.push(("timeline_head", self.timeline.head()));
        all.push(("timeline_refused", self.timeline.refused));
        all.extend(now.map(|(name, value)| (name, value as u64)));
        all
    }

    /// How far each peer has come that is known, by key.
    pub fn standings(&self) -> impl Iterator<Item = (&PeerPublicKey, Standing)> {
        let all = self.peers.iter();
        all.map(|(key, peer)| {
            let standing = Standing {
                mode: peer.mode,
                epoch: peer.remote_epoch,
                acked: peer.acked,
                jobs: peer.jobs,
            };
            (key, standing)
        })
    }

    /// Every peer that is known, by key.
    #[must_use]
    pub fn peers(&self, now: Millis) -> Vec<PeerReport> {
        let all = self.peers.iter();
        all.map(|(key, peer)| PeerReport {
            key: *key,
            mode: peer.mode,
            alive: peer.alive,
            acked: peer.acked,
            remote_done: peer.remote_done,
            in_flight: is_in_flight(peer),
            jobs: peer.jobs,
            oldest_unacknowledged_ms: self.oldest(now, key, peer),
        })
        .collect()
    }

    fn oldest(&self, now: Millis, key: &PeerPublicKey, peer: &Peer) -> Option<Millis> {
        let mut at = peer.read;
        for _ in 0..LOOK_MAX {
            if !peer.alive {
                return None;
            }
            let (id, locator) = self.timeline.after(at)?;
            let item = self.timeline.get(&locator)?;
            if !reader::is_skipped(item, key, peer) {
                return Some(now.saturating_sub(item.since));
            }
            at = id;
        }
        None
    }

    /// Whether the invariants hold that can be seen from here: M1 to M3, M5, M7 and M8, and that all
    /// indexes agree. An entry of which the pools have no bytes any more is let pass: it goes with
    /// the next sweep.
    ///
    /// # Errors
    /// The first that does not hold, beginning with its name.
    pub fn check_invariants(&self, pools: &dyn Pools) -> Result<(), String> {
        self.timeline.check(pools)?;
        self.parking.check()?;
        let head = self.timeline.head();
        self.peers.check(head, self.settings.inbound_per_peer)?;
        if self.jobs_running() > self.inbound_total() {
            return Err("M7: too many messages are being decided".to_owned());
        }
        for (key, peer) in self.peers.iter() {
            let jobs = self.jobs.values().filter(|job| job.peer == *key).count();
            if jobs != peer.jobs {
                return Err(format!("M7: the messages of {key} were counted wrongly"));
            }
            if let Some(Open::Batch(flight)) = &peer.open
                && (flight.upto > head || flight.after > flight.upto)
            {
                return Err(format!("M2: {key} was sent more than there is"));
            }
        }
        let both = self
            .parking
            .keys()
            .find(|key| self.timeline.find(key).is_some());
        if let Some(key) = both {
            return Err(format!("M3: {key:02x?} is parked and on the timeline"));
        }
        Ok(())
    }
}

const fn is_in_flight(peer: &Peer) -> bool {
    matches!(peer.open, Some(Open::Batch(_) | Open::Plain { .. }))
}
