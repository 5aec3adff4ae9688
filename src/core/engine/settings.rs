//! What a node is set up with.

use crate::core::announce;
use crate::core::chain::Chain;
use crate::core::connector;
use crate::core::keys::PeerPublicKey;
use crate::core::mining::machine as mining;
use crate::core::overlay::mempool;
use crate::core::reservoir::{self, Caps, SWEEP_MS};
use crate::core::time::Millis;
use crate::core::timing;
use crate::core::upstream;
use crate::core::wire::connection::Connection;

/// A peer or publisher of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPeer {
    /// Its key.
    pub key: PeerPublicKey,
    /// Where it is.
    pub address: Connection,
}

/// Intervals and thresholds of all machines (`proto/peer.md`, section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Of announcements.
    pub announce: announce::Timing,
    /// Of synchronisation.
    pub connector: connector::Timing,
    /// Of outgoing peers.
    pub upstream: upstream::Timing,
    /// Places for peers from announcements.
    pub dynamic_upstreams: usize,
    /// Until a set is told again.
    pub rebroadcast_ms: Millis,
    /// Between two looks for what ran out.
    pub sweep_ms: Millis,
    /// Without news, the publisher shows that it lives.
    pub heartbeat_ms: Millis,
    /// A publisher that says nothing for so long is connected anew.
    pub subscription_silence_ms: Millis,
}

impl From<&timing::Timing> for Timing {
    fn from(timing: &timing::Timing) -> Self {
        Self {
            announce: timing.announce(),
            connector: connector::Timing {
                cycle_ms: timing.connector_cycle_ms,
                minimum_upstreams: timing.minimum_upstreams,
                blocks_per_cycle: timing.blocks_per_cycle,
                fork_protection: timing.fork_protection_blocks,
                sampling_limit: timing.sampling_limit,
            },
            upstream: upstream::Timing {
                cycle_ms: timing.upstream_cycle_ms,
                timeout_ms: timing.upstream_timeout_ms,
                question_ms: timing.upstream_timeout_ms.min(timing.question_ms),
            },
            dynamic_upstreams: timing.dynamic_upstreams,
            rebroadcast_ms: timing.rebroadcast_ms,
            sweep_ms: SWEEP_MS,
            heartbeat_ms: timing.heartbeat_ms,
            subscription_silence_ms: timing.subscription_silence_ms,
        }
    }
}

/// A node's set-up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The chain.
    pub chain: &'static Chain,
    /// What it tells of itself.
    pub announce: announce::Setup,
    /// What it tells its peers.
    pub own: upstream::Own,
    /// Peers that are always connected.
    pub connect: Vec<StaticPeer>,
    /// Whether peers from announcements are connected.
    pub dynamic_connections: bool,
    /// Publishers that are listened to.
    pub subscribe: Vec<StaticPeer>,
    /// Caps of the pools.
    pub caps: Caps,
    /// Intervals and thresholds.
    pub timing: Timing,
    /// How it shares unconfirmed records with its peers.
    pub mempool: mempool::Settings,
    /// How it gives work to miners, if it does.
    pub mining: Option<mining::Settings>,
    /// Feeds every choice that is by chance.
    pub seed: [u8; 32],
}

impl Settings {
    /// Intervals of the pools of unconfirmed records.
    pub(super) const fn pools_timing(&self) -> reservoir::Timing {
        reservoir::Timing {
            rebroadcast_ms: self.timing.rebroadcast_ms,
            sweep_ms: self.timing.sweep_ms,
        }
    }
}
