//! What one node holds, all hold: the shared mempool between whole nodes, and beside nodes that do
//! not speak it (`proto/mempool.md`, section 4). How the machine does it is tried in `core`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::listener::{Envelope, Reply};
use bitmarkd::core::overlay::mempool::wire::{Batch, Hello, Item, MAGIC, Message, NackCode};
use bitmarkd::core::overlay::mempool::{Bundle, COMMAND, Kind};
use bitmarkd::shell::zmq::monitor::Event;
use bitmarkd::shell::zmq::receive::Received;
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::server::{Binding, Bound, Service};
use bitmarkd::shell::zmq::{Access, AccessThread, Context, Frames};
use crossbeam_channel::{Receiver, Sender, unbounded};
use serde_json::{Value, json};

use crate::stage::{Asker, PATIENCE, Stage, TestNode, eventually};

/// What `bitmark-cli create` hands in: an asset, its issue, and the proof.
const BUNDLES_OF_A_CREATION: u64 = 3;

/// Adds connections that are always there to a configuration.
fn connect(node: &TestNode, peers: &[(String, String)], settings: &str) {
    let mut entries = String::new();
    for (key, address) in peers {
        entries.push_str(&format!(
            "\n[[peering.connect]]\npublic_key = \"{key}\"\naddress = \"{address}\"\n"
        ));
    }
    node.configure(|text| {
        text.replace(
            "private_key = \"peer.private\"\nprefer",
            "private_key = \"peer.private\"\ndynamic_connections = false\nprefer",
        )
        .replace("\n[publishing]", &format!("{entries}\n[publishing]"))
            + settings
    });
}

/// So many nodes, each connected to all others, set up and not started.
fn mesh(count: usize) -> Stage {
    mesh_and_guests(count, 0)
}

/// The same with nodes behind that connect to all of them, and to which nobody connects.
fn mesh_and_guests(count: usize, guests: usize) -> Stage {
    let stage = Stage::new("devnet", count + guests);
    let all: Vec<(String, String)> = stage
        .nodes
        .iter()
        .map(|node| {
            let address = format!("127.0.0.1:{}", node.plan.peer4);
            (node.plan.key().to_string(), address)
        })
        .collect();
    for (index, node) in stage.nodes.iter().enumerate() {
        let mut others = all[..count].to_vec();
        if index < count {
            others.remove(index);
        }
        connect(node, &others, "");
    }
    stage
}

fn start(stage: &mut Stage) {
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
}

/// Waits until a node knows of so many peers how they are spoken to.
fn wait_peers(node: &TestNode, overlay: u64, plain: u64) {
    node.wait_status("peers that are known", |s| {
        let mempool = &s["mempool"];
        mempool["overlay"] == overlay && mempool["plain"] == plain && mempool["unknown"] == 0
    });
}

/// All numbers of a node's shared mempool.
fn report(node: &TestNode) -> Value {
    let answer = node.control(&json!({"command": "mempool"})).unwrap();
    answer["report"].clone()
}

fn wait_everywhere(stage: &Stage, id: &str) {
    for node in 0..stage.nodes.len() {
        stage.wait_transaction(node, id, "Verified");
    }
}

#[test]
fn eight_connected_nodes_share_records_without_a_plain_command() {
    let mut stage = mesh(8);
    start(&mut stage);
    for node in &stage.nodes {
        wait_peers(node, 7, 0);
    }
    let follow = |follower: &Value| {
        let question = json!({"command": "mempool-follow", "follower": follower});
        stage.nodes[5].control(&question).unwrap()
    };
    let mut followed = follow(&Value::Null);
    let ids = [0, 3, 7].map(|node| stage.create(node, &format!("from {node}"), false));
    for id in &ids {
        wait_everywhere(&stage, id);
    }
    // A follower is told; what came before it asked is not lost.
    let news = loop {
        followed = follow(&followed["follower"]);
        let news = followed["news"].as_array().unwrap();
        if !news.is_empty() {
            break news.clone();
        }
    };
    assert!(news.contains(&json!("newTransactions")), "{news:?}");
    let created = BUNDLES_OF_A_CREATION * ids.len() as u64;
    let (mut accepted, mut sent) = (0, 0);
    for node in &stage.nodes {
        let report = report(node);
        assert_eq!(report["peersPlain"], 0, "{report}");
        assert_eq!(report["timelineLength"], created, "{report}");
        // A batch before the greeting, or to somebody who does not speak it, would show here.
        for refused in [
            "nackSentWrongEpoch",
            "nackSentMalformed",
            "garbage",
            "invalid",
        ] {
            assert_eq!(report[refused], 0, "{refused}: {report}");
        }
        accepted += report["accepted"].as_u64().unwrap();
        sent += report["sentBundles"].as_u64().unwrap();
    }
    // Each came once to each of the seven others, and in a batch.
    assert_eq!(accepted, created * 7);
    assert!(sent >= accepted, "{sent}");
}

#[test]
fn under_the_policy_own_each_bundle_crosses_each_link_once() {
    let mut stage = mesh(4);
    for node in &stage.nodes {
        node.configure(|text| text + "\n[mempool]\npolicy = \"own\"\n");
    }
    start(&mut stage);
    for node in &stage.nodes {
        wait_peers(node, 3, 0);
    }
    let id = stage.create(1, "nobody passes it on", false);
    wait_everywhere(&stage, &id);
    for (index, node) in stage.nodes.iter().enumerate() {
        let report = report(node);
        let (own, others) = if index == 1 { (3, 0) } else { (0, 3) };
        assert_eq!(report["timelineLength"], own, "{report}");
        assert_eq!(report["nonQualified"], others, "{report}");
        assert_eq!(report["sentBundles"], own * 3, "{report}");
    }
}

#[test]
fn a_node_that_nobody_connects_to_fetches_what_its_peer_has() {
    const GUEST: usize = 4;
    let mut stage = mesh_and_guests(GUEST, 1);
    start(&mut stage);
    for node in &stage.nodes[..GUEST] {
        wait_peers(node, 3, 0);
    }
    wait_peers(&stage.nodes[GUEST], 4, 0);
    let id = stage.create(0, "to be fetched", false);
    wait_everywhere(&stage, &id);
    let fetched = report(&stage.nodes[GUEST]);
    assert_eq!(fetched["accepted"], BUNDLES_OF_A_CREATION, "{fetched}");
    let back = stage.create(GUEST, "to be pushed", false);
    wait_everywhere(&stage, &back);
}

#[test]
fn nodes_that_share_and_nodes_that_do_not_hold_the_same() {
    let mut stage = mesh(4);
    for node in &stage.nodes[2..] {
        node.configure(|text| text + "\n[mempool]\nenabled = false\n");
    }
    start(&mut stage);
    for node in &stage.nodes[..2] {
        wait_peers(node, 1, 2);
    }
    for node in 0..4 {
        let id = stage.create(node, &format!("mixed {node}"), false);
        wait_everywhere(&stage, &id);
    }
    for (index, node) in stage.nodes.iter().enumerate() {
        let status = node.status().unwrap();
        assert_eq!(status["mempool"]["enabled"], index < 2);
    }
    for node in &stage.nodes[2..] {
        // They never spoke a word of it.
        let report = report(node);
        let numbers = report.as_object().unwrap();
        assert!(numbers.values().all(|value| *value == 0), "{report}");
    }
}

#[test]
fn a_node_that_comes_back_takes_what_it_missed_and_nothing_else() {
    let mut stage = mesh(4);
    start(&mut stage);
    for node in &stage.nodes {
        wait_peers(node, 3, 0);
    }
    let before = stage.create(0, "before", false);
    wait_everywhere(&stage, &before);
    stage.nodes[3].kill();
    let missed = [0, 1].map(|node| stage.create(node, &format!("missed {node}"), false));
    for id in &missed {
        for node in 0..3 {
            stage.wait_transaction(node, id, "Verified");
        }
    }
    stage.nodes[3].start();
    stage.nodes[3].wait_status("mode Normal", |s| s["mode"] == "Normal");
    wait_everywhere(&stage, &before);
    for id in &missed {
        wait_everywhere(&stage, id);
    }
    // All three have told it all, and what was taken is what it had not.
    let key = json!(stage.nodes[3].plan.key());
    for node in &stage.nodes[..3] {
        eventually("everything acknowledged", || {
            let answer = node.control(&json!({"command": "mempool"}))?;
            let peers = answer["peers"].as_array()?;
            let peer = peers.iter().find(|peer| peer["key"] == key)?;
            let is_done = peer["alive"] == true
                && peer["mode"] == "overlay"
                && peer["inFlight"] == false
                && peer["oldestUnacknowledgedMs"].is_null();
            is_done.then_some(())
        });
    }
    let report = report(&stage.nodes[3]);
    let created = missed.len() as u64 * BUNDLES_OF_A_CREATION;
    assert_eq!(report["accepted"], created, "{report}");
    assert_eq!(report["invalid"], 0, "{report}");
    assert_eq!(report["parked"], 0, "{report}");
    assert_eq!(
        report["timelineLength"],
        created + BUNDLES_OF_A_CREATION,
        "{report}"
    );
}

/// A node of the reference, as far as records go: it takes everything, answers a command that it
/// does not know as any other, and tells the test what it was asked.
struct Reference {
    replies: VecDeque<(usize, Frames)>,
    stop: Arc<AtomicBool>,
    tell: Sender<Frames>,
    key: [u8; 32],
}

impl Service for Reference {
    fn message(&mut self, socket: usize, received: Received) {
        let mut frames = received.frames;
        let id = frames.remove(0);
        let Some((envelope, body)) = Envelope::split(frames) else {
            return;
        };
        // `I` and `N` come with or without the chain in front of them.
        let is_with_chain = body[0] == DEVNET.name.as_bytes();
        let words = &body[usize::from(is_with_chain)..];
        let reply = match words[0].as_slice() {
            b"R" => {
                let other = bitmarkd::core::announce::Candidate {
                    key: self.key,
                    listeners: Vec::new(),
                    timestamp: 0,
                };
                Reply::registered(&DEVNET, &other).into_frames()
            }
            b"N" => Reply::height(1).into_frames(),
            b"I" => {
                let info =
                    json!({"version": "8.2", "chain": "devnet", "normal": true, "height": 1});
                vec![b"I".to_vec(), serde_json::to_vec(&info).unwrap()]
            }
            b"B" | b"H" => Reply::block_not_found().into_frames(),
            command => Reply::acknowledge(command).into_frames(),
        };
        let _ = self.tell.send(words.to_vec());
        let mut out = vec![id];
        out.extend(envelope.around(reply));
        self.replies.push_back((socket, out));
    }
    fn woken(&mut self) {}
    fn event(&mut self, _: usize, _: Event) {}
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.replies.pop_front()
    }
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// What came to the reference up to the first that fits; that is the last.
fn until(seen: &Receiver<Frames>, fits: impl Fn(&Frames) -> bool) -> Vec<Frames> {
    let mut all = Vec::new();
    loop {
        let words = seen.recv_timeout(PATIENCE).expect("a request");
        all.push(words);
        if fits(&all[all.len() - 1]) {
            return all;
        }
    }
}

fn is_about(words: &Frames, command: &str) -> bool {
    words[0] == command.as_bytes()
}

fn count(all: &[Frames], command: &str) -> usize {
    all.iter().filter(|words| is_about(words, command)).count()
}

#[test]
fn a_node_of_the_reference_is_greeted_once_a_registration_and_told_by_plain_commands() {
    let context = Context::new().unwrap();
    let _access = AccessThread::start(&context, Access::default()).unwrap();
    let key = fresh_key();
    let binding = Binding {
        name: "reference",
        key: &key,
        zap_domain: "listen",
        addresses: &["127.0.0.1:0".parse().unwrap()],
    };
    let (tell, seen) = unbounded();
    let stop = Arc::new(AtomicBool::new(false));
    let reference = Reference {
        replies: VecDeque::new(),
        stop: Arc::clone(&stop),
        tell,
        key: key.public_key().0,
    };
    let bound = Bound::new(&context, &binding).unwrap();
    let server = bound.serve(reference).unwrap();

    let mut stage = Stage::new("devnet", 4);
    let (public, address) = (
        key.public_key().to_string(),
        server.addresses[0].to_string(),
    );
    stage.nodes[0].configure(|text| {
        let entry =
            format!("\n[[peering.connect]]\npublic_key = \"{public}\"\naddress = \"{address}\"\n");
        text.replace("\n[publishing]", &format!("{entry}\n[publishing]"))
    });
    start(&mut stage);
    let node = &stage.nodes[0];
    node.wait_status("a plain peer", |s| s["mempool"]["plain"] == 1);
    stage.create(2, "for the reference", false);
    let mut all = until(&seen, |words| is_about(words, "proof"));
    assert_eq!(count(&all, COMMAND), 1, "one probe");
    let order: Vec<&[u8]> = all.iter().map(|words| words[0].as_slice()).collect();
    let at = |command: &str| order.iter().position(|word| *word == command.as_bytes());
    assert!(at(COMMAND) < at("assets"), "{order:?}");
    assert!(at("assets").is_some() && at("assets") < at("issues"));
    assert!(at("issues") < at("proof"));
    for command in ["assets", "issues", "proof"] {
        assert_eq!(count(&all, command), 1, "{command}");
    }

    // Registered anew, it is probed anew.
    let question = |command: &str| json!({"command": command, "key": public, "address": address});
    assert_eq!(
        node.control(&question("disconnect")).unwrap()["disconnected"],
        true
    );
    node.control(&question("connect")).unwrap();
    all.extend(until(&seen, |words| is_about(words, COMMAND)));
    stage.create(3, "after the return", false);
    all.extend(until(&seen, |words| {
        is_about(words, "assets") && words[1].windows(9).any(|part| part == b"after the")
    }));
    assert_eq!(count(&all, COMMAND), 2, "one probe for each registration");
    for words in all.iter().filter(|words| is_about(words, COMMAND)) {
        let message = Message::decode(&words[1]).unwrap();
        assert!(matches!(message, Message::Hello(_)), "{message:?}");
    }
    stop.store(true, Ordering::SeqCst);
}

/// A message, and what the node says to it.
fn exchange(asker: &Asker, payload: &[u8]) -> Message {
    let reply = asker.ask(COMMAND, &[payload]).expect("a reply");
    assert_eq!(reply.len(), 2);
    assert_eq!(reply[0], COMMAND.as_bytes());
    assert_eq!(reply[1][0], MAGIC);
    assert!(reply[1].len() >= 3);
    Message::decode(&reply[1]).expect("a message")
}

fn code(message: &Message) -> Option<NackCode> {
    match message {
        Message::Nack(nack) => Some(nack.code),
        _ => None,
    }
}

#[test]
fn a_client_with_raw_messages_gets_the_answers_of_the_note() {
    let mut stage = Stage::new("devnet", 1);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let asker = Asker::new(&stage.nodes[0], "devnet");
    let bundle = Bundle {
        kind: Kind::Proof,
        payload: vec![7; 56],
    };
    let batch = |epoch| {
        let items = vec![Item {
            id: 1,
            bundle: bundle.clone(),
        }];
        Message::Batch(Batch {
            epoch,
            after: 0,
            upto: 1,
            items,
        })
        .encode()
    };
    // Before the greeting.
    for garbage in [
        &b""[..],
        b"A",
        b"M",
        b"M\x01\x09",
        b"M\x02\x01",
        &[0xff; 300],
    ] {
        let answer = exchange(&asker, garbage);
        assert_eq!(code(&answer), Some(NackCode::Malformed), "{garbage:?}");
    }
    let answer = exchange(&asker, &batch(5));
    assert_eq!(code(&answer), Some(NackCode::WrongEpoch));
    let hello = Hello {
        epoch: 5,
        head: 1,
        max_bytes: 262_144,
        max_items: 100,
        flags: 3,
    };
    match exchange(&asker, &Message::Hello(hello).encode()) {
        Message::HelloAck(ack, 0) => {
            assert_ne!(ack.epoch, 0);
            assert_eq!((ack.head, ack.flags), (0, 2), "not Normal, and it relays");
        }
        other => panic!("{other:?}"),
    }
    // A node alone is not Normal: it takes no records.
    let answer = exchange(&asker, &batch(5));
    assert_eq!(code(&answer), Some(NackCode::NotNormal));
    let answer = exchange(&asker, &batch(6));
    assert_eq!(code(&answer), Some(NackCode::WrongEpoch));
    let report = report(&stage.nodes[0]);
    assert_eq!(report["nackSentMalformed"], 6);
    assert_eq!(report["nackSentWrongEpoch"], 2);
    assert_eq!(report["nackSentNotNormal"], 1);
}
