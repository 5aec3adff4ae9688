//! The node as a whole, without sockets.

use std::collections::BTreeSet;

use super::*;
use crate::core::chain::LOCAL;
use crate::core::keys::PeerPublicKey;
use crate::core::reservoir::Caps;
use crate::core::state::MemoryStore;
use crate::core::{connector, upstream};

fn peer(byte: u8) -> StaticPeer {
    StaticPeer {
        key: PeerPublicKey([byte; 32]),
        address: Connection::from_text("127.0.0.1:2135").unwrap(),
    }
}

fn settings() -> Settings {
    let key = PeerPublicKey([1; 32]);
    Settings {
        chain: &LOCAL,
        announce: announce::Setup {
            key: key.0,
            listeners: Vec::new(),
            rpc: None,
            configured: BTreeSet::new(),
            prefer_ipv6: true,
        },
        own: upstream::Own {
            key,
            listeners: Vec::new(),
        },
        connect: Vec::new(),
        dynamic_connections: false,
        subscribe: vec![peer(2)],
        caps: Caps::default(),
        timing: Timing {
            announce: announce::Timing::default(),
            connector: connector::Timing {
                cycle_ms: 15_000,
                minimum_upstreams: 0,
                blocks_per_cycle: 200,
                fork_protection: 60,
                sampling_limit: 10,
            },
            upstream: upstream::Timing {
                cycle_ms: 30_000,
                timeout_ms: 60_000,
                question_ms: 5_000,
            },
            dynamic_upstreams: 0,
            rebroadcast_ms: 900_000,
            sweep_ms: 300_000,
            heartbeat_ms: 60_000,
            subscription_silence_ms: 120_000,
        },
        mining: None,
        seed: [7; 32],
    }
}

fn started(store: &MemoryStore) -> (Engine, Vec<Effect>) {
    let now = Now { mono: 0, wall: 1 };
    let (mut engine, _) = Engine::new(now, settings(), store).unwrap();
    let mut out = Vec::new();
    engine.start(now, store, &mut out);
    (engine, out)
}

fn subscription(effects: &[Effect]) -> SocketId {
    let find = |effect: &Effect| match effect {
        Effect::Subscribe(socket, ..) => Some(*socket),
        _ => None,
    };
    effects.iter().find_map(find).expect("a subscription")
}

#[test]
fn a_node_that_only_listens_is_normal_at_once() {
    let store = MemoryStore::new();
    let (engine, effects) = started(&store);
    subscription(&effects);
    assert!(engine.status().normal);
}

#[test]
fn a_silent_publisher_is_connected_anew() {
    let store = MemoryStore::new();
    let (mut engine, effects) = started(&store);
    let first = subscription(&effects);
    let mut out = Vec::new();
    let late = Now {
        mono: 120_000,
        wall: 121,
    };
    engine.step(late, Input::Wake, &store, &mut out);
    assert!(
        out.iter()
            .any(|e| matches!(e, Effect::Close(socket) if *socket == first))
    );
    assert_ne!(subscription(&out), first);
}

#[test]
fn a_publisher_has_a_quota_and_nothing_it_says_is_answered() {
    let store = MemoryStore::new();
    let (mut engine, effects) = started(&store);
    let socket = subscription(&effects);
    let mut out = Vec::new();
    let now = Now { mono: 1, wall: 1 };
    for _ in 0..QUOTA_ITEMS + 5 {
        engine.step(now, Input::Published(socket, News::Heart), &store, &mut out);
    }
    assert_eq!(engine.subscriptions[0].dropped, 5);
    let later = Now {
        mono: 1 + QUOTA_MS,
        wall: 11,
    };
    engine.step(
        later,
        Input::Published(socket, News::Heart),
        &store,
        &mut out,
    );
    assert_eq!(engine.subscriptions[0].dropped, 5);
    assert!(!out.iter().any(|e| matches!(e, Effect::Reply(..))));
    // A socket that was closed meanwhile has no publisher.
    engine.step(later, Input::Published(99, News::Heart), &store, &mut out);
    assert_eq!(engine.stats.refused["quota of a publisher"], 6);
}
