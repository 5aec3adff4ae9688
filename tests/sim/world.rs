//! The world: virtual time, one queue of events, nodes, scripts and clients. One seed decides all
//! that happens by chance, so a run can be repeated from its number alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bitmarkd::core::block::HEADER_BYTES;
use bitmarkd::core::chain::Chain;
use bitmarkd::core::engine::{Effect, Importance, Input, SocketId, source_of};
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::listener::reply::Info;
use bitmarkd::core::listener::{Asked, Reply, Request, Ticket, look_up, request};
use bitmarkd::core::mining::work::Work;
use bitmarkd::core::time::Millis;
use bitmarkd::core::wire::connection::Connection;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::checks;
use crate::clients::{Clients, Wish};
use crate::network::{Network, Weather};
use crate::node::{DIGEST_MS, Plan, SimNode, Socket, Waiter, cheap_digest, party_at};
use crate::scripts::{Act, Script};
use crate::watch::{self, Watch};

/// Frames of a message.
pub type Frames = Vec<Vec<u8>>;

/// Lines of the trace that are kept for a failure.
const TRACE: usize = 2000;
/// Steps of one node at one moment; more is a livelock.
const BUSY: u32 = 20_000;

/// What a party is sent.
#[derive(Debug, Clone)]
enum Packet {
    Request {
        waiter: Waiter,
        client: PeerPublicKey,
        frames: Frames,
    },
    Reply {
        life: u64,
        socket: SocketId,
        number: u64,
        frames: Frames,
    },
    Published {
        life: u64,
        socket: SocketId,
        frames: Frames,
    },
}

#[derive(Debug)]
enum Event {
    Wake(usize, u64),
    Arrive(usize, Packet),
    Flushed(usize, u64, u64, Vec<Effect>),
    Digest(usize, u64, u64, Box<[u8; HEADER_BYTES]>),
    /// A miner somewhere finds a nonce.
    Mine,
    /// A client does something.
    Client,
    /// A script's turn.
    Script(usize),
    /// An operator asks.
    Tell(usize, u64, u64, Value),
    Do(Deed),
}

/// What happens to nodes from outside.
#[derive(Debug, Clone)]
pub enum Deed {
    Boot(usize),
    Crash(usize),
    /// A crash soon after so many more changes of its store, before the last is flushed or just then.
    CrashAtCommit(usize, u32),
    /// The clocks of a node: seconds off, and parts in a million fast.
    Clock(usize, i64, i64),
    /// Nothing gets from any of these to any of those.
    Block(Vec<usize>, Vec<usize>),
    Heal,
    Weather(Weather),
    Mining(Option<Millis>),
    Traffic(Option<Millis>),
    /// No script acts or answers any more.
    Quiet,
}

#[derive(Debug)]
pub struct World {
    pub chain: &'static Chain,
    pub at: Millis,
    pub random: ChaCha8Rng,
    events: BTreeMap<(Millis, u64), Event>,
    next_event: u64,
    pub network: Network,
    pub nodes: Vec<SimNode>,
    pub scripts: Vec<Option<Script>>,
    subscribers: BTreeMap<usize, BTreeSet<(usize, u64, SocketId)>>,
    pub clients: Clients,
    next_request: u64,
    mining: Option<Millis>,
    traffic: Option<Millis>,
    trace: VecDeque<String>,
    is_traced: bool,
    /// Steps of engines so far.
    pub steps: u64,
    /// A number that two runs share only if the same happened in both.
    pub print: u64,
    pub is_checked: bool,
    /// What is known of the bundles on the wire.
    pub watch: Watch,
}

impl World {
    pub fn new(chain: &'static Chain, seed: u64, plans: Vec<Plan>) -> Self {
        let nodes = plans
            .into_iter()
            .enumerate()
            .map(|(index, plan)| SimNode::new(chain, index, plan, seed))
            .collect();
        Self {
            chain,
            at: 0,
            random: ChaCha8Rng::seed_from_u64(seed),
            events: BTreeMap::new(),
            next_event: 0,
            network: Network::new(Weather::FAIR),
            nodes,
            scripts: Vec::new(),
            subscribers: BTreeMap::new(),
            clients: Clients::default(),
            next_request: 1,
            mining: None,
            traffic: None,
            trace: VecDeque::new(),
            is_traced: false,
            steps: 0,
            print: 0,
            is_checked: true,
            watch: Watch::default(),
        }
    }

    /// Keeps a trace, for a run that is known to fail.
    pub fn trace(&mut self) {
        self.is_traced = true;
    }

    pub fn print_trace(&self) {
        for line in &self.trace {
            eprintln!("{line}");
        }
    }

    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if self.is_traced {
            self.trace.push_back(format!("{:>9} {}", self.at, what()));
            if self.trace.len() > TRACE {
                self.trace.pop_front();
            }
        }
    }

    /// A party that follows a script; gives its number.
    pub fn add_script(&mut self, make: impl FnOnce(usize) -> Script) -> usize {
        let party = self.nodes.len() + self.scripts.len();
        self.scripts.push(Some(make(party)));
        let every = self
            .scripts
            .last()
            .and_then(|s| s.as_ref())
            .unwrap()
            .every();
        self.after(every, Event::Script(party));
        party
    }

    fn after(&mut self, delay: Millis, event: Event) {
        self.next_event += 1;
        self.events
            .insert((self.at + delay, self.next_event), event);
    }

    /// Has something happen so much later.
    pub fn plan(&mut self, delay: Millis, deed: Deed) {
        self.after(delay, Event::Do(deed));
    }

    /// Nothing that was planned goes wrong any more.
    pub fn forget_plans(&mut self) {
        self.events
            .retain(|_, event| !matches!(event, Event::Do(_)));
        for node in &mut self.nodes {
            node.crash_at_commit = None;
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Millis) {
        let end = self.at + duration;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > end {
                break;
            }
            self.at = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.at = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(node, life) => {
                let target = &mut self.nodes[node];
                if target.is_up() && target.life == life && target.wake == Some(self.at) {
                    target.wake = None;
                    self.step(node, Input::Wake);
                }
            }
            Event::Arrive(party, packet) => self.arrive(party, packet),
            Event::Flushed(node, life, number, after) => {
                if self.nodes[node].life == life && self.nodes[node].is_up() {
                    self.nodes[node].disk.flush(number);
                    self.perform(node, after);
                }
            }
            Event::Digest(node, life, request, header) => {
                if self.nodes[node].life == life && self.nodes[node].is_up() {
                    self.step(node, Input::Digest(request, cheap_digest(&header)));
                }
            }
            Event::Mine => {
                self.mine();
                self.next_mine();
            }
            Event::Client => {
                let mut clients = std::mem::take(&mut self.clients);
                clients.act(self);
                self.clients = clients;
                self.grant();
                self.next_client();
            }
            Event::Script(party) => self.script_turn(party),
            Event::Tell(node, life, tag, question) => {
                if self.nodes[node].life == life {
                    self.step(node, Input::Control(tag, question));
                }
            }
            Event::Do(deed) => self.deed(deed),
        }
    }

    pub fn deed(&mut self, deed: Deed) {
        self.note(|| format!("{deed:?}"));
        match deed {
            Deed::Boot(node) => {
                if !self.nodes[node].is_up() {
                    let effects = self.nodes[node].boot(self.at);
                    self.perform(node, effects);
                    self.schedule_wake(node);
                    checks::after_boot(self, node);
                }
            }
            Deed::Crash(node) => {
                if self.nodes[node].is_up() {
                    self.nodes[node].end();
                    self.watch.ended(node);
                    let lost = self.nodes[node].disk.crash(&mut self.random);
                    self.note(|| format!("node {node} lost {lost} batches"));
                    for listeners in self.subscribers.values_mut() {
                        listeners.retain(|(party, _, _)| *party != node);
                    }
                    self.clients.forget_waiting(node);
                }
            }
            Deed::CrashAtCommit(node, left) => self.nodes[node].crash_at_commit = Some(left),
            Deed::Clock(node, off, drift) => {
                let target = &mut self.nodes[node];
                target.clock_off = off;
                // The clock that only goes forward keeps its rate for a life.
                if !target.is_up() {
                    target.drift = drift;
                }
            }
            Deed::Block(from, to) => {
                for a in &from {
                    for b in &to {
                        self.network.block(*a, *b);
                    }
                }
            }
            Deed::Heal => self.network.heal(),
            Deed::Weather(weather) => self.network.weather = weather,
            Deed::Mining(every) => {
                self.watch.has_blocks |= every.is_some();
                let was = std::mem::replace(&mut self.mining, every);
                if was.is_none() {
                    self.next_mine();
                }
            }
            Deed::Traffic(every) => {
                let was = std::mem::replace(&mut self.traffic, every);
                if was.is_none() {
                    self.next_client();
                }
            }
            Deed::Quiet => self.scripts.iter_mut().for_each(|script| *script = None),
        }
    }

    fn next_mine(&mut self) {
        if let Some(every) = self.mining {
            let delay = self.random.gen_range(every / 2..=every + every / 2);
            self.after(delay, Event::Mine);
        }
    }

    fn next_client(&mut self) {
        if let Some(every) = self.traffic {
            self.after(every, Event::Client);
        }
    }

    /// A few records, and a block of this node.
    pub fn act_and_mine(&mut self, node: usize) {
        for _ in 0..3 {
            self.happen(Event::Client);
            self.run(1_000);
        }
        if self.nodes[node].work.is_some() {
            self.mine_at(node);
        }
    }

    /// One of the nodes that give work gets a good nonce.
    fn mine(&mut self) {
        let at_work: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].is_up() && self.nodes[*n].work.is_some())
            .collect();
        if at_work.is_empty() {
            return;
        }
        let node = at_work[self.random.gen_range(0..at_work.len())];
        self.mine_at(node);
    }

    fn mine_at(&mut self, node: usize) {
        let text = self.nodes[node].work.clone().unwrap();
        let work = Work::read(text.as_bytes()).expect("work can be read");
        let nonce = self.random.gen_range(0..u64::MAX >> 16);
        self.note(|| format!("a nonce for block {} at node {node}", work.header.number));
        self.step(
            node,
            Input::Submission(1, work.submission(nonce).into_bytes()),
        );
    }

    fn schedule_wake(&mut self, node: usize) {
        let target = &self.nodes[node];
        let Some(engine) = target.engine.as_ref() else {
            return;
        };
        let moment = target.moment(engine.next_wakeup()).max(self.at);
        if target.wake.is_none_or(|at| moment < at || at < self.at) {
            let life = target.life;
            self.nodes[node].wake = Some(moment);
            self.next_event += 1;
            self.events
                .insert((moment, self.next_event), Event::Wake(node, life));
        }
    }

    /// Hands an input to a node's engine and does what it wants.
    pub fn step(&mut self, node: usize, input: Input) {
        let at = self.at;
        let target = &mut self.nodes[node];
        let Some(mut engine) = target.engine.take() else {
            return;
        };
        target.busy = if target.busy.0 == at {
            (at, target.busy.1 + 1)
        } else {
            (at, 1)
        };
        assert!(target.busy.1 < BUSY, "node {node} goes round in circles");
        let mut out = Vec::new();
        engine.step(target.now(at), input, &target.disk.seen, &mut out);
        target.engine = Some(engine);
        self.steps += 1;
        self.perform(node, out);
        self.schedule_wake(node);
        if self.is_checked {
            checks::after_step(self, node);
        }
        let height = self.nodes[node].height();
        let mixed = self.print ^ (at << 20) ^ ((node as u64) << 12) ^ height;
        self.print = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }

    fn perform(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(node, effect);
        }
    }

    fn perform_one(&mut self, node: usize, effect: Effect) {
        let life = self.nodes[node].life;
        match effect {
            Effect::Commit(batch, after) => {
                let number = self.nodes[node].disk.apply(batch);
                let delay = self.random.gen_range(1..=8);
                if let Some(left) = self.nodes[node].crash_at_commit.take() {
                    if left > 0 {
                        self.nodes[node].crash_at_commit = Some(left - 1);
                    } else {
                        let moment = self.random.gen_range(0..=delay);
                        self.after(moment, Event::Do(Deed::Crash(node)));
                    }
                }
                self.after(delay, Event::Flushed(node, life, number, after));
            }
            Effect::Reply(ticket, reply) => self.replied(node, ticket.0, reply.into_frames()),
            Effect::Dial(id, key, address) => {
                self.open(node, id, key, &address);
            }
            Effect::Subscribe(id, key, address) => {
                let party = self.open(node, id, key, &address);
                let listeners = self.subscribers.entry(party).or_default();
                listeners.insert((node, life, id));
            }
            Effect::Request(id, frames) => self.ask(node, id, frames),
            Effect::Close(id) => {
                if let Some(socket) = self.nodes[node].sockets.remove(&id)
                    && let Some(listeners) = self.subscribers.get_mut(&socket.party)
                {
                    listeners.remove(&(node, life, id));
                }
            }
            Effect::Publish(frames) => self.publish(node, &frames),
            Effect::Digest(request, header)
            | Effect::PrepareDigest(request, header)
            | Effect::CheckDigest(request, header) => {
                let begin = self.nodes[node].digest_free.max(self.at);
                let end = begin + DIGEST_MS;
                self.nodes[node].digest_free = end;
                self.after(end - self.at, Event::Digest(node, life, request, header));
            }
            Effect::Work(text) => self.nodes[node].work = Some(text),
            Effect::SubmissionReply(_, text) => {
                if !text.ends_with("true}") {
                    // Old work; newer comes when there is something to put into a block.
                    self.nodes[node].work = None;
                }
                self.note(|| format!("node {node} answers its miner {text}"));
            }
            Effect::Ban(key, until) => {
                if until == 0 {
                    self.nodes[node].banned.remove(&key);
                } else {
                    self.nodes[node].banned.insert(key);
                }
            }
            Effect::Control(token, _) => self.told(node, token),
            // Its digests come in the order in which they are asked for.
            Effect::HurryDigest(_) | Effect::Rpc(..) | Effect::Explored(..) => {}
            Effect::Log(importance, text) => {
                if importance != Importance::Detail {
                    self.note(|| format!("node {node}: {text}"));
                }
            }
            Effect::Rebuild(number) => panic!("node {node} came from no snapshot: {number}"),
            Effect::Fatal(why) => panic!("node {node} ends: {why}"),
        }
    }

    /// Opens a socket; gives the party at its other end. Where nobody is, there is silence.
    fn open(
        &mut self,
        node: usize,
        id: SocketId,
        key: PeerPublicKey,
        address: &Connection,
    ) -> usize {
        let there = party_at(address).filter(|party| self.is_party(*party));
        let party = there.unwrap_or(usize::MAX);
        let socket = Socket {
            party,
            key,
            open: None,
        };
        self.nodes[node].sockets.insert(id, socket);
        party
    }

    /// An operator is told.
    fn told(&mut self, node: usize, token: u64) {
        let mut clients = std::mem::take(&mut self.clients);
        clients.done(self, node, token);
        self.clients = clients;
        self.grant();
    }

    /// What clients wished for happens at once, after what is under way.
    fn grant(&mut self) {
        for wish in std::mem::take(&mut self.clients.wishes) {
            match wish {
                Wish::Ask(node, tag, client, frames) => {
                    let packet = Packet::Request {
                        waiter: Waiter::Client(tag),
                        client,
                        frames,
                    };
                    self.after(0, Event::Arrive(node, packet));
                }
                Wish::Tell(node, tag, question) => {
                    let life = self.nodes[node].life;
                    self.after(0, Event::Tell(node, life, tag, question));
                }
            }
        }
    }

    fn is_party(&self, party: usize) -> bool {
        party < self.nodes.len() + self.scripts.len()
    }

    fn script(&mut self, party: usize) -> Option<&mut Script> {
        let index = party.checked_sub(self.nodes.len())?;
        self.scripts.get_mut(index)?.as_mut()
    }

    /// Whether somebody with this key listens there.
    fn answers_to(&mut self, party: usize, key: &PeerPublicKey) -> bool {
        match self.nodes.get(party) {
            Some(node) => node.is_up() && node.settings.own.key == *key,
            None => self.script(party).is_some_and(|script| script.has(key)),
        }
    }

    fn send(&mut self, from: usize, to: usize, packet: &Packet) {
        for delay in self.network.carry(from, to, &mut self.random) {
            self.after(delay, Event::Arrive(to, packet.clone()));
        }
    }

    fn ask(&mut self, node: usize, id: SocketId, frames: Frames) {
        let number = self.next_request;
        self.next_request += 1;
        let life = self.nodes[node].life;
        let client = self.nodes[node].settings.own.key;
        let Some(socket) = self.nodes[node].sockets.get_mut(&id) else {
            return;
        };
        socket.open = Some(number);
        let (party, key) = (socket.party, socket.key);
        if !self.answers_to(party, &key) {
            return;
        }
        watch::sends(self, node, party, &frames);
        let waiter = Waiter::Party {
            party: node,
            life,
            socket: id,
            number,
        };
        let packet = Packet::Request {
            waiter,
            client,
            frames,
        };
        self.send(node, party, &packet);
    }

    fn publish(&mut self, party: usize, frames: &Frames) {
        let listeners = self.subscribers.get(&party).cloned().unwrap_or_default();
        for (node, life, socket) in listeners {
            let packet = Packet::Published {
                life,
                socket,
                frames: frames.clone(),
            };
            self.send(party, node, &packet);
        }
    }

    fn arrive(&mut self, party: usize, packet: Packet) {
        if party >= self.nodes.len() {
            if let Packet::Request {
                waiter,
                client,
                frames,
            } = packet
            {
                let mut random = self.random.clone();
                let chain = self.chain;
                let reply = self
                    .script(party)
                    .and_then(|script| script.answer(chain, &client, &frames, &mut random));
                self.random = random;
                if let Some(reply) = reply {
                    self.answer(party, waiter, reply);
                }
            }
            return;
        }
        if !self.nodes[party].is_up() {
            return;
        }
        let life = self.nodes[party].life;
        match packet {
            Packet::Request {
                waiter,
                client,
                frames,
            } => self.request(party, waiter, client, frames),
            Packet::Reply {
                life: of,
                socket,
                number,
                frames,
            } if of == life => {
                let target = self.nodes[party].sockets.get_mut(&socket);
                // A socket takes the reply to its open request alone, and once.
                if let Some(target) = target.filter(|socket| socket.open == Some(number)) {
                    target.open = None;
                    let from = target.party;
                    watch::hears(self, party, from, &frames);
                    self.step(party, Input::Reply(socket, frames));
                }
            }
            Packet::Published {
                life: of,
                socket,
                frames,
            } if of == life && self.nodes[party].sockets.contains_key(&socket) => {
                let input = request::published(self.chain, frames)
                    .map_or(Input::PublishedOther(socket), |news| {
                        Input::Published(socket, news)
                    });
                self.step(party, input);
            }
            Packet::Reply { .. } | Packet::Published { .. } => {}
        }
    }

    /// The listener's part: what the status or the store answers is answered here.
    fn request(&mut self, node: usize, waiter: Waiter, client: PeerPublicKey, frames: Frames) {
        let target = &mut self.nodes[node];
        if target.banned.contains(&client) {
            return;
        }
        let ticket = target.next_ticket;
        target.next_ticket += 1;
        target.tickets.insert(ticket, waiter);
        if let Waiter::Party { party, .. } = waiter {
            watch::asked(self, node, party, ticket, &frames);
        }
        let target = &self.nodes[node];
        let status = target.engine().status();
        let reply = match Asked::read(self.chain, frames) {
            Err(reply) => reply,
            Ok(asked) => match asked.request {
                Request::Info => Reply::info(&Info {
                    version: "zero",
                    chain: self.chain.name,
                    normal: status.normal,
                    height: status.height,
                }),
                Request::Height => Reply::height(status.height),
                Request::Block(number) => look_up::block(&target.disk.seen, number),
                Request::Digest(number) => look_up::digest(self.chain, &target.disk.seen, number),
                Request::Nothing => Reply::acknowledge(&asked.command),
                Request::Register(_) | Request::News(_) | Request::Shared(_) => {
                    let input = Input::Request {
                        ticket: Ticket(ticket),
                        source: source_of(&client),
                        client: Some(client.0),
                        asked,
                    };
                    return self.step(node, input);
                }
            },
        };
        self.replied(node, ticket, reply.into_frames());
    }

    fn replied(&mut self, node: usize, ticket: u64, frames: Frames) {
        if let Some(waiter) = self.nodes[node].tickets.remove(&ticket) {
            if let Waiter::Party { party, .. } = waiter {
                watch::answers(self, node, party, ticket, &frames);
            }
            self.answer(node, waiter, frames);
        }
    }

    fn answer(&mut self, from: usize, waiter: Waiter, frames: Frames) {
        match waiter {
            Waiter::Party {
                party,
                life,
                socket,
                number,
            } => {
                let packet = Packet::Reply {
                    life,
                    socket,
                    number,
                    frames,
                };
                self.send(from, party, &packet);
            }
            Waiter::Client(tag) => {
                let mut clients = std::mem::take(&mut self.clients);
                clients.replied(self, from, tag, &frames);
                self.clients = clients;
                self.grant();
            }
        }
    }

    fn script_turn(&mut self, party: usize) {
        let at = self.at;
        let mut random = self.random.clone();
        let chain = self.chain;
        let Some(script) = self.script(party) else {
            return;
        };
        let every = script.every();
        let acts = script.act(chain, at, &mut random);
        self.random = random;
        for act in acts {
            match act {
                Act::Ask(node, client, frames) => {
                    let waiter = Waiter::Party {
                        party,
                        life: 0,
                        socket: 0,
                        number: 0,
                    };
                    let packet = Packet::Request {
                        waiter,
                        client,
                        frames,
                    };
                    self.send(party, node, &packet);
                }
                Act::Publish(frames) => self.publish(party, &frames),
            }
        }
        self.after(every, Event::Script(party));
    }

    /// Whether a script has a key.
    pub fn is_of(&self, party: usize, key: &PeerPublicKey) -> bool {
        let script = self.scripts.get(party - self.nodes.len());
        script.is_some_and(|s| s.as_ref().is_some_and(|s| s.has(key)))
    }
}
