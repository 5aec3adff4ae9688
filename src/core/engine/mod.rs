//! The whole node as one machine: ledger, pools, peers, synchronisation and mining, joined.
//!
//! It is handed what happened and the time, reads the store through a [`View`], and hands back
//! effects. What a step changes in the store is one batch in front; replies that promise something
//! stand in [`Effect::Commit`] and leave after the flush. So a simulator can run many nodes in one
//! thread, and the running node only performs.
//!
//! | input | who decides |
//! | --- | --- |
//! | a request, a published message | `news.rs`, by kind |
//! | a reply on a socket of ours | the upstream of that place, then announce and connector |
//! | a digest | `blocks.rs`: the block goes in, or not; or mining: a submission is good |
//! | a digest that came with a snapshot or a trusting import | `check.rs`: it is right, or its block goes |
//! | a submission | mining |
//! | a question of the operator | `control.rs` |
//! | the time | whoever asked for it |
//!
//! Bounds: those of the machines; fifty blocks wait.

mod bans;
mod blocks;
mod calls;
mod check;
pub mod control;
mod follow;
mod news;
mod peers;
mod settings;
mod share;
mod views;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::announce::{self, Announce};
use super::block::HEADER_BYTES;
use super::connector::{Connector, Mode};
use super::explore;
use super::id::BlockDigest;
use super::keys::PeerPublicKey;
use super::ledger::{Ledger, LedgerError};
use super::listener::{Asked, News, Reply, Request, Ticket};
use super::mining::machine::{self as mining, Mining};
use super::overlay::mempool::{self, Mempool};
use super::record::Checker;
use super::reservoir::{self, Confirmed, Reservoir, SeenPayment};
use super::rpc;
use super::state::{Batch, Overlay, StoreFault, View};
use super::time::{Millis, Now, UnixSeconds};
use super::upstream::Upstream;
use super::wire::connection::Connection;

pub use settings::{Settings, StaticPeer, Timing};

/// Names a socket of ours that goes out.
pub type SocketId = u64;
/// Who sent something: a number for its key or connection; 0 is this node.
pub type Source = u64;

/// The number of who sends, of its key: the same whether it is a client of ours or we subscribe to
/// it, now and after a restart.
#[must_use]
pub const fn source_of(key: &PeerPublicKey) -> Source {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    // 0 is this node.
    if number == 0 { 1 } else { number }
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A request that the socket thread did not answer itself.
    Request {
        /// Where the reply goes.
        ticket: Ticket,
        /// Who asks.
        source: Source,
        /// The key of its session.
        client: Option<[u8; 32]>,
        /// What it asks for.
        asked: Asked,
    },
    /// A publisher said something.
    Published(SocketId, News),
    /// A publisher said something that is no news of ours.
    PublishedOther(SocketId),
    /// A reply came.
    Reply(SocketId, Vec<Vec<u8>>),
    /// A socket broke.
    Broken(SocketId, String),
    /// The digest that was asked for.
    Digest(u64, BlockDigest),
    /// A miner handed something in.
    Submission(u64, Vec<u8>),
    /// The operator asks.
    Control(u64, Value),
    /// A client calls.
    Rpc(u64, rpc::Call, rpc::Surroundings),
    /// Somebody looks.
    Explore(u64, explore::Question),
    /// A payment was seen on the chain of a coin.
    Paid(SeenPayment),
    /// A peer from DNS or the peer file.
    Bootstrap([u8; 32], Vec<u8>, u64),
    /// The time of [`Engine::next_wakeup`] has come.
    Wake,
}

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Somebody should look.
    Warning,
    /// What happens.
    Information,
    /// For who searches an error.
    Detail,
    /// A peer did what it should not; these lines have a target of their own.
    Security,
}

/// What to do, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Apply the batch at once; do the effects when it is flushed.
    Commit(Batch, Vec<Effect>),
    /// Answer a request.
    Reply(Ticket, Reply),
    /// Open a request socket.
    Dial(SocketId, PeerPublicKey, Connection),
    /// Open a subscription.
    Subscribe(SocketId, PeerPublicKey, Connection),
    /// Send a request.
    Request(SocketId, Vec<Vec<u8>>),
    /// Close a socket.
    Close(SocketId),
    /// Publish a message.
    Publish(Vec<Vec<u8>>),
    /// Compute the digest of a header that somebody waits for.
    Digest(u64, Box<[u8; HEADER_BYTES]>),
    /// The same of one that will be wanted, when nobody waits for another; told by [`Input::Digest`].
    PrepareDigest(u64, Box<[u8; HEADER_BYTES]>),
    /// Somebody waits now for the digest of this header, which is prepared.
    HurryDigest(Box<[u8; HEADER_BYTES]>),
    /// Compute the digest of a header when nothing else is to be done; told by [`Input::Digest`].
    CheckDigest(u64, Box<[u8; HEADER_BYTES]>),
    /// Drop all blocks from the top down to this one and build the indexes again from those below;
    /// then call [`Engine::rebuilt`]. Nothing else may happen in between.
    Rebuild(u64),
    /// Publish work for miners.
    Work(String),
    /// Answer a miner.
    SubmissionReply(u64, String),
    /// Keep a key out of all sockets until this second of the wall clock; 0: let it in.
    Ban(PeerPublicKey, UnixSeconds),
    /// Answer the operator.
    Control(u64, Result<Value, String>),
    /// Answer a client.
    Rpc(u64, rpc::Outcome),
    /// Show it.
    Explored(u64, explore::Shown),
    /// A line for the log.
    Log(Importance, String),
    /// The store cannot be read: the node ends.
    Fatal(String),
}

/// What others see of the node, for who answers without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Mode Normal.
    pub normal: bool,
    /// The height.
    pub height: u64,
    /// Changes when a block comes off: what was read of the chain before may not hold any more.
    pub branch: u64,
}

/// Counters for the operator.
#[derive(Debug, Clone, Default)]
struct Stats {
    taken: u64,
    refused: BTreeMap<String, u64>,
    blocks: u64,
    published_other: u64,
    /// Messages with records by command and what became of them: names of ours alone.
    requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Block digests that were asked for.
    digests: u64,
}

/// Most different reasons that are counted.
const REASONS_MAX: usize = 128;

impl Stats {
    fn refuse(&mut self, why: &str) {
        if self.refused.len() < REASONS_MAX || self.refused.contains_key(why) {
            *self.refused.entry(why.to_owned()).or_default() += 1;
        }
    }

    fn request(&mut self, command: &'static str, result: &'static str) {
        *self.requests.entry((command, result)).or_default() += 1;
    }
}

/// A publisher that is listened to.
#[derive(Debug, Clone)]
struct Subscription {
    key: PeerPublicKey,
    address: Connection,
    socket: SocketId,
    heard: Millis,
    messages: u64,
    /// Since when the quota is counted, and what was taken of it.
    counted_from: Millis,
    items: u64,
    bytes: u64,
    dropped: u64,
}

impl Subscription {
    /// Whether so many bytes are still within the publisher's quota; a refusal is counted.
    /// Whether so many bytes more are within what it may bring in the time that runs.
    const fn has_room(&self, bytes: u64) -> bool {
        self.items < QUOTA_ITEMS && self.bytes.saturating_add(bytes) <= QUOTA_BYTES
    }

    const fn takes(&mut self, now: Millis, bytes: u64) -> bool {
        if now >= self.counted_from.saturating_add(QUOTA_MS) {
            self.counted_from = now;
            self.items = 0;
            self.bytes = 0;
        }
        let takes = self.has_room(bytes);
        if takes {
            self.items += 1;
            self.bytes += bytes;
        } else {
            self.dropped += 1;
        }
        takes
    }
}

/// The time over which a publisher's quota holds (`proto/peer.md`, section 3.2).
const QUOTA_MS: Millis = 10_000;
/// Messages that one publisher may bring in that time.
const QUOTA_ITEMS: u64 = 10_000;
/// Bytes that one publisher may bring in that time.
const QUOTA_BYTES: u64 = 128 << 20;

/// A step under way: the store as it will be, and what is to be done.
struct Step<'a> {
    now: Now,
    state: Overlay<'a>,
    out: Vec<Effect>,
    after: Vec<Effect>,
    fault: Option<String>,
}

impl Step<'_> {
    fn log(&mut self, importance: Importance, text: impl Into<String>) {
        self.out.push(Effect::Log(importance, text.into()));
    }

    fn fault(&mut self, fault: &dyn std::fmt::Display) {
        self.fault.get_or_insert_with(|| fault.to_string());
    }
}

/// The node.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    ledger: Ledger,
    /// How often blocks came off since the start.
    branch: u64,
    reservoir: Reservoir,
    announce: Announce,
    connector: Connector,
    mining: Option<Mining>,
    upstreams: Vec<peers::Place>,
    dynamic: VecDeque<usize>,
    probes: BTreeMap<[u8; 32], (Upstream, Option<SocketId>)>,
    sockets: BTreeMap<SocketId, peers::Owner>,
    subscriptions: Vec<Subscription>,
    bans: bans::Bans,
    next_socket: SocketId,
    blocks: blocks::Pipeline,
    check: check::Check,
    digests: BTreeMap<u64, blocks::DigestFor>,
    next_digest: u64,
    next_heart: Millis,
    stats: Stats,
    started: Millis,
    mempool: Mempool,
    followers: follow::Followers,
    /// Batches of peers that are being decided.
    jobs: VecDeque<share::Job>,
    /// Who brings what the pools are given now.
    bringing: Option<PeerPublicKey>,
}

impl Engine {
    /// A node on what the store holds. `first` are changes to store at once: entries that are of
    /// no use any more.
    ///
    /// # Errors
    /// The store is damaged, or cannot be read.
    pub fn new(
        now: Now,
        settings: Settings,
        view: &dyn View,
    ) -> Result<(Self, Batch), LedgerError> {
        let chain = settings.chain;
        let ledger = Ledger::load(chain, view)?;
        let state = Confirmed {
            view,
            ledger: &ledger,
        };
        let timing = settings.pools_timing();
        let mut first = Batch::new();
        let mut effects = Vec::new();
        let reservoir = Reservoir::load(settings.caps, timing, now, &state, &mut effects)?;
        for effect in effects {
            if let reservoir::Effect::Persist(batch) = effect {
                first.extend(batch);
            }
        }
        let mut seed = settings.seed;
        let announce = Announce::new(
            now,
            settings.announce.clone(),
            settings.timing.announce,
            ChaCha8Rng::from_seed(seed),
        );
        seed[0] ^= 0x5a;
        let mining = settings
            .mining
            .clone()
            .map(|settings| Mining::new(settings, seed));
        let connector = Connector::new(now, chain, settings.timing.connector);
        let next_heart = now.mono.saturating_add(settings.timing.heartbeat_ms);
        seed[0] ^= 0xa5;
        let height = ledger.height();
        let mempool = Mempool::new(now.mono, settings.mempool, seed)
            .with_room(share::bundles_held_max(&settings.caps));
        let mut engine = Self {
            ledger,
            branch: 0,
            reservoir,
            announce,
            connector,
            mining,
            upstreams: Vec::new(),
            dynamic: VecDeque::new(),
            probes: BTreeMap::new(),
            sockets: BTreeMap::new(),
            subscriptions: Vec::new(),
            bans: bans::Bans::load(view)?,
            next_socket: 1,
            blocks: blocks::Pipeline::default(),
            check: check::Check::load(view, now.mono, height)?,
            digests: BTreeMap::new(),
            next_digest: 1,
            next_heart,
            stats: Stats::default(),
            started: now.mono,
            mempool,
            followers: follow::Followers::default(),
            jobs: VecDeque::new(),
            bringing: None,
            settings,
        };
        engine.make_places();
        Ok((engine, first))
    }

    /// What others see.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status {
            normal: matches!(self.connector.mode(), Mode::Normal),
            height: self.ledger.height(),
            branch: self.branch,
        }
    }

    /// The confirmed state.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The unconfirmed records.
    #[must_use]
    pub const fn reservoir(&self) -> &Reservoir {
        &self.reservoir
    }

    /// The outgoing peers: whom each place is for, and whether that peer is registered.
    pub fn upstreams(&self) -> impl Iterator<Item = (PeerPublicKey, bool)> + '_ {
        self.upstreams.iter().filter_map(|place| {
            let (key, _) = place.upstream.target()?;
            Some((key, place.upstream.is_registered()))
        })
    }

    /// The peer file to write at the end, if enough is known.
    #[must_use]
    pub fn peer_file(&self, now: Now) -> Option<String> {
        self.announce.peer_file(now.wall)
    }

    /// The keys that are kept out, each until a second of the wall clock.
    pub fn banned(&self) -> impl Iterator<Item = (PeerPublicKey, UnixSeconds)> + '_ {
        self.bans.all()
    }

    /// Has the signatures of blocks checked by this from now on.
    pub fn check_with(&mut self, checker: Arc<dyn Checker>) {
        self.ledger.check_with(checker);
    }

    /// Lets a fork take off blocks down to this height, beyond the protection.
    pub const fn accept_fork(&mut self, height: u64) {
        self.connector.accept_fork(height);
    }

    /// Everything that a start brings about.
    pub fn start(&mut self, now: Now, view: &dyn View, out: &mut Vec<Effect>) {
        self.run(now, view, out, |engine, step| {
            engine.dial_static(step);
            engine.subscribe_all(step);
            engine.tell_mining_tip(step);
            engine.tell_all_parts(step);
            engine.connect_on_time(step, super::connector::Input::Wake);
            engine.check_next(step);
        });
    }

    /// What [`Effect::Rebuild`] asked for is done: the engine goes on with what is stored now.
    pub fn rebuilt(&mut self, now: Now, view: &dyn View, out: &mut Vec<Effect>) {
        self.run(now, view, out, Self::dropped_deep);
    }

    /// When [`Input::Wake`] is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Millis {
        let upstreams = self
            .upstreams
            .iter()
            .filter_map(|p| p.upstream.next_wakeup());
        let probes = self.probes.values().filter_map(|(u, _)| u.next_wakeup());
        let silence = self.settings.timing.subscription_silence_ms;
        let subscriptions = self
            .subscriptions
            .iter()
            .map(|s| s.heard.saturating_add(silence));
        let machines = [
            self.announce.next_wakeup(),
            self.connector.next_wakeup(),
            self.reservoir.next_wakeup(),
            self.mining.as_ref().and_then(Mining::next_wakeup),
            Some(self.next_heart),
            self.mempool.next_wakeup(),
            self.followers.next_wakeup(),
            // They go on at once.
            (!self.jobs.is_empty() || self.check.is_dropping()).then_some(0),
        ];
        upstreams
            .chain(probes)
            .chain(subscriptions)
            .chain(machines.into_iter().flatten())
            .min()
            .unwrap_or(Millis::MAX)
    }

    /// Takes one input.
    pub fn step(&mut self, now: Now, input: Input, view: &dyn View, out: &mut Vec<Effect>) {
        self.run(now, view, out, |engine, step| match input {
            Input::Request {
                ticket,
                source,
                client,
                asked,
            } => engine.request(step, ticket, source, client, asked),
            Input::Published(socket, news) => engine.published(step, socket, news),
            Input::PublishedOther(socket) => {
                engine.stats.published_other += 1;
                engine.heard(step, socket);
            }
            Input::Reply(socket, frames) => engine.reply(step, socket, frames),
            Input::Broken(socket, why) => engine.broken(step, socket, why),
            Input::Digest(request, digest) => engine.digest(step, request, digest),
            Input::Submission(client, frame) => {
                let input = mining::Input::Submission {
                    client: mining::Client(client),
                    frame,
                };
                engine.mine(step, input);
            }
            Input::Control(token, question) => engine.control(step, token, &question),
            Input::Rpc(token, call, around) => engine.rpc(step, token, call, around),
            Input::Explore(token, question) => engine.explore(step, token, &question),
            Input::Paid(seen) => {
                engine.pools(step, reservoir::Input::Payment(seen));
            }
            Input::Bootstrap(key, listeners, timestamp) => {
                let input = announce::Input::Bootstrap {
                    key,
                    listeners,
                    timestamp,
                };
                engine.announce(step, input);
            }
            Input::Wake => engine.wake(step),
        });
    }

    /// The sets of issues whose signatures the input will have checked, as far as it can be told
    /// before: the checks may be shared, and told to [`Engine::step_checked`].
    #[must_use]
    pub fn to_check(&self, input: &Input, view: &dyn View) -> reservoir::ToCheck {
        let state = Confirmed {
            view,
            ledger: &self.ledger,
        };
        match input {
            Input::Request {
                asked:
                    Asked {
                        request: Request::News(News::Issues(data)),
                        ..
                    },
                ..
            } => self.reservoir.to_check(data, &state),
            Input::Published(socket, News::Issues(data)) => {
                let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let subscription = self.subscriptions.iter().find(|s| s.socket == *socket);
                if subscription.is_some_and(|s| s.has_room(size)) {
                    self.reservoir.to_check(data, &state)
                } else {
                    reservoir::ToCheck::default()
                }
            }
            Input::Wake => {
                let next = self.next_of_jobs();
                reservoir::ToCheck::of(next.map(|data| self.reservoir.to_check(data, &state)))
            }
            _ => reservoir::ToCheck::default(),
        }
    }

    /// The same as [`Engine::step`], with what others check of it, or have checked.
    pub fn step_checked(
        &mut self,
        now: Now,
        input: Input,
        checked: Option<reservoir::Checks>,
        view: &dyn View,
        out: &mut Vec<Effect>,
    ) {
        self.reservoir.tell_checked(checked);
        self.step(now, input, view, out);
        self.reservoir.tell_checked(None);
    }

    /// Runs one step: what it changes is seen by the rest of it, and leaves as one batch.
    fn run(
        &mut self,
        now: Now,
        view: &dyn View,
        out: &mut Vec<Effect>,
        step: impl FnOnce(&mut Self, &mut Step<'_>),
    ) {
        let mut running = Step {
            now,
            state: Overlay::new(view),
            out: Vec::new(),
            after: Vec::new(),
            fault: None,
        };
        step(self, &mut running);
        self.tell_pools_mode(&mut running);
        let Step {
            state,
            out: now_effects,
            after,
            fault,
            ..
        } = running;
        if let Some(fault) = fault {
            out.push(Effect::Fatal(fault));
            return;
        }
        let batch = state.into_batch();
        if !batch.is_empty() || !after.is_empty() {
            out.push(Effect::Commit(batch, after));
        }
        out.extend(now_effects);
    }

    fn wake(&mut self, step: &mut Step<'_>) {
        let now = step.now.mono;
        self.wake_peers(step);
        if self.announce.next_wakeup().is_some_and(|at| at <= now) {
            self.announce(step, announce::Input::Wake);
        }
        if self.connector.next_wakeup().is_some_and(|at| at <= now) {
            self.connect_on_time(step, super::connector::Input::Wake);
        }
        let mining_due = self.mining.as_ref().and_then(Mining::next_wakeup);
        if mining_due.is_some_and(|at| at <= now) {
            self.mine(step, mining::Input::Wake);
        }
        if self.reservoir.next_wakeup().is_some_and(|at| at <= now) {
            self.pools(step, reservoir::Input::Wake);
        }
        if self.mempool.next_wakeup().is_some_and(|at| at <= now) {
            self.share(step, mempool::Input::Wake);
        }
        if self.followers.next_wakeup().is_some_and(|at| at <= now) {
            self.tell_followers(step);
        }
        self.work_on_jobs(step);
        self.drop_blocks(step);
        if self.next_heart <= now {
            self.publish(step, vec![b"heart".to_vec(), b"beat".to_vec()]);
        }
    }

    /// Gives the pools an input and does what they want; what they answer, if they were asked.
    fn pools(
        &mut self,
        step: &mut Step<'_>,
        input: reservoir::Input,
    ) -> Option<Result<reservoir::Answer, reservoir::Refusal>> {
        self.tell_pools_mode(step);
        let state = Confirmed {
            view: &step.state,
            ledger: &self.ledger,
        };
        let is_chain = matches!(
            input,
            reservoir::Input::BlockStored { .. } | reservoir::Input::BlocksTakenOff { .. }
        );
        let mut effects = Vec::new();
        self.reservoir.step(step.now, input, &state, &mut effects);
        let answer = self.perform_pools(step, effects);
        self.tell_touched(step);
        if is_chain {
            self.share(step, mempool::Input::ChainChanged);
        }
        answer
    }

    /// The pools take and send records in mode Normal alone.
    fn tell_pools_mode(&mut self, step: &mut Step<'_>) {
        let normal = self.connector.mode() == Mode::Normal;
        if self.reservoir.is_normal() != normal {
            let state = Confirmed {
                view: &step.state,
                ledger: &self.ledger,
            };
            let mode = reservoir::Input::Mode { normal };
            let mut effects = Vec::new();
            self.reservoir.step(step.now, mode, &state, &mut effects);
            self.perform_pools(step, effects);
            self.share(step, mempool::Input::Mode { normal });
        }
    }

    fn perform_pools(
        &mut self,
        step: &mut Step<'_>,
        effects: Vec<reservoir::Effect>,
    ) -> Option<Result<reservoir::Answer, reservoir::Refusal>> {
        let mut answer = None;
        for effect in effects {
            match effect {
                reservoir::Effect::Persist(batch) => step.state.extend(batch),
                reservoir::Effect::Reply { result, .. } => answer = Some(result),
                reservoir::Effect::Relay { command, data } => {
                    let frames = vec![command.text().into(), data];
                    if self.settings.mempool.enabled {
                        // Peers get it from the shared mempool, subscribers now.
                        self.publish(step, frames);
                    } else {
                        self.relay(step, frames);
                    }
                }
                reservoir::Effect::VerifiedChanged => {
                    self.mine(step, mining::Input::VerifiedChanged);
                }
                // Counted in the pools, and with the refusal.
                reservoir::Effect::Full { .. } => {}
                reservoir::Effect::Log(text) => step.log(Importance::Warning, text),
                reservoir::Effect::Fault(fault) => Self::store_fault(step, &fault),
            }
        }
        answer
    }

    fn mine(&mut self, step: &mut Step<'_>, input: mining::Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(mining) = self.mining.as_mut() else {
                if let mining::Input::Submission { client, .. } = input {
                    let text = super::mining::submission::reply("", false);
                    step.out.push(Effect::SubmissionReply(client.0, text));
                }
                return;
            };
            let is_stored = matches!(input, mining::Input::Stored(true));
            let mut effects = Vec::new();
            mining.step(step.now, input, &mut effects);
            for effect in effects {
                match effect {
                    mining::Effect::NeedRecords(most) => {
                        let state = Confirmed {
                            view: &step.state,
                            ledger: &self.ledger,
                        };
                        let mut effects = Vec::new();
                        let records =
                            self.reservoir
                                .verified(step.now, most.max(1), &state, &mut effects);
                        // Mining is about to get what is left: that it changed is no news.
                        effects.retain(|one| *one != reservoir::Effect::VerifiedChanged);
                        self.perform_pools(step, effects);
                        self.tell_touched(step);
                        match records {
                            Ok(records) => inputs.push_back(mining::Input::Records(records)),
                            Err(e) => step.fault(&e),
                        }
                    }
                    mining::Effect::Publish(text) => step.out.push(Effect::Work(text)),
                    mining::Effect::Reply { client, text } => {
                        let reply = Effect::SubmissionReply(client.0, text);
                        // Who is told that a block is good finds it on the disk.
                        let leaves = if is_stored {
                            &mut step.after
                        } else {
                            &mut step.out
                        };
                        leaves.push(reply);
                    }
                    mining::Effect::ComputeDigest { request, header } => {
                        let request = self.digest_request(blocks::DigestFor::Mining(request));
                        step.out.push(Effect::Digest(request, header));
                    }
                    mining::Effect::StoreBlock { packed, digest } => {
                        let is_in = self.mined(step, packed, digest);
                        inputs.push_back(mining::Input::Stored(is_in));
                    }
                }
            }
        }
    }

    fn tell_mining_tip(&mut self, step: &mut Step<'_>) {
        let tip = self.ledger.tip();
        let parent = mining::Parent {
            number: tip.number,
            digest: tip.digest,
            version: tip.version,
            timestamp: tip.timestamp,
        };
        self.mine(step, mining::Input::Tip(parent));
    }

    fn store_fault(step: &mut Step<'_>, fault: &StoreFault) {
        step.fault(fault);
    }
}

#[cfg(test)]
mod check_tests;
#[cfg(test)]
pub(crate) mod tests;
