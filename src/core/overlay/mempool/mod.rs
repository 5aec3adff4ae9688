//! The shared mempool (`proto/mempool.md`): unconfirmed records go to peers in the order of a log,
//! each peer has a cursor in it that moves when the peer acknowledges, and what could not be taken
//! comes again. Nodes of the reference get the same by the plain commands.
//!
//! | input | what follows | section |
//! | --- | --- | --- |
//! | `NewPeer`, `LostPeer` | a greeting; nothing more is sent | 4.3 |
//! | `Request` | one `Answer`: at once, or when the pools have decided | 4.4 |
//! | `Reply` | the cursor moves, or the peer is tried again later | 4.3, 4.6 |
//! | `Present`, `Gone` | the log grows; what needs the lost waits | 4.1 |
//! | `ChainChanged` | parked bundles are tried anew | 4.1 |
//! | `Validated` | the answer to a batch, parked bundles | 4.5 |
//! | `Wake` | what is due: pulls, pauses that end, parked ones, those that are gone | 4.5 |
//!
//! Inputs are taken in their order and none waits for another; what takes time is a job. Nothing
//! here opens a socket, reads a clock or keeps the bytes of a record that is in the pools. Every
//! table has a bound (`settings.rs`), and nothing that a peer sends ends the process.

mod bundle;
mod counters;
mod inward;
mod jobs;
mod mutants;
mod notices;
mod outward;
mod parking;
mod peers;
mod plain;
mod push;
mod reader;
mod report;
mod retry;
mod security;
mod settings;
mod timeline;
pub mod wire;

#[cfg(test)]
mod tests;

pub use bundle::{Bundle, BundleKey, Kind, Locator, Pools, Verdict, key_of};
pub use counters::Counters;
pub use notices::{Notices, SUBSCRIBERS_MAX, SubscriberId};
pub use peers::Mode;
pub use report::{PeerReport, Standing};
pub use security::{Event, Offence, SECURITY_OF_ALL_PER_MINUTE, SECURITY_PER_MINUTE};
pub use settings::{Policy, Settings};

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::core::keys::PeerPublicKey;
use crate::core::reservoir::Command;
use crate::core::time::Millis;
use jobs::Job;
use notices::Board;
use parking::Parking;
use peers::{Rate, Table};
use timeline::Timeline;

/// The command of the overlay (`proto/mempool.md`, section 4.4).
pub const COMMAND: &str = "OVL1";
/// Running failures after which a peer is given up (section 4.5).
pub const FAILURES_MAX: u32 = 3;
/// Items of the timeline that one step looks at in search of those that are gone.
const SWEEP: usize = 1000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Our connection to this peer is registered.
    NewPeer(PeerPublicKey),
    /// It is no more.
    LostPeer(PeerPublicKey),
    /// A client with this key sent a request under [`COMMAND`].
    Request {
        /// For the one answer.
        ticket: u64,
        /// Its key.
        peer: PeerPublicKey,
        /// The payload.
        payload: Vec<u8>,
    },
    /// The reply to what was sent: exactly one for each [`Effect::Send`], [`Effect::SendPlain`] and
    /// [`Effect::AskInfo`], in their order.
    Reply {
        /// Who was asked.
        peer: PeerPublicKey,
        /// As it was given.
        generation: u64,
        /// The frames; `None`: none came in time, or the connection broke.
        frames: Option<Vec<Vec<u8>>>,
    },
    /// A bundle came into the pools.
    Present {
        /// Where it is.
        locator: Locator,
        /// Who sent it; `None`: a client of ours.
        origin: Option<PeerPublicKey>,
    },
    /// A bundle left the pools.
    Gone(Locator),
    /// Bundles that this peer brought, and that were acknowledged, made room for others.
    Forgotten(PeerPublicKey),
    /// A block went in or came off.
    ChainChanged,
    /// The answer to [`Effect::Validate`].
    Validated {
        /// As it was given.
        job: u64,
        /// One for each bundle, in order.
        verdicts: Vec<Verdict>,
    },
    /// The node takes records, or not any more.
    Mode {
        /// Whether it does.
        normal: bool,
    },
    /// The time of [`Mempool::next_wakeup`] has come, or any other.
    Wake,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this under [`COMMAND`]. One request of any kind is open to a peer.
    Send {
        /// Whom to.
        peer: PeerPublicKey,
        /// For the reply.
        generation: u64,
        /// The payload.
        payload: Vec<u8>,
    },
    /// Send a plain command with one parameter.
    SendPlain {
        /// Whom to.
        peer: PeerPublicKey,
        /// For the reply.
        generation: u64,
        /// The command.
        command: Command,
        /// The parameter.
        parameter: Vec<u8>,
    },
    /// Send the plain request `I`.
    AskInfo {
        /// Whom to.
        peer: PeerPublicKey,
        /// For the reply.
        generation: u64,
    },
    /// Answer a request; the first byte is never that of an answer of the reference.
    Answer {
        /// As it was given.
        ticket: u64,
        /// The payload.
        payload: Vec<u8>,
    },
    /// Offer these to the pools, in order, and tell what they said. Each that is accepted is told
    /// by [`Input::Present`] besides, with `peer` as its origin.
    Validate {
        /// For the verdicts.
        job: u64,
        /// Who sent them; `None`: parked ones of several peers, and their origin is known here.
        peer: Option<PeerPublicKey>,
        /// The bundles.
        bundles: Vec<Bundle>,
    },
    /// A peer did what no good one does.
    Penalise {
        /// Who.
        peer: PeerPublicKey,
        /// What.
        reason: Offence,
    },
    /// So many requests failed that the peer is taken for lost; it comes back by
    /// [`Input::NewPeer`].
    Lost(PeerPublicKey),
    /// These bits became set for some subscriber.
    Notify(Notices),
    /// For the log of what was refused.
    Security {
        /// What.
        event: Event,
        /// Whose.
        peer: PeerPublicKey,
        /// The bundle, if it is about one.
        key: Option<BundleKey>,
    },
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Mempool {
    settings: Settings,
    epoch: u64,
    rng: ChaCha8Rng,
    normal: bool,
    timeline: Timeline,
    parking: Parking,
    peers: Table,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    /// The parked bundles that are being tried anew, each with who sent it.
    retry: Option<(u64, Vec<(BundleKey, PeerPublicKey)>)>,
    /// Who sent the parked ones that were accepted last and are not on the timeline yet.
    unlocked: BTreeMap<BundleKey, PeerPublicKey>,
    board: Board,
    news: Notices,
    /// Of peers that have no place in the table.
    strangers: Rate,
    security_of_strangers: Rate,
    security_of_known: Rate,
    /// Registered peers for which the table had no place.
    unplaced: BTreeSet<PeerPublicKey>,
    counters: Counters,
    next_sweep: Millis,
    /// Where the running sweep goes on.
    sweep_from: Option<Locator>,
}

impl Mempool {
    /// An empty log of a new epoch, drawn from `seed`. The node is not in mode Normal until it is
    /// told so.
    #[must_use]
    pub fn new(now: Millis, settings: Settings, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        Self {
            settings,
            epoch: rng.next_u64().max(1),
            rng,
            normal: false,
            timeline: Timeline::new(settings.policy, settings.pool_bundles),
            parking: Parking::new(settings.pool_bundles / 10, settings.pool_bytes / 10),
            peers: Table::new(settings.peers),
            jobs: BTreeMap::new(),
            next_job: 1,
            retry: None,
            unlocked: BTreeMap::new(),
            board: Board::default(),
            news: Notices::NONE,
            strangers: Rate::default(),
            security_of_strangers: Rate::default(),
            security_of_known: Rate::default(),
            unplaced: BTreeSet::new(),
            counters: Counters::default(),
            next_sweep: now.saturating_add(settings.system_transaction_gc_interval_ms),
            sweep_from: None,
        }
    }

    /// The same with a timeline for so many bundles, if the settings give it fewer: what the pools
    /// hold has its place.
    #[must_use]
    pub fn with_room(mut self, bundles: usize) -> Self {
        self.timeline.widen(bundles);
        self
    }

    /// The number of this life of the log.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A new subscriber; none when there are [`SUBSCRIBERS_MAX`].
    pub fn subscribe(&mut self) -> Option<SubscriberId> {
        self.board.subscribe()
    }

    /// It wants no more.
    pub fn unsubscribe(&mut self, id: SubscriberId) {
        self.board.unsubscribe(id);
    }

    /// The news of a subscriber since it took them last.
    pub fn take_notices(&mut self, id: SubscriberId) -> Notices {
        self.board.take(id)
    }

    /// Takes one input.
    pub fn step(&mut self, now: Millis, input: Input, pools: &dyn Pools, out: &mut Vec<Effect>) {
        if !self.settings.enabled {
            if let Input::Request { ticket, .. } = input {
                self.refuse_all(ticket, out);
            }
            return;
        }
        match input {
            Input::NewPeer(peer) => self.on_new_peer(now, peer),
            Input::LostPeer(peer) => self.on_lost_peer(&peer),
            Input::Request {
                ticket,
                peer,
                payload,
            } => self.on_request(now, ticket, peer, &payload, pools, out),
            Input::Reply {
                peer,
                generation,
                frames,
            } => self.on_reply(now, peer, generation, frames.as_deref(), out),
            Input::Present { locator, origin } => self.on_present(now, locator, origin, pools),
            Input::Gone(locator) => {
                self.timeline.gone(pools, &locator);
            }
            Input::Forgotten(peer) => self.on_forgotten(now, &peer),
            Input::ChainChanged => self.parking.want_all(),
            Input::Validated { job, verdicts } => {
                if self.retry.as_ref().is_some_and(|(id, _)| *id == job) {
                    self.on_retried(now, &verdicts);
                } else {
                    self.on_validated(now, job, &verdicts, out);
                }
            }
            Input::Mode { normal } => {
                if normal && !self.normal {
                    self.parking.want_all();
                }
                self.normal = normal;
            }
            Input::Wake => {}
        }
        self.sweep(now, pools);
        self.try_parked(now, out);
        self.pump(now, pools, out);
        self.unpark_entered();
        let news = std::mem::take(&mut self.news);
        let risen = self.board.set(news);
        if !risen.is_empty() {
            out.push(Effect::Notify(risen));
        }
    }

    /// When [`Input::Wake`] is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        if !self.settings.enabled {
            return None;
        }
        let parked = self.parking.due().filter(|_| self.may_retry());
        let peers = self.peers.alive().iter();
        let peers = peers.filter_map(|key| self.next_due(key)).min();
        [Some(self.next_sweep), parked, peers]
            .into_iter()
            .flatten()
            .min()
    }

    fn on_present(
        &mut self,
        now: Millis,
        locator: Locator,
        origin: Option<PeerPublicKey>,
        pools: &dyn Pools,
    ) {
        let (parking, retry, unlocked) = (&self.parking, &self.retry, &self.unlocked);
        let sender = |key: &BundleKey| {
            let parked = parking.sender(key).or_else(|| retry::sender(retry, key));
            parked.or_else(|| unlocked.get(key).copied())
        };
        self.timeline.present(now, pools, locator, origin, &sender);
        if self.unpark_entered() {
            self.pull_soon(now);
        }
        let known = origin.and_then(|key| self.peers.get(&key));
        if let Some((holder, read)) = known.map(|peer| (peer.holder(), peer.read)) {
            self.timeline.mark(&locator, holder, read);
        }
    }

    /// The peer is to tell its log from the beginning; not again before the interval in which
    /// plain peers are told everything again.
    fn on_forgotten(&mut self, now: Millis, key: &PeerPublicKey) {
        let interval = self.settings.plain_interval_ms;
        if let Some(peer) = self.peers.get_mut(key)
            && peer
                .rewound
                .is_none_or(|at| now.saturating_sub(at) >= interval)
        {
            peer.rewound = Some(now);
            peer.remote_done = 0;
        }
    }

    /// What is on the timeline is parked no more, and others may have waited for it.
    /// Whether there is any.
    fn unpark_entered(&mut self) -> bool {
        let entered = self.timeline.take_entered();
        let is_any = !entered.is_empty();
        for (came, key) in entered {
            // Whoever sent it has it, though it came in another way.
            for sender in self.parking.senders(&key) {
                if let Some(peer) = self.peers.get(&sender) {
                    self.timeline.mark(&came, peer.holder(), peer.read);
                }
            }
            self.parking.remove(&key);
            self.unlocked.remove(&key);
            self.parking.want_after(came.kind());
        }
        is_any
    }

    /// Looks for what the pools no longer have, a piece in each step, and drops what waited too
    /// long.
    fn sweep(&mut self, now: Millis, pools: &dyn Pools) {
        if now < self.next_sweep {
            return;
        }
        let (next, removed) = self.timeline.sweep(pools, self.sweep_from, SWEEP);
        self.counters.gc_removed = self.counters.gc_removed.saturating_add(removed);
        self.sweep_from = next;
        if next.is_none() {
            let pause = self.settings.system_transaction_gc_interval_ms;
            self.next_sweep = now.saturating_add(pause);
        }
        for key in std::mem::take(&mut self.unplaced) {
            self.on_new_peer(now, key);
        }
        let life = self.settings.parked_life_s.saturating_mul(1000);
        let dropped = self.parking.expire(now, life);
        self.drop_parked(dropped);
    }

    fn drop_parked(&mut self, count: u64) {
        self.counters.parked_dropped = self.counters.parked_dropped.saturating_add(count);
    }

    /// The pause after so many running failures: it doubles up to the longest; by chance up to a
    /// quarter more, so that peers do not come in step.
    fn back_off(&mut self, failures: u32) -> Millis {
        let most = self.settings.back_off_max_ms;
        let doublings = failures.saturating_sub(1).min(20);
        let pause = self.settings.back_off_ms.saturating_mul(1 << doublings);
        let pause = pause.min(most);
        let more = self.rng.gen_range(0..=pause / 4);
        pause.saturating_add(more).min(most)
    }

    fn new_job(&mut self) -> u64 {
        let job = self.next_job;
        self.next_job = job.wrapping_add(1);
        job
    }
}
