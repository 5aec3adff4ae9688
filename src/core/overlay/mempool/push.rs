//! What goes to whom next (`proto/mempool.md`, sections 4.4 and 4.5): one request at a time to each
//! peer, whatever the others do.
//!
//! | peer | what is sent next |
//! | --- | --- |
//! | not known, or its process is a new one | HELLO |
//! | behind our log | BATCH: behind what it acknowledged |
//! | not looked at for its interval | PULL |
//! | one of the reference | see `plain.rs` |

use super::bundle::Pools;
use super::inward::to_usize;
use super::peers::{Flight, Mode, Open, Peer};
use super::reader::{self, Limits};
use super::wire::{Batch, Message, Pull};
use super::{Effect, Mempool, Notices, mutants};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Pulls that bring nothing before the pause between them gets longer: ten seconds.
const PULLS_EAGER: u32 = 20;
/// How often the pause between pulls that bring nothing doubles: from half a second to four.
const PULL_DOUBLINGS: u32 = 3;
/// A pull that was put off for so many of its intervals goes before what is to be sent.
const PULL_PATIENCE: u64 = 4;

impl Mempool {
    /// Gives every live peer what it is to have next, if nothing is open to it.
    pub(super) fn pump(&mut self, now: Millis, pools: &dyn Pools, out: &mut Vec<Effect>) {
        let alive: Vec<PeerPublicKey> = self.peers.alive().iter().copied().collect();
        for key in alive {
            let Some(peer) = self.peers.get(&key) else {
                continue;
            };
            if peer.open.is_some() || now < peer.not_before {
                continue;
            }
            match peer.mode {
                _ if peer.needs_hello => self.greet(key, out),
                Mode::Unknown => {}
                Mode::Plain => self.tell_plain(now, key, pools, out),
                Mode::Overlay => {
                    let patience = self.pull_interval(peer).saturating_mul(PULL_PATIENCE);
                    let overdue = now >= peer.next_pull.saturating_add(patience);
                    let is_pulled = overdue && self.pull(now, key, out);
                    if !is_pulled && !self.push(now, key, pools, out) {
                        self.pull(now, key, out);
                    }
                }
            }
        }
    }

    /// When [`Mempool::pump`] has something to do for a live peer.
    pub(super) fn next_due(&self, key: &PeerPublicKey) -> Option<Millis> {
        let peer = self.peers.get(key)?;
        if peer.open.is_some() {
            return None;
        }
        let is_behind = peer.read < self.timeline.head();
        let due = match peer.mode {
            _ if peer.needs_hello => Some(0),
            Mode::Unknown => None,
            Mode::Plain => self.plain_due(peer, is_behind),
            Mode::Overlay if is_behind => Some(0),
            Mode::Overlay => {
                let due = peer.next_pull.max(peer.penalised);
                self.may_pull(due, key, peer).then_some(due)
            }
        };
        due.map(|due| due.max(peer.not_before))
    }

    fn send(&mut self, key: PeerPublicKey, open: Open, message: &Message, out: &mut Vec<Effect>) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.open = Some(open);
            out.push(Effect::Send {
                peer: key,
                generation: peer.generation,
                payload: message.encode(),
            });
        }
    }

    fn greet(&mut self, key: PeerPublicKey, out: &mut Vec<Effect>) {
        let hello = Message::Hello(self.hello());
        self.send(key, Open::Hello, &hello, out);
    }

    fn push(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        pools: &dyn Pools,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(peer) = self.peers.get(&key) else {
            return false;
        };
        let most = self.settings.shared_mempool_batch_size.min(peer.max_items);
        let limits = Limits {
            items: if peer.narrow { 1 } else { usize::from(most) },
            bytes: to_usize(self.settings.batch_bytes.min(peer.max_bytes)),
            message: to_usize(self.settings.max_message_bytes),
        };
        let (from, after, incarnation) = (peer.read, peer.acked, peer.incarnation);
        let log = &mut self.timeline;
        let taken = reader::read(log, now, pools, (&key, peer), from, limits);
        let (upto, sizes) = (taken.upto, taken.sizes());
        self.count_sent(&key, &sizes, upto, (taken.too_large, taken.gone));
        if taken.items.is_empty() {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.read = peer.read.max(upto);
            }
            return false;
        }
        let batch = Batch {
            epoch: self.epoch,
            after,
            upto,
            items: taken.items,
        };
        let flight = Flight {
            after,
            upto,
            items: sizes,
            incarnation,
        };
        self.send(key, Open::Batch(flight), &Message::Batch(batch), out);
        if let Some(peer) = self.peers.get_mut(&key)
            && mutants::CURSOR_MOVES_ON_SEND
        {
            peer.set_cursor(upto);
        }
        true
    }

    /// Between two pulls: short while we are the only one of the two who can connect, and longer the
    /// more of them brought nothing.
    const fn pull_interval(&self, peer: &Peer) -> Millis {
        if peer.heard {
            self.settings.pull_idle_ms
        } else {
            let doublings = peer.empty_pulls.saturating_sub(PULLS_EAGER);
            let doublings = if doublings < PULL_DOUBLINGS {
                doublings
            } else {
                PULL_DOUBLINGS
            };
            let tick = self.settings.shared_mempool_tick_interval_ms;
            let most = self.settings.pull_idle_ms;
            let pause = tick.saturating_mul(1 << doublings);
            if pause < most { pause } else { most }
        }
    }

    /// Something new is here: where it comes from there may be more.
    pub(super) fn pull_soon(&mut self, now: Millis) {
        let soon = now.saturating_add(self.settings.shared_mempool_tick_interval_ms);
        let alive: Vec<PeerPublicKey> = self.peers.alive().iter().copied().collect();
        for key in alive {
            if let Some(peer) = self.peers.get_mut(&key)
                && peer.empty_pulls > 0
            {
                peer.empty_pulls = 0;
                if !peer.heard {
                    peer.next_pull = peer.next_pull.min(soon);
                }
            }
        }
    }

    fn may_pull(&self, at: Millis, key: &PeerPublicKey, peer: &Peer) -> bool {
        self.normal && !peer.pulling && self.has_place(at, key)
    }

    fn pull(&mut self, now: Millis, key: PeerPublicKey, out: &mut Vec<Effect>) -> bool {
        let Some(peer) = self.peers.get(&key) else {
            return false;
        };
        if now < peer.next_pull || !self.may_pull(now, &key, peer) {
            return false;
        }
        let next = now.saturating_add(self.pull_interval(peer));
        let after = peer.remote_done;
        let pull = Message::Pull(Pull {
            epoch: peer.remote_epoch,
            after,
            max_items: self.settings.shared_mempool_batch_size,
            max_bytes: self.settings.batch_bytes,
        });
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.next_pull = next;
        }
        self.send(key, Open::Pull { after }, &pull, out);
        true
    }

    /// Counts what leaves for a peer, and how far it was ever sent.
    pub(super) fn count_sent(
        &mut self,
        key: &PeerPublicKey,
        sizes: &[(u64, usize)],
        upto: u64,
        (too_large, gone): (u64, u64),
    ) {
        self.counters.too_large += too_large;
        self.counters.gc_removed += gone;
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        for (id, size) in sizes {
            self.counters.sent_bundles += 1;
            self.counters.sent_bytes += *size as u64;
            if *id <= peer.sent {
                self.counters.resent_bundles += 1;
                self.counters.resent_bytes += *size as u64;
            }
        }
        peer.sent = peer.sent.max(upto);
        if !sizes.is_empty() {
            self.news = self.news | Notices::SYNC;
        }
    }

    pub(super) fn count_acked(&mut self, items: &[(u64, usize)], upto: u64) {
        for (_, size) in items.iter().filter(|(id, _)| *id <= upto) {
            self.counters.acked_bundles += 1;
            self.counters.acked_bytes += *size as u64;
        }
    }
}
