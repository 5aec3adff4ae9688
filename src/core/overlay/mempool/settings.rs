//! The section `[mempool]` of the configuration (`proto/mempool.md`, sections 2.2 and 4.7): the
//! original's names where it has the setting. It holds values alone.

use serde::{Deserialize, Serialize};

use crate::core::time::Millis;
use crate::core::timing::INTERVAL_MAX_MS;

/// Largest message that may be configured, in bytes.
const MESSAGE_MAX: u64 = 64 << 20;
/// Most bundles, peers or messages of anything that may be configured.
const COUNT_MAX: u64 = 10_000_000;

/// Which bundles are shared (`proto/mempool.md`, section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// All that were accepted, but none with the peer that it came from.
    #[default]
    Relay,
    /// Those of this node's own clients: for networks in which everybody is connected to everybody.
    Own,
}

/// The settings; times in milliseconds unless the name says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the node shares in this way at all.
    pub enabled: bool,
    /// What is shared.
    pub policy: Policy,
    /// Between two looks at a peer that can not connect to us, and after one that made no progress.
    pub shared_mempool_tick_interval_ms: Millis,
    /// Most bundles in a batch.
    pub shared_mempool_batch_size: u16,
    /// Most bytes of bundles in a batch of more than one.
    pub batch_bytes: u32,
    /// Largest message, in bytes.
    pub max_message_bytes: u32,
    /// Batches that are checked at once.
    pub shared_mempool_max_concurrent_inbound_syncs: usize,
    /// How many of them of one peer.
    pub inbound_per_peer: usize,
    /// Between two looks for what is there no more.
    pub system_transaction_gc_interval_ms: Millis,
    /// The first pause after a failure; it doubles.
    pub back_off_ms: Millis,
    /// The longest pause.
    pub back_off_max_ms: Millis,
    /// Everything is told again to a plain peer after this time.
    pub plain_interval_ms: Millis,
    /// Between two looks at a peer that is connected to us too.
    pub pull_idle_ms: Millis,
    /// Bundles on the timeline and beside it; a tenth as many are parked.
    pub pool_bundles: usize,
    /// Bytes of the pools; a tenth as many are parked.
    pub pool_bytes: usize,
    /// Peers that are known, connected or not.
    pub peers: u16,
    /// What waits longer than these seconds is dropped.
    pub parked_life_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: Policy::Relay,
            shared_mempool_tick_interval_ms: 500,
            shared_mempool_batch_size: 100,
            batch_bytes: 262_144,
            max_message_bytes: 1_048_576,
            shared_mempool_max_concurrent_inbound_syncs: 16,
            inbound_per_peer: 2,
            system_transaction_gc_interval_ms: 60_000,
            back_off_ms: 1_000,
            back_off_max_ms: 30_000,
            plain_interval_ms: 900_000,
            pull_idle_ms: 30_000,
            pool_bundles: 100_000,
            pool_bytes: 256 << 20,
            peers: 1024,
            parked_life_s: 72 * 3600,
        }
    }
}

impl Settings {
    /// Everything that makes no sense, each beginning with its key; empty when all does.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value, least, most) in self.limits() {
            if value < least {
                problems.push(format!("{key}: at least {least}"));
            } else if value > most {
                problems.push(format!("{key}: at most {most}"));
            }
        }
        let inbound = self.shared_mempool_max_concurrent_inbound_syncs as u64;
        for (low, low_value, high, high_value, why) in [
            (
                "back_off_ms",
                self.back_off_ms,
                "back_off_max_ms",
                self.back_off_max_ms,
                "a pause would begin longer than it may be",
            ),
            (
                "batch_bytes",
                u64::from(self.batch_bytes),
                "max_message_bytes",
                u64::from(self.max_message_bytes),
                "a batch would be no message",
            ),
            (
                "inbound_per_peer",
                self.inbound_per_peer as u64,
                "shared_mempool_max_concurrent_inbound_syncs",
                inbound,
                "one peer would keep all others out",
            ),
        ] {
            if low_value > high_value {
                problems.push(format!("{low}: above {high}: {why}"));
            }
        }
        problems
    }

    /// Each number with its key, the least and the most it may be.
    fn limits(&self) -> [(&'static str, u64, u64, u64); 15] {
        // All are named, so that a new one cannot be forgotten here.
        let Self {
            enabled: _,
            policy: _,
            shared_mempool_tick_interval_ms,
            shared_mempool_batch_size,
            batch_bytes,
            max_message_bytes,
            shared_mempool_max_concurrent_inbound_syncs,
            inbound_per_peer,
            system_transaction_gc_interval_ms,
            back_off_ms,
            back_off_max_ms,
            plain_interval_ms,
            pull_idle_ms,
            pool_bundles,
            pool_bytes,
            peers,
            parked_life_s,
        } = *self;
        let interval = |key, value| (key, value, 1, INTERVAL_MAX_MS);
        let count = |key, value: usize| (key, value as u64, 1, COUNT_MAX);
        [
            interval(
                "shared_mempool_tick_interval_ms",
                shared_mempool_tick_interval_ms,
            ),
            (
                "shared_mempool_batch_size",
                shared_mempool_batch_size.into(),
                1,
                u16::MAX.into(),
            ),
            ("batch_bytes", batch_bytes.into(), 1, MESSAGE_MAX),
            (
                "max_message_bytes",
                max_message_bytes.into(),
                1024,
                MESSAGE_MAX,
            ),
            count(
                "shared_mempool_max_concurrent_inbound_syncs",
                shared_mempool_max_concurrent_inbound_syncs,
            ),
            count("inbound_per_peer", inbound_per_peer),
            interval(
                "system_transaction_gc_interval_ms",
                system_transaction_gc_interval_ms,
            ),
            interval("back_off_ms", back_off_ms),
            interval("back_off_max_ms", back_off_max_ms),
            interval("plain_interval_ms", plain_interval_ms),
            interval("pull_idle_ms", pull_idle_ms),
            count("pool_bundles", pool_bundles),
            ("pool_bytes", pool_bytes as u64, 1, 1 << 40),
            ("peers", peers.into(), 1, u16::MAX.into()),
            ("parked_life_s", parked_life_s, 1, INTERVAL_MAX_MS / 1000),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_note_and_make_sense() {
        let settings = Settings::default();
        assert_eq!(settings.check(), Vec::<String>::new());
        assert!(settings.enabled);
        assert_eq!(settings.shared_mempool_tick_interval_ms, 500);
        assert_eq!(settings.shared_mempool_batch_size, 100);
        assert_eq!(settings.shared_mempool_max_concurrent_inbound_syncs, 16);
        assert_eq!(settings.system_transaction_gc_interval_ms, 60_000);
        assert_eq!(settings.parked_life_s, 259_200);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_key_all_at_once() {
        let settings = Settings {
            shared_mempool_tick_interval_ms: 0,
            back_off_ms: 40_000,
            batch_bytes: 2 << 20,
            inbound_per_peer: 17,
            plain_interval_ms: u64::MAX,
            ..Settings::default()
        };
        assert_eq!(
            settings.check(),
            [
                "shared_mempool_tick_interval_ms: at least 1",
                "plain_interval_ms: at most 2592000000",
                "back_off_ms: above back_off_max_ms: a pause would begin longer than it may be",
                "batch_bytes: above max_message_bytes: a batch would be no message",
                "inbound_per_peer: above shared_mempool_max_concurrent_inbound_syncs: one peer would keep all others out",
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_refused_and_a_missing_one_is_the_default() {
        let own: Settings = toml::from_str("policy = \"own\"\npeers = 5").unwrap();
        assert_eq!(own.policy, Policy::Own);
        assert_eq!(own.peers, 5);
        assert_eq!(own.batch_bytes, 262_144);
        for nothing in ["policy = \"all\"", "ticks = 5", "capacity = 5"] {
            assert!(toml::from_str::<Settings>(nothing).is_err(), "{nothing}");
        }
    }
}
