//! Several machines joined by queues, with a seeded loss, duplicates and delays. Each request has
//! exactly one reply or time-out, as the shell sees to.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng as _;

use super::*;

/// How long a request is waited for.
const TIMEOUT: Millis = 2_000;
/// After this a peer that was given up is connected anew.
const AGAIN: Millis = 3_000;

#[derive(Debug, Clone)]
enum Happening {
    Request {
        from: usize,
        ticket: u64,
        payload: Vec<u8>,
    },
    Reply {
        ticket: u64,
        frames: Option<Vec<Vec<u8>>>,
    },
    Decide {
        job: u64,
        peer: Option<PeerPublicKey>,
        bundles: Vec<Bundle>,
    },
    Connect(PeerPublicKey),
}

#[derive(Debug, Clone)]
struct Asked {
    by: usize,
    life: u64,
    of: PeerPublicKey,
    generation: u64,
}

/// One node.
pub struct Node {
    pub machine: Mempool,
    pub pool: Pool,
    life: u64,
    /// Who sent a bundle first.
    senders: BTreeMap<BundleKey, PeerPublicKey>,
    /// Whom it connects to.
    links: BTreeSet<usize>,
    seeds: u8,
}

/// All nodes; node `n` has the key `key(n)`.
pub struct World {
    pub nodes: Vec<Node>,
    pub now: Millis,
    pub loss: f64,
    pub duplication: f64,
    settings: Settings,
    rng: ChaCha8Rng,
    queue: BTreeMap<(Millis, u64), (usize, u64, Happening)>,
    next: u64,
    open: BTreeMap<u64, Asked>,
    tickets: u64,
    /// How often each bundle went from one node to another, in this order.
    pub crossings: BTreeMap<(usize, usize, BundleKey), u32>,
}

impl World {
    /// So many nodes in mode Normal, not connected.
    pub fn new(count: u8, settings: Settings, seed: u64) -> Self {
        let mut world = Self {
            nodes: Vec::new(),
            now: 0,
            loss: 0.0,
            duplication: 0.0,
            settings,
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            next: 0,
            open: BTreeMap::new(),
            tickets: 0,
            crossings: BTreeMap::new(),
        };
        for number in 0..count {
            let node = Node {
                machine: Mempool::new(0, settings, [number; 32]),
                pool: Pool::new(),
                life: 0,
                senders: BTreeMap::new(),
                links: BTreeSet::new(),
                seeds: number,
            };
            world.nodes.push(node);
            world.step(usize::from(number), Input::Mode { normal: true });
        }
        world
    }

    pub fn connect(&mut self, from: usize, to: usize) {
        self.nodes[from].links.insert(to);
        self.step(from, Input::NewPeer(name(to)));
    }

    pub fn mesh(&mut self) {
        for from in 0..self.nodes.len() {
            for to in (0..self.nodes.len()).filter(|to| *to != from) {
                self.connect(from, to);
            }
        }
    }

    /// A client hands it in.
    pub fn submit(&mut self, at: usize, bundle: &Bundle) {
        if self.nodes[at].pool.offer(bundle) == Verdict::Accepted {
            let locator = pool::locate(bundle).unwrap();
            let origin = None;
            self.step(at, Input::Present { locator, origin });
        }
    }

    /// A block with it comes in everywhere.
    pub fn confirm(&mut self, bundle: &Bundle) {
        let locator = pool::locate(bundle).unwrap();
        for at in 0..self.nodes.len() {
            self.nodes[at].pool.confirm(&locator);
            self.step(at, Input::Gone(locator));
            self.step(at, Input::ChainChanged);
        }
    }

    /// The process ends and is started again; its pools were on the disk.
    pub fn restart(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.life += 1;
        node.seeds = node.seeds.wrapping_add(31);
        node.machine = Mempool::new(self.now, self.settings, [node.seeds; 32]);
        // Where they came from is not on the disk.
        node.senders.clear();
        let (held, links) = (node.pool.order.clone(), node.links.clone());
        self.open.retain(|_, asked| asked.by != at);
        self.step(at, Input::Mode { normal: true });
        for locator in held {
            let origin = None;
            self.step(at, Input::Present { locator, origin });
        }
        for to in links {
            self.step(at, Input::NewPeer(name(to)));
        }
    }

    pub fn step(&mut self, at: usize, input: Input) {
        let mut out = Vec::new();
        let text = format!("{input:?}");
        let node = &mut self.nodes[at];
        node.machine.step(self.now, input, &node.pool, &mut out);
        let checked = node.machine.check_invariants(&node.pool);
        checked.unwrap_or_else(|why| panic!("{why} at node {at} after {text}"));
        for effect in out {
            self.perform(at, effect);
        }
    }

    fn later(&mut self, at: usize, delay: Millis, what: Happening) {
        self.next += 1;
        let life = self.nodes[at].life;
        self.queue
            .insert((self.now + delay, self.next), (at, life, what));
    }

    fn is_lost(&mut self) -> bool {
        let loss = self.loss;
        self.rng.gen_bool(loss)
    }

    fn delay(&mut self) -> Millis {
        self.rng.gen_range(1..40)
    }

    fn perform(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Send {
                peer,
                generation,
                payload,
            } => self.carry(at, peer, generation, payload),
            Effect::Answer { ticket, payload } => {
                self.watch(at, ticket, &payload);
                if !self.is_lost()
                    && let Some(by) = self.open.get(&ticket).map(|asked| asked.by)
                {
                    let frames = Some(vec![b"OVL1".to_vec(), payload]);
                    let delay = self.delay();
                    self.later(by, delay, Happening::Reply { ticket, frames });
                }
            }
            Effect::Validate { job, peer, bundles } => {
                let delay = self.delay();
                let what = Happening::Decide { job, peer, bundles };
                self.later(at, delay, what);
            }
            Effect::Lost(peer) => self.later(at, AGAIN, Happening::Connect(peer)),
            Effect::Penalise { reason, peer } => panic!("{peer} is penalised: {reason:?}"),
            Effect::SendPlain { .. } | Effect::AskInfo { .. } => panic!("no plain peer is here"),
            Effect::Notify(_) | Effect::Security { .. } => {}
        }
    }

    fn carry(&mut self, at: usize, peer: PeerPublicKey, generation: u64, payload: Vec<u8>) {
        let to = usize::from(peer.0[0]);
        self.tickets += 1;
        let ticket = self.tickets;
        let asked = Asked {
            by: at,
            life: self.nodes[at].life,
            of: peer,
            generation,
        };
        self.open.insert(ticket, asked);
        self.watch_to(at, to, &payload);
        let timeout = Happening::Reply {
            ticket,
            frames: None,
        };
        self.later(at, TIMEOUT, timeout);
        let copies = 1 + usize::from(self.rng.gen_bool(self.duplication));
        for _ in 0..copies {
            if !self.is_lost() {
                let delay = self.delay();
                let payload = payload.clone();
                let from = at;
                let what = Happening::Request {
                    from,
                    ticket,
                    payload,
                };
                self.later(to, delay, what);
            }
        }
    }

    /// M6: nothing goes to the node that it came from.
    fn watch(&mut self, at: usize, ticket: u64, payload: &[u8]) {
        if let Some(by) = self.open.get(&ticket).map(|asked| asked.by) {
            self.watch_to(at, by, payload);
        }
    }

    fn watch_to(&mut self, at: usize, to: usize, payload: &[u8]) {
        let Ok(Message::Batch(batch)) = Message::decode(payload) else {
            return;
        };
        for item in batch.items {
            let bundle_key = item.bundle.key();
            let sender = self.nodes[at].senders.get(&bundle_key);
            assert_ne!(sender, Some(&name(to)), "back to where it came from");
            *self.crossings.entry((at, to, bundle_key)).or_default() += 1;
        }
    }

    fn happen(&mut self, at: usize, what: Happening) {
        match what {
            Happening::Request {
                from,
                ticket,
                payload,
            } => {
                let peer = name(from);
                self.step(
                    at,
                    Input::Request {
                        ticket,
                        peer,
                        payload,
                    },
                );
            }
            Happening::Reply { ticket, frames } => {
                if let Some(asked) = self.open.remove(&ticket)
                    && asked.life == self.nodes[at].life
                {
                    self.step(
                        at,
                        Input::Reply {
                            peer: asked.of,
                            generation: asked.generation,
                            frames,
                        },
                    );
                }
            }
            Happening::Decide { job, peer, bundles } => self.decide(at, job, peer, &bundles),
            Happening::Connect(peer) => self.step(at, Input::NewPeer(peer)),
        }
    }

    fn decide(&mut self, at: usize, job: u64, peer: Option<PeerPublicKey>, bundles: &[Bundle]) {
        let mut verdicts = Vec::new();
        for bundle in bundles {
            let verdict = self.nodes[at].pool.offer(bundle);
            if let (Verdict::Accepted | Verdict::Waits, Some(peer)) = (verdict, peer) {
                let senders = &mut self.nodes[at].senders;
                senders.entry(bundle.key()).or_insert(peer);
            }
            verdicts.push(verdict);
            if verdict == Verdict::Accepted {
                let locator = pool::locate(bundle).unwrap();
                let origin = peer;
                self.step(at, Input::Present { locator, origin });
            }
        }
        self.step(at, Input::Validated { job, verdicts });
    }

    /// Lets everything happen up to a time from now.
    pub fn run(&mut self, time: Millis) {
        let end = self.now + time;
        let mut at_once = 0;
        loop {
            let wakes = self.nodes.iter().enumerate();
            let wake = wakes
                .filter_map(|(at, node)| Some((node.machine.next_wakeup()?, at)))
                .min();
            let first = self.queue.first_key_value().map(|(at, _)| at.0);
            let next = wake.map(|(at, _)| at).into_iter().chain(first).min();
            let Some(next) = next.map(|at| at.max(self.now)).filter(|at| *at <= end) else {
                break;
            };
            at_once = if next == self.now { at_once + 1 } else { 0 };
            assert!(at_once < 5_000, "nothing comes to rest");
            self.now = next;
            if let Some((_, at)) = wake.filter(|(at, _)| *at <= self.now) {
                self.step(at, Input::Wake);
            } else if let Some((_, (at, life, what))) = self.queue.pop_first() {
                let is_request = matches!(what, Happening::Request { .. });
                if is_request || life == self.nodes[at].life {
                    self.happen(at, what);
                }
            }
        }
        self.now = end;
    }

    /// The bundles of a node, in the order in which it took them.
    pub fn has(&self, at: usize) -> Vec<Bundle> {
        let node = &self.nodes[at];
        let held = node.pool.order.iter();
        held.map(|locator| node.pool.held[locator].clone())
            .collect()
    }

    /// Everybody has what anybody has.
    pub fn everything_is_everywhere(&self) -> bool {
        let keys =
            |at: usize| -> BTreeSet<BundleKey> { self.has(at).iter().map(Bundle::key).collect() };
        let first = keys(0);
        (1..self.nodes.len()).all(|at| keys(at) == first)
    }
}

/// The key of a node.
pub fn name(at: usize) -> PeerPublicKey {
    key(u8::try_from(at).unwrap())
}
