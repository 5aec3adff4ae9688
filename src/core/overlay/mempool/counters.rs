//! What is counted, for the operator (`proto/mempool.md`, section 4.8): a fixed set of names.

use super::wire::NackCode;

/// Everything that is counted from the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bundles that were sent, in batches and by plain commands.
    pub sent_bundles: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Bundles that were sent again among them.
    pub resent_bundles: u64,
    /// Their bytes.
    pub resent_bytes: u64,
    /// Bundles that were acknowledged.
    pub acked_bundles: u64,
    /// Their bytes.
    pub acked_bytes: u64,
    /// Bundles of peers that are in the pools now.
    pub accepted: u64,
    /// That were there.
    pub duplicate: u64,
    /// That can never be.
    pub invalid: u64,
    /// That wait for something.
    pub waits: u64,
    /// For which there was no room.
    pub no_room: u64,
    /// Parked bundles that were dropped.
    pub parked_dropped: u64,
    /// Items of the timeline that the pools no longer had.
    pub gc_removed: u64,
    /// Bundles that are larger than any message.
    pub too_large: u64,
    /// Bundles that a peer could not read, and that it is not sent again.
    pub unreadable: u64,
    /// Refusals that were sent, by code.
    pub nacks_sent: [u64; 4],
    /// Refusals that were received, by code.
    pub nacks_received: [u64; 4],
    /// Requests without a good reply.
    pub failures: u64,
    /// Peers that were given up after some of them.
    pub lost: u64,
    /// Answers to a greeting that are in no language we know.
    pub garbage: u64,
    /// Replies over a connection that is no more.
    pub stale_replies: u64,
    /// Replies to nothing that was asked.
    pub unexpected_replies: u64,
    /// Acknowledgements of what was not sent.
    pub false_acks: u64,
    /// How often a peer had missed something.
    pub rewinds: u64,
    /// How often a peer was heard of as a new process.
    pub new_epochs: u64,
    /// Peers for which there was no place.
    pub peers_refused: u64,
    /// Peers that lost their place.
    pub peers_evicted: u64,
    /// Events for the log.
    pub security_kept: u64,
    /// Events beyond what the log takes.
    pub security_suppressed: u64,
    /// Penalties.
    pub penalties: u64,
}

impl Counters {
    pub(super) fn nack_sent(&mut self, code: NackCode) {
        count(&mut self.nacks_sent, code);
    }

    pub(super) fn nack_received(&mut self, code: NackCode) {
        count(&mut self.nacks_received, code);
    }

    /// Each with its name.
    #[must_use]
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let [sent_1, sent_2, sent_3, sent_4] = self.nacks_sent;
        let [got_1, got_2, got_3, got_4] = self.nacks_received;
        vec![
            ("sent_bundles", self.sent_bundles),
            ("sent_bytes", self.sent_bytes),
            ("resent_bundles", self.resent_bundles),
            ("resent_bytes", self.resent_bytes),
            ("acked_bundles", self.acked_bundles),
            ("acked_bytes", self.acked_bytes),
            ("accepted", self.accepted),
            ("duplicate", self.duplicate),
            ("invalid", self.invalid),
            ("waits", self.waits),
            ("no_room", self.no_room),
            ("parked_dropped", self.parked_dropped),
            ("gc_removed", self.gc_removed),
            ("too_large", self.too_large),
            ("unreadable", self.unreadable),
            ("nack_sent_malformed", sent_1),
            ("nack_sent_wrong_epoch", sent_2),
            ("nack_sent_busy", sent_3),
            ("nack_sent_not_normal", sent_4),
            ("nack_received_malformed", got_1),
            ("nack_received_wrong_epoch", got_2),
            ("nack_received_busy", got_3),
            ("nack_received_not_normal", got_4),
            ("failures", self.failures),
            ("lost", self.lost),
            ("garbage", self.garbage),
            ("stale_replies", self.stale_replies),
            ("unexpected_replies", self.unexpected_replies),
            ("false_acks", self.false_acks),
            ("rewinds", self.rewinds),
            ("new_epochs", self.new_epochs),
            ("peers_refused", self.peers_refused),
            ("peers_evicted", self.peers_evicted),
            ("security_kept", self.security_kept),
            ("security_suppressed", self.security_suppressed),
            ("penalties", self.penalties),
        ]
    }
}

fn count(all: &mut [u64; 4], code: NackCode) {
    let at = usize::from(code as u8).saturating_sub(1);
    if let Some(counter) = all.get_mut(at) {
        *counter = counter.saturating_add(1);
    }
}
