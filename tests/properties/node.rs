//! A node without sockets, and peers that answer it from a branch.

use std::collections::BTreeMap;

use bitmarkd::core::announce;
use bitmarkd::core::block::{DigestMemory, digest};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::connector;
use bitmarkd::core::engine::{Effect, Engine, Input, Settings, SocketId, StaticPeer, Timing};
use bitmarkd::core::id::BlockDigest;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::listener::{Asked, News, Request, Ticket};
use bitmarkd::core::overlay::mempool;
use bitmarkd::core::reservoir::Caps;
use bitmarkd::core::state::{MemoryStore, Pool};
use bitmarkd::core::time::Now;
use bitmarkd::core::upstream;
use bitmarkd::core::wire::connection::Connection;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::tree::{Block, Branch, WALL};

/// Every entry of the confirmed pools.
pub type Pools = Vec<(Pool, Vec<u8>, Vec<u8>)>;

/// What blocks alone decide. Undo data belongs to it: the next block to come off needs it.
pub fn confirmed(store: &MemoryStore) -> Pools {
    store
        .iter()
        .filter(|(pool, _, _)| !matches!(pool, Pool::Meta | Pool::Reservoir))
        .map(|(pool, key, value)| (pool, key.to_vec(), value.to_vec()))
        .collect()
}

/// A peer: which branch it is on, and how far it has come.
#[derive(Debug, Clone)]
pub struct Peer {
    pub branch: Branch,
    pub height: u64,
    /// How often it does not answer.
    pub silence: f64,
}

impl Peer {
    fn answer(&self, request: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let chain = DEVNET.name.as_bytes().to_vec();
        let command = request.get(1).cloned().unwrap_or_default();
        let number = || {
            let bytes = request.get(2)?.as_slice().try_into().ok()?;
            Some(u64::from_be_bytes(bytes)).filter(|number| *number <= self.height)
        };
        let error = vec![b"E".to_vec(), b"block not found".to_vec()];
        match command.as_slice() {
            b"R" => vec![command, chain, vec![9; 32], Vec::new(), vec![0; 8]],
            b"N" => vec![command, self.height.to_be_bytes().to_vec()],
            b"B" => match number().and_then(|number| self.branch.block(number)) {
                Some(block) => vec![command, block.packed.clone()],
                None => error,
            },
            b"H" => match number().and_then(|number| self.branch.digest(number)) {
                Some(digest) => vec![command, digest.0.to_vec()],
                None => error,
            },
            _ => vec![command, b"A".to_vec()],
        }
    }
}

/// A node with its peers, and what is on its way to it.
pub struct Node {
    engine: Engine,
    pub store: MemoryStore,
    pub peers: Vec<Peer>,
    pub rng: ChaCha8Rng,
    now: Now,
    sockets: BTreeMap<SocketId, usize>,
    waiting: Vec<Input>,
    memory: DigestMemory,
    next_ticket: u64,
    acknowledged: u64,
    /// How often the height went down between two steps, or the tip became another at one height.
    pub switches: u64,
}

fn settings(peers: usize) -> Settings {
    let own = PeerPublicKey([0xee; 32]);
    let peer = |index: usize| StaticPeer {
        key: PeerPublicKey([u8::try_from(index + 1).expect("few peers"); 32]),
        address: Connection::from_text(&format!("127.0.0.1:{}", 2000 + index)).expect("valid"),
    };
    Settings {
        chain: &DEVNET,
        announce: announce::Setup {
            key: own.0,
            listeners: Vec::new(),
            rpc: None,
            configured: (0..peers).map(|index| peer(index).key.0).collect(),
            prefer_ipv6: false,
        },
        own: upstream::Own {
            key: own,
            listeners: Vec::new(),
        },
        connect: (0..peers).map(peer).collect(),
        dynamic_connections: false,
        subscribe: Vec::new(),
        caps: Caps::default(),
        timing: Timing {
            announce: announce::Timing::default(),
            connector: connector::Timing {
                cycle_ms: 1_000,
                minimum_upstreams: 1,
                blocks_per_cycle: 4,
                fork_protection: DEVNET.rules.fork_protection,
                sampling_limit: 3,
            },
            upstream: upstream::Timing {
                cycle_ms: 1_500,
                timeout_ms: 3_000,
                question_ms: 2_000,
            },
            dynamic_upstreams: 0,
            rebroadcast_ms: 60_000,
            sweep_ms: 10_000,
            heartbeat_ms: 60_000,
            subscription_silence_ms: 120_000,
        },
        mempool: mempool::Settings::default(),
        mining: None,
        seed: [7; 32],
    }
}

impl Node {
    pub fn new(peers: Vec<Peer>, seed: u64) -> Self {
        let store = MemoryStore::new();
        let now = Now {
            mono: 10_000,
            wall: WALL,
        };
        let (engine, first) =
            Engine::new(now, settings(peers.len()), &store).expect("an empty store is whole");
        assert!(first.is_empty());
        let mut node = Self {
            engine,
            store,
            peers,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now,
            sockets: BTreeMap::new(),
            waiting: Vec::new(),
            memory: DigestMemory::new(),
            next_ticket: 1,
            acknowledged: 0,
            switches: 0,
        };
        let mut out = Vec::new();
        node.engine.start(node.now, &node.store, &mut out);
        node.perform(out);
        node
    }

    pub fn tip(&self) -> (u64, BlockDigest) {
        let tip = self.engine.ledger().tip();
        (tip.number, tip.digest)
    }

    pub fn is_normal(&self) -> bool {
        self.engine.status().normal
    }

    /// Tells it of a block, as a client or as a publisher does.
    pub fn tell(&mut self, block: &Block) {
        let news = News::Block(block.packed.clone());
        let input = if self.rng.gen_bool(0.5) {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            Input::Request {
                ticket,
                source: 1,
                client: None,
                asked: Asked {
                    command: b"block".to_vec(),
                    request: Request::News(news),
                },
            }
        } else {
            Input::Published(1_000, news)
        };
        self.waiting.push(input);
    }

    fn step(&mut self, input: Input) {
        let before = self.tip();
        let mut out = Vec::new();
        self.engine.step(self.now, input, &self.store, &mut out);
        self.perform(out);
        let after = self.tip();
        let chain = self.engine.ledger();
        let kept = chain.digest_of(&self.store, before.0);
        if kept.ok() != Some(before.1) {
            assert!(after.0 > before.0, "a branch that is no longer won");
            self.switches += 1;
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Commit(batch, after) => {
                    self.store.apply(&batch);
                    self.perform(after);
                }
                Effect::Dial(socket, key, _) => {
                    self.sockets.insert(socket, usize::from(key.0[0]) - 1);
                }
                Effect::Close(socket) => {
                    self.sockets.remove(&socket);
                }
                Effect::Request(socket, frames) => {
                    let peer = self.sockets.get(&socket).and_then(|at| self.peers.get(*at));
                    let peer = peer.expect("the socket was dialled");
                    if !self.rng.gen_bool(peer.silence) {
                        self.waiting
                            .push(Input::Reply(socket, peer.answer(&frames)));
                    }
                }
                Effect::Digest(request, header) | Effect::PrepareDigest(request, header) => {
                    let digest = digest(&DEVNET.digest, &header, &mut self.memory);
                    self.waiting.push(Input::Digest(request, digest));
                }
                Effect::Reply(..) => self.acknowledged += 1,
                Effect::Fatal(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    /// Hands over what waits, in any order; the replies of one connection come in that of its requests.
    fn settle(&mut self) {
        while !self.waiting.is_empty() {
            let any = self.rng.gen_range(0..self.waiting.len());
            let first = match self.waiting[any] {
                Input::Reply(socket, _) => {
                    let is_of_it =
                        |input: &Input| matches!(input, Input::Reply(other, _) if *other == socket);
                    self.waiting.iter().position(is_of_it)
                }
                _ => None,
            };
            let input = self.waiting.remove(first.unwrap_or(any));
            self.step(input);
        }
    }

    /// Lets this time pass.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.mono + ms;
        self.settle();
        while self.engine.next_wakeup() <= end {
            let mono = self.engine.next_wakeup().max(self.now.mono + 1);
            self.now = self.now.plus_ms(mono - self.now.mono);
            self.step(Input::Wake);
            self.settle();
        }
        self.now.mono = self.now.mono.max(end);
        assert_eq!(self.acknowledged + 1, self.next_ticket, "all are answered");
    }
}
