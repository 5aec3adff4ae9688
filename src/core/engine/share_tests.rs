//! What peers share, and what of it the pools and the log take.

use super::*;
use crate::core::engine::{Input, Settings, StaticPeer, tests};
use crate::core::keys::PrivateKey;
use crate::core::listener::{Asked, Request};
use crate::core::overlay::mempool::Policy;
use crate::core::overlay::mempool::wire::{self, Batch, BatchAck, Hello, Item, Message};
use crate::core::record::{AssetData, BitmarkIssue, Record, sign};
use crate::core::state::MemoryStore;
use crate::core::time::Now;
use crate::core::wire::connection::Connection;

const FRIEND: PeerPublicKey = PeerPublicKey([9; 32]);

/// A node that is in mode Normal and has one peer, which is not there.
struct Node {
    engine: Engine,
    store: MemoryStore,
    mono: Millis,
}

impl Node {
    fn new(mempool: mempool::Settings) -> Self {
        Self::on(MemoryStore::new(), mempool)
    }

    fn on(store: MemoryStore, mempool: mempool::Settings) -> Self {
        Self::bounded(store, mempool, Caps::default())
    }

    fn bounded(store: MemoryStore, mempool: mempool::Settings, caps: Caps) -> Self {
        let settings = Settings {
            caps,
            connect: vec![StaticPeer {
                key: FRIEND,
                address: Connection::from_text("127.0.0.1:2136").unwrap(),
            }],
            subscribe: Vec::new(),
            mempool,
            ..tests::settings()
        };
        let now = Now { mono: 0, wall: 1 };
        let (engine, first) = Engine::new(now, settings, &store).unwrap();
        let mut node = Self {
            engine,
            store,
            mono: 0,
        };
        node.store.apply(&first);
        let mut out = Vec::new();
        node.engine.start(now, &node.store, &mut out);
        node.took(out);
        node
    }

    /// Does what the node wants; gives back what it answers.
    fn took(&mut self, out: Vec<Effect>) -> Option<Message> {
        let mut answer = None;
        for effect in out {
            match effect {
                Effect::Commit(batch, after) => {
                    self.store.apply(&batch);
                    answer = self.took(after).or(answer);
                }
                Effect::Reply(_, reply) => {
                    answer = Message::decode(&reply.into_frames()[1]).ok();
                }
                _ => {}
            }
        }
        answer
    }

    fn step(&mut self, input: Input) -> Option<Message> {
        self.mono += 1;
        let now = Now {
            mono: self.mono,
            wall: 1,
        };
        let mut out = Vec::new();
        self.engine.step(now, input, &self.store, &mut out);
        self.took(out)
    }

    /// What a client of this key is answered.
    fn ask(&mut self, from: PeerPublicKey, message: &Message) -> Message {
        let request = Input::Request {
            ticket: Ticket(1),
            source: super::super::source_of(&from),
            client: Some(from.0),
            asked: Asked {
                command: b"OVL1".to_vec(),
                request: Request::Shared(message.encode()),
            },
        };
        let mut answer = self.step(request);
        for _ in 0..100 {
            if let Some(answer) = answer {
                return answer;
            }
            answer = self.step(Input::Wake);
        }
        panic!("no answer");
    }

    fn offers(&mut self, from: PeerPublicKey, bundles: Vec<Bundle>) -> BatchAck {
        let hello = Hello {
            epoch: 5,
            head: 0,
            max_bytes: 1 << 18,
            max_items: 100,
            flags: wire::FLAG_NORMAL,
        };
        let answer = self.ask(from, &Message::Hello(hello));
        assert!(matches!(answer, Message::HelloAck(..)), "{answer:?}");
        let items: Vec<Item> = (1..)
            .zip(bundles)
            .map(|(id, bundle)| Item { id, bundle })
            .collect();
        let batch = Message::Batch(Batch {
            epoch: 5,
            after: 0,
            upto: items.len() as u64,
            items,
        });
        match self.ask(from, &batch) {
            Message::BatchAck(ack) => ack,
            other => panic!("{other:?}"),
        }
    }

    fn count(&self, name: &str) -> u64 {
        let report = self.engine.mempool.report();
        report.into_iter().find(|(of, _)| *of == name).unwrap().1
    }
}

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[4; 32], true)
}

fn asset(fingerprint: &str, name: &str) -> Vec<u8> {
    let mut asset = Record::AssetData(AssetData {
        name: name.into(),
        fingerprint: fingerprint.into(),
        metadata: Vec::new(),
        registrant: key().account().unwrap(),
        signature: Vec::new(),
    });
    sign(&mut asset, &key()).unwrap()
}

fn issue(fingerprint: &str, nonce: u64) -> Vec<u8> {
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(fingerprint.as_bytes()),
        owner: key().account().unwrap(),
        nonce,
        signature: Vec::new(),
    });
    sign(&mut issue, &key()).unwrap()
}

fn bundle(kind: Kind, payload: Vec<u8>) -> Bundle {
    Bundle { kind, payload }
}

fn has(node: &Node, fingerprint: &str) -> bool {
    let pools = &node.engine.reservoir;
    pools.has_cached_asset(&AssetId::of(fingerprint.as_bytes()))
}

#[test]
fn a_rival_among_several_assets_stops_none_of_the_others() {
    let mut node = Node::new(mempool::Settings::default());
    let ack = node.offers(
        FRIEND,
        vec![
            bundle(Kind::Assets, asset("a", "first")),
            bundle(
                Kind::Assets,
                [asset("a", "rival"), asset("b", "other")].concat(),
            ),
        ],
    );
    assert_eq!((ack.upto, ack.accepted), (2, 2), "{ack:?}");
    assert!(has(&node, "a") && has(&node, "b"));
}

#[test]
fn a_rival_alone_in_its_bundle_is_acknowledged_and_nobodys_fault() {
    let mut node = Node::new(mempool::Settings::default());
    let one = |name| bundle(Kind::Assets, asset("a", name));
    let ack = node.offers(FRIEND, vec![one("first"), one("rival"), one("first")]);
    assert_eq!(
        (ack.upto, ack.accepted, ack.duplicate, ack.invalid),
        (3, 1, 2, 0),
        "{ack:?}"
    );
}

#[test]
fn more_assets_in_a_bundle_than_a_set_may_have_are_refused() {
    let mut node = Node::new(mempool::Settings::default());
    let many = (0..=ASSETS_MAX).flat_map(|n| asset(&format!("{n}"), "name"));
    let ack = node.offers(FRIEND, vec![bundle(Kind::Assets, many.collect())]);
    assert_eq!((ack.upto, ack.invalid), (1, 1));
    assert!(!has(&node, "0"));
}

#[test]
fn the_log_has_room_for_all_that_the_pools_hold() {
    let mut node = Node::new(mempool::Settings {
        pool_bundles: 10,
        ..mempool::Settings::default()
    });
    let all = (0..50).map(|n| bundle(Kind::Assets, asset(&format!("{n}"), "name")));
    let ack = node.offers(FRIEND, all.collect());
    assert_eq!((ack.upto, ack.accepted), (50, 50));
    assert_eq!(node.count("timeline_length"), 50);
}

#[test]
fn what_a_full_share_has_no_room_for_is_not_acknowledged() {
    let caps = Caps {
        pending_records: 40,
        peer_share_percent: 25,
        ..Caps::default()
    };
    let mut node = Node::bounded(MemoryStore::new(), mempool::Settings::default(), caps);
    let issues = (0..20).map(|n| bundle(Kind::Issues, issue("a", n)));
    let all = std::iter::once(bundle(Kind::Assets, asset("a", "name"))).chain(issues);
    let ack = node.offers(FRIEND, all.collect());
    assert_eq!((ack.upto, ack.accepted, ack.parked), (11, 11, 0));
    assert_eq!(ack.credit, 0);
}

#[test]
fn what_one_owner_may_not_have_stops_no_log() {
    let caps = Caps {
        sets_per_owner: 2,
        ..Caps::default()
    };
    let mut node = Node::bounded(MemoryStore::new(), mempool::Settings::default(), caps);
    let issues = (0..5).map(|n| bundle(Kind::Issues, issue("a", n)));
    let all = std::iter::once(bundle(Kind::Assets, asset("a", "name"))).chain(issues);
    let ack = node.offers(FRIEND, all.collect());
    assert_eq!((ack.upto, ack.accepted, ack.parked), (6, 3, 3));
}

#[test]
fn assets_of_one_bundle_make_no_room_for_each_other() {
    let caps = Caps {
        assets: 2,
        peer_share_percent: 100,
        ..Caps::default()
    };
    let mut node = Node::bounded(MemoryStore::new(), mempool::Settings::default(), caps);
    let three = ["a", "b", "c"].map(|print| asset(print, "name")).concat();
    let ack = node.offers(FRIEND, vec![bundle(Kind::Assets, three)]);
    assert_eq!(
        (ack.upto, ack.accepted),
        (1, 0),
        "it can never be here whole"
    );
    assert!(has(&node, "a") && has(&node, "b") && !has(&node, "c"));
}

#[test]
fn a_peer_whose_asset_made_room_for_another_is_asked_to_tell_its_log_again() {
    let caps = Caps {
        assets: 4,
        peer_share_percent: 50,
        ..Caps::default()
    };
    let mut node = Node::bounded(MemoryStore::new(), mempool::Settings::default(), caps);
    let two = |names: [&str; 2]| {
        names
            .map(|name| bundle(Kind::Assets, asset(name, "name")))
            .to_vec()
    };
    let others = [[7; 32], [8; 32]].map(PeerPublicKey);
    assert_eq!(node.offers(FRIEND, two(["a", "b"])).accepted, 2);
    assert_eq!(node.offers(others[0], two(["c", "d"])).accepted, 2);
    assert_eq!(node.offers(others[1], two(["e", "f"])).accepted, 2);
    let gone = ["a", "b", "c", "d"].iter().filter(|name| !has(&node, name));
    assert_eq!(gone.count(), 2);
    let asked = node.engine.mempool.peers(0);
    let asked = asked.iter().filter(|peer| peer.remote_done == 0).count();
    assert!(asked >= 1, "who lost one");
}

#[test]
fn when_a_false_chain_was_dropped_peers_are_asked_to_tell_their_logs_again() {
    let mut node = Node::new(mempool::Settings::default());
    let ack = node.offers(FRIEND, vec![bundle(Kind::Assets, asset("a", "name"))]);
    assert_eq!(ack.accepted, 1);
    let done = |node: &Node| node.engine.mempool.peers(0)[0].remote_done;
    assert!(done(&node) > 0);
    let now = Now {
        mono: node.mono,
        wall: 1,
    };
    let mut out = Vec::new();
    node.engine.run(now, &node.store, &mut out, Engine::dropped);
    node.took(out);
    assert_eq!(done(&node), 0);
}

#[test]
fn issues_that_wait_are_taken_when_their_asset_comes_and_not_before() {
    let mut node = Node::new(mempool::Settings::default());
    let ack = node.offers(
        FRIEND,
        vec![
            bundle(Kind::Issues, issue("a", 1)),
            bundle(Kind::Assets, asset("b", "another")),
        ],
    );
    assert_eq!((ack.parked, ack.accepted), (1, 1));
    for _ in 0..10 {
        node.mono += 1_000;
        node.step(Input::Wake);
    }
    assert_eq!((node.count("parked"), node.count("waits")), (1, 2));
    let other = PeerPublicKey([8; 32]);
    let ack = node.offers(other, vec![bundle(Kind::Assets, asset("a", "its own"))]);
    assert_eq!(ack.accepted, 1);
    for _ in 0..10 {
        node.mono += 1_000;
        node.step(Input::Wake);
    }
    assert_eq!(node.count("parked"), 0);
    assert_eq!(node.count("timeline_length"), 3);
}

#[test]
fn what_a_configured_peer_brought_is_its_own_after_a_restart_too() {
    let own = mempool::Settings {
        policy: Policy::Own,
        ..mempool::Settings::default()
    };
    let mut node = Node::new(own);
    node.offers(FRIEND, vec![bundle(Kind::Assets, asset("a", "name"))]);
    assert_eq!(node.count("non_qualified"), 1);
    let node = Node::on(node.store, own);
    assert_eq!(node.count("non_qualified"), 1);
    assert_eq!(node.count("timeline_length"), 0);
}
