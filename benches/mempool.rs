//! The shared mempool against the targets of `proto/overlays-anchors.md`, section 1, in one run:
//! eight node processes, all connected to all, on loopback; and the machine alone, with pools that
//! check nothing. What counts are the shapes; the machine may be busy. It never asserts.
//!
//! | measure | how it is taken |
//! | --- | --- |
//! | time to all | from the request to the last of the eight publishers that tells of the record |
//! | bytes | payloads of BATCH and BATCH-ACK, without the framing of ZeroMQ and CURVE |
//! | memory | resident, of one node that a stranger floods with proofs of unknown issues |
//! | take-in | decode, dedupe and insert in the machine, on one thread |

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::core::id::PayId;
use bitmarkd::core::keys::{PeerPublicKey, PrivateKey};
use bitmarkd::core::overlay::mempool::wire::{Batch, Hello, Item, Message};
use bitmarkd::core::overlay::mempool::{
    Bundle, COMMAND, Effect, Input, Kind, Locator, Mempool, Policy, Pools, Settings, Verdict,
};
use bitmarkd::core::record::{self, AssetData, Record};
use bitmarkd::shell::zmq::Context;
use bitmarkd::shell::zmq::outward::{News, Order, Outward};
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use crossbeam_channel::Receiver;
use rustix::process::Signal;
use serde_json::json;

use crate::process::{Node, PATIENCE};
use crate::table::{Reach, Row, Table};

/// Nodes that are measured.
const NODES: usize = 8;
/// Records of each run, one at a time.
const RECORDS: usize = 500;
/// In the measure of bytes, those of a usual transfer and of a set of a hundred issues.
const TRANSFER_BYTES: usize = 250;
const ISSUES_BYTES: usize = 15_000;
/// Bytes of a small bundle: a proof's.
const SMALL_BYTES: usize = 56;
/// Small bundles of the flood, and how often memory is looked at.
const FLOOD: usize = 200_000;
const LOOKS: usize = 5;
/// Small bundles of a round of taking in, and rounds; the median counts.
const TAKEN: usize = 90_000;
const ROUNDS: usize = 5;

/// Starts a node that is connected to these, and to nobody else.
fn start_one(plan: &Plan, others: &[&Plan], policy: &str) -> Node {
    let mempool = format!("\n[mempool]\npolicy = \"{policy}\"\n");
    Node::start(plan, others, |text| text + &mempool)
}

fn plans(folder: &Path, count: usize) -> (Vec<Plan>, Ports) {
    let mut ports = Ports::default();
    let plans: Vec<Plan> = (1..=count)
        .map(|n| Plan::new(folder, &format!("n{n}"), &mut ports).expect("ports"))
        .collect();
    for plan in &plans {
        make::write_node(plan, &plans, "devnet", 1).expect("a folder");
    }
    ports.release();
    (plans, ports)
}

fn start(plans: &[Plan], which: std::ops::Range<usize>, policy: &str) -> Vec<Node> {
    let one = |index: usize| {
        let others = plans[..NODES].iter().enumerate();
        let others: Vec<&Plan> = others
            .filter(|(other, _)| *other != index)
            .map(|(_, plan)| plan)
            .collect();
        start_one(&plans[index], &others, policy)
    };
    which.map(one).collect()
}

/// Everything that all nodes publish, in one channel.
struct Publishers {
    news: Receiver<News>,
    _outward: Outward,
}

impl Publishers {
    fn new(context: &Context, nodes: &[Node]) -> Self {
        let (outward, news) = crate::rig::outward(context, fresh_key());
        for (node, id) in nodes.iter().zip(1..) {
            let address = format!("127.0.0.1:{}", node.plan.publish4);
            let address = address.parse().expect("an address");
            let order = Order::Subscribe(id, node.plan.key(), address);
            outward.orders().give(order);
        }
        let publishers = Self {
            news,
            _outward: outward,
        };
        // Heart beats: none is missed from now on.
        publishers.wait(nodes.len(), |_| true);
        publishers
    }

    /// Until so many publishers have sent a message that fits.
    fn wait(&self, count: usize, fits: impl Fn(&[Vec<u8>]) -> bool) {
        let mut from = BTreeSet::new();
        while from.len() < count {
            let news = self.news.recv_timeout(PATIENCE).expect("a message");
            if let News::Received(id, frames) = news
                && fits(&frames)
            {
                from.insert(id);
            }
        }
    }
}

fn asset(fingerprint: &str) -> Vec<u8> {
    let key = PrivateKey::from_ed25519_seed(&[3; 32], true);
    let mut asset = Record::AssetData(AssetData {
        name: b"measured".to_vec(),
        fingerprint: fingerprint.as_bytes().to_vec(),
        metadata: Vec::new(),
        registrant: key.account().expect("an account"),
        signature: Vec::new(),
    });
    record::sign(&mut asset, &key).expect("a record")
}

/// Milliseconds from the request until all have the record: median and 99th percentile.
fn times(name: &str, askers: &[Requester], publishers: &Publishers) -> (f64, f64) {
    let records: Vec<Vec<u8>> = (0..RECORDS)
        .map(|number| asset(&format!("{name} {number}")))
        .collect();
    let mut all = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let request = [b"devnet".to_vec(), b"assets".to_vec(), record.clone()];
        let begin = Instant::now();
        askers[number % askers.len()]
            .ask(&request)
            .expect("an answer");
        publishers.wait(askers.len(), |frames| {
            frames[1] == b"assets" && frames[2] == *record
        });
        all.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[all.len() * 99 / 100])
}

/// A peer that runs a twentieth of the time.
fn slow_down(node: &Node, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        node.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(475));
        node.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Memory in MiB before a flood, and during it; and what is parked in the end.
fn flood(node: &Node, context: &Context) -> (f64, Vec<f64>, u64) {
    let asker = node.requester(context);
    let say = |message: &Message| -> Message {
        let request = [
            b"devnet".to_vec(),
            COMMAND.as_bytes().to_vec(),
            message.encode(),
        ];
        let reply = asker.ask(&request).expect("an answer");
        Message::decode(&reply[1]).expect("a message")
    };
    let hello = Hello {
        epoch: 7,
        head: 0,
        max_bytes: 262_144,
        max_items: 100,
        flags: 1,
    };
    say(&Message::Hello(hello));
    let before = node.memory();
    let mut looks = Vec::new();
    let (mut done, mut number) = (0, 0_u64);
    while done < FLOOD as u64 {
        let items = (1..=100)
            .map(|step| {
                number += 1;
                let mut payload = vec![0xee; SMALL_BYTES];
                payload[..8].copy_from_slice(&number.to_be_bytes());
                let kind = Kind::Proof;
                let bundle = Bundle { kind, payload };
                Item {
                    id: done + step,
                    bundle,
                }
            })
            .collect();
        let batch = Batch {
            epoch: 7,
            after: done,
            upto: done + 100,
            items,
        };
        match say(&Message::Batch(batch)) {
            Message::BatchAck(ack) if ack.upto > done => done = ack.upto,
            other => panic!("the flood was stopped: {other:?}"),
        }
        if done % (FLOOD / LOOKS) as u64 == 0 {
            looks.push(node.memory());
        }
    }
    let answer = node.ask(&json!({"command": "mempool"})).expect("an answer");
    let parked = answer["report"]["parked"].as_u64().unwrap_or_default();
    (before, looks, parked)
}

/// Pools that check nothing.
#[derive(Default)]
struct Stub(BTreeMap<Locator, Vec<u8>>);

impl Stub {
    /// Where a bundle is; they are all transfers, of different beginnings.
    fn locator(payload: &[u8]) -> Locator {
        Locator::Transfer(PayId(*payload.first_chunk().expect("48 bytes")))
    }

    fn take(&mut self, payload: Vec<u8>) -> Option<Locator> {
        let locator = Self::locator(&payload);
        let was = self.0.insert(locator, payload);
        was.is_none().then_some(locator)
    }
}

impl Pools for Stub {
    fn payload(&self, locator: &Locator) -> Option<Vec<u8>> {
        self.0.get(locator).cloned()
    }
    fn needs(&self, _: &Locator) -> Vec<Locator> {
        Vec::new()
    }
}

fn record_of(number: usize, bytes: usize) -> Vec<u8> {
    let mut payload = vec![0x5a; bytes];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}

/// Machines that are all connected, without sockets and without delay.
struct Mesh {
    members: Vec<(Mempool, Stub)>,
    open: BTreeMap<u64, (usize, u64, usize)>,
    ticket: u64,
    bytes: usize,
}

fn key_of(index: usize) -> PeerPublicKey {
    PeerPublicKey([index as u8 + 1; 32])
}

impl Mesh {
    fn new() -> Self {
        let settings = Settings {
            policy: Policy::Own,
            ..Settings::default()
        };
        let member = |index: usize| {
            let machine = Mempool::new(0, settings, key_of(index).0);
            (machine, Stub::default())
        };
        let mut mesh = Self {
            members: (0..NODES).map(member).collect(),
            open: BTreeMap::new(),
            ticket: 0,
            bytes: 0,
        };
        for index in 0..NODES {
            mesh.run([(index, Input::Mode { normal: true })].into());
        }
        for index in 0..NODES {
            for other in (0..NODES).filter(|other| *other != index) {
                mesh.run([(index, Input::NewPeer(key_of(other)))].into());
            }
        }
        mesh.bytes = 0;
        mesh
    }

    fn count(&mut self, payload: &[u8]) {
        let is_counted = matches!(
            Message::decode(payload),
            Ok(Message::Batch(_) | Message::BatchAck(_))
        );
        self.bytes += if is_counted { payload.len() } else { 0 };
    }

    fn run(&mut self, mut inputs: VecDeque<(usize, Input)>) {
        while let Some((at, input)) = inputs.pop_front() {
            let mut effects = Vec::new();
            let (machine, stub) = &mut self.members[at];
            machine.step(1_000, input, stub, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Send {
                        peer,
                        generation,
                        payload,
                    } => {
                        self.count(&payload);
                        let to = usize::from(peer.0[0]) - 1;
                        self.ticket += 1;
                        self.open.insert(self.ticket, (at, generation, to));
                        let request = Input::Request {
                            ticket: self.ticket,
                            peer: key_of(at),
                            payload,
                        };
                        inputs.push_back((to, request));
                    }
                    Effect::Answer { ticket, payload } => {
                        self.count(&payload);
                        let (to, generation, from) = self.open.remove(&ticket).expect("open");
                        let reply = Input::Reply {
                            peer: key_of(from),
                            generation,
                            frames: Some(vec![COMMAND.as_bytes().to_vec(), payload]),
                        };
                        inputs.push_back((to, reply));
                    }
                    Effect::Validate { job, peer, bundles } => {
                        let stub = &mut self.members[at].1;
                        let decided = decide(stub, job, peer, bundles);
                        inputs.extend(decided.into_iter().map(|input| (at, input)));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Bytes on the wire for each byte of a record and each peer, for records that come in bursts.
    fn bytes_for(size: usize, burst: usize) -> f64 {
        let mut mesh = Self::new();
        for first in (0..RECORDS).step_by(burst) {
            let at = first / burst % NODES;
            let mut inputs = VecDeque::new();
            for number in first..first + burst {
                let locator = mesh.members[at].1.take(record_of(number, size));
                let locator = locator.expect("it is new");
                let origin = None;
                inputs.push_back((at, Input::Present { locator, origin }));
            }
            mesh.run(inputs);
        }
        for (_, stub) in &mesh.members {
            assert_eq!(stub.0.len(), RECORDS, "all have all");
        }
        mesh.bytes as f64 / (RECORDS * size * (NODES - 1)) as f64
    }
}

/// What pools that check nothing say.
fn decide(
    stub: &mut Stub,
    job: u64,
    peer: Option<PeerPublicKey>,
    bundles: Vec<Bundle>,
) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut verdicts = Vec::new();
    for bundle in bundles {
        match stub.take(bundle.payload) {
            Some(locator) => {
                let origin = peer;
                inputs.push(Input::Present { locator, origin });
                verdicts.push(Verdict::Accepted);
            }
            None => verdicts.push(Verdict::Duplicate),
        }
    }
    inputs.push(Input::Validated { job, verdicts });
    inputs
}

/// Small bundles a second that one machine takes in.
fn taken_in() -> f64 {
    let batches: Vec<Vec<u8>> = (0..TAKEN)
        .step_by(100)
        .map(|first| {
            let item = |number: usize| Item {
                id: number as u64 + 1,
                bundle: Bundle {
                    kind: Kind::Transfer,
                    payload: record_of(number, SMALL_BYTES),
                },
            };
            Message::Batch(Batch {
                epoch: 7,
                after: first as u64,
                upto: first as u64 + 100,
                items: (first..first + 100).map(item).collect(),
            })
            .encode()
        })
        .collect();
    let mut machine = Mempool::new(0, Settings::default(), [1; 32]);
    let mut stub = Stub::default();
    let hello = Hello {
        epoch: 7,
        head: 0,
        max_bytes: 262_144,
        max_items: 100,
        flags: 3,
    };
    let mut effects = Vec::new();
    machine.step(0, Input::Mode { normal: true }, &stub, &mut effects);
    let payloads = std::iter::once(Message::Hello(hello).encode()).chain(batches);
    let begin = Instant::now();
    for (payload, ticket) in payloads.zip(1..) {
        let request = Input::Request {
            ticket,
            peer: key_of(5),
            payload,
        };
        let mut inputs = VecDeque::from([request]);
        while let Some(input) = inputs.pop_front() {
            effects.clear();
            machine.step(1, input, &stub, &mut effects);
            for effect in effects.drain(..) {
                if let Effect::Validate { job, peer, bundles } = effect {
                    inputs.extend(decide(&mut stub, job, peer, bundles));
                }
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(machine.counters().accepted, TAKEN as u64, "all are taken");
    TAKEN as f64 / seconds
}

/// The rows about time, and the one about memory, of a network with this policy.
fn network(table: &mut Table, policy: &str) {
    let context = &Context::new().expect("CURVE");
    let folder = tempfile::tempdir().expect("a folder");
    let (plans, _ports) = plans(folder.path(), NODES + 2);
    let nodes = start(&plans, 0..NODES, policy);
    let others = NODES as u64 - 1;
    for node in &nodes {
        node.wait("mode Normal", |s| s["mode"] == "Normal");
        node.wait("all peers", |s| s["mempool"]["overlay"] == others);
    }
    let askers: Vec<Requester> = nodes.iter().map(|n| n.requester(context)).collect();
    let publishers = Publishers::new(context, &nodes);
    let mut tell = |what: &str, (median, p99): (f64, f64)| {
        for (name, figure, bound) in [("median", median, 20.0), ("p99", p99, 100.0)] {
            let measure = format!("mempool, time to all 8, {policy}, {what}, {name}");
            table.row(
                Row::of_pairs(&measure, "ms", "target", &[(figure, bound)])
                    .reach(Reach::AtMost(1.0))
                    .parameters(format!("{RECORDS} records")),
            );
        }
    };
    times("warm", &askers, &publishers);
    tell("no others", times("plain", &askers, &publishers));

    let mut two = start(&plans, NODES..NODES + 2, policy);
    for node in &nodes {
        for plan in &plans[NODES..] {
            let address = format!("127.0.0.1:{}", plan.peer4);
            node.ask(&json!({"command": "connect", "key": plan.key(), "address": address}));
        }
    }
    for node in &nodes {
        node.wait("two more peers", |s| s["mempool"]["overlay"] == others + 2);
    }
    let well = times("both well", &askers, &publishers);
    tell("two more, both well", well);
    let (dead, slow) = (two.remove(0), two.remove(0));
    dead.signal(Signal::STOP);
    let stop = AtomicBool::new(false);
    let worst = std::thread::scope(|scope| {
        scope.spawn(|| slow_down(&slow, &stop));
        let worst = times("worst", &askers, &publishers);
        stop.store(true, Ordering::SeqCst);
        worst
    });
    tell("one dead, one slow", worst);
    drop((dead, slow));

    if policy == "relay" {
        let (before, looks, parked) = flood(&nodes[0], context);
        let looks: Vec<String> = looks.iter().map(|mib| format!("{mib:.0}")).collect();
        table.row(
            Row::told("mempool, memory before a flood", "MiB", before).parameters(format!(
                "{FLOOD} proofs ({parked} parked), meanwhile: {}",
                looks.join(" ")
            )),
        );
    }
}

/// The measure.
pub fn run(table: &mut Table) {
    for policy in ["own", "relay"] {
        network(table, policy);
    }
    for (size, burst) in [
        (TRANSFER_BYTES, 1),
        (TRANSFER_BYTES, 100),
        (ISSUES_BYTES, 1),
    ] {
        let measure = format!("mempool, bytes in a full mesh, {size} B, {burst} at a time");
        let pair = (Mesh::bytes_for(size, burst), 1.0);
        table.row(
            Row::of_pairs(&measure, "x", "payload x peers", &[pair]).reach(Reach::AtMost(1.05)),
        );
    }
    let pairs: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (taken_in(), 50_000.0)).collect();
    table.row(
        Row::of_pairs("mempool, bundles taken in", "bundles/s", "target", &pairs)
            .reach(Reach::AtLeast(1.0))
            .parameters(format!("{SMALL_BYTES} B, one core")),
    );
}
