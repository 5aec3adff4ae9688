//! `peer-transcripts.json`: requests and the exact replies, registrations, relays, what the
//! reference dies of, and traces of clients (`proto/peer.md`).
//!
//! What frames and the pure machines decide is compared here. What only a running node shows
//! stands in `proto/live-cases.md`, which this test reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use bitmarkd::core::announce::{Announce, Effect, Input, Registration, Setup, Timing};
use bitmarkd::core::block::{self, DigestMemory, HEADER_BYTES, Header};
use bitmarkd::core::chain::{Chain, LOCAL};
use bitmarkd::core::connector::{self, Connector, FINDING_AHEAD, Local, Peer};
use bitmarkd::core::id::BlockDigest;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::listener::reply::Info;
use bitmarkd::core::listener::{Asked, Envelope, News, Reply, Request, look_up, request};
use bitmarkd::core::reservoir::{self, Command, Confirmed, Reservoir};
use bitmarkd::core::state::MemoryStore;
use bitmarkd::core::time::Now;
use bitmarkd::core::upstream::{self, Answer, Own, Question, Upstream};
use bitmarkd::core::wire::connection::Connection;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::harness::{self, Case};
use crate::reservoir_scenarios::World;

/// The node itself is named when there is nobody else.
const CANDIDATE: &str = "a-registration-always-names-a-peer";
/// Times of fewer than eight bytes, which end the reference's process.
const SHORT_TIME: &str = "a-short-time-is-survived";
/// Lists of addresses that end it later.
const CUT_LIST: &str = "a-list-that-is-cut-short-is-not-stored";
/// A peer of the configuration that refuses or talks nonsense.
const STATIC_PEER: &str = "a-bad-static-peer-ends-nothing";
/// The block above our tip comes first, and nothing is removed before its replacement is here.
const PROOF_FIRST: &str = "a-claim-is-proven-by-a-block-first";
const AHEAD: &str = "questions-go-out-ahead";

const FILE: &str = "peer-transcripts.json";
/// For cases that do not say when they were recorded; later than all of them.
const NOW: u64 = 0x6b01_0000;

/// Every field of a case that frames cannot decide at all.
const WHOLE: [&str; 26] = [
    "address",
    "client_reaction",
    "comment",
    "exit_message",
    "heights",
    "node_mode",
    "nodes",
    "observed_minutes",
    "parameter_length",
    "reached_normal",
    "received",
    "received_frames",
    "registered_upstreams_per_node",
    "reply",
    "reply_of_server",
    "request",
    "requests_per_second_seen",
    "seconds_between_steps",
    "seconds_to_normal",
    "seconds_to_normal_per_node",
    "seconds_to_registered",
    "seconds_until_noticed",
    "sent",
    "sent_frames",
    "steps_before_fork_detection",
    "timestamp_in_request_is_now_plus_s",
];

type Frames = Vec<Vec<u8>>;

#[test]
fn peer_transcripts() {
    harness::run_with(FILE, |cases| {
        let live = Live::load();
        let chain = Recorded::gather();
        let pools = World::new(LOCAL.name, &Value::Null);
        for case in cases {
            match case.text("group") {
                "request_reply" => request_reply(case, &chain, &live),
                "registration" | "odd_input_survived" => registration(case),
                "relay" => relay(case, &pools),
                "reference_crash" => reference_crash(case),
                "client_reaction_to_registration_reply" => client_reaction(case),
                "transport" if case.has("sent_frames") => envelope(case),
                "upstream_trace" => upstream_trace(case, &live),
                "synchronise_trace" => synchronise_trace(case, &chain),
                "publisher_trace" => publisher_trace(case, &live),
                "transport" | "network_observation" => live.covers(case, &[]),
                other => case.fail("group", format!("{other} is unknown")),
            }
        }
        live.finish();
    });
}

/// The table of `proto/live-cases.md`.
struct Live {
    rows: BTreeMap<String, (BTreeSet<usize>, String)>,
    used: RefCell<BTreeSet<usize>>,
    is_own: bool,
}

impl Live {
    fn load() -> Self {
        let path = format!("{}/proto/live-cases.md", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the table of live cases opens");
        let mut rows: BTreeMap<String, (BTreeSet<usize>, String)> = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains(FILE)) {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let (Some(place), Some(title), Some(test)) = (cells.next(), cells.next(), cells.next())
            else {
                continue;
            };
            let Some(numbers) = place.strip_prefix(FILE) else {
                continue;
            };
            let numbers = numbers.split_whitespace().map(|word| {
                word.trim_start_matches('#')
                    .parse::<usize>()
                    .expect("a position")
            });
            let row = rows.entry(title.to_owned()).or_default();
            row.0.extend(numbers);
            row.1 = test.to_owned();
        }
        let is_own = std::env::var_os("VECTORS_DIR").is_none();
        Self {
            rows,
            used: RefCell::default(),
            is_own,
        }
    }

    /// Sets aside `fields` of a case that the table lists, or all of them when none is named; a
    /// case that it does not list is a failure. Rows are found by title: in another folder of the
    /// same format positions are others.
    fn covers(&self, case: &Case, fields: &[&str]) {
        let row = self.rows.get(case.text("title"));
        let is_listed = row.is_some_and(|(at, test)| {
            !test.is_empty() && (!self.is_own || at.contains(&case.index))
        });
        if !is_listed {
            return case.fail("title", "neither compared nor in proto/live-cases.md");
        }
        self.used.borrow_mut().insert(case.index);
        let fields = if fields.is_empty() {
            &WHOLE[..]
        } else {
            fields
        };
        for field in fields.iter().filter(|field| case.has(field)) {
            case.set_aside(field, "a whole-node test covers it");
        }
    }

    fn finish(&self) {
        let listed: BTreeSet<usize> = self.rows.values().flat_map(|(at, _)| at).copied().collect();
        if self.is_own {
            let used = self.used.borrow();
            let idle: Vec<&usize> = listed.difference(&used).collect();
            assert!(
                idle.is_empty(),
                "proto/live-cases.md lists {idle:?} for nothing"
            );
        }
    }
}

/// The chain of the recording node, put together from all blocks of the file.
struct Recorded {
    digests: BTreeMap<u64, BlockDigest>,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Recorded {
    fn gather() -> Self {
        let text = std::fs::read_to_string(harness::folder().join(FILE)).expect("the file opens");
        let document: Value = serde_json::from_str(&text).expect("it is JSON");
        let mut found: BTreeMap<u64, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for packed in blocks_of(&document) {
            if let Ok((header, _)) = Header::unpack(&packed) {
                found.entry(header.number).or_default().insert(packed);
            }
        }
        let mut memory = DigestMemory::new();
        let mut ledger = Ledger::empty(&LOCAL);
        let mut store = MemoryStore::new();
        let mut recorded = Self {
            digests: BTreeMap::new(),
            blocks: BTreeMap::new(),
        };
        for packed in found.into_values().flatten() {
            let Some(header) = packed.first_chunk::<HEADER_BYTES>() else {
                continue;
            };
            let digest = block::digest(&LOCAL.digest, header, &mut memory);
            if let Ok(applied) = ledger.apply(&store, &packed, digest, NOW) {
                store.apply(&applied.batch);
                recorded.digests.insert(applied.tip.number, digest);
                recorded.blocks.insert(applied.tip.number, packed);
            }
        }
        recorded
    }

    /// The state of a node of this height, if the file holds as many blocks.
    fn at(&self, height: u64) -> Option<MemoryStore> {
        let mut ledger = Ledger::empty(&LOCAL);
        let mut store = MemoryStore::new();
        for number in 2..=height {
            let packed = self.blocks.get(&number)?;
            let applied = ledger
                .apply(&store, packed, self.digests[&number], NOW)
                .expect("it went in before");
            store.apply(&applied.batch);
        }
        Some(store)
    }
}

/// Blocks that were pushed, served or published anywhere in a case.
fn blocks_of(value: &Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            let block = match texts.as_slice() {
                ["42", block] if texts.len() == items.len() => Some(*block),
                [_, "626c6f636b", block, ..] => Some(*block),
                _ => None,
            };
            let block = block.and_then(|block| hex::decode(block).ok());
            block
                .into_iter()
                .chain(items.iter().flat_map(blocks_of))
                .collect()
        }
        Value::Object(members) => members.values().flat_map(blocks_of).collect(),
        _ => Vec::new(),
    }
}

fn frames(value: &Value) -> Frames {
    let list = value.as_array().expect("a list of frames");
    list.iter()
        .map(|frame| hex::decode(frame.as_str().expect("a frame")).expect("hex"))
        .collect()
}

fn shown(frames: &[Vec<u8>]) -> Value {
    frames.iter().map(hex::encode).collect()
}

const fn at(wall: u64) -> Now {
    Now { mono: 0, wall }
}

/// When the request of a case was sent: its time and how far that was from the clock.
fn sent_at(case: &Case, frame: Option<&Vec<u8>>) -> u64 {
    let field = "timestamp_in_request_is_now_plus_s";
    let time = frame.and_then(|frame| frame.first_chunk::<8>());
    match (case.has(field), time) {
        (true, Some(time)) => {
            let ahead = case.input(field).as_i64().expect("seconds");
            u64::from_be_bytes(*time)
                .checked_add_signed(-ahead)
                .expect("a time")
        }
        (true, None) => {
            case.fail(field, "the request has no time");
            NOW
        }
        _ => NOW,
    }
}

/// A node that knows itself alone.
fn node(now: Now) -> Announce {
    let setup = Setup {
        key: [0xee; 32],
        listeners: Connection::from_text("10.9.9.9:2136").unwrap().pack(),
        rpc: None,
        configured: BTreeSet::new(),
        prefer_ipv6: true,
    };
    Announce::new(now, setup, Timing::default(), ChaCha8Rng::seed_from_u64(1))
}

/// What a node answers that knows nobody else.
fn names_itself(now: Now) -> Frames {
    let own = node(now);
    vec![
        b"R".to_vec(),
        LOCAL.name.as_bytes().to_vec(),
        own.setup().key.to_vec(),
        own.setup().listeners.clone(),
        now.wall.to_be_bytes().to_vec(),
    ]
}

/// Registers at a node; gives the reply.
fn register(machine: &mut Announce, now: Now, body: Frames) -> Reply {
    let client_key = None;
    match Asked::read(&LOCAL, body).map(|asked| asked.request) {
        Err(reply) => reply,
        Ok(Request::Register(request)) => {
            let registration = Registration {
                key: request.key,
                listeners: request.listeners,
                timestamp: request.timestamp,
                source: 1,
                client_key,
            };
            let other = machine.register(now, &registration, &mut Vec::new());
            Reply::registered(&LOCAL, &other)
        }
        Ok(other) => panic!("{other:?} is no registration"),
    }
}

/// The exact reply, and the forms of it that a case spells out.
fn compare_reply(case: &Case, reply: &Reply) {
    case.expect("reply", shown(reply.frames()));
    if case.has("error_text") {
        let text = String::from_utf8_lossy(&reply.frames()[1]).into_owned();
        case.expect("error_text", text);
    }
    if case.has("reply_text") {
        // One character a byte.
        let texts = reply.frames().iter();
        let texts = texts.map(|frame| frame.iter().map(|b| char::from(*b)).collect::<String>());
        case.expect("reply_text", texts.collect::<Value>());
    }
}

fn request_reply(case: &Case, chain: &Recorded, live: &Live) {
    let body = frames(case.input("request"));
    let now = at(sent_at(case, body.last()));
    let normal = case.text("node_mode") == "normal";
    // Errors of form and acknowledgements are the same at every height.
    let same_at_any_height = |reply: &Reply| {
        if case.has("node_height") {
            case.set_aside("node_height", "the reply does not depend on it");
        }
        compare_reply(case, reply);
    };
    let asked = match Asked::read(&LOCAL, body.clone()) {
        Err(reply) => return same_at_any_height(&reply),
        Ok(asked) => asked,
    };
    if matches!(asked.request, Request::Nothing | Request::News(_)) {
        return same_at_any_height(&Reply::acknowledge(&asked.command));
    }
    let Some(height) = case.input("node_height").as_u64() else {
        return live.covers(case, &[]);
    };
    let Some(store) = chain.at(height) else {
        return case.fail("node_height", "the file does not hold these blocks");
    };
    let reply = match asked.request {
        Request::Info => Reply::info(&Info {
            version: "zero",
            chain: LOCAL.name,
            normal,
            height,
        }),
        Request::Height => Reply::height(height),
        Request::Block(number) => look_up::block(&store, number),
        Request::Digest(number) => look_up::digest(&LOCAL, &store, number),
        Request::Register(_) => register(&mut node(now), now, body),
        Request::Shared(_) => return case.fail("request", "the reference knows no such command"),
        Request::News(_) | Request::Nothing => unreachable!("answered above"),
    };
    compare_reply(case, &reply);
}

/// A registration at a node that knows the peer which was named, or nobody.
fn registration(case: &Case) {
    let body = frames(case.input("request"));
    let recorded = frames(case.input("reply"));
    let now = at(sent_at(case, body.get(5)));
    if case.has("comment") {
        case.set_aside("comment", "the recording's own words");
    }
    if case.has("reference_process_survived") {
        case.expect("reference_process_survived", true);
    }
    let mut machine = node(now);
    if let [kind, _, key, listeners, time] = recorded.as_slice()
        && kind == b"R"
    {
        let news = [key.clone(), listeners.clone(), time.clone()];
        machine.step(now, Input::PeerNews(news, 2), &mut Vec::new());
        return compare_reply(case, &register(&mut machine, now, body));
    }
    let reply = register(&mut machine, now, body);
    if reply.frames()[0] == b"R" {
        let promised = shown(&names_itself(now));
        case.deviates(CANDIDATE, "reply", shown(reply.frames()), promised);
        if case.has("error_text") {
            case.deviates(CANDIDATE, "error_text", Value::Null, Value::Null);
        }
    } else {
        compare_reply(case, &reply);
    }
}

/// What the peer and service tables pass on.
fn relayed(machine: &mut Announce, now: Now, news: News) -> Vec<Frames> {
    let input = match news {
        News::Peer(parameters) => Input::PeerNews(parameters, 1),
        News::Rpc(parameters) => Input::RpcNews(parameters, 1),
        other => panic!("{} is not for the tables", other.command()),
    };
    let mut effects = Vec::new();
    machine.step(now, input, &mut effects);
    let relays = effects.into_iter().filter_map(|effect| match effect {
        Effect::Relay {
            command,
            parameters,
        } => {
            let mut frames = vec![LOCAL.name.as_bytes().to_vec(), command.as_bytes().to_vec()];
            frames.extend(parameters);
            Some(frames)
        }
        _ => None,
    });
    relays.collect()
}

/// What the pools of unconfirmed records pass on; what they cached stays for the next case.
fn pooled(pools: &World, command: &str, data: &[u8]) -> Vec<Frames> {
    let input = reservoir::Input::Peer {
        command: Command::named(command.as_bytes()).expect("a command of the pools"),
        data: data.to_vec(),
        source: Some(1),
        ticket: 0,
    };
    let step = |pools: &mut Reservoir, confirmed: &Confirmed<'_>, out: &mut Vec<_>| {
        pools.step(Now::default(), input, confirmed, out);
    };
    let relays = pools.with(step).1.into_iter().filter_map(|effect| {
        let reservoir::Effect::Relay { command, data } = effect else {
            return None;
        };
        let name = command.text().as_bytes().to_vec();
        Some(vec![LOCAL.name.as_bytes().to_vec(), name, data])
    });
    relays.collect()
}

fn relay(case: &Case, pools: &World) {
    const RELAYS: &str = "messages_relayed_to_peers_and_subscribers";
    let body = frames(case.input("request"));
    let now = at(sent_at(case, body.get(4)));
    case.expect("node_mode", "normal");
    case.set_aside("node_height", "an acknowledgement does not depend on it");
    let asked = Asked::read(&LOCAL, body.clone()).expect("the form is good");
    compare_reply(case, &Reply::acknowledge(&asked.command));
    let relays = match asked.request {
        Request::Nothing | Request::News(News::Heart) => Vec::new(),
        Request::News(news @ (News::Peer(_) | News::Rpc(_))) => {
            let mut machine = node(now);
            if case.text("title").contains("again") {
                relayed(&mut machine, now, news.clone());
            }
            // A publisher's message says the same.
            let published = request::published(&LOCAL, body);
            case.expect_value(
                "request",
                &json!(true),
                &json!(published == Some(news.clone())),
            );
            relayed(&mut machine, now, news)
        }
        Request::News(news) => {
            // The message before it, which is not recorded, held the same.
            if case.text("title").contains("already cached") {
                pooled(pools, news.command(), &body[2]);
            }
            pooled(pools, news.command(), &body[2])
        }
        other => return case.fail("request", format!("{other:?} is no news")),
    };
    case.expect(RELAYS, relays.iter().map(|r| shown(r)).collect::<Value>());
}

/// Ours answers, and does not keep what would kill others.
fn reference_crash(case: &Case) {
    case.set_aside("panic_text", "ours does not panic");
    case.set_aside("seconds_until_exit", "ours does not exit");
    let required = case.input("required_of_an_implementation");
    assert_eq!(required, "must survive");
    let body = frames(case.input("request"));
    let now = at(NOW);
    let mut machine = node(now);
    let (rule, reply, promised) = match Asked::read(&LOCAL, body.clone()) {
        Err(reply) => (
            SHORT_TIME,
            reply,
            Reply::error("missing parameters").into_frames(),
        ),
        Ok(asked) => match asked.request {
            Request::News(news @ (News::Peer(_) | News::Rpc(_))) => {
                let relays = relayed(&mut machine, now, news);
                case.expect_value("request", &json!(0), &json!(relays.len()));
                let promised = vec![asked.command.clone(), b"A".to_vec()];
                (SHORT_TIME, Reply::acknowledge(&asked.command), promised)
            }
            Request::Register(_) => {
                let reply = register(&mut machine, now, body);
                (CUT_LIST, reply, names_itself(now))
            }
            other => return case.fail("request", format!("{other:?} is harmless")),
        },
    };
    case.deviates(rule, "reply", shown(reply.frames()), shown(&promised));
    case.deviates(rule, "reference_process_survived", true, true);
    let kept = (machine.peers().len(), machine.rpcs().services().is_empty());
    case.expect_value("request", &json!([0, true]), &json!([kept.0, kept.1]));
}

fn outgoing(key: [u8; 32], listeners: Vec<u8>) -> Upstream {
    let timing = upstream::Timing {
        cycle_ms: 30_000,
        timeout_ms: 60_000,
        question_ms: 5_000,
    };
    let own = Own {
        key: PeerPublicKey(key),
        listeners,
    };
    Upstream::new(&LOCAL, own, timing)
}

/// One step; gives what is sent.
fn send(peer: &mut Upstream, now: Now, input: upstream::Input) -> Vec<Frames> {
    let mut effects = Vec::new();
    peer.step(now, input, &mut effects);
    let requests = effects.into_iter().filter_map(|effect| match effect {
        upstream::Effect::Send(frames) => Some(frames),
        _ => None,
    });
    requests.collect()
}

fn dialling() -> upstream::Input {
    let address = Connection::from_text("127.0.0.1:2136").unwrap();
    upstream::Input::Dial(PeerPublicKey([3; 32]), address)
}

/// Whether our client takes the answer for a registration; it never ends the process.
fn client_reaction(case: &Case) {
    let mut peer = outgoing([1; 32], Vec::new());
    send(&mut peer, at(NOW), dialling());
    let reply = frames(case.input("registration_reply"));
    send(&mut peer, at(NOW), upstream::Input::Reply(reply));
    case.expect("reference_client_starts", peer.is_registered());
    if case.input("message_of_reference").is_null() {
        case.expect("message_of_reference", Value::Null);
    } else {
        // It stays, and tries again after a cycle.
        let again = peer.next_wakeup().is_some_and(|time| time <= 60_000);
        case.expect_value("registration_reply", &json!(true), &json!(again));
        case.deviates(
            STATIC_PEER,
            "message_of_reference",
            Value::Null,
            Value::Null,
        );
    }
}

/// A message behind its routing id, and what goes back.
fn envelope(case: &Case) {
    let sent = frames(case.input("sent_frames"));
    if case.has("comment") {
        case.set_aside("comment", "the recording's own words");
    }
    let back = Envelope::split(sent).and_then(|(envelope, body)| {
        let reply = match Asked::read(&LOCAL, body) {
            Err(reply) => reply,
            Ok(asked) if asked.request == Request::Height => Reply::height(1),
            Ok(_) => return None,
        };
        Some(envelope.around(reply.into_frames()))
    });
    case.expect(
        "received_frames",
        back.map_or(Value::Null, |back| shown(&back)),
    );
}

/// The same requests in the same form; when they are sent is for whole nodes to show.
fn upstream_trace(case: &Case, live: &Live) {
    let messages = case.input("messages").as_array().expect("messages").clone();
    let pairs: Vec<(Frames, Frames)> = messages
        .chunks(2)
        .map(|pair| {
            assert_eq!(pair[0]["direction"], "from_reference_client");
            assert_eq!(pair[1]["direction"], "reply_of_server");
            (frames(&pair[0]["frames"]), frames(&pair[1]["frames"]))
        })
        .collect();
    let (first, _) = &pairs[0];
    let key = first[3].as_slice().try_into().expect("a key");
    for (asked, answered) in &pairs {
        let time = asked.last().and_then(|frame| frame.first_chunk::<8>());
        let now = at(time.map_or(NOW, |time| u64::from_be_bytes(*time)));
        let mut peer = outgoing(key, first[4].clone());
        let mut sent = send(&mut peer, now, dialling());
        match asked[1].as_slice() {
            b"R" => {}
            b"N" => sent = send(&mut peer, now, upstream::Input::Reply(pairs[0].1.clone())),
            _ => {
                send(&mut peer, now, upstream::Input::Reply(pairs[0].1.clone()));
                let height = vec![b"N".to_vec(), vec![0, 0, 0, 0, 0, 0, 0, 1]];
                send(&mut peer, now, upstream::Input::Reply(height));
                sent = send(&mut peer, now, upstream::Input::News(asked[1..].to_vec()));
            }
        }
        let sent: Value = sent.iter().map(|frames| shown(frames)).collect();
        case.expect_value("messages", &json!([shown(asked)]), &sent);
        let mut effects = Vec::new();
        peer.step(now, upstream::Input::Reply(answered.clone()), &mut effects);
        let is_taken = peer.is_registered() && !effects.contains(&upstream::Effect::Lost);
        case.expect_value("messages", &json!(true), &json!(is_taken));
    }
    live.covers(case, &["messages"]);
}

/// A node at a height, with one registered peer.
struct Follower {
    digests: Vec<BlockDigest>,
    claimed: u64,
}

impl Local for Follower {
    fn height(&self) -> u64 {
        self.digests.len() as u64
    }
    fn digest(&self, number: u64) -> Option<BlockDigest> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.digests.get(index).copied()
    }
    fn peers(&self) -> Vec<Peer> {
        vec![Peer {
            slot: 0,
            key: PeerPublicKey([3; 32]),
            height: self.claimed,
        }]
    }
}

/// Which questions our synchronisation asks the peer of the trace.
fn synchronise_trace(case: &Case, chain: &Recorded) {
    if case.has("comment") {
        case.set_aside("comment", "the recording's own words");
    }
    let before = case
        .input("local_height_before")
        .as_u64()
        .expect("a height");
    let claimed = case.input("remote_height").as_u64().expect("a height");
    let messages = case.input("messages").as_array().expect("messages");
    let recorded: Vec<(Frames, Frames)> = messages
        .chunks(2)
        .map(|pair| (frames(&pair[0]["frames"]), frames(&pair[1]["frames"])))
        .collect();
    let asked: Vec<Frames> = recorded.iter().map(|(asked, _)| asked.clone()).collect();
    // The block in question is another one at our place, where the trace looks for the fork.
    let is_fork = asked.first().is_some_and(|frames| frames[1] == b"H");
    let mut local = Follower {
        digests: std::iter::once(LOCAL.genesis_digest)
            .chain((2..=before).map(|number| chain.digests[&number]))
            .collect(),
        claimed,
    };
    let mut promised = asked.clone();
    if is_fork {
        *local.digests.last_mut().expect("a block") = BlockDigest([0xbb; 32]);
        promised.insert(0, request_for(&LOCAL, Question::Block(before + 1)));
        // The last digest that the trace asks for is the equal one: those that are asked for ahead of
        // it follow, and nothing that follows them is another.
        let walked = asked.iter().take_while(|frames| frames[1] == b"H").count();
        let common = before + 1 - walked as u64;
        let lowest = (common + 1).saturating_sub(FINDING_AHEAD).max(1);
        let ahead = (lowest..common).rev();
        let ahead = ahead.map(|number| request_for(&LOCAL, Question::Digest(number)));
        let behind = walked + 1;
        promised.splice(behind..behind, ahead);
    }
    let answers: BTreeMap<&Frames, &Frames> = recorded.iter().map(|(a, b)| (a, b)).collect();
    let got = follow(&mut local, |question| {
        let reply = answers.get(&request_for(&LOCAL, question));
        match (question, reply.map(|frames| frames.as_slice())) {
            (Question::Digest(_), Some([_, digest])) => BlockDigest::from_bytes(digest)
                .map_or_else(|e| Answer::Failed(e.to_string()), Answer::Digest),
            (Question::Block(_), Some([_, packed])) => Answer::Block(packed.clone()),
            _ => Answer::Failed("block not found".to_owned()),
        }
    });
    let show = |list: &[Frames]| list.iter().map(|f| shown(f)).collect::<Value>();
    let (recorded, got, promised) = (show(&asked), show(&got), show(&promised));
    if is_fork {
        for rule in [PROOF_FIRST, AHEAD] {
            case.deviates_value(rule, "messages", &recorded, &got, &promised);
        }
    } else {
        case.expect_value("messages", &recorded, &got);
    }
    case.expect("remote_height", local.height());
}

fn request_for(chain: &Chain, question: Question) -> Frames {
    let (command, number) = match question {
        Question::Digest(number) => (b"H", number),
        Question::Block(number) => (b"B", number),
    };
    let name = chain.name.as_bytes().to_vec();
    vec![name, command.to_vec(), number.to_be_bytes().to_vec()]
}

/// Runs the synchronisation until it rests; gives its questions in order.
fn follow(local: &mut Follower, answer: impl Fn(Question) -> Answer) -> Vec<Frames> {
    let timing = connector::Timing {
        cycle_ms: 15_000,
        minimum_upstreams: 1,
        blocks_per_cycle: 200,
        fork_protection: 60,
        sampling_limit: 10,
    };
    let mut machine = Connector::new(at(NOW), &LOCAL, timing);
    let mut memory = DigestMemory::new();
    let mut digest = |packed: &[u8]| {
        let header = packed.first_chunk::<HEADER_BYTES>().expect("a header");
        block::digest(&LOCAL.digest, header, &mut memory)
    };
    let mut asked = Vec::new();
    let mut inputs = vec![connector::Input::Changed];
    while let Some(input) = inputs.pop() {
        let mut effects = Vec::new();
        machine.step(at(NOW), input, local, &mut effects);
        let mut next = Vec::new();
        for effect in effects {
            match effect {
                connector::Effect::Ask(slot, question) => {
                    asked.push(request_for(&LOCAL, question));
                    next.push(connector::Input::Answered(slot, question, answer(question)));
                }
                connector::Effect::Put(packed) => {
                    local.digests.push(digest(&packed));
                    next.push(connector::Input::Applied);
                }
                connector::Effect::Switch(common, blocks) => {
                    local
                        .digests
                        .truncate(usize::try_from(common).expect("small"));
                    local.digests.extend(blocks.iter().map(|b| digest(b)));
                    next.push(connector::Input::Switched);
                }
                _ => {}
            }
        }
        inputs.extend(next.into_iter().rev());
    }
    asked
}

/// Messages of a publisher are news of ours; when they leave is for whole nodes to show.
fn publisher_trace(case: &Case, live: &Live) {
    for message in case.input("messages").as_array().expect("messages") {
        let sent = frames(&message["frames"]);
        let command = sent.get(1).cloned();
        let news = request::published(&LOCAL, sent);
        let read = news.map(|news| news.command().as_bytes().to_vec());
        case.expect_value("messages", &json!(command), &json!(read));
    }
    live.covers(case, &["messages"]);
}
