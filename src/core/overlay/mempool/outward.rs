//! Peers that come and go, and their replies to what we sent (`proto/mempool.md`, sections 4.3 to
//! 4.5).
//!
//! The cursor moves when a batch is acknowledged. A reply of another connection, of another epoch
//! or beyond what was sent moves nothing.

use super::inward::{learn, to_usize};
use super::peers::{Flight, Mode, Open};
use super::security::{Event, Offence};
use super::wire::{Batch, BatchAck, FLAG_NORMAL, Hello, Message, Nack, NackCode};
use super::{COMMAND, Effect, FAILURES_MAX, Mempool, Notices, mutants};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Registered peers without a place that are remembered.
const UNPLACED_MAX: usize = 1024;
/// Greetings refused as "busy", running, after which a peer is told by plain commands.
const BUSY_MAX: u32 = 20;

/// What a reply is.
enum Read {
    Message(Message),
    /// What the reference says to a command that it does not know.
    NotSpoken,
    Garbage,
}

impl Mempool {
    pub(super) fn on_new_peer(&mut self, now: Millis, key: PeerPublicKey) {
        let (admitted, evicted) = self.peers.admit(now, key);
        if admitted.is_none() {
            self.counters.peers_refused += 1;
            if self.unplaced.len() < UNPLACED_MAX {
                self.unplaced.insert(key);
            }
            return;
        }
        self.counters.peers_evicted += u64::from(evicted);
        self.peers.connect(now, &key);
        self.news = self.news | Notices::PEER_STATE_CHANGE;
    }

    pub(super) fn on_lost_peer(&mut self, key: &PeerPublicKey) {
        self.unplaced.remove(key);
        if self.peers.disconnect(key) {
            self.news = self.news | Notices::PEER_STATE_CHANGE;
        }
    }

    pub(super) fn on_reply(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        generation: u64,
        frames: Option<&[Vec<u8>]>,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.peers.get_mut(&key) else {
            self.counters.unexpected_replies += 1;
            return;
        };
        if generation != peer.generation && !mutants::STALE_GENERATION_APPLIED {
            self.counters.stale_replies += 1;
            if let Some(Read::Message(Message::BatchAck(_))) = frames.map(|all| self.read(all)) {
                self.security(now, Event::AckOfAnotherConnection, key, None, out);
            }
            return;
        }
        let Some(open) = peer.open.take() else {
            self.counters.unexpected_replies += 1;
            return;
        };
        peer.seen = now;
        let Some(frames) = frames else {
            self.failed(now, key, out);
            return;
        };
        match open {
            Open::Hello => self.on_hello_reply(now, key, frames, out),
            Open::Batch(flight) => self.on_batch_reply(now, key, &flight, frames, out),
            Open::Pull { after } => self.on_pull_reply(now, key, after, frames, out),
            Open::Info => self.on_info_reply(now, key, frames, out),
            Open::Plain { id, command, bytes } => {
                self.on_plain_reply(now, key, (id, command, bytes), frames, out);
            }
        }
    }

    fn read(&self, frames: &[Vec<u8>]) -> Read {
        match frames {
            [_, payload] if payload == b"A" => Read::NotSpoken,
            [command, payload]
                if command == COMMAND.as_bytes()
                    && payload.len() <= to_usize(self.settings.max_message_bytes) =>
            {
                Message::decode(payload).map_or(Read::Garbage, Read::Message)
            }
            _ => Read::Garbage,
        }
    }

    fn on_hello_reply(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        frames: &[Vec<u8>],
        out: &mut Vec<Effect>,
    ) {
        match self.read(frames) {
            Read::Message(Message::HelloAck(hello, resume)) => {
                self.on_hello_ack(now, key, &hello, resume, out);
            }
            Read::Message(Message::Nack(nack)) => {
                let stalls = self.peers.get(&key).map_or(0, |peer| peer.stalls);
                self.on_nack(now, key, nack, None);
                // It speaks another version, or has no place for us: it takes plain commands.
                let is_final = match nack.code {
                    NackCode::Malformed => true,
                    NackCode::Busy => stalls >= BUSY_MAX,
                    NackCode::WrongEpoch | NackCode::NotNormal => false,
                };
                if is_final {
                    self.is_plain(now, key);
                }
            }
            Read::NotSpoken => self.is_plain(now, key),
            Read::Message(_) | Read::Garbage => {
                self.counters.garbage += 1;
                self.is_plain(now, key);
            }
        }
    }

    fn on_hello_ack(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        hello: &Hello,
        resume: u64,
        out: &mut Vec<Effect>,
    ) {
        let head = self.timeline.head();
        let tick = self.settings.shared_mempool_tick_interval_ms;
        let idle = self.settings.pull_idle_ms;
        let before = self.peers.get(&key).map_or(0, |peer| peer.remote_epoch);
        if !self.epoch_is(now, key, hello.epoch, out) {
            self.stalled(now, &key, self.settings.back_off_max_ms);
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if before == hello.epoch {
            peer.set_cursor(peer.acked.min(resume));
        }
        learn(peer, hello);
        peer.mode = Mode::Overlay;
        peer.needs_hello = false;
        peer.failures = 0;
        // One that connects to us will send what there is.
        let idle = if peer.heard { idle } else { 0 };
        peer.next_pull = now.saturating_add(idle);
        peer.empty_pulls = 0;
        if hello.flags & FLAG_NORMAL == 0 {
            peer.not_before = now.saturating_add(tick);
        }
        if resume > head {
            self.counters.false_acks += 1;
            self.security(now, Event::AckBeyond, key, None, out);
        }
    }

    fn on_batch_reply(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        flight: &Flight,
        frames: &[Vec<u8>],
        out: &mut Vec<Effect>,
    ) {
        match self.read(frames) {
            Read::Message(Message::BatchAck(ack)) => self.on_ack(now, key, flight, &ack, out),
            Read::Message(Message::Nack(nack)) => self.on_nack(now, key, nack, Some(flight)),
            Read::NotSpoken => self.is_plain(now, key),
            Read::Message(_) | Read::Garbage => self.unproven(now, key, out),
        }
    }

    fn on_ack(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        flight: &Flight,
        ack: &BatchAck,
        out: &mut Vec<Effect>,
    ) {
        let pause = self.pause(ack.retry_after_ms.into());
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.failures = 0;
        if flight.incarnation != peer.incarnation {
            // Its process is a new one meanwhile: what the old one took is lost.
            peer.needs_hello = true;
            return;
        }
        let wrong = if ack.epoch != self.epoch {
            Some(Event::AckOfAnotherEpoch)
        } else if ack.upto > flight.upto {
            Some(Event::AckBeyond)
        } else {
            None
        };
        if let Some(event) = wrong {
            self.counters.false_acks += 1;
            self.offend(now, Offence::FalseAck, event, key, out);
            self.stalled(now, &key, 0);
            return;
        }
        if ack.upto < flight.after {
            // It missed something: once more from there.
            peer.set_cursor(ack.upto);
            self.counters.rewinds += 1;
            self.stalled(now, &key, ack.retry_after_ms.into());
            return;
        }
        peer.acked = peer.acked.max(ack.upto);
        peer.read = peer.read.max(peer.acked);
        if ack.upto == flight.after {
            self.stalled(now, &key, ack.retry_after_ms.into());
            return;
        }
        peer.stalls = 0;
        peer.narrow = false;
        if ack.credit == 0 {
            peer.not_before = now.saturating_add(pause);
        }
        self.count_acked(&flight.items, ack.upto);
    }

    /// A pause that a peer asks for, within reason.
    fn pause(&self, asked: Millis) -> Millis {
        asked
            .min(self.settings.back_off_max_ms)
            .max(self.settings.shared_mempool_tick_interval_ms)
    }

    /// A good reply that brings nothing forward: the pause that is asked for, and a longer one the
    /// more of them there are.
    pub(super) fn stalled(&mut self, now: Millis, key: &PeerPublicKey, asked: Millis) {
        let pause = self.pause(asked);
        let tick = self.settings.shared_mempool_tick_interval_ms;
        let most = self.settings.back_off_max_ms;
        if let Some(peer) = self.peers.get_mut(key) {
            let doubled = tick.saturating_mul(1 << peer.stalls.min(20)).min(most);
            peer.stalls = peer.stalls.saturating_add(1);
            peer.not_before = now.saturating_add(pause.max(doubled));
        }
    }

    fn on_nack(&mut self, now: Millis, key: PeerPublicKey, nack: Nack, flight: Option<&Flight>) {
        self.counters.nack_received(nack.code);
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.failures = 0;
        match (nack.code, flight) {
            (NackCode::WrongEpoch, Some(_)) => {
                peer.needs_hello = true;
                if peer.stalls == 0 {
                    peer.stalls = 1;
                    return;
                }
            }
            (NackCode::Malformed, Some(flight)) => match flight.items.as_slice() {
                [(id, _)] => {
                    // It never takes this one; the others must not wait for it.
                    peer.read = peer.read.max(*id);
                    self.counters.unreadable += 1;
                }
                _ => peer.narrow = true,
            },
            _ => {}
        }
        self.stalled(now, &key, nack.retry_after_ms.into());
    }

    fn on_pull_reply(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        after: u64,
        frames: &[Vec<u8>],
        out: &mut Vec<Effect>,
    ) {
        match self.read(frames) {
            Read::Message(Message::Batch(batch)) => self.on_pulled(now, key, after, batch, out),
            Read::Message(Message::Nack(nack)) => {
                if nack.code == NackCode::WrongEpoch
                    && let Some(peer) = self.peers.get_mut(&key)
                {
                    peer.needs_hello = true;
                }
                self.on_nack(now, key, nack, None);
            }
            Read::NotSpoken => self.is_plain(now, key),
            Read::Message(_) | Read::Garbage => self.unproven(now, key, out),
        }
    }

    fn on_pulled(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        after: u64,
        batch: Batch,
        out: &mut Vec<Effect>,
    ) {
        let is_within_limits = self.is_within_limits(&batch);
        let has_place = self.normal && self.has_place(now, &key);
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.failures = 0;
        if batch.epoch != peer.remote_epoch {
            peer.needs_hello = true;
            self.stalled(now, &key, 0);
        } else if batch.after != after || !is_within_limits {
            self.offend(now, Offence::OverLimit, Event::OverLimit, key, out);
            self.stalled(now, &key, 0);
        } else if batch.items.iter().all(|item| item.id <= peer.remote_done) {
            peer.empty_pulls = peer.empty_pulls.saturating_add(1);
            if after <= peer.remote_done {
                peer.remote_done = peer.remote_done.max(batch.upto);
            }
        } else if has_place {
            let bytes: usize = batch.items.iter().map(|i| i.bundle.payload.len()).sum();
            let full = batch.items.len() >= usize::from(self.settings.shared_mempool_batch_size)
                || bytes.saturating_mul(2) >= to_usize(self.settings.batch_bytes);
            self.begin(key, None, batch, full, out);
        }
    }

    /// The request has no good reply: a pause, and after some of them the peer is taken for lost.
    pub(super) fn failed(&mut self, now: Millis, key: PeerPublicKey, out: &mut Vec<Effect>) {
        self.counters.failures += 1;
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.failures = peer.failures.saturating_add(1);
        let failures = peer.failures;
        let pause = self.back_off(failures);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.not_before = now.saturating_add(pause);
        }
        if failures >= FAILURES_MAX && self.peers.disconnect(&key) {
            self.counters.lost += 1;
            self.news = self.news | Notices::PEER_STATE_CHANGE;
            out.push(Effect::Lost(key));
        }
    }

    /// It does not answer in our language any more: it has to prove again that it speaks it.
    fn unproven(&mut self, now: Millis, key: PeerPublicKey, out: &mut Vec<Effect>) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.needs_hello = true;
        }
        self.failed(now, key, out);
    }
}
