//! Hostile traffic costs its sender, not the others. Nothing here is timed: what is counted is how much
//! the node does for who harms it between another client's question and its answer, so whatever slows
//! the machine down slows down both. They take turns all the same: each keeps the machine busy.

#[path = "../nodes/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of whole nodes")]
mod stage;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::record::{self, AssetData, BitmarkIssue, Record};
use bitmarkd::core::wire::connection::{Connection, pack_list};
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::{Context, options};
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

use stage::{Asker, Stage, TestNode, eventually};

/// Messages of the hostile hour.
const MESSAGES: usize = 200_000;
/// Sent before the sender waits for the node: much more work than one question.
const WINDOW: usize = 400;
/// Questions of the other client at least: the median of what they saw counts.
const ASKED: usize = 500;

type Frames = Vec<Vec<u8>>;

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// A client that sends without waiting for each answer.
struct Sender {
    socket: zmq::Socket,
    marks: u64,
    _context: Context,
}

impl Sender {
    fn new(node: &TestNode) -> Self {
        let context = Context::new().unwrap();
        let address = format!("127.0.0.1:{}", node.plan.peer4).parse().unwrap();
        let (own, server) = (fresh_key(), node.plan.key());
        let socket = options::client(&context, zmq::DEALER, &own, &server, &address).unwrap();
        socket.connect(&options::endpoint(&address)).unwrap();
        socket.set_rcvtimeo(20_000).unwrap();
        socket.set_sndtimeo(20_000).unwrap();
        Self {
            socket,
            marks: 0,
            _context: context,
        }
    }

    fn send(&self, frames: &[Vec<u8>]) {
        if !frames.is_empty() {
            self.socket.send_multipart(frames, 0).unwrap();
        }
    }

    /// Waits until everything sent so far was looked at.
    fn settle(&mut self) {
        self.marks += 1;
        let mark = format!("mark {}", self.marks).into_bytes();
        self.send(&[Vec::new(), b"devnet".to_vec(), mark.clone()]);
        loop {
            let reply = self.socket.recv_multipart(0).expect("the node answers");
            if reply.contains(&mark) {
                return;
            }
        }
    }
}

/// Messages of all kinds.
struct Source {
    random: StdRng,
    counter: u64,
    asset: Vec<u8>,
    fingerprint: Vec<u8>,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut source = Self {
            random: StdRng::seed_from_u64(seed),
            counter: seed << 32,
            asset: Vec::new(),
            fingerprint: Vec::new(),
        };
        source.asset = source.fresh_asset();
        source
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.random.gen_range(0..most)];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    fn key(&mut self) -> PrivateKey {
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        PrivateKey::from_ed25519_seed(&seed, true)
    }

    fn fresh_asset(&mut self) -> Vec<u8> {
        self.counter += 1;
        let key = self.key();
        self.fingerprint = format!("hostile {}", self.counter).into_bytes();
        let mut asset = Record::AssetData(AssetData {
            name: b"hostile".to_vec(),
            fingerprint: self.fingerprint.clone(),
            metadata: b"k\0v".to_vec(),
            registrant: key.account().unwrap(),
            signature: Vec::new(),
        });
        record::sign(&mut asset, &key).unwrap()
    }

    fn fresh_issue(&mut self) -> Vec<u8> {
        self.counter += 1;
        let key = self.key();
        let mut issue = Record::BitmarkIssue(BitmarkIssue {
            asset_id: bitmarkd::core::id::AssetId::of(&self.fingerprint),
            owner: key.account().unwrap(),
            nonce: self.counter,
            signature: Vec::new(),
        });
        record::sign(&mut issue, &key).unwrap()
    }

    fn three(&mut self) -> [Vec<u8>; 3] {
        let mut key = vec![0; 32];
        self.random.fill_bytes(&mut key);
        let address = Connection::from_text("127.0.0.1:9").unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        [key, pack_list([&address]), now.to_be_bytes().to_vec()]
    }

    fn random_message(&mut self) -> Frames {
        let count = self.random.gen_range(1..8);
        (0..count).map(|_| self.bytes(200)).collect()
    }

    fn fresh_message(&mut self) -> Frames {
        let mut frames = vec![Vec::new(), b"devnet".to_vec()];
        let three = self.three();
        match self.random.gen_range(0..5) {
            0 => {
                frames.extend([b"R".to_vec(), b"devnet".to_vec()]);
                frames.extend(three);
            }
            1 => {
                frames.push(b"peer".to_vec());
                frames.extend(three);
            }
            2 => {
                frames.push(b"rpc".to_vec());
                frames.extend(three);
            }
            3 => {
                self.asset = self.fresh_asset();
                frames.extend([b"assets".to_vec(), self.asset.clone()]);
            }
            _ => {
                let issue = self.fresh_issue();
                frames.extend([b"issues".to_vec(), issue]);
            }
        }
        frames
    }

    fn mutated_message(&mut self) -> Frames {
        let commands: [&[u8]; 14] = [
            b"I",
            b"N",
            b"B",
            b"H",
            b"R",
            b"block",
            b"assets",
            b"issues",
            b"transfer",
            b"proof",
            b"rpc",
            b"peer",
            b"heart",
            b"other",
        ];
        let command = commands[self.random.gen_range(0..commands.len())];
        let mut frames = if [&b"R"[..], b"rpc", b"peer", b"assets", b"issues"].contains(&command) {
            let mut frames = self.fresh_message();
            frames[2] = command.to_vec();
            frames
        } else {
            let parameter = match command {
                b"B" | b"H" => 1_u64.to_be_bytes().to_vec(),
                b"block" => bitmarkd::core::block::genesis::DEVNET.to_vec(),
                b"transfer" => self.asset.clone(),
                b"proof" => vec![7; 56],
                _ => b"beat".to_vec(),
            };
            vec![Vec::new(), b"devnet".to_vec(), command.to_vec(), parameter]
        };
        for _ in 0..self.random.gen_range(1..4) {
            let index = self.random.gen_range(2..frames.len());
            let frame = &mut frames[index];
            match self.random.gen_range(0..3) {
                0 if !frame.is_empty() => {
                    let at = self.random.gen_range(0..frame.len());
                    frame[at] ^= 1 << self.random.gen_range(0..8);
                }
                1 => frame.truncate(frame.len() / 2),
                _ => frame.push(self.random.r#gen()),
            }
        }
        frames
    }

    fn message(&mut self) -> Frames {
        match self.random.gen_range(0..3) {
            0 => self.random_message(),
            1 => self.mutated_message(),
            _ => self.fresh_message(),
        }
    }
}

/// Asks `N` again and again, each time with an answer; gives, sorted, how far `done` went on between
/// each question and its answer.
fn beside(asker: &Asker, done: &AtomicU64, mut go_on: impl FnMut() -> bool) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < ASKED || go_on() {
        let before = done.load(Ordering::SeqCst);
        asker.ask("N", &[]).expect("an answer");
        seen.push(done.load(Ordering::SeqCst) - before);
    }
    seen.sort_unstable();
    seen
}

fn part(seen: &[u64], permille: usize) -> u64 {
    seen[(seen.len() - 1) * permille / 1000]
}

#[test]
fn a_hostile_hour_in_a_minute_leaves_the_node_as_it_was() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    stage.create(0, "before the hour", true);
    let asker = Asker::new(&stage.nodes[1], "devnet");
    let memory = stage.nodes[1].memory();

    let done = Arc::new(AtomicU64::new(0));
    let mut sender = Sender::new(&stage.nodes[1]);
    let looked_at = Arc::clone(&done);
    let sender = std::thread::spawn(move || {
        let mut source = Source::new(1);
        for _ in 0..MESSAGES / WINDOW {
            for _ in 0..WINDOW {
                sender.send(&source.message());
            }
            sender.settle();
            looked_at.fetch_add(1, Ordering::SeqCst);
        }
    });
    let during = beside(&asker, &done, || !sender.is_finished());
    sender.join().unwrap();
    println!(
        "{MESSAGES} messages; N: {} asked, windows of {WINDOW} that ended meanwhile: median {}, p99 {}",
        during.len(),
        part(&during, 500),
        part(&during, 990),
    );
    // Who asks is not behind what another one sent before.
    assert_eq!(part(&during, 500), 0);
    let grown = stage.nodes[1].memory().saturating_sub(memory);
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
    let status = stage.nodes[1].status().unwrap();
    println!("{status}");
    assert!(status["peersKnown"].as_u64() <= Some(4096));
    assert!(status["reservoir"]["assets"].as_u64() <= Some(50_000));
    stage.create(1, "after the hour", true);
}

/// A client that does harm until it is told to end: `act` tells how much the node did for it.
fn harm(
    stop: &Arc<AtomicBool>,
    done: &Arc<AtomicU64>,
    node: &TestNode,
    mut act: impl FnMut(&zmq::Socket) -> u64 + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let sender = Sender::new(node);
    let (stop, done) = (Arc::clone(stop), Arc::clone(done));
    std::thread::spawn(move || {
        sender.socket.set_linger(0).unwrap();
        while !stop.load(Ordering::SeqCst) {
            done.fetch_add(act(&sender.socket), Ordering::SeqCst);
        }
    })
}

/// Harm of a kind.
struct Harm {
    what: &'static str,
    /// It has to have come to so much: else nothing would be tried here.
    least: u64,
    /// At most so much is done between a question of another client and its answer, as a rule.
    between: u64,
    /// At most so much is done of a hundred times ninety-nine.
    rarely: u64,
}

/// Rounds of which one has to be good: a machine that is busy elsewhere may hold the one who asks up
/// between an answer and his look at the count.
const ROUNDS: usize = 4;

fn others_hardly_notice(harm_of: &Harm, act: impl FnMut(&zmq::Socket) -> u64 + Send + 'static) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage = Stage::new("devnet", 4);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let asker = Asker::new(&stage.nodes[0], "devnet");
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let harmful = harm(&stop, &done, &stage.nodes[0], act);
    let is_good = (0..ROUNDS).any(|_| {
        let begin = done.load(Ordering::SeqCst);
        let is_too_little = || done.load(Ordering::SeqCst) - begin < harm_of.least;
        let during = beside(&asker, &done, is_too_little);
        let (median, p99) = (part(&during, 500), part(&during, 990));
        println!(
            "{}: {} in all; N: {} asked, done meanwhile: median {median}, p99 {p99}",
            harm_of.what,
            done.load(Ordering::SeqCst),
            during.len(),
        );
        median <= harm_of.between && p99 <= harm_of.rarely
    });
    stop.store(true, Ordering::SeqCst);
    harmful.join().unwrap();
    assert!(stage.nodes[0].memory() < 256 << 20);
    assert!(is_good, "{}", harm_of.what);
}

fn request(command: &str, parameter: &[u8]) -> Frames {
    vec![
        Vec::new(),
        b"devnet".to_vec(),
        command.as_bytes().to_vec(),
        parameter.to_vec(),
    ]
}

#[test]
fn a_flooder_is_hardly_noticed() {
    // There is always one more of its requests that waits; behind all of them nobody is.
    let flood = Harm {
        what: "a flooder",
        least: 50_000,
        between: 200,
        rarely: 320,
    };
    others_hardly_notice(&flood, |socket| {
        for _ in 0..WINDOW {
            let _ = socket.send_multipart(request("N", b""), zmq::DONTWAIT);
        }
        let mut items = [socket.as_poll_item(zmq::POLLIN)];
        let _ = zmq::poll(&mut items, 10);
        let mut replies = 0;
        while socket.recv_multipart(zmq::DONTWAIT).is_ok() {
            replies += 1;
        }
        replies
    });
}

#[test]
fn a_client_that_reads_no_replies_is_hardly_noticed() {
    let silent = Harm {
        what: "a client that never reads",
        least: 100,
        between: 100,
        // What counts is what it sends, and that goes into its own buffers in bursts.
        rarely: u64::MAX,
    };
    others_hardly_notice(&silent, |socket| {
        let _ = socket.set_rcvhwm(1);
        let sent = socket.send_multipart(request("H", &1_u64.to_be_bytes()), zmq::DONTWAIT);
        let mut items = [socket.as_poll_item(zmq::POLLOUT)];
        let _ = zmq::poll(&mut items, 10);
        u64::from(sent.is_ok())
    });
}

/// Sends a large message and waits for its answer.
fn answered(socket: &zmq::Socket, frames: Frames) -> u64 {
    let _ = socket.send_multipart(frames, 0);
    u64::from(socket.recv_multipart(0).is_ok())
}

#[test]
fn frames_of_five_megabytes_are_hardly_noticed() {
    let large = vec![7; 4_999_000];
    let frames = Harm {
        what: "frames of 5 MB",
        least: 50,
        between: 1,
        rarely: 4,
    };
    others_hardly_notice(&frames, move |socket| {
        answered(socket, request("transfer", &large))
    });
}

#[test]
fn long_names_of_other_chains_are_hardly_noticed() {
    let name = vec![7; 4_999_000];
    let names = Harm {
        what: "names of chains of 5 MB",
        least: 50,
        between: 1,
        rarely: 4,
    };
    others_hardly_notice(&names, move |socket| {
        answered(socket, vec![Vec::new(), name.clone(), b"N".to_vec()])
    });
}

/// The most memory a node has had, in bytes.
fn most_memory(node: &TestNode) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn a_message_without_an_end_does_not_fill_the_memory() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage = Stage::new("devnet", 4);
    stage.nodes[0].configure(|text| text.replace("[peering]", "[peering]\nmemory_mebibytes = 192"));
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let sender = Sender::new(&stage.nodes[0]);
    sender.socket.set_linger(0).unwrap();
    // The library holds all frames of a message until the last of them is there.
    let frame = vec![7; 4_900_000];
    for _ in 0..120 {
        sender.socket.send(&frame, zmq::SNDMORE).unwrap();
    }
    sender.socket.send("the last", 0).unwrap();
    let warned = eventually("the connections are closed", || {
        let log = std::fs::read_to_string(stage.nodes[0].plan.directory.join("log/bitmarkd.log"))
            .unwrap();
        let warned = log.lines().find(|line| line.contains("memory_mebibytes"));
        warned.map(str::to_owned)
    });
    println!("{warned}");
    let asker = Asker::new(&stage.nodes[0], "devnet");
    assert!(asker.ask("N", &[]).is_some());
    let most = most_memory(&stage.nodes[0]);
    println!("at most {} MiB", most >> 20);
    assert!(most < 450 << 20, "{most} bytes");
    eventually("the memory comes back", || {
        (stage.nodes[0].memory() < 192 << 20).then_some(())
    });
}
