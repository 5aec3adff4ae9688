//! What peers send us (`proto/mempool.md`, sections 4.4 and 4.5): every request has one answer, and
//! a batch is acknowledged as far as it is decided.
//!
//! | request | answer |
//! | --- | --- |
//! | unreadable, over the limits, or no request | refused: malformed, and a penalty |
//! | HELLO | HELLO-ACK; a new epoch begins with nothing done |
//! | BATCH of an epoch that was not told, or of a stranger | refused: wrong epoch |
//! | BATCH while the node takes no records | refused: not normal |
//! | BATCH behind a gap | BATCH-ACK up to the gap |
//! | BATCH, and no place | refused: busy |
//! | BATCH | when the pools have decided: BATCH-ACK of the longest prefix |
//! | PULL of another epoch, or of a stranger | refused: wrong epoch |
//! | PULL | a BATCH, possibly empty |
//!
//! Bounds: so many batches at once, so many of one peer.

use super::bundle::Pools;
use super::jobs::Tally;
use super::peers::{Mode, Peer};
use super::reader::{self, Limits};
use super::security::{Event, Offence};
use super::wire::{
    self, Batch, BatchAck, FLAG_NORMAL, FLAG_RELAY, Hello, Message, Nack, NackCode, Pull,
};
use super::{Effect, Mempool, Policy, mutants};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// New epochs of one peer in a minute.
pub(super) const EPOCHS_PER_MINUTE: u32 = 6;
/// The pause that is asked for while the node takes no records.
const NOT_NORMAL_MS: Millis = 10_000;

impl Mempool {
    pub(super) fn refuse_all(&mut self, ticket: u64, out: &mut Vec<Effect>) {
        let pause = self.settings.back_off_max_ms;
        self.refuse(ticket, 0, NackCode::NotNormal, pause, out);
    }

    pub(super) fn on_request(
        &mut self,
        now: Millis,
        ticket: u64,
        key: PeerPublicKey,
        payload: &[u8],
        pools: &dyn Pools,
        out: &mut Vec<Effect>,
    ) {
        if payload.len() > to_usize(self.settings.max_message_bytes) {
            self.offend(now, Offence::OverLimit, Event::OverLimit, key, out);
            self.refuse(ticket, 0, NackCode::Malformed, 0, out);
            return;
        }
        let message = Message::decode(payload);
        // A place in the table is for those that greet.
        if matches!(message, Ok(Message::Hello(_))) {
            let (admitted, evicted) = self.peers.admit(now, key);
            let is_known = admitted.is_some();
            self.counters.peers_evicted += u64::from(evicted);
            if !is_known {
                self.counters.peers_refused += 1;
                let pause = self.settings.back_off_max_ms;
                self.refuse(ticket, 0, NackCode::Busy, pause, out);
                return;
            }
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.seen = now;
        }
        match message {
            Ok(Message::Hello(hello)) => self.greeted(now, ticket, key, &hello, out),
            Ok(Message::Batch(batch)) => self.offered(now, ticket, key, batch, out),
            Ok(Message::Pull(pull)) => self.pulled_from(now, ticket, key, pull, pools, out),
            Ok(Message::HelloAck(..) | Message::BatchAck(_) | Message::Nack(_)) | Err(_) => {
                self.offend(now, Offence::Malformed, Event::Malformed, key, out);
                self.refuse(ticket, 0, NackCode::Malformed, 0, out);
            }
        }
    }

    /// What is told of this node.
    pub(super) const fn hello(&self) -> Hello {
        let normal = if self.normal { FLAG_NORMAL } else { 0 };
        let relay = match self.settings.policy {
            Policy::Relay => FLAG_RELAY,
            Policy::Own => 0,
        };
        Hello {
            epoch: self.epoch,
            head: self.timeline.head(),
            max_bytes: self.settings.batch_bytes,
            max_items: self.settings.shared_mempool_batch_size,
            flags: normal | relay,
        }
    }

    fn greeted(
        &mut self,
        now: Millis,
        ticket: u64,
        key: PeerPublicKey,
        hello: &Hello,
        out: &mut Vec<Effect>,
    ) {
        if !self.epoch_is(now, key, hello.epoch, out) {
            let pause = self.settings.back_off_max_ms;
            self.refuse(ticket, hello.epoch, NackCode::Busy, pause, out);
            return;
        }
        let ack = self.hello();
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.heard = true;
        learn(peer, hello);
        let payload = Message::HelloAck(ack, peer.remote_done).encode();
        out.push(Effect::Answer { ticket, payload });
    }

    /// Takes note of a peer's epoch, a new one included; false if there are too many new ones.
    pub(super) fn epoch_is(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        epoch: u64,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&key) else {
            return false;
        };
        if peer.remote_epoch == epoch {
            return true;
        }
        if !peer.epochs.allow(now, EPOCHS_PER_MINUTE) {
            self.security(now, Event::EpochFlapping, key, None, out);
            return false;
        }
        // It does not know us any more, or speaks our language now.
        peer.needs_hello = peer.alive;
        if peer.mode == Mode::Plain {
            peer.mode = Mode::Unknown;
        }
        self.counters.new_epochs += 1;
        self.peers.new_epoch(&key, epoch);
        true
    }

    fn offered(
        &mut self,
        now: Millis,
        ticket: u64,
        key: PeerPublicKey,
        batch: Batch,
        out: &mut Vec<Effect>,
    ) {
        let epoch = batch.epoch;
        let known = self.peers.get(&key);
        let known = known.filter(|peer| epoch != 0 && peer.remote_epoch == epoch);
        let done = known.map_or(0, |peer| peer.remote_done);
        if known.is_none() {
            self.refuse(ticket, epoch, NackCode::WrongEpoch, 0, out);
        } else if !self.is_within_limits(&batch) {
            self.offend(now, Offence::OverLimit, Event::OverLimit, key, out);
            self.refuse(ticket, epoch, NackCode::Malformed, 0, out);
        } else if !self.normal {
            self.refuse(ticket, epoch, NackCode::NotNormal, NOT_NORMAL_MS, out);
        } else if done < batch.after {
            self.acknowledge(ticket, &key, epoch, done, (&Tally::default(), 0), out);
        } else if batch.items.iter().all(|item| item.id <= done) {
            self.finish_repeated(ticket, key, &batch, out);
        } else if self.has_place(now, &key) {
            self.begin(key, Some(ticket), batch, false, out);
        } else {
            let pause = self.settings.back_off_ms;
            self.refuse(ticket, epoch, NackCode::Busy, pause, out);
        }
    }

    pub(super) fn is_within_limits(&self, batch: &Batch) -> bool {
        let sizes = batch.items.iter().map(|item| item.bundle.payload.len());
        let bytes: usize = sizes.sum();
        batch.items.len() <= usize::from(self.settings.shared_mempool_batch_size)
            && (batch.items.len() <= 1 || bytes <= to_usize(self.settings.batch_bytes))
    }

    /// Whether one more batch of this peer may be decided now. Half of the places are for those
    /// that we are connected to or that were of use; who brought what can never be waits a while.
    pub(super) fn has_place(&self, now: Millis, key: &PeerPublicKey) -> bool {
        let peer = self.peers.get(key);
        let (of_peer, is_known) = peer.map_or((0, false), |peer| (peer.jobs, peer.is_known()));
        let most = if is_known {
            self.inbound_total()
        } else {
            self.inbound_total().div_ceil(2)
        };
        self.jobs_running() < most
            && peer.is_none_or(|peer| peer.penalised <= now)
            && (mutants::NO_PER_PEER_QUOTA || of_peer < self.settings.inbound_per_peer)
    }

    pub(super) fn acknowledge(
        &self,
        ticket: u64,
        key: &PeerPublicKey,
        epoch: u64,
        upto: u64,
        (tally, repeated): (&Tally, usize),
        out: &mut Vec<Effect>,
    ) {
        let running = self.peers.get(key).map_or(0, |peer| peer.jobs);
        let free = self.settings.inbound_per_peer.saturating_sub(running);
        let pause = if tally.no_room {
            self.settings.back_off_ms
        } else {
            0
        };
        let ack = BatchAck {
            epoch,
            upto,
            credit: if tally.no_room { 0 } else { to_u16(free) },
            retry_after_ms: to_u32(pause),
            accepted: to_u16(tally.accepted),
            duplicate: to_u16(tally.duplicate.saturating_add(repeated)),
            invalid: to_u16(tally.invalid),
            parked: to_u16(tally.parked),
        };
        let payload = Message::BatchAck(ack).encode();
        out.push(Effect::Answer { ticket, payload });
    }

    pub(super) fn refuse(
        &mut self,
        ticket: u64,
        epoch: u64,
        code: NackCode,
        pause: Millis,
        out: &mut Vec<Effect>,
    ) {
        self.counters.nack_sent(code);
        let nack = Nack {
            epoch,
            code,
            retry_after_ms: to_u32(pause),
        };
        let payload = Message::Nack(nack).encode();
        out.push(Effect::Answer { ticket, payload });
    }

    /// A peer asks for our log. One that is sent our batches gets nothing: it would have it twice.
    fn pulled_from(
        &mut self,
        now: Millis,
        ticket: u64,
        key: PeerPublicKey,
        pull: Pull,
        pools: &dyn Pools,
        out: &mut Vec<Effect>,
    ) {
        let head = self.timeline.head();
        let is_ours = pull.epoch == self.epoch && pull.after <= head;
        let Some(peer) = self.peers.get_mut(&key).filter(|_| is_ours) else {
            self.refuse(ticket, pull.epoch, NackCode::WrongEpoch, 0, out);
            return;
        };
        if pull.after > peer.sent {
            self.counters.false_acks += 1;
            self.security(now, Event::AckBeyond, key, None, out);
        } else if pull.after > peer.acked {
            peer.acked = pull.after;
            peer.read = peer.read.max(pull.after);
            let answered = std::mem::take(&mut peer.answered);
            self.count_acked(&answered, pull.after);
        }
        let limits = Limits {
            items: usize::from(pull.max_items.min(self.settings.shared_mempool_batch_size)).max(1),
            bytes: to_usize(pull.max_bytes.min(self.settings.batch_bytes)),
            message: to_usize(self.settings.max_message_bytes),
        };
        let mut batch = Batch {
            epoch: self.epoch,
            after: pull.after,
            upto: pull.after,
            items: Vec::new(),
        };
        if let Some(peer) = self.peers.get(&key)
            && !peer.is_pushed_to()
        {
            let log = &mut self.timeline;
            let taken = reader::read(log, now, pools, (&key, peer), pull.after, limits);
            let sizes = taken.sizes();
            self.count_sent(&key, &sizes, taken.upto, (taken.too_large, taken.gone));
            batch.upto = taken.upto;
            batch.items = taken.items;
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.answered = sizes;
            }
        }
        let payload = Message::Batch(batch).encode();
        out.push(Effect::Answer { ticket, payload });
    }
}

/// What a greeting tells of a peer.
pub(super) fn learn(peer: &mut Peer, hello: &Hello) {
    peer.max_items = hello.max_items.max(1);
    peer.max_bytes = hello.max_bytes.max(1);
    peer.wants_relay = hello.flags & wire::FLAG_RELAY != 0;
}

pub(super) fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u16(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
