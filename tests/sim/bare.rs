//! Shared mempools by themselves, on a network that is worse than the one under the engine: replies
//! outlive the connection that they belong to, and peers come and go in the middle of everything.
//! The pools take whatever fits. What a peer is taken to have acknowledged, it did (M2, M4, M9).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;

use bitmarkd::core::id::PayId;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::overlay::mempool::wire::Message;
use bitmarkd::core::overlay::mempool::{
    Bundle, Effect, Input, Kind, Locator, Mempool, Pools, Settings, Verdict,
};
use bitmarkd::core::time::Millis;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::sharing::number;

const NODES: usize = 3;
const TROUBLE: u32 = 60;
/// After this the shell gives a request up.
const TIMEOUT: Millis = 3_000;

/// Pools of transfers that need nothing; a bundle is its number.
#[derive(Debug, Default)]
struct Pool(BTreeMap<Locator, Vec<u8>>);

impl Pools for Pool {
    fn payload(&self, locator: &Locator) -> Option<Vec<u8>> {
        self.0.get(locator).cloned()
    }

    fn needs(&self, _: &Locator) -> Vec<Locator> {
        Vec::new()
    }
}

fn locate(payload: &[u8]) -> Locator {
    let mut pay_id = [0; 48];
    pay_id[..payload.len()].copy_from_slice(payload);
    Locator::Transfer(PayId(pay_id))
}

#[derive(Debug)]
struct Node {
    machine: Mempool,
    pool: Pool,
    life: u64,
    /// Of all its lives.
    epochs: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Happening {
    Request(usize, u64, Vec<u8>),
    /// Of a ticket; several may be on their way.
    Reply(u64, Option<Vec<u8>>),
    Decide(u64, Option<PeerPublicKey>, Vec<Bundle>),
    Connect(PeerPublicKey),
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    by: usize,
    life: u64,
    generation: u64,
    of: usize,
}

struct Bare {
    at: Millis,
    random: ChaCha8Rng,
    loss: f64,
    nodes: Vec<Node>,
    events: BTreeMap<(Millis, u64), (usize, u64, Happening)>,
    next: u64,
    open: BTreeMap<u64, Asked>,
    /// Epochs of a log and of its reader: how far the reader said that it is done.
    said: BTreeMap<(u64, u64), u64>,
    /// Answers that were heard.
    answers: u64,
}

fn name(node: usize) -> PeerPublicKey {
    PeerPublicKey([u8::try_from(node + 1).unwrap(); 32])
}

fn node_of(key: &PeerPublicKey) -> usize {
    usize::from(key.0[0]) - 1
}

fn machine(at: Millis, random: &mut ChaCha8Rng) -> Mempool {
    let settings = Settings {
        shared_mempool_batch_size: 4,
        back_off_max_ms: 4_000,
        pull_idle_ms: 5_000,
        ..Settings::default()
    };
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    Mempool::new(at, settings, seed)
}

impl Bare {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let nodes = (0..NODES)
            .map(|_| {
                let machine = machine(0, &mut random);
                Node {
                    epochs: vec![machine.epoch()],
                    machine,
                    pool: Pool::default(),
                    life: 0,
                }
            })
            .collect();
        Self {
            at: 0,
            loss: random.gen_range(0.0..0.3),
            random,
            nodes,
            events: BTreeMap::new(),
            next: 0,
            open: BTreeMap::new(),
            said: BTreeMap::new(),
            answers: 0,
        }
    }

    fn later(&mut self, node: usize, delay: Millis, what: Happening) {
        self.next += 1;
        let life = self.nodes[node].life;
        self.events
            .insert((self.at + delay, self.next), (node, life, what));
    }

    fn submit(&mut self, node: usize, payload: Vec<u8>) {
        let locator = locate(&payload);
        self.nodes[node].pool.0.insert(locator, payload);
        let origin = None;
        self.step(node, Input::Present { locator, origin });
    }

    /// The process ends and starts anew on what its pools had.
    fn restart(&mut self, node: usize) {
        let machine = machine(self.at, &mut self.random);
        let target = &mut self.nodes[node];
        target.epochs.push(machine.epoch());
        target.machine = machine;
        target.life += 1;
        self.start(node);
    }

    fn start(&mut self, node: usize) {
        self.step(node, Input::Mode { normal: true });
        let held: Vec<Locator> = self.nodes[node].pool.0.keys().copied().collect();
        for locator in held {
            let origin = None;
            self.step(node, Input::Present { locator, origin });
        }
        for other in (0..NODES).filter(|other| *other != node) {
            self.step(node, Input::NewPeer(name(other)));
        }
    }

    fn step(&mut self, node: usize, input: Input) {
        let mut out = Vec::new();
        let Node { machine, pool, .. } = &mut self.nodes[node];
        machine.step(self.at, input, pool, &mut out);
        if let Err(why) = machine.check_invariants(pool) {
            panic!("node {node}: {why}");
        }
        self.check_acknowledged(node);
        for effect in out {
            self.perform(node, effect);
        }
    }

    /// What a peer acknowledged, the process did that is known here, or one that came after it.
    fn check_acknowledged(&self, node: usize) {
        let machine = &self.nodes[node].machine;
        for (key, standing) in machine.standings() {
            let lives = self.nodes[node_of(key)].epochs.iter();
            let said = lives
                .skip_while(|epoch| **epoch != standing.epoch)
                .filter_map(|epoch| self.said.get(&(machine.epoch(), *epoch)))
                .max();
            assert!(
                standing.acked <= said.copied().unwrap_or(0),
                "M4: node {node} takes {} for acknowledged by {key}, which said {said:?}",
                standing.acked
            );
        }
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send {
                peer,
                generation,
                payload,
            } => {
                let of = node_of(&peer);
                if let Ok(Message::Pull(pull)) = Message::decode(&payload) {
                    self.says(pull.epoch, self.nodes[node].machine.epoch(), pull.after);
                }
                self.next += 1;
                let ticket = self.next;
                let life = self.nodes[node].life;
                let asked = Asked {
                    by: node,
                    life,
                    generation,
                    of,
                };
                self.open.insert(ticket, asked);
                self.later(node, TIMEOUT, Happening::Reply(ticket, None));
                if !self.random.gen_bool(self.loss) {
                    let delay = self.random.gen_range(1..200);
                    self.later(of, delay, Happening::Request(node, ticket, payload));
                }
            }
            Effect::Answer { ticket, payload } => self.answer(node, ticket, payload),
            Effect::Validate { job, peer, bundles } => {
                let delay = self.random.gen_range(1..50);
                self.later(node, delay, Happening::Decide(job, peer, bundles));
            }
            Effect::Lost(peer) => self.later(node, 1_000, Happening::Connect(peer)),
            Effect::Penalise { peer, reason } => panic!("{peer} is penalised: {reason:?}"),
            Effect::SendPlain { peer, .. } | Effect::AskInfo { peer, .. } => {
                panic!("M9: node {node} takes {peer} for one of the reference");
            }
            Effect::Notify(_) | Effect::Security { .. } => {}
        }
    }

    fn answer(&mut self, node: usize, ticket: u64, payload: Vec<u8>) {
        let Some(asked) = self.open.get(&ticket).copied() else {
            return;
        };
        let own = self.nodes[node].machine.epoch();
        match Message::decode(&payload) {
            Ok(Message::BatchAck(ack)) => self.says(ack.epoch, own, ack.upto),
            Ok(Message::HelloAck(_, resume)) => {
                let asker = self.nodes[asked.by].machine.epoch();
                if asked.life == self.nodes[asked.by].life {
                    self.says(asker, own, resume);
                }
            }
            _ => {}
        }
        if !self.random.gen_bool(self.loss) {
            // Late ones come when much else has happened.
            let most = if self.random.gen_ratio(1, 3) {
                2_500
            } else {
                200
            };
            let delay = self.random.gen_range(1..most);
            self.later(asked.by, delay, Happening::Reply(ticket, Some(payload)));
        }
    }

    fn says(&mut self, log: u64, reader: u64, upto: u64) {
        let said = self.said.entry((log, reader)).or_default();
        *said = upto.max(*said);
    }

    fn happen(&mut self, node: usize, what: Happening) {
        match what {
            Happening::Request(from, ticket, payload) => {
                let peer = name(from);
                let request = Input::Request {
                    ticket,
                    peer,
                    payload,
                };
                self.step(node, request);
            }
            Happening::Reply(ticket, payload) => {
                let Some(asked) = self.open.remove(&ticket) else {
                    return;
                };
                if asked.life != self.nodes[node].life {
                    return;
                }
                self.answers += u64::from(payload.is_some());
                let frames = payload.map(|payload| vec![b"OVL1".to_vec(), payload]);
                let reply = Input::Reply {
                    peer: name(asked.of),
                    generation: asked.generation,
                    frames,
                };
                self.step(node, reply);
            }
            Happening::Decide(job, peer, bundles) => {
                let mut verdicts = Vec::new();
                for bundle in bundles {
                    let locator = locate(&bundle.payload);
                    let is_known = self.nodes[node].pool.0.contains_key(&locator);
                    verdicts.push(if is_known {
                        Verdict::Duplicate
                    } else if self.random.gen_ratio(1, 20) {
                        Verdict::NoRoom
                    } else {
                        assert_eq!(bundle.kind, Kind::Transfer);
                        self.nodes[node].pool.0.insert(locator, bundle.payload);
                        let origin = peer;
                        self.step(node, Input::Present { locator, origin });
                        Verdict::Accepted
                    });
                }
                self.step(node, Input::Validated { job, verdicts });
            }
            Happening::Connect(peer) => self.step(node, Input::NewPeer(peer)),
        }
    }

    fn run(&mut self, duration: Millis) {
        let end = self.at + duration;
        loop {
            let wakes = self.nodes.iter().enumerate();
            let wake = wakes
                .filter_map(|(node, of)| Some((of.machine.next_wakeup()?.max(self.at), node)))
                .min();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            match (wake, event) {
                (Some((at, node)), event) if at <= end && event.is_none_or(|event| at <= event) => {
                    self.at = at;
                    self.step(node, Input::Wake);
                }
                (_, Some(at)) if at <= end => {
                    self.at = at;
                    let (_, (node, life, what)) = self.events.pop_first().unwrap();
                    let is_for_any_life = matches!(what, Happening::Request(..));
                    if is_for_any_life || life == self.nodes[node].life {
                        self.happen(node, what);
                    }
                }
                _ => break,
            }
        }
        self.at = end;
    }
}

/// One life; gives the number of answers that were heard.
fn life(seed: u64) -> u64 {
    let mut bare = Bare::new(seed);
    for node in 0..NODES {
        bare.start(node);
    }
    let mut made = 0_u32;
    for _ in 0..TROUBLE {
        let node = bare.random.gen_range(0..NODES);
        let other = (node + bare.random.gen_range(1..NODES)) % NODES;
        match bare.random.gen_range(0..10) {
            0 => bare.restart(node),
            1 => bare.step(node, Input::LostPeer(name(other))),
            2..=4 => bare.step(node, Input::NewPeer(name(other))),
            _ => {
                for _ in 0..bare.random.gen_range(1..8) {
                    made += 1;
                    bare.submit(node, made.to_be_bytes().to_vec());
                }
            }
        }
        let pause = bare.random.gen_range(1..800);
        bare.run(pause);
    }
    bare.loss = 0.0;
    for node in 0..NODES {
        for other in (0..NODES).filter(|other| *other != node) {
            bare.step(node, Input::NewPeer(name(other)));
        }
    }
    bare.run(60_000);
    let all: Vec<BTreeSet<&Locator>> = bare
        .nodes
        .iter()
        .map(|n| n.pool.0.keys().collect())
        .collect();
    for (node, has) in all.iter().enumerate() {
        let of = has.len();
        assert_eq!(
            of, made as usize,
            "M4: node {node} has {of} of {made} bundles"
        );
    }
    bare.answers
}

#[test]
fn sharing_machines_lose_nothing_though_answers_outlive_their_connections() {
    let rounds = number("ROUNDS").unwrap_or(60);
    let first = number("SEED").or_else(|| number("FIRST")).unwrap_or(0);
    let rounds = number("SEED").map_or(rounds, |_| 1);
    let mut heard = 0;
    for seed in first..first + rounds {
        match catch_unwind(|| life(seed)) {
            Ok(answers) => heard += answers,
            Err(why) => {
                eprintln!("sharing seed {seed} fails: repeat it with `make sim SEED={seed}`");
                std::panic::resume_unwind(why);
            }
        }
    }
    assert!(heard > rounds, "only {heard} answers were heard");
}
