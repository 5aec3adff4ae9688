//! Every interval and threshold of the peer service in one place (`proto/peer.md`, section 11),
//! with those of probes and subscriptions, which the reference lacks.
//!
//! The defaults are the reference's values; the section `[timing]` of the configuration is this
//! struct. It holds values alone: who waits is a machine's affair.

use serde::{Deserialize, Serialize};

use super::announce;
use super::time::Millis;

/// Longest interval that makes sense: 30 days.
pub const INTERVAL_MAX_MS: Millis = 30 * 24 * 3600 * 1000;
/// Most outgoing peers, and most of anything that costs a socket each.
pub const PLACES_MAX: usize = 1000;
/// Largest number of blocks or looks.
pub const COUNT_MAX: u64 = 1_000_000;

/// The intervals and thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Between two looks of the synchronisation at its peers.
    pub connector_cycle_ms: Millis,
    /// Between two questions for a peer's height, and between two tries to register.
    pub upstream_cycle_ms: Millis,
    /// How long a peer may take to answer.
    pub upstream_timeout_ms: Millis,
    /// How long for a block or a digest, if that is less; others are asked sooner.
    pub question_ms: Millis,
    /// Registered peers without which the node does not synchronise.
    pub minimum_upstreams: usize,
    /// Places for peers from announcements.
    pub dynamic_upstreams: usize,
    /// Blocks fetched from one peer before the best is chosen anew.
    pub blocks_per_cycle: u64,
    /// A fork so many blocks deep is left to the operator.
    pub fork_protection_blocks: u64,
    /// After so many cycles one block behind, the fork is looked for.
    pub sampling_limit: u64,
    /// A publisher with nothing to say says so.
    pub heartbeat_ms: Millis,
    /// A publisher that is silent so long is connected anew.
    pub subscription_silence_ms: Millis,
    /// From the start to the first announcement of this node.
    pub announce_initial_ms: Millis,
    /// From one announcement to the next.
    pub announce_interval_ms: Millis,
    /// News of a known peer sooner than this after the last are not taken.
    pub announce_relay_limit_s: u64,
    /// A peer without news is forgotten.
    pub announce_expiry_s: u64,
    /// Between two dials that prove announced peers.
    pub probe_interval_ms: Millis,
    /// Such a dial without a result has failed after this.
    pub probe_timeout_ms: Millis,
    /// The pause after its first failure; it doubles six times.
    pub probe_retry_ms: Millis,
    /// Pending records are told again, spread over this time.
    pub rebroadcast_ms: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        let announce = announce::Timing::default();
        Self {
            connector_cycle_ms: 15_000,
            upstream_cycle_ms: 30_000,
            upstream_timeout_ms: 60_000,
            question_ms: 60_000,
            minimum_upstreams: 3,
            dynamic_upstreams: 10,
            blocks_per_cycle: 200,
            fork_protection_blocks: 60,
            sampling_limit: 10,
            heartbeat_ms: 60_000,
            subscription_silence_ms: 120_000,
            announce_initial_ms: announce.initial_ms,
            announce_interval_ms: announce.interval_ms,
            announce_relay_limit_s: announce.relay_limit_s,
            announce_expiry_s: announce.expiry_s,
            probe_interval_ms: announce.probe_interval_ms,
            probe_timeout_ms: announce.probe_timeout_ms,
            probe_retry_ms: announce.probe_retry_ms,
            rebroadcast_ms: 900_000,
        }
    }
}

/// Whether a value may be 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    Allowed,
    Refused,
}

impl Timing {
    /// What the announcement machine needs of it.
    #[must_use]
    pub const fn announce(&self) -> announce::Timing {
        announce::Timing {
            initial_ms: self.announce_initial_ms,
            interval_ms: self.announce_interval_ms,
            relay_limit_s: self.announce_relay_limit_s,
            expiry_s: self.announce_expiry_s,
            probe_interval_ms: self.probe_interval_ms,
            probe_timeout_ms: self.probe_timeout_ms,
            probe_retry_ms: self.probe_retry_ms,
        }
    }

    /// Everything that makes no sense, each beginning with its key; empty when all does.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value, most, zero) in self.limits() {
            if value == 0 && zero == Zero::Refused {
                problems.push(format!("{key}: at least 1"));
            } else if value > most {
                problems.push(format!("{key}: at most {most}"));
            }
        }
        let expiry_ms = self.announce_expiry_s.saturating_mul(1000);
        let relay_limit_ms = self.announce_relay_limit_s.saturating_mul(1000);
        for (low, low_ms, high, high_ms, why) in [
            (
                "heartbeat_ms",
                self.heartbeat_ms,
                "subscription_silence_ms",
                self.subscription_silence_ms,
                "publishers like this one would be taken for dead",
            ),
            (
                "announce_interval_ms",
                self.announce_interval_ms,
                "announce_expiry_s",
                expiry_ms,
                "peers would be forgotten between two announcements",
            ),
            (
                "announce_relay_limit_s",
                relay_limit_ms,
                "announce_interval_ms",
                self.announce_interval_ms,
                "announcements would not be taken",
            ),
        ] {
            if low_ms >= high_ms {
                problems.push(format!("{low}: not below {high}: {why}"));
            }
        }
        problems
    }

    /// Each key with its value, the most it may be, and whether 0 is a value.
    fn limits(&self) -> [(&'static str, u64, u64, Zero); 19] {
        use Zero::{Allowed, Refused};
        // All are named, so that a new one cannot be forgotten here.
        let Self {
            connector_cycle_ms,
            upstream_cycle_ms,
            upstream_timeout_ms,
            question_ms,
            minimum_upstreams,
            dynamic_upstreams,
            blocks_per_cycle,
            fork_protection_blocks,
            sampling_limit,
            heartbeat_ms,
            subscription_silence_ms,
            announce_initial_ms,
            announce_interval_ms,
            announce_relay_limit_s,
            announce_expiry_s,
            probe_interval_ms,
            probe_timeout_ms,
            probe_retry_ms,
            rebroadcast_ms,
        } = *self;
        let interval = |key, value, zero| (key, value, INTERVAL_MAX_MS, zero);
        let seconds = |key, value, zero| (key, value, INTERVAL_MAX_MS / 1000, zero);
        let count = |key, value| (key, value, COUNT_MAX, Refused);
        let places = |key, value| (key, value as u64, PLACES_MAX as u64, Allowed);
        [
            interval("connector_cycle_ms", connector_cycle_ms, Refused),
            interval("upstream_cycle_ms", upstream_cycle_ms, Refused),
            interval("upstream_timeout_ms", upstream_timeout_ms, Refused),
            interval("question_ms", question_ms, Refused),
            places("minimum_upstreams", minimum_upstreams),
            places("dynamic_upstreams", dynamic_upstreams),
            count("blocks_per_cycle", blocks_per_cycle),
            count("fork_protection_blocks", fork_protection_blocks),
            count("sampling_limit", sampling_limit),
            interval("heartbeat_ms", heartbeat_ms, Refused),
            interval("subscription_silence_ms", subscription_silence_ms, Allowed),
            interval("announce_initial_ms", announce_initial_ms, Allowed),
            interval("announce_interval_ms", announce_interval_ms, Refused),
            seconds("announce_relay_limit_s", announce_relay_limit_s, Allowed),
            seconds("announce_expiry_s", announce_expiry_s, Refused),
            interval("probe_interval_ms", probe_interval_ms, Refused),
            interval("probe_timeout_ms", probe_timeout_ms, Refused),
            interval("probe_retry_ms", probe_retry_ms, Refused),
            interval("rebroadcast_ms", rebroadcast_ms, Refused),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_reference_and_make_sense() {
        let timing = Timing::default();
        assert_eq!(timing.check(), Vec::<String>::new());
        assert_eq!(timing.connector_cycle_ms, 15_000);
        assert_eq!(timing.upstream_cycle_ms, 30_000);
        assert_eq!(timing.question_ms, timing.upstream_timeout_ms);
        assert_eq!(timing.minimum_upstreams, 3);
        assert_eq!(timing.announce(), announce::Timing::default());
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_key_all_at_once() {
        let timing = Timing {
            connector_cycle_ms: 0,
            upstream_timeout_ms: u64::MAX,
            dynamic_upstreams: 1001,
            heartbeat_ms: 120_000,
            announce_relay_limit_s: 660,
            ..Timing::default()
        };
        assert_eq!(
            timing.check(),
            [
                "connector_cycle_ms: at least 1",
                "upstream_timeout_ms: at most 2592000000",
                "dynamic_upstreams: at most 1000",
                "heartbeat_ms: not below subscription_silence_ms: publishers like this one would be taken for dead",
                "announce_relay_limit_s: not below announce_interval_ms: announcements would not be taken",
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_refused_and_a_missing_one_is_the_default() {
        let fast: Timing = toml::from_str("connector_cycle_ms = 500").unwrap();
        assert_eq!(fast.connector_cycle_ms, 500);
        assert_eq!(fast.upstream_cycle_ms, 30_000);
        for nothing in ["conector", "server_timeout", "reconnect_delay"] {
            let text = format!("{nothing}_ms = 500");
            assert!(toml::from_str::<Timing>(&text).is_err(), "{text}");
        }
    }
}
