//! How fast the digest of an old block is told (`H`), and how fast the fork with a peer's branch of 60
//! blocks is found. Ours keeps digests beside the blocks; the reference has those of the newest 20
//! blocks at hand and computes any other again for each answer (`proto/blocks.md`, section 11). With
//! `REFERENCE_BIN` its node is the floor, with the same blocks; without, `libargon2`, which it computes
//! them with. Nothing is extrapolated: the floor of a fork are as many answers, or the digests that it
//! computes for them.
//!
//! Answers that a node still has at hand from the last who asked are measured apart: on a long chain
//! each block is asked for once, so that all come from the store. For the fork, the questions that a node
//! has under way at once are under way here: the connector, its place for an outgoing peer and the thread
//! of its sockets are those of a node, and the peer is a node's process.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bitmarkd::core::block::{DigestParams, HEADER_BYTES};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::connector::{Connector, Effect, FINDING_AHEAD, Input, Local, Peer, Timing};
use bitmarkd::core::id::BlockDigest;
use bitmarkd::core::ledger::read;
use bitmarkd::core::time::Now;
use bitmarkd::core::upstream::{self, Answer, Own, Question, Upstream};
use bitmarkd::core::wire::connection::Connection;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use bitmarkd::shell::zmq::outward::{Id, News, Order, Outward};
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::{Context, Frames};
use crossbeam_channel::Receiver;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{self, Fixture};
use crate::process::PATIENCE;
use crate::reference::{BLOCKS, Reference};
use crate::rig::{Node, Seen, Service, ask_all};
use crate::rival::Rival;
use crate::table::{Reach, Row, Table, median};

/// Rounds of `H`, and how often each asks ours and the floor.
const ROUNDS: usize = 5;
const ASKED: usize = 2_000;
const ASKED_FLOOR: u64 = 6;
/// Rounds of finding a fork: a floor takes half a minute.
const FORKS: u64 = 2;
/// Blocks that are compared: as many as may be.
const DEPTH: u64 = 60;
/// As many of the newest the reference has at hand.
const RING: u64 = 20;
/// The newest of the saved blocks, and the newest of those that are old.
const TOP: u64 = BLOCKS as u64 + 1;
const OLD: u64 = TOP - RING;
/// Records of the long chain, at most.
const RECORDS: u64 = 100_000;
/// How much faster than one that computes.
const REACH: Reach = Reach::AtLeast(1_000.0);

/// What computes a digest for each answer.
enum Floor {
    Reference(Box<Reference>),
    Library(Rival),
}

impl Floor {
    fn here(context: &Context) -> Option<Self> {
        let reference = Reference::with_blocks(context, BLOCKS).map(Box::new);
        reference
            .map(Self::Reference)
            .or_else(|| Rival::load().map(Self::Library))
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Reference(_) => "the reference's answers",
            Self::Library(_) => "a digest of libargon2 for each",
        }
    }

    /// Seconds for so many answers, each to a question for any old block.
    fn seconds(&self, context: &Context, chance: &mut ChaCha8Rng, count: u64) -> f64 {
        match self {
            Self::Reference(node) => {
                let list = (0..count).map(|_| chance.gen_range(2..=OLD));
                count as f64 / asked(context, &node.service, list).rate
            }
            Self::Library(rival) => {
                let begin = Instant::now();
                for _ in 0..count {
                    let header: [u8; HEADER_BYTES] = std::array::from_fn(|_| chance.r#gen());
                    black_box(rival.digest(&DigestParams::REFERENCE, &header));
                }
                begin.elapsed().as_secs_f64()
            }
        }
    }

    /// Answers a second, as above.
    fn rate(&self, context: &Context, chance: &mut ChaCha8Rng) -> f64 {
        ASKED_FLOOR as f64 / self.seconds(context, chance, ASKED_FLOOR)
    }

    /// Forks a second: the newest digests are at hand, the others are computed.
    fn forks(&self, context: &Context, chance: &mut ChaCha8Rng) -> f64 {
        let at_hand = match self {
            Self::Reference(node) => {
                let list = OLD + 1..=TOP;
                RING as f64 / asked(context, &node.service, list).rate
            }
            Self::Library(_) => 0.0,
        };
        1.0 / (at_hand + self.seconds(context, chance, DEPTH - RING))
    }
}

fn question(service: &Service, number: u64) -> Frames {
    service.request("H", &[&number.to_be_bytes()])
}

/// What one client sees who asks for the digests of these blocks.
fn asked(context: &Context, service: &Service, numbers: impl Iterator<Item = u64>) -> Seen {
    let list = numbers.map(|number| question(service, number)).collect();
    ask_all(context, service, &[list])
}

/// A digest as a service tells it.
fn told(asker: &Requester, service: &Service, number: u64) -> BlockDigest {
    let reply = asker.ask(&question(service, number)).expect("an answer");
    assert_eq!(reply[0], b"H", "an error");
    BlockDigest(reply[1].as_slice().try_into().expect("a digest"))
}

/// The chain of a node whose newest blocks are of another branch than its peer's.
struct Forked<'a> {
    store: &'a Store,
    height: u64,
    peer: Peer,
}

impl Local for Forked<'_> {
    fn height(&self) -> u64 {
        self.height
    }

    fn digest(&self, number: u64) -> Option<BlockDigest> {
        let stored = read::digest(self.store, number).expect("a read")?;
        let is_common = number <= self.height + 1 - DEPTH;
        Some(if is_common {
            stored
        } else {
            BlockDigest(stored.0.map(|byte| !byte))
        })
    }

    fn peers(&self) -> Vec<Peer> {
        vec![self.peer]
    }
}

/// An outgoing peer as a node has it: its questions are under way together, and a thread has its socket.
struct Place {
    upstream: Upstream,
    outward: Outward,
    news: Receiver<News>,
    /// The socket that is open.
    socket: Id,
    begin: Instant,
    /// What was answered and not taken yet.
    answers: VecDeque<(Question, Answer)>,
}

impl Place {
    /// Registers, and asks for the height; nothing but questions follows.
    fn dial(context: &Context, service: &Service) -> Self {
        let key = fresh_key();
        let (outward, news) = crate::rig::outward(context, key.clone());
        let own = Own {
            key: key.public_key(),
            listeners: Vec::new(),
        };
        let long = 3_600_000;
        let timing = upstream::Timing {
            cycle_ms: long,
            timeout_ms: long,
            question_ms: long,
        };
        let mut place = Self {
            upstream: Upstream::new(&DEVNET, own, timing),
            outward,
            news,
            socket: 0,
            begin: Instant::now(),
            answers: VecDeque::new(),
        };
        let address = Connection::from_text(&service.address.to_string()).expect("an address");
        place.step(upstream::Input::Dial(service.key, address));
        while place.upstream.height() == 0 {
            place.take_reply();
        }
        place
    }

    fn step(&mut self, input: upstream::Input) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = Now {
            mono: self.begin.elapsed().as_millis() as u64,
            wall: wall.expect("a clock").as_secs(),
        };
        let mut effects = Vec::new();
        self.upstream.step(now, input, &mut effects);
        for effect in effects {
            match effect {
                upstream::Effect::Open(key, address) => {
                    self.socket += 1;
                    let order = Order::Dial(
                        self.socket,
                        key,
                        SocketAddr::new(address.ip(), address.port()),
                    );
                    self.outward.orders().give(order);
                }
                upstream::Effect::Send(frames) => {
                    self.outward
                        .orders()
                        .give(Order::Request(self.socket, frames));
                }
                upstream::Effect::Answered(question, answer) => {
                    self.answers.push_back((question, answer));
                }
                upstream::Effect::Proven(..)
                | upstream::Effect::Learned(..)
                | upstream::Effect::Height(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits for what comes next.
    fn take_reply(&mut self) {
        match self.news.recv_timeout(PATIENCE).expect("a reply") {
            News::Received(id, frames) if id == self.socket => {
                self.step(upstream::Input::Reply(frames));
            }
            News::Failed(_, why) => panic!("{why}"),
            _ => {}
        }
    }

    /// Waits for the next answer.
    fn answer(&mut self) -> (Question, Answer) {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return answer;
            }
            self.take_reply();
        }
    }
}

/// Seconds from the first question for a digest until the connector asks for the first block of the
/// branch. It has asked for [`DEPTH`] digests then, and for one in vain that would show the fork to be
/// too deep.
fn fork_found(place: &mut Place, forked: &Forked<'_>) -> f64 {
    let timing = Timing {
        cycle_ms: 1_000,
        minimum_upstreams: 1,
        blocks_per_cycle: 200,
        fork_protection: DEPTH,
        sampling_limit: 10,
    };
    let now = Now {
        mono: 0,
        wall: u64::from(u32::MAX),
    };
    let mut connector = Connector::new(now, &DEVNET, timing);
    let mut input = Input::Changed;
    let mut begin: Option<Instant> = None;
    let mut count = 0;
    loop {
        let mut effects = Vec::new();
        connector.step(now, input, forked, &mut effects);
        for effect in effects {
            match effect {
                Effect::Ask(_, question) => {
                    if let Question::Digest(_) = question {
                        begin.get_or_insert_with(Instant::now);
                        count += 1;
                    } else if let Some(begin) = begin {
                        assert_eq!(count, DEPTH + 1);
                        return begin.elapsed().as_secs_f64();
                    }
                    place.step(upstream::Input::Ask(question));
                }
                Effect::Report(text) => panic!("{text}"),
                _ => {}
            }
        }
        let (question, answer) = place.answer();
        input = Input::Answered(forked.peer.slot, question, answer);
    }
}

/// A row whose floor may not be here.
fn row(measure: &str, floor: Option<&Floor>, pairs: &[(f64, Option<f64>)]) -> Row {
    let both: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|(ours, floor)| Some((*ours, (*floor)?)))
        .collect();
    match floor {
        Some(floor) => {
            let row = Row::of_pairs(measure, "per s", floor.name(), &both).reach(REACH);
            let theirs = row.floor.as_ref().map(|(_, figure)| *figure);
            let is_reference = matches!(floor, Floor::Reference(_));
            row.reference(theirs.filter(|_| is_reference))
        }
        None => Row::told(measure, "per s", median(pairs.iter().map(|pair| pair.0))),
    }
}

/// `H` on the chain of the full digest, the same for both.
fn saved(table: &mut Table, context: &Context, floor: Option<&Floor>, chance: &mut ChaCha8Rng) {
    let node = Node::of_saved_blocks(context, BLOCKS);
    if let Some(Floor::Reference(reference)) = floor {
        let asker = reference.service.dial(context);
        let theirs = told(&asker, &reference.service, OLD);
        let asker = node.service.dial(context);
        assert_eq!(told(&asker, &node.service, OLD), theirs, "the same block");
    }
    let pair = |_| {
        let numbers: Vec<u64> = (0..ASKED).map(|_| chance.gen_range(2..=OLD)).collect();
        let ours = asked(context, &node.service, numbers.into_iter()).rate;
        let theirs = floor.map(|floor| floor.rate(context, chance));
        (ours, theirs)
    };
    let pairs: Vec<(f64, Option<f64>)> = (0..ROUNDS).map(pair).collect();
    let measure = "H for a random old block, the full digest";
    table.row(row(measure, floor, &pairs).parameters(format!(
        "{ROUNDS} pairs, one client, blocks 2 to {OLD} of {TOP}, {ASKED} answers of ours, {ASKED_FLOOR} of \
         the floor; the same blocks are asked for again and again"
    )));
}

/// `H` and the fork on a long chain, which only ours has.
fn long(table: &mut Table, context: &Context, floor: Option<&Floor>, chance: &mut ChaCha8Rng) {
    let records = fixture::records().min(RECORDS);
    let fixture = Fixture::of(records);
    let top = fixture.facts.blocks + 1;
    let (_folder, path) = fixture.copy();
    let node = Node::on_store(context, "", &path);
    let (_own, path) = fixture.copy();
    let store = Store::open(&path, CACHE_BYTES).expect("a store").store;

    let mut all: Vec<u64> = (2..top).collect();
    all.shuffle(chance);
    let count = ASKED.min(all.len() / ROUNDS);
    let pairs: Vec<(f64, Option<f64>)> = all
        .chunks_exact(count)
        .take(ROUNDS)
        .map(|numbers| {
            let ours = asked(context, &node.service, numbers.iter().copied()).rate;
            let theirs = floor.map(|floor| floor.rate(context, chance));
            (ours, theirs)
        })
        .collect();
    let measure = format!("H for a random old block of {top}, each asked for once");
    table.row(row(&measure, floor, &pairs).parameters(format!(
        "{ROUNDS} pairs, one client, {count} answers of ours on devnet, {ASKED_FLOOR} of the floor with \
         the full digest"
    )));

    let mut place = Place::dial(context, &node.service);
    let mut pairs = Vec::new();
    for round in 0..FORKS {
        let peer = Peer {
            slot: 0,
            key: node.service.key,
            height: top,
        };
        // Other blocks each time: none was just asked for.
        let forked = Forked {
            store: &store,
            height: top - 1 - round * DEPTH,
            peer,
        };
        let ours = fork_found(&mut place, &forked).recip();
        let theirs = floor.map(|floor| floor.forks(context, chance));
        pairs.push((ours, theirs));
    }
    let measure = format!("fork detection over {DEPTH} blocks");
    let seconds = median(pairs.iter().map(|pair| pair.0)).recip();
    let seconds = Duration::from_secs_f64(seconds);
    table.row(row(&measure, floor, &pairs).parameters(format!(
        "{FORKS} pairs; ours: connector, outgoing peer and socket thread of a node, and a node process on \
         loopback, up to {FINDING_AHEAD} questions under way, {seconds:.1?}; floor: {DEPTH} answers, the \
         newest {RING} at hand, the others computed"
    )));
}

/// The measure.
pub fn run(table: &mut Table) {
    let context = &Context::new().expect("CURVE");
    let floor = Floor::here(context);
    if floor.is_none() {
        eprintln!("neither REFERENCE_BIN nor libargon2.so.1: nothing to hold it against");
    }
    let chance = &mut ChaCha8Rng::seed_from_u64(60);
    saved(table, context, floor.as_ref(), chance);
    long(table, context, floor.as_ref(), chance);
}
