//! Nodes of the reference (`proto/mempool.md`, section 4.6): the same cursor, one plain command with
//! one bundle at a time. Their `A` means that it came, not that it was taken; so from time to time
//! everything is told again, and nothing is told while they are not in mode Normal.

use serde::Deserialize;

use super::bundle::Pools;
use super::inward::to_usize;
use super::peers::{Mode, Open, Peer};
use super::reader::{self, Limits};
use super::{Effect, Mempool};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

use rand::Rng as _;

/// From one question for its mode to the next.
pub(super) const INFO_MS: Millis = 30_000;
/// Largest answer that is looked at, in bytes.
const INFO_BYTES: usize = 65_536;

/// What is read of the answer to `I`.
#[derive(Deserialize)]
struct Info {
    normal: bool,
}

impl Mempool {
    /// It is one of the reference.
    pub(super) fn is_plain(&mut self, now: Millis, key: PeerPublicKey) {
        let next = self.next_reset(now);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.mode = Mode::Plain;
            peer.needs_hello = false;
            peer.failures = 0;
            peer.stalls = 0;
            peer.wants_relay = true;
            peer.reset_at.get_or_insert(next);
        }
    }

    /// The interval, and by chance up to a tenth more.
    fn next_reset(&mut self, now: Millis) -> Millis {
        let interval = self.settings.plain_interval_ms;
        let more = self.rng.gen_range(0..=interval / 10);
        now.saturating_add(interval).saturating_add(more)
    }

    /// When there is something to do for it.
    pub(super) fn plain_due(&self, peer: &Peer, is_behind: bool) -> Option<Millis> {
        let behind = is_behind.then(|| match peer.asked {
            Some(asked) if !peer.normal => asked.saturating_add(INFO_MS),
            _ => 0,
        });
        let reset = peer.reset_at.filter(|_| self.timeline.head() > 0);
        behind.into_iter().chain(reset).min()
    }

    /// The next question or command for a plain peer.
    pub(super) fn tell_plain(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        pools: &dyn Pools,
        out: &mut Vec<Effect>,
    ) {
        let next = self.next_reset(now);
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if peer.reset_at.is_some_and(|at| now >= at) {
            peer.reset_at = Some(next);
            peer.set_cursor(0);
        }
        let generation = peer.generation;
        let asked = peer.asked;
        let is_told = asked.is_some_and(|at| now < at.saturating_add(INFO_MS));
        if is_told && !peer.normal {
            return;
        }
        let limits = Limits {
            items: 1,
            bytes: usize::MAX,
            message: to_usize(self.settings.max_message_bytes),
        };
        let (from, peer) = (peer.read, &*peer);
        let log = &mut self.timeline;
        let taken = reader::read(log, now, pools, (&key, peer), from, limits);
        let (upto, sizes) = (taken.upto, taken.sizes());
        let dropped = (taken.too_large, taken.gone);
        let Some(item) = taken.items.into_iter().next() else {
            self.count_sent(&key, &[], 0, dropped);
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.set_cursor(peer.read.max(upto));
            }
            return;
        };
        if !is_told {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.asked = Some(now);
                peer.open = Some(Open::Info);
            }
            self.count_sent(&key, &[], 0, dropped);
            out.push(Effect::AskInfo {
                peer: key,
                generation,
            });
            return;
        }
        self.count_sent(&key, &sizes, upto, dropped);
        let command = item.bundle.kind.command();
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.open = Some(Open::Plain {
                id: upto,
                command: command.text(),
                bytes: item.bundle.payload.len(),
            });
        }
        out.push(Effect::SendPlain {
            peer: key,
            generation,
            command,
            parameter: item.bundle.payload,
        });
    }

    /// The answer to `I`.
    pub(super) fn on_info_reply(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        frames: &[Vec<u8>],
        out: &mut Vec<Effect>,
    ) {
        let info: Option<Info> = match frames {
            [kind, json] if kind == b"I" && json.len() <= INFO_BYTES => {
                serde_json::from_slice(json).ok()
            }
            _ => None,
        };
        match (info, self.peers.get_mut(&key)) {
            (Some(info), Some(peer)) => {
                peer.failures = 0;
                peer.normal = info.normal;
            }
            _ => self.failed(now, key, out),
        }
    }

    /// The answer to a plain command.
    pub(super) fn on_plain_reply(
        &mut self,
        now: Millis,
        key: PeerPublicKey,
        (id, command, bytes): (u64, &str, usize),
        frames: &[Vec<u8>],
        out: &mut Vec<Effect>,
    ) {
        let is_received = matches!(frames, [first, second]
            if first == command.as_bytes() && second == b"A");
        if !is_received {
            self.failed(now, key, out);
            return;
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.failures = 0;
            peer.set_cursor(peer.read.max(id));
        }
        self.count_acked(&[(id, bytes)], id);
    }
}
