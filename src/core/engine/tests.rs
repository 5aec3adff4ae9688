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

fn told(effects: &[Effect]) -> Result<Value, String> {
    let find = |effect: &Effect| match effect {
        Effect::Commit(_, after) => after.iter().find_map(|effect| match effect {
            Effect::Control(_, answer) => Some(answer.clone()),
            _ => None,
        }),
        _ => None,
    };
    effects.iter().find_map(find).expect("an answer")
}

/// What a node does about peer 3, which its configuration connects and subscribes to.
fn dials(effects: &[Effect]) -> usize {
    let is_dial = |effect: &&Effect| match effect {
        Effect::Dial(_, key, _) | Effect::Subscribe(_, key, _) => *key == peer(3).key,
        _ => false,
    };
    effects.iter().filter(is_dial).count()
}

#[test]
fn a_banned_key_is_not_dialled_until_its_time_not_even_after_a_restart() {
    let mut store = MemoryStore::new();
    let mut settings = settings();
    settings.connect = vec![peer(3)];
    settings.subscribe = vec![peer(3)];
    let at = |mono: u64| Now {
        mono,
        wall: mono / 1000,
    };
    let start = |store: &MemoryStore, now: Now| {
        let (mut engine, _) = Engine::new(now, settings.clone(), store).unwrap();
        let mut out = Vec::new();
        engine.start(now, store, &mut out);
        (engine, out)
    };
    let (mut engine, out) = start(&store, at(0));
    assert_eq!(dials(&out), 2);
    let mut out = Vec::new();
    let key = peer(3).key;
    let ban = serde_json::json!({"command": "ban", "key": key, "seconds": 1000});
    engine.step(at(1000), Input::Control(1, ban), &store, &mut out);
    assert_eq!(told(&out).unwrap()["disconnected"], true);
    let closed = out.iter().filter(|e| matches!(e, Effect::Close(_)));
    assert_eq!(closed.count(), 2);
    assert!(
        out.iter()
            .any(|e| matches!(e, Effect::Ban(banned, 1001) if *banned == key))
    );
    let Some(Effect::Commit(batch, _)) = out.iter().find(|e| matches!(e, Effect::Commit(..)))
    else {
        panic!("the ban is stored");
    };
    store.apply(batch);
    let mut quiet = Vec::new();
    let mut now = 1000;
    while now < 1_000_000 {
        now = engine.next_wakeup().max(now + 1);
        if now < 1_001_000 {
            engine.step(at(now), Input::Wake, &store, &mut quiet);
        }
    }
    assert_eq!(dials(&quiet), 0);
    let connect =
        serde_json::json!({"command": "connect", "key": key, "address": "127.0.0.1:2135"});
    let mut out = Vec::new();
    engine.step(at(900_000), Input::Control(2, connect), &store, &mut out);
    assert!(told(&out).unwrap_err().contains("banned"));
    // Another start: the ban still holds, and ends at its time.
    let (mut engine, out) = start(&store, at(1_000_000));
    assert_eq!(dials(&out), 0);
    assert_eq!(engine.banned().collect::<Vec<_>>(), [(key, 1001)]);
    let mut later = Vec::new();
    for mono in [1_130_000, 1_260_000] {
        engine.step(at(mono), Input::Wake, &store, &mut later);
    }
    assert!(dials(&later) >= 2);
}
