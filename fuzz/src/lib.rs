//! What the fuzz targets share: messages out of bytes, and a node without sockets.

use bitmarkd::core::announce;
use bitmarkd::core::chain::Chain;
use bitmarkd::core::connector;
use bitmarkd::core::engine::{Settings, StaticPeer, Timing};
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::reservoir::Caps;
use bitmarkd::core::time::Now;
use bitmarkd::core::upstream;
use bitmarkd::core::wire::connection::Connection;

/// When a node starts: after every genesis.
pub const NOW: Now = Now {
    mono: 10_000,
    wall: 1_800_000_000,
};

/// Takes a length of one byte, or of two when the first is 255, and as many bytes.
fn frame(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let (first, mut rest) = bytes.split_first()?;
    let mut length = usize::from(*first);
    if length == 255 {
        let (two, after) = rest.split_first_chunk::<2>()?;
        length = usize::from(u16::from_be_bytes(*two));
        rest = after;
    }
    let (frame, after) = rest.split_at(length.min(rest.len()));
    *bytes = after;
    Some(frame.to_vec())
}

/// Splits bytes into the frames of one message.
#[must_use]
pub fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| frame(&mut bytes)).take(64).collect()
}

/// Splits bytes into messages: a kind, a count of frames up to seven, the frames.
#[must_use]
pub fn messages(mut bytes: &[u8]) -> Vec<(u8, Vec<Vec<u8>>)> {
    let mut all = Vec::new();
    while let Some(([kind, count], rest)) = bytes.split_first_chunk::<2>() {
        bytes = rest;
        let frames = std::iter::from_fn(|| frame(&mut bytes));
        all.push((*kind, frames.take(usize::from(count % 8)).collect()));
    }
    all
}

/// A node with two peers that is Normal from the beginning.
#[must_use]
pub fn settings(chain: &'static Chain) -> Settings {
    let own = PeerPublicKey([1; 32]);
    let peer = |number: u8| StaticPeer {
        key: PeerPublicKey([number; 32]),
        address: Connection::from_text(&format!("127.0.0.1:{number}")).expect("an address"),
    };
    Settings {
        chain,
        announce: announce::Setup {
            key: own.0,
            listeners: Vec::new(),
            rpc: None,
            configured: [[2; 32]].into(),
            prefer_ipv6: true,
        },
        own: upstream::Own {
            key: own,
            listeners: Vec::new(),
        },
        connect: vec![peer(2)],
        dynamic_connections: true,
        subscribe: vec![peer(3)],
        caps: Caps::default(),
        timing: Timing {
            announce: announce::Timing::default(),
            connector: connector::Timing {
                cycle_ms: 1_000,
                minimum_upstreams: 0,
                blocks_per_cycle: 20,
                fork_protection: chain.rules.fork_protection,
                sampling_limit: 6,
            },
            upstream: upstream::Timing {
                cycle_ms: 2_000,
                timeout_ms: 5_000,
                question_ms: 5_000,
            },
            dynamic_upstreams: 3,
            rebroadcast_ms: 60_000,
            sweep_ms: 60_000,
            heartbeat_ms: 60_000,
            subscription_silence_ms: 120_000,
        },
        mining: None,
        seed: [7; 32],
    }
}
