//! The node as a whole, without sockets.

use std::collections::BTreeSet;

use serde_json::json;

use super::blocks::QUEUE_OF_SOURCE;
use super::*;
use crate::core::block::{Compact, Header};
use crate::core::chain::LOCAL;
use crate::core::currency::{Currency, Payments, address};
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::keys::{PeerPublicKey, PrivateKey};
use crate::core::listener::News;
use crate::core::mining::assembly::{AssetNeed, Candidate, Foundation};
use crate::core::mining::machine;
use crate::core::mining::work::Work;
use crate::core::record::{
    AssetData, BitmarkIssue, BlockFoundation, Record, merkle, samples, sign,
};
use crate::core::reservoir::Caps;
use crate::core::state::MemoryStore;
use crate::core::{connector, upstream};

fn peer(byte: u8) -> StaticPeer {
    StaticPeer {
        key: PeerPublicKey([byte; 32]),
        address: Connection::from_text("127.0.0.1:2135").unwrap(),
    }
}

pub(crate) fn settings() -> Settings {
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
        mempool: mempool::Settings::default(),
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

/// Pools that are empty.
struct NoPools;

impl mempool::Pools for NoPools {
    fn payload(&self, _: &mempool::Locator) -> Option<Vec<u8>> {
        None
    }
    fn needs(&self, _: &mempool::Locator) -> Vec<mempool::Locator> {
        Vec::new()
    }
}

#[test]
fn the_operator_sees_the_shared_mempool() {
    let store = MemoryStore::new();
    let (mut engine, _) = started(&store);
    let now = |mono| Now { mono, wall: 1 };
    let ask = |engine: &mut Engine, mono, command: &str| {
        let mut out = Vec::new();
        let question = json!({"command": command});
        engine.step(now(mono), Input::Control(1, question), &store, &mut out);
        told(&out).unwrap()
    };
    let status = ask(&mut engine, 10, "status");
    let nothing = json!({
        "enabled": true, "overlay": 0, "plain": 0, "unknown": 0,
        "timelineHead": 0, "timelineLength": 0, "parked": 0, "inFlight": 0,
    });
    assert_eq!(status["mempool"], nothing);
    let mut out = Vec::new();
    let come = mempool::Input::NewPeer(peer(9).key);
    engine.mempool.step(20, come, &NoPools, &mut out);
    assert_eq!(ask(&mut engine, 30, "status")["mempool"]["unknown"], 1);
    let all = ask(&mut engine, 40, "mempool");
    let report = all["report"].as_object().unwrap();
    assert_eq!(report.len(), engine.mempool.report().len());
    assert_eq!(report["peersUnknown"], 1);
    assert_eq!(report["nackSentWrongEpoch"], 0);
    let expected = json!([{
        "key": peer(9).key, "mode": "unknown", "alive": true, "acked": 0, "remoteDone": 0,
        "inFlight": false, "jobs": 0, "oldestUnacknowledgedMs": null,
    }]);
    assert_eq!(all["peers"], expected);
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

/// A node whose digests are answered: those of junk prove nothing.
struct Digesting {
    engine: Engine,
    store: MemoryStore,
    asked: Vec<(u64, Header)>,
    /// Of how many of them the digests are only prepared, and how many of these were waited for later.
    prepared: usize,
    hurried: Vec<u64>,
}

/// Nonces from here on have no work behind them.
const JUNK: u64 = 1000;
const AT: Now = Now {
    mono: 5,
    wall: 1_600_000_000,
};

impl Digesting {
    fn new() -> (Self, SocketId) {
        let store = MemoryStore::new();
        let (mut engine, _) = Engine::new(AT, settings(), &store).unwrap();
        let mut out = Vec::new();
        engine.start(AT, &store, &mut out);
        let asked = Vec::new();
        let socket = subscription(&out);
        (
            Self {
                engine,
                store,
                asked,
                prepared: 0,
                hurried: Vec::new(),
            },
            socket,
        )
    }

    fn took(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Commit(batch, _) => self.store.apply(&batch),
                Effect::Digest(request, header) => {
                    let (header, _) = Header::unpack(header.as_slice()).unwrap();
                    self.asked.push((request, header));
                }
                Effect::PrepareDigest(request, header) => {
                    let (header, _) = Header::unpack(header.as_slice()).unwrap();
                    self.asked.push((request, header));
                    self.prepared += 1;
                }
                Effect::HurryDigest(header) => {
                    let (header, _) = Header::unpack(header.as_slice()).unwrap();
                    self.hurried.push(header.nonce);
                }
                Effect::Fatal(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn news(&mut self, socket: SocketId, packed: &[u8]) {
        let mut out = Vec::new();
        let input = Input::Published(socket, News::Block(packed.to_vec()));
        self.engine.step(AT, input, &self.store, &mut out);
        self.took(out);
    }

    fn digest(&mut self) -> bool {
        let Some((request, header)) = self.asked.pop() else {
            return false;
        };
        let digest = if header.nonce >= JUNK {
            BlockDigest([0xff; 32])
        } else {
            BlockDigest([0; 32])
        };
        let mut out = Vec::new();
        let input = Input::Digest(request, digest);
        self.engine.step(AT, input, &self.store, &mut out);
        self.took(out);
        true
    }
}

/// A foundation, an asset and its issue.
fn records() -> [Vec<u8>; 3] {
    let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
    let owner = key.account().unwrap();
    let coin = |currency| {
        let address = address::encode(111, &[7; 20]).into_bytes();
        (currency, address)
    };
    let payments = Payments([coin(Currency::Bitcoin), coin(Currency::Litecoin)].into());
    let mut foundation = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments,
        owner,
        nonce: 1234,
        signature: Vec::new(),
    });
    let foundation = sign(&mut foundation, &key).unwrap();
    let mut asset = Record::AssetData(AssetData {
        name: b"name".to_vec(),
        fingerprint: b"print".to_vec(),
        metadata: Vec::new(),
        registrant: owner,
        signature: Vec::new(),
    });
    let asset = sign(&mut asset, &key).unwrap();
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(b"print"),
        owner,
        nonce: 1,
        signature: Vec::new(),
    });
    let issue = sign(&mut issue, &key).unwrap();
    [foundation, asset, issue]
}

/// Block 2 of these records.
fn block_of(records: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<TxId> = records.iter().map(|packed| TxId::of(packed)).collect();
    let header = Header {
        version: 2,
        transaction_count: records.len() as u16,
        number: 2,
        previous_block: LOCAL.genesis_digest,
        merkle_root: merkle::root(&ids),
        timestamp: 1_500_000_000,
        difficulty: Compact::ONE,
        nonce: 1,
    };
    [header.pack().as_slice(), &records.concat()].concat()
}

fn block_two() -> Vec<u8> {
    block_of(&records())
}

fn junk(good: &[u8], number: u64) -> Vec<u8> {
    let mut junk = good.to_vec();
    junk[92..100].copy_from_slice(&(JUNK + number).to_le_bytes());
    junk
}

#[test]
fn a_block_of_our_own_miner_goes_before_all_that_waits() {
    let (mut node, socket) = Digesting::new();
    let good = block_two();
    for number in 0..60 {
        node.news(socket, &junk(&good, number));
    }
    assert!(node.engine.blocks.len() <= 1 + QUEUE_OF_SOURCE);
    let mut out = Vec::new();
    node.engine.run(AT, &node.store, &mut out, |engine, step| {
        assert!(engine.mined(step, good.clone(), BlockDigest([0; 32])));
    });
    node.took(out);
    assert!(node.digest());
    assert_eq!(node.engine.status().height, 2);
}

/// The text that a miner gets, and whether it leaves after the flush.
fn submission_reply(out: &[Effect]) -> Option<(String, bool)> {
    out.iter().find_map(|effect| match effect {
        Effect::SubmissionReply(_, text) => Some((text.clone(), false)),
        Effect::Commit(_, after) => submission_reply(after).map(|(text, _)| (text, true)),
        _ => None,
    })
}

/// A node that mines: the work it gave out, and its subscription.
fn mining(store: &MemoryStore) -> (Engine, Work, SocketId) {
    let [foundation, asset, issue] = records();
    let foundation = Foundation::new(foundation);
    let settings = Settings {
        mining: Some(machine::Settings::of_chain(&LOCAL, foundation)),
        ..settings()
    };
    let (mut engine, _) = Engine::new(AT, settings, store).unwrap();
    let mut out = Vec::new();
    engine.start(AT, store, &mut out);
    let socket = subscription(&out);
    let record = Candidate {
        id: TxId::of(&issue),
        packed: issue.into(),
        link: None,
        asset: AssetNeed::Cached {
            id: AssetId::of(b"print"),
            packed: asset.into(),
        },
    };
    let mut out = Vec::new();
    engine.run(AT, store, &mut out, |engine, step| {
        engine.mine(step, machine::Input::Records(vec![record]));
    });
    let work = out.iter().find_map(|effect| match effect {
        Effect::Work(text) => Work::read(text.as_bytes()),
        _ => None,
    });
    (engine, work.unwrap(), socket)
}

/// Hands in a nonce; the digest that is asked for.
fn hand_in(engine: &mut Engine, store: &MemoryStore, client: u64, frame: Vec<u8>) -> u64 {
    let mut out = Vec::new();
    engine.step(AT, Input::Submission(client, frame), store, &mut out);
    let asked = out.iter().find_map(|effect| match effect {
        Effect::Digest(request, _) => Some(*request),
        _ => None,
    });
    asked.unwrap()
}

#[test]
fn a_miner_is_told_of_its_block_when_it_is_on_the_disk() {
    let store = MemoryStore::new();
    let (mut engine, work, socket) = mining(&store);
    let mut out = Vec::new();
    let nothing = Input::Submission(1, b"nothing".to_vec());
    engine.step(AT, nothing, &store, &mut out);
    let (text, is_after) = submission_reply(&out).unwrap();
    assert!(text.ends_with("false}") && !is_after, "{text}");

    let asked = hand_in(&mut engine, &store, 1, work.submission(7).into_bytes());
    // A block of somebody else waits for its digest meanwhile: ours goes in all the same.
    let mut out = Vec::new();
    let junk = News::Block(junk(&block_two(), 0));
    engine.step(AT, Input::Published(socket, junk), &store, &mut out);
    let mut out = Vec::new();
    let digest = Input::Digest(asked, BlockDigest([0; 32]));
    engine.step(AT, digest, &store, &mut out);
    let (text, is_after) = submission_reply(&out).unwrap();
    assert!(text.ends_with("true}") && is_after, "{text}");
    assert_eq!(engine.status().height, 2);
    let holds_block = |effect: &Effect| match effect {
        Effect::Commit(batch, after) => !batch.is_empty() && submission_reply(after).is_some(),
        _ => false,
    };
    assert!(out.iter().any(holds_block), "with the block itself");
}

#[test]
fn a_miner_whose_block_is_refused_behind_its_digest_is_told_so() {
    let store = MemoryStore::new();
    let (mut engine, work, _) = mining(&store);
    let asked = hand_in(&mut engine, &store, 1, work.submission(7).into_bytes());
    // The clock was set back meanwhile: the block is of a day to come.
    let early = Now {
        wall: AT.wall - 86_400,
        ..AT
    };
    let mut out = Vec::new();
    let digest = Input::Digest(asked, BlockDigest([0; 32]));
    engine.step(early, digest, &store, &mut out);
    assert_eq!(engine.status().height, 1);
    let (text, _) = submission_reply(&out).unwrap();
    assert!(text.ends_with("false}"), "{text}");
    let is_told = |effect: &Effect| matches!(effect, Effect::Log(Importance::Warning, text) if text.contains("timestamp"));
    assert!(out.iter().any(is_told), "{out:?}");
}

#[test]
fn a_digest_that_was_prepared_is_not_computed_again() {
    let (mut node, _) = Digesting::new();
    let good = block_two();
    let prepare = |node: &mut Digesting, packed: &[u8]| {
        let header = Box::new(*packed.first_chunk().unwrap());
        let mut out = Vec::new();
        node.engine.run(AT, &node.store, &mut out, |engine, step| {
            engine.prepare(step, header);
        });
        node.took(out);
    };
    prepare(&mut node, &good);
    prepare(&mut node, &good);
    assert_eq!(node.asked.len(), 1);
    for number in 0..2 * connector::AHEAD {
        prepare(&mut node, &junk(&good, number));
    }
    let most = usize::try_from(connector::AHEAD).unwrap();
    assert_eq!(node.asked.len(), most, "no more than a bound");
    assert_eq!(node.prepared, most);
    node.asked.truncate(1);
    let mut out = Vec::new();
    node.engine.run(AT, &node.store, &mut out, |engine, step| {
        engine.fetched(step, good.clone());
    });
    node.took(out);
    assert_eq!(node.engine.status().height, 1, "its digest is not here yet");
    assert_eq!(node.hurried, [1], "it is waited for now");
    assert!(node.digest());
    assert_eq!(node.engine.status().height, 2);
    assert!(!node.digest(), "nothing was asked for twice");
}

#[test]
fn what_a_block_of_news_or_a_miner_waits_for_is_not_put_behind_what_is_prepared() {
    let (mut node, socket) = Digesting::new();
    let good = block_two();
    let mut out = Vec::new();
    let header = Box::new(*junk(&good, 1).first_chunk().unwrap());
    node.engine.run(AT, &node.store, &mut out, |engine, step| {
        engine.prepare(step, header);
    });
    node.took(out);
    node.news(socket, &good);
    assert_eq!((node.asked.len(), node.prepared), (2, 1));
    assert!(node.hurried.is_empty());
    let store = MemoryStore::new();
    let (mut engine, work, _) = mining(&store);
    let mut out = Vec::new();
    let frame = work.submission(7).into_bytes();
    engine.step(AT, Input::Submission(1, frame), &store, &mut out);
    assert!(out.iter().any(|e| matches!(e, Effect::Digest(..))));
}

#[test]
fn a_source_of_blocks_without_work_costs_one_digest() {
    let (mut node, socket) = Digesting::new();
    let good = block_two();
    for number in 0..5 {
        node.news(socket, &junk(&good, number));
    }
    assert!(node.digest());
    assert!(!node.digest(), "its others are dropped");
    node.news(socket, &good);
    assert!(!node.digest(), "nothing is taken from it for a while");
    assert_eq!(node.engine.status().height, 1);
}

/// Block 2 with the work of [`block_two`], whose last record is another one, rightly signed.
fn other_records_behind_the_work() -> Vec<u8> {
    let [_, _, issue] = records();
    let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
    let mut other = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(b"print"),
        owner: key.account().unwrap(),
        nonce: 2,
        signature: Vec::new(),
    });
    let other = sign(&mut other, &key).unwrap();
    let good = block_two();
    let kept = good.len() - issue.len();
    [&good[..kept], &other].concat()
}

#[test]
fn whose_block_has_other_records_than_its_work_is_for_is_listened_to_no_more_for_a_while() {
    let good = block_two();
    let spoilt = |at: usize| {
        let mut spoilt = good.clone();
        spoilt[at] ^= 1;
        spoilt
    };
    for (bad, said) in [
        (
            other_records_behind_the_work(),
            "Merkle Root Does Not Match",
        ),
        (spoilt(good.len() - 1), "invalid signature"),
        (
            [good.as_slice(), b"more"].concat(),
            "transaction count out of range",
        ),
    ] {
        let (mut node, socket) = Digesting::new();
        node.news(socket, &bad);
        assert!(node.digest());
        assert_eq!(node.engine.stats.refused.get(said), Some(&1), "{said}");
        node.news(socket, &good);
        assert_eq!(node.engine.status().height, 1, "{said}");
        // Its peers are fetched from all the same, and its digest is known.
        let mut out = Vec::new();
        node.engine.run(AT, &node.store, &mut out, |engine, step| {
            engine.fetched(step, good.clone());
        });
        node.took(out);
        assert_eq!(node.engine.status().height, 2, "{said}");
    }
}

#[test]
fn a_block_that_only_came_too_late_or_too_early_blames_nobody() {
    let (mut node, socket) = Digesting::new();
    let good = block_two();
    let mut other = good.clone();
    other[92] = 9;
    node.news(socket, &good);
    node.news(socket, &other);
    assert!(node.digest());
    assert_eq!(node.engine.status().height, 2);
    let said = "previous block digest does not match";
    assert_eq!(node.engine.stats.refused.get(said), Some(&1));
    let early = Now { wall: 1, ..AT };
    let source = source_of(&peer(2).key);
    assert!(!node.engine.blocks.is_blamed(source, AT.mono));
    let (mut node, socket) = Digesting::new();
    node.news(socket, &good);
    let (request, _) = node.asked.pop().unwrap();
    let mut out = Vec::new();
    let digest = Input::Digest(request, BlockDigest([0; 32]));
    node.engine.step(early, digest, &node.store, &mut out);
    assert_eq!(node.engine.status().height, 1);
    assert!(!node.engine.blocks.is_blamed(source, AT.mono));
}

#[test]
fn a_block_that_follows_what_only_its_source_may_have_stored_blames_nobody() {
    let [foundation, asset, issue] = records();
    let unknown = samples::transfer(TxId([9; 32]), 1, 2);
    let (mut node, socket) = Digesting::new();
    node.news(socket, &block_of(&[foundation, asset, issue, unknown]));
    assert!(node.digest());
    assert_eq!(node.engine.stats.refused.values().sum::<u64>(), 1);
    assert_eq!(node.engine.status().height, 1);
    // Its next one is taken.
    node.news(socket, &block_two());
    assert!(node.digest());
    assert_eq!(node.engine.status().height, 2);
}
