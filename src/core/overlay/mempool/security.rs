//! What is told to the guard and to the log of refusals (`proto/mempool.md`, "Settings and
//! reports"). The log gets a few lines a minute for each peer, not many more for all, the rest is
//! counted.

use super::bundle::BundleKey;
use super::{Effect, Mempool};
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Most events of one peer that the log gets in a minute.
pub const SECURITY_PER_MINUTE: u32 = 10;

/// Most events that the log gets in a minute of all peers that are connected or were of use, and as
/// many of all others together.
pub const SECURITY_OF_ALL_PER_MINUTE: u32 = 100;

/// What a peer is penalised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// A message that can not be read.
    Malformed,
    /// One beyond the limits that were told.
    OverLimit,
    /// A bundle that can never be.
    InvalidBundle,
    /// It acknowledged what was not sent.
    FalseAck,
}

impl Offence {
    /// For the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed message",
            Self::OverLimit => "message over the limits",
            Self::InvalidBundle => "invalid bundle",
            Self::FalseAck => "false acknowledgement",
        }
    }
}

/// What the log is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A message that can not be read.
    Malformed,
    /// One beyond the limits that were told.
    OverLimit,
    /// A bundle that can never be.
    InvalidBundle,
    /// An acknowledgement beyond what was sent.
    AckBeyond,
    /// An acknowledgement of another log.
    AckOfAnotherEpoch,
    /// An acknowledgement over a connection that is no more.
    AckOfAnotherConnection,
    /// Greetings of ever new epochs.
    EpochFlapping,
}

impl Event {
    /// For the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed message",
            Self::OverLimit => "message over the limits",
            Self::InvalidBundle => "invalid bundle",
            Self::AckBeyond => "acknowledgement beyond what was sent",
            Self::AckOfAnotherEpoch => "acknowledgement of another epoch",
            Self::AckOfAnotherConnection => "acknowledgement over a connection that is no more",
            Self::EpochFlapping => "too many new epochs",
        }
    }
}

impl Mempool {
    /// For the log, unless there was too much of this peer in this minute.
    pub(super) fn security(
        &mut self,
        now: Millis,
        event: Event,
        peer: PeerPublicKey,
        key: Option<BundleKey>,
        out: &mut Vec<Effect>,
    ) {
        let (rate, is_known) = match self.peers.get_mut(&peer) {
            Some(peer) => {
                let is_known = peer.is_known();
                (&mut peer.security, is_known)
            }
            None => (&mut self.strangers, false),
        };
        let of_all = if is_known {
            &mut self.security_of_known
        } else {
            &mut self.security_of_strangers
        };
        if rate.allow(now, SECURITY_PER_MINUTE) && of_all.allow(now, SECURITY_OF_ALL_PER_MINUTE) {
            self.counters.security_kept += 1;
            out.push(Effect::Security { event, peer, key });
        } else {
            self.counters.security_suppressed += 1;
        }
    }

    /// A penalty, and a line for the log.
    pub(super) fn offend(
        &mut self,
        now: Millis,
        reason: Offence,
        event: Event,
        peer: PeerPublicKey,
        out: &mut Vec<Effect>,
    ) {
        self.counters.penalties += 1;
        out.push(Effect::Penalise { peer, reason });
        self.security(now, event, peer, None, out);
    }
}
