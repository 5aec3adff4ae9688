//! The pure heart: records, blocks, ledger, pools, peers, synchronisation, mining.
//!
//! Nothing here names a socket, a clock, a disk, a thread, the environment or a global; the test
//! `tests/layers.rs` keeps it so. A machine is handed inputs and the time and hands back effects.

pub mod announce;
pub mod block;
pub mod chain;
pub mod codec;
pub mod connector;
pub mod currency;
pub mod engine;
pub mod explore;
pub mod guard;
pub mod id;
pub mod keys;
pub mod ledger;
pub mod listener;
pub mod mining;
pub mod overlay;
pub mod payment;
pub mod record;
pub mod reservoir;
pub mod rpc;
pub mod snapshot;
pub mod state;
pub mod time;
pub mod timing;
pub mod title;
pub mod upstream;
pub mod wire;

/// What peers and clients are told as version: fixed when the program is built, as in the reference
/// (`proto/peer.md`, 2; `proto/rpc.md`, 4).
pub const PROTOCOL_VERSION: &str = match option_env!("BITMARKD_PROTOCOL_VERSION") {
    Some(version) => version,
    None => "zero",
};
