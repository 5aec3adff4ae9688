//! A relay in front of each node's peer service: it has the node's key and stands where the node
//! announces itself, so every request of one node to another passes through it and can be recorded
//! or cut off. Nobody can tell it from the node, nor the node it calls from the one that called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bitmarkd::core::keys::{PeerPrivateKey, PeerPublicKey};
use bitmarkd::shell::zmq::access::{Access, AccessThread};
use bitmarkd::shell::zmq::options::{self, Family};
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::{Context, Frames, receive};

/// A connection without a message for so long is given up.
const IDLE: Duration = Duration::from_secs(300);
/// How soon a relay sees that it shall end, in milliseconds.
const LOOK: i64 = 100;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Request,
    Reply,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Since the wires were laid.
    pub at: Duration,
    /// Index of the node that asked; nothing for somebody else.
    pub from: Option<usize>,
    /// Index of the node that was asked.
    pub to: usize,
    pub way: Way,
    /// Without the envelope.
    pub body: Frames,
}

#[derive(Debug, Default)]
struct Shared {
    passed: Vec<Passed>,
    /// Pairs that hear nothing of each other, both ways.
    cut: BTreeSet<(usize, usize)>,
    is_recording: bool,
    /// How many connections each made to each.
    opened: BTreeMap<(usize, usize), usize>,
}

/// One node behind its relay.
#[derive(Debug, Clone)]
pub struct End {
    pub key: PeerPrivateKey,
    /// Where it is announced, of each family.
    pub front: [u16; 2],
    /// Where it listens; IPv4.
    pub back: u16,
}

/// The relays of all nodes.
#[derive(Debug)]
pub struct Wires {
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Wires {
    /// Lays them.
    pub fn new(ends: &[End]) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let begin = Instant::now();
        let keys: BTreeMap<[u8; 32], usize> = ends
            .iter()
            .enumerate()
            .map(|(index, end)| (end.key.public_key().0, index))
            .collect();
        let threads = ends
            .iter()
            .enumerate()
            .map(|(index, end)| {
                let relay = Relay {
                    index,
                    end: end.clone(),
                    ends: ends.to_vec(),
                    keys: keys.clone(),
                    shared: Arc::clone(&shared),
                    begin,
                };
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || relay.run(&stop))
            })
            .collect();
        Self {
            shared,
            stop,
            threads,
        }
    }

    /// From now on messages are kept.
    pub fn record(&self) {
        self.shared.lock().unwrap().is_recording = true;
    }

    /// What passed since the last time this was asked.
    pub fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut self.shared.lock().unwrap().passed)
    }

    /// How many connections each node made to each.
    pub fn opened(&self) -> BTreeMap<(usize, usize), usize> {
        self.shared.lock().unwrap().opened.clone()
    }

    /// Nothing passes between the two groups.
    pub fn cut(&self, one: &[usize], other: &[usize]) {
        let mut shared = self.shared.lock().unwrap();
        for a in one {
            for b in other {
                shared.cut.extend([(*a, *b), (*b, *a)]);
            }
        }
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.shared.lock().unwrap().cut.clear();
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A caller's own connection to the node.
struct Line {
    from: Option<usize>,
    front: usize,
    socket: zmq::Socket,
    used: Instant,
}

struct Relay {
    index: usize,
    end: End,
    ends: Vec<End>,
    keys: BTreeMap<[u8; 32], usize>,
    shared: Arc<Mutex<Shared>>,
    begin: Instant,
}

impl Relay {
    fn run(&self, stop: &AtomicBool) {
        let context = Context::new().unwrap();
        let _access = AccessThread::start(&context, Access::default()).unwrap();
        let fronts: Vec<zmq::Socket> = self
            .end
            .front
            .iter()
            .zip([(Family::V4, "127.0.0.1"), (Family::V6, "::1")])
            .map(|(port, (family, host))| {
                let kind = zmq::SocketType::ROUTER;
                let socket = options::server(&context, kind, &self.end.key, "relay", family);
                let socket = socket.unwrap();
                let address = (host.parse::<std::net::IpAddr>().unwrap(), *port).into();
                socket.bind(&options::endpoint(&address)).unwrap();
                socket
            })
            .collect();
        let mut lines: BTreeMap<Vec<u8>, Line> = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            let ready: Vec<bool> = {
                let mut items: Vec<_> = fronts
                    .iter()
                    .chain(lines.values().map(|line| &line.socket))
                    .map(|socket| socket.as_poll_item(zmq::POLLIN))
                    .collect();
                zmq::poll(&mut items, LOOK).unwrap();
                items.iter().map(zmq::PollItem::is_readable).collect()
            };
            let (asked, answered) = ready.split_at(fronts.len());
            for ((identity, line), ready) in lines.iter_mut().zip(answered) {
                if *ready {
                    self.answer(&fronts, identity, line);
                }
            }
            for (front, ready) in asked.iter().enumerate() {
                if *ready {
                    self.request(&context, front, &fronts[front], &mut lines);
                }
            }
            lines.retain(|_, line| line.used.elapsed() < IDLE);
        }
    }

    fn request(
        &self,
        context: &Context,
        front: usize,
        socket: &zmq::Socket,
        lines: &mut BTreeMap<Vec<u8>, Line>,
    ) {
        while let Some(received) = receive::message(socket).unwrap() {
            let mut frames = received.frames;
            let identity = frames.remove(0);
            let line = lines.entry(identity).or_insert_with(|| {
                let from = received.client.and_then(|key| self.keys.get(&key).copied());
                if let Some(from) = from {
                    let mut shared = self.shared.lock().unwrap();
                    *shared.opened.entry((from, self.index)).or_default() += 1;
                }
                let key = from.map_or_else(fresh_key, |from| self.ends[from].key.clone());
                Line {
                    from,
                    front,
                    socket: self.dial(context, &key),
                    used: Instant::now(),
                }
            });
            line.used = Instant::now();
            if self.passes(line.from, Way::Request, &frames) {
                line.socket.send_multipart(frames, zmq::DONTWAIT).ok();
            }
        }
    }

    fn answer(&self, fronts: &[zmq::Socket], identity: &[u8], line: &mut Line) {
        while let Some(received) = receive::message(&line.socket).unwrap() {
            line.used = Instant::now();
            if self.passes(line.from, Way::Reply, &received.frames) {
                let mut frames = vec![identity.to_vec()];
                frames.extend(received.frames);
                // Who has gone does not wait for it.
                receive::send(&fronts[line.front], &frames).unwrap();
            }
        }
    }

    fn dial(&self, context: &Context, key: &PeerPrivateKey) -> zmq::Socket {
        let address = (std::net::Ipv4Addr::LOCALHOST, self.end.back).into();
        let server = PeerPublicKey(self.end.key.public_key().0);
        let socket =
            options::client(context, zmq::SocketType::DEALER, key, &server, &address).unwrap();
        // The first request comes before the connection is there.
        socket.set_immediate(false).unwrap();
        socket.connect(&options::endpoint(&address)).unwrap();
        socket
    }

    /// Whether a message passes; records it.
    fn passes(&self, from: Option<usize>, way: Way, frames: &[Vec<u8>]) -> bool {
        let mut shared = self.shared.lock().unwrap();
        if from.is_some_and(|from| shared.cut.contains(&(from, self.index))) {
            return false;
        }
        if shared.is_recording {
            let body = frames.iter().position(Vec::is_empty).map_or(0, |at| at + 1);
            shared.passed.push(Passed {
                at: self.begin.elapsed(),
                from,
                to: self.index,
                way,
                body: frames[body..].to_vec(),
            });
        }
        true
    }
}
