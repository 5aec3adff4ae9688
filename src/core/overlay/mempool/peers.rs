//! What is known of each peer (`proto/mempool.md`, section 4.3), and the bounded table of them.
//!
//! | field | meaning |
//! | --- | --- |
//! | generation | of our connection to it: a new number at every `NewPeer` |
//! | incarnation | of its process as we know it: a new number when its epoch changes |
//! | `acked` | the highest of our ids that it acknowledged |
//! | `read` | from `acked` to here it needs nothing; the next batch begins behind |
//! | `remote_done` | the highest of its ids that we decided |
//!
//! Bounds: so many peers as the settings say. A newcomer takes the place of the one that is dead
//! and was heard of longest ago, of those first that were never of use; live ones, and ones with
//! messages under way, keep theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::mutants;
use super::timeline::Holder;
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Each event of a peer counts for so long towards a rate.
const RATE_MS: Millis = 60_000;

/// How a peer is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Not known yet: nothing but a greeting is sent.
    #[default]
    Unknown,
    /// It answered in ours.
    Overlay,
    /// It is one of the reference: the plain commands.
    Plain,
}

impl Mode {
    /// For people and programs that look at the node.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Overlay => "overlay",
            Self::Plain => "plain",
        }
    }
}

/// A batch on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    pub after: u64,
    pub upto: u64,
    /// Ids and sizes.
    pub items: Vec<(u64, usize)>,
    /// The peer's, when it was sent.
    pub incarnation: u64,
}

/// The request that waits for its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Open {
    Hello,
    Batch(Flight),
    Pull {
        after: u64,
    },
    Info,
    Plain {
        id: u64,
        command: &'static str,
        bytes: usize,
    },
}

/// Events in the running minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rate {
    since: Millis,
    count: u32,
}

impl Rate {
    /// Counts one; whether it is among the first `most` of its minute.
    pub fn allow(&mut self, now: Millis, most: u32) -> bool {
        if self.count == 0 || now.saturating_sub(self.since) >= RATE_MS {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count <= most
    }
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub slot: u16,
    pub incarnation: u64,
    pub generation: u64,
    pub alive: bool,
    pub mode: Mode,
    /// Its log; 0: not known.
    pub remote_epoch: u64,
    pub remote_done: u64,
    /// It greeted us in its current epoch: it is connected to us.
    pub heard: bool,
    pub acked: u64,
    pub read: u64,
    /// The highest id that was ever sent to this incarnation.
    pub sent: u64,
    pub open: Option<Open>,
    pub not_before: Millis,
    /// Requests without a good reply, running.
    pub failures: u32,
    /// Good replies without progress, running.
    pub stalls: u32,
    pub needs_hello: bool,
    /// It could not read our last batch: bundles go one by one until it has taken one.
    pub narrow: bool,
    pub max_items: u16,
    pub max_bytes: u32,
    pub wants_relay: bool,
    /// What it got when it pulled last: ids and sizes.
    pub answered: Vec<(u64, usize)>,
    pub next_pull: Millis,
    /// Pulls that brought nothing new, running.
    pub empty_pulls: u32,
    /// An answer to a pull is being decided.
    pub pulling: bool,
    /// Of a plain peer: in mode Normal when it was asked last, and when that was.
    pub normal: bool,
    pub asked: Option<Millis>,
    /// When all is told again to a plain peer.
    pub reset_at: Option<Millis>,
    /// Its messages that are being decided.
    pub jobs: usize,
    /// We were connected to it, or took something from it: a key that anybody can make is not that.
    pub useful: bool,
    /// It brought what can never be: nothing is decided for it before this.
    pub penalised: Millis,
    /// When it was last asked to tell its log from the beginning.
    pub rewound: Option<Millis>,
    pub seen: Millis,
    pub security: Rate,
    pub epochs: Rate,
}

impl Peer {
    fn new(now: Millis, slot: u16, incarnation: u64) -> Self {
        Self {
            slot,
            incarnation,
            generation: 0,
            alive: false,
            mode: Mode::Unknown,
            remote_epoch: 0,
            remote_done: 0,
            heard: false,
            acked: 0,
            read: 0,
            sent: 0,
            open: None,
            not_before: 0,
            failures: 0,
            stalls: 0,
            needs_hello: false,
            narrow: false,
            max_items: 1,
            max_bytes: 1,
            wants_relay: true,
            answered: Vec::new(),
            next_pull: 0,
            empty_pulls: 0,
            pulling: false,
            normal: false,
            asked: None,
            reset_at: None,
            jobs: 0,
            useful: false,
            penalised: 0,
            rewound: None,
            seen: now,
            security: Rate::default(),
            epochs: Rate::default(),
        }
    }

    pub const fn holder(&self) -> Holder {
        Holder {
            slot: self.slot,
            incarnation: self.incarnation,
        }
    }

    /// Goes back, or forward, to what it acknowledged.
    pub const fn set_cursor(&mut self, id: u64) {
        self.acked = id;
        self.read = id;
    }

    /// Whether it is more than a key that anybody can make.
    pub const fn is_known(&self) -> bool {
        self.alive || self.useful
    }

    /// Whether it gets what there is from our batches, so that it need not pull.
    pub fn is_pushed_to(&self) -> bool {
        self.alive && self.mode == Mode::Overlay && self.failures == 0
    }
}

/// All peers that are known.
#[derive(Debug, Clone)]
pub(super) struct Table {
    limit: u16,
    peers: BTreeMap<PeerPublicKey, Peer>,
    alive: BTreeSet<PeerPublicKey>,
    free: Vec<u16>,
    next_slot: u16,
    incarnations: u64,
    generations: u64,
}

impl Table {
    pub const fn new(limit: u16) -> Self {
        Self {
            limit,
            peers: BTreeMap::new(),
            alive: BTreeSet::new(),
            free: Vec::new(),
            next_slot: 0,
            incarnations: 0,
            generations: 0,
        }
    }

    pub fn get(&self, key: &PeerPublicKey) -> Option<&Peer> {
        self.peers.get(key)
    }

    pub fn get_mut(&mut self, key: &PeerPublicKey) -> Option<&mut Peer> {
        self.peers.get_mut(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&PeerPublicKey, &Peer)> {
        self.peers.iter()
    }

    pub const fn alive(&self) -> &BTreeSet<PeerPublicKey> {
        &self.alive
    }

    /// The peer of this key, a new one if it was not known; none when the table is full of peers
    /// that keep their places. The second: whether another lost its place.
    pub fn admit(&mut self, now: Millis, key: PeerPublicKey) -> (Option<&mut Peer>, bool) {
        let mut evicted = false;
        if !self.peers.contains_key(&key) {
            if self.peers.len() >= usize::from(self.limit) {
                evicted = self.evict();
                if !evicted {
                    return (None, false);
                }
            }
            let slot = self.free.pop().unwrap_or_else(|| {
                let slot = self.next_slot;
                self.next_slot = slot.saturating_add(1);
                slot
            });
            self.incarnations += 1;
            self.peers
                .insert(key, Peer::new(now, slot, self.incarnations));
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.seen = now;
        }
        (self.peers.get_mut(&key), evicted)
    }

    fn evict(&mut self) -> bool {
        let dead = self.peers.iter();
        let dead = dead.filter(|(_, peer)| !peer.alive && peer.jobs == 0);
        let oldest = dead.min_by_key(|(_, peer)| (peer.useful, peer.seen));
        let oldest = oldest.map(|(key, _)| *key);
        let gone = oldest.and_then(|key| self.peers.remove(&key));
        if let Some(peer) = &gone {
            self.free.push(peer.slot);
        }
        gone.is_some()
    }

    /// Our connection to it is there, as a new generation; the caller admitted it.
    pub fn connect(&mut self, now: Millis, key: &PeerPublicKey) {
        self.generations += 1;
        let generation = self.generations;
        if let Some(peer) = self.peers.get_mut(key) {
            peer.generation = generation;
            peer.alive = true;
            peer.useful = true;
            peer.mode = Mode::Unknown;
            peer.open = None;
            peer.not_before = now;
            peer.failures = 0;
            peer.stalls = 0;
            peer.needs_hello = true;
            peer.narrow = false;
            peer.asked = None;
            self.alive.insert(*key);
        }
    }

    /// It is gone; the cursors stay. Whether it was there.
    pub fn disconnect(&mut self, key: &PeerPublicKey) -> bool {
        let was_alive = self.alive.remove(key);
        if let Some(peer) = self.peers.get_mut(key) {
            peer.alive = false;
            peer.open = None;
            peer.mode = Mode::Unknown;
        }
        was_alive
    }

    /// Its process was started anew, or is heard of for the first time: it has nothing of our log,
    /// and we have nothing of its.
    pub fn new_epoch(&mut self, key: &PeerPublicKey, epoch: u64) {
        self.incarnations += 1;
        let incarnation = self.incarnations;
        if let Some(peer) = self.peers.get_mut(key) {
            peer.incarnation = incarnation;
            peer.remote_epoch = epoch;
            peer.remote_done = 0;
            peer.heard = false;
            peer.sent = 0;
            peer.answered.clear();
            if !mutants::NEW_EPOCH_KEEPS_THE_CURSOR {
                peer.set_cursor(0);
            }
        }
    }

    /// Whether bounds and index hold (M2, M7).
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self, head: u64, per_peer: usize) -> Result<(), String> {
        if self.peers.len() > usize::from(self.limit) {
            return Err("M7: too many peers".to_owned());
        }
        let mut slots = BTreeSet::new();
        for (key, peer) in &self.peers {
            if peer.acked > peer.read || peer.read > head {
                return Err(format!("M2: the cursor of {key} is beyond the head"));
            }
            if peer.jobs > per_peer {
                return Err(format!("M7: too many messages of {key}"));
            }
            if peer.alive != self.alive.contains(key) || (peer.open.is_some() && !peer.alive) {
                return Err(format!("M8: {key} is neither here nor gone"));
            }
            if !slots.insert(peer.slot) {
                return Err(format!("M3: the place of {key} is another's too"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(number: u8) -> PeerPublicKey {
        PeerPublicKey([number; 32])
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_dead_one_heard_of_longest_ago() {
        let mut table = Table::new(2);
        table.admit(0, key(1));
        table.connect(0, &key(1));
        assert!(table.admit(1, key(2)).0.is_some());
        let (admitted, evicted) = table.admit(2, key(3));
        assert!(admitted.is_some_and(|peer| peer.slot == 1) && evicted);
        assert!(table.get(&key(2)).is_none());
        table.connect(3, &key(3));
        assert_eq!(table.admit(4, key(4)), (None, false), "live ones stay");
        assert!(table.disconnect(&key(1)));
        if let Some(peer) = table.get_mut(&key(1)) {
            peer.jobs = 1;
        }
        assert_eq!(table.admit(5, key(4)), (None, false), "it has work here");
        table.check(0, 1).unwrap();
    }

    #[test]
    fn a_rate_lets_so_many_through_in_a_minute() {
        let mut rate = Rate::default();
        let allowed = (0..20).filter(|at| rate.allow(*at, 10)).count();
        assert_eq!(allowed, 10);
        assert!(!rate.allow(59_999, 10));
        assert!(rate.allow(60_000, 10));
    }

    #[test]
    fn generations_go_on_when_a_peer_was_forgotten() {
        let mut table = Table::new(1);
        table.admit(0, key(1));
        table.connect(0, &key(1));
        let first = table.get(&key(1)).unwrap().generation;
        table.disconnect(&key(1));
        table.admit(1, key(2));
        table.admit(2, key(1));
        table.connect(2, &key(1));
        assert!(table.get(&key(1)).unwrap().generation > first);
    }
}
