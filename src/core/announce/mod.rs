//! Who is out there: peer table, RPC table, expiry, whom to connect to, whom to trust with a place
//! (`proto/peer.md`, sections 6 and 15).
//!
//! | input | effects | section |
//! | --- | --- | --- |
//! | announcement due (2 min, then every 11 min) | broadcast `rpc` if set up, `peer`; expire both tables; orders if the choice may have changed | 6.3 |
//! | `Reconnect` | orders | 6.3 |
//! | `Registration` | the answer: a peer, else this node itself; never a relay | 6.2, 6.6, 4.4 |
//! | `PeerNews`, `RpcNews` taken | relay of the three parameters as they came | 6.2, 6.4 |
//! | any of them refused | counted | 3.1, 6.2, 6.4, 15 |
//! | `Learned`, `Bootstrap` | none at once | 4.2, 6.5 |
//! | an entry without proof is due | probe | 15 |
//! | `Proven`, `DialFailed` | none at once; the entry enters or leaves the choice | 15 |
//!
//! Nothing here dials, and nobody but this node changes its own entries. The answer to a
//! registration is given also when the entry is not stored.

pub mod dns;
pub mod neighbours;
pub mod peer_file;
pub mod peers;
pub mod probes;
pub mod rpcs;

use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use self::neighbours::Label;
use self::peers::{Added, Key, News, PeerTable, Refusal, Source, Trust};
use self::probes::Probes;
use self::rpcs::{Fingerprint, RpcTable};
use super::time::{Millis, Now, UnixSeconds};
use super::wire::connection::{Connection, FirstOfEach, whole_part};

/// Outgoing places that are kept for configured or longest-proven peers.
pub const KEPT_PLACES: usize = 2;
/// Longest time frame that is taken: eight bytes count, the others are relayed as they came.
const TIMESTAMP_LIMIT: usize = 64;

/// Intervals and limits; the defaults are those of the reference (`proto/peer.md`, section 11),
/// the probes ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the start to the first announcement.
    pub initial_ms: Millis,
    /// From one announcement to the next.
    pub interval_ms: Millis,
    /// News of a known entry sooner than this are not taken.
    pub relay_limit_s: u64,
    /// An entry that is not renewed lives this long.
    pub expiry_s: u64,
    /// Between two probes.
    pub probe_interval_ms: Millis,
    /// A probe without a result has failed after this.
    pub probe_timeout_ms: Millis,
    /// The pause after the first failure; it doubles six times.
    pub probe_retry_ms: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            initial_ms: 120_000,
            interval_ms: 660_000,
            relay_limit_s: 420,
            expiry_s: 3300,
            probe_interval_ms: 1_000,
            probe_timeout_ms: 60_000,
            probe_retry_ms: 60_000,
        }
    }
}

/// This node's own client service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRpc {
    /// Fingerprint of its certificate.
    pub fingerprint: Fingerprint,
    /// Packed addresses, as configured.
    pub addresses: Vec<u8>,
}

/// What the machine knows of its own node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Own public key.
    pub key: Key,
    /// Own packed listeners, as configured; may be empty.
    pub listeners: Vec<u8>,
    /// The client service, if there is one.
    pub rpc: Option<OwnRpc>,
    /// Keys of configured peers: they need no proof and are kept first.
    pub configured: BTreeSet<Key>,
    /// Whether IPv6 is dialled at all.
    pub prefer_ipv6: bool,
}

/// A registration request that passed the listener's checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Second parameter.
    pub key: Vec<u8>,
    /// Third parameter.
    pub listeners: Vec<u8>,
    /// The first eight bytes of the fourth.
    pub timestamp: UnixSeconds,
    /// Who asks.
    pub source: Source,
    /// The key of the CURVE session, where the socket tells it.
    pub client_key: Option<Key>,
}

/// The peer named in the answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub key: Key,
    /// Its packed listeners: whole records.
    pub listeners: Vec<u8>,
    /// The stored time.
    pub timestamp: UnixSeconds,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The time of [`Announce::next_wakeup`] has come, or any other.
    Wake,
    /// The connector has too few upstreams.
    Reconnect,
    /// An `R` request; the answer is an effect. [`Announce::register`] gives it at once.
    Registration(Registration),
    /// A `peer` message: key, listeners, time as they came.
    PeerNews([Vec<u8>; 3], Source),
    /// An `rpc` message: fingerprint, addresses, time as they came.
    RpcNews([Vec<u8>; 3], Source),
    /// The peer that the answer to our own registration named.
    Learned {
        /// Third frame of the answer.
        key: Vec<u8>,
        /// Fourth frame.
        listeners: Vec<u8>,
        /// The first eight bytes of the fifth.
        timestamp: UnixSeconds,
        /// Who answered.
        source: Source,
    },
    /// A peer from DNS (time 0) or the peer file.
    Bootstrap {
        /// Its key.
        key: Key,
        /// Its packed listeners; what follows the whole records is dropped.
        listeners: Vec<u8>,
        /// Its time.
        timestamp: UnixSeconds,
    },
    /// A registration or height request at `address` with the server key `key` was answered as a
    /// peer of our chain answers.
    Proven {
        /// The server key.
        key: Key,
        /// Where it was reached.
        address: Connection,
    },
    /// It was not.
    DialFailed {
        /// The server key.
        key: Key,
        /// Where it was not reached.
        address: Connection,
    },
}

/// An order to the connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Why.
    pub label: Label,
    /// The server key.
    pub key: Key,
    /// Its packed listeners: whole records.
    pub listeners: Vec<u8>,
    /// Whether one of the kept places belongs to it: not to be given up for another order.
    pub kept: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Pass a message on to all registered upstreams and the publisher.
    Relay {
        /// `peer` or `rpc`.
        command: &'static str,
        /// The parameters as they came.
        parameters: Vec<Vec<u8>>,
    },
    /// Send an announcement of this node the same way.
    Broadcast {
        /// `peer` or `rpc`.
        command: &'static str,
        /// Its parameters.
        parameters: Vec<Vec<u8>>,
    },
    /// Connect an upstream.
    Connect(Order),
    /// Dial once, register, and report `Proven` or `DialFailed`.
    Probe {
        /// The server key.
        key: Key,
        /// Its packed listeners: whole records.
        listeners: Vec<u8>,
    },
    /// The answer to a registration.
    Answer(Candidate),
    /// News were refused.
    Counted(Refusal),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Announce {
    setup: Setup,
    timing: Timing,
    peers: PeerTable,
    rpcs: RpcTable,
    probes: Probes,
    next_announcement: Millis,
    rng: ChaCha8Rng,
}

impl Announce {
    /// A machine that knows nobody yet. `rng` decides whom a registration is told and whom to
    /// probe.
    #[must_use]
    pub fn new(now: Now, setup: Setup, timing: Timing, rng: ChaCha8Rng) -> Self {
        let mut rpcs = RpcTable::new();
        if let Some(rpc) = &setup.rpc {
            rpcs.set_own(rpc.fingerprint, &rpc.addresses, now.wall);
        }
        Self {
            peers: PeerTable::new(setup.key, setup.configured.clone()),
            rpcs,
            probes: Probes::default(),
            next_announcement: now.mono.saturating_add(timing.initial_ms),
            setup,
            timing,
            rng,
        }
    }

    /// The peers known.
    #[must_use]
    pub const fn peers(&self) -> &PeerTable {
        &self.peers
    }

    /// The client services known, this node's first.
    #[must_use]
    pub const fn rpcs(&self) -> &RpcTable {
        &self.rpcs
    }

    /// What the node told of itself.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The keys that outgoing places are kept for, the most worthy first.
    #[must_use]
    pub fn kept(&self) -> Vec<Key> {
        let kept = self.peers.kept(KEPT_PLACES, self.setup.prefer_ipv6);
        kept.into_iter().map(|(key, _)| key).collect()
    }

    /// The peer file to write at the end, if enough is known.
    #[must_use]
    pub fn peer_file(&self, now: UnixSeconds) -> Option<String> {
        peer_file::write(&self.setup.key, &self.setup.listeners, now, &self.peers)
    }

    /// When [`Input::Wake`] is next wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        let probe = self.probes.next_wakeup().unwrap_or(Millis::MAX);
        Some(self.next_announcement.min(probe))
    }

    /// Takes one input.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Wake => {}
            Input::Reconnect => self.choose(out),
            Input::Registration(registration) => {
                let candidate = self.register(now, &registration, out);
                out.push(Effect::Answer(candidate));
            }
            Input::PeerNews(parameters, source) => self.peer_news(now, parameters, source, out),
            Input::RpcNews(parameters, source) => self.rpc_news(now, parameters, source, out),
            Input::Learned {
                key,
                listeners,
                timestamp,
                source,
            } => {
                let news = News {
                    key: &key,
                    listeners: &listeners,
                    timestamp,
                    source,
                    trust: Trust::Heard,
                };
                self.take(now, news, out);
            }
            Input::Bootstrap {
                key,
                listeners,
                timestamp,
            } => {
                let news = News {
                    key: &key,
                    listeners: whole_part(&listeners),
                    timestamp: self.bootstrap_time(now.wall, timestamp),
                    source: 0,
                    trust: Trust::Bootstrap,
                };
                self.take(now, news, out);
            }
            Input::Proven { key, address } => {
                self.probes.done(&key);
                self.peers.reached(now, &key, &address);
                self.probes.look_again();
            }
            Input::DialFailed { key, address } => {
                self.probes.done(&key);
                self.peers.failed(now, &self.timing, &key, Some(&address));
                self.probes.look_again();
            }
        }
        self.on_time(now, out);
    }

    /// Stores who registers and names another peer, or this node itself.
    pub fn register(
        &mut self,
        now: Now,
        registration: &Registration,
        out: &mut Vec<Effect>,
    ) -> Candidate {
        let authenticated = registration
            .client_key
            .is_some_and(|key| key.as_slice() == registration.key);
        let news = News {
            key: &registration.key,
            listeners: &registration.listeners,
            timestamp: registration.timestamp,
            source: registration.source,
            trust: if authenticated {
                Trust::Authenticated
            } else {
                Trust::Heard
            },
        };
        self.take(now, news, out);
        let asking = FirstOfEach::of(&registration.listeners);
        let ipv6_only = asking.v6.is_some() && asking.v4.is_none();
        let candidates = self.peers.candidates(&registration.key, ipv6_only);
        candidates.choose(&mut self.rng).map_or_else(
            || Candidate {
                key: self.setup.key,
                listeners: self.setup.listeners.clone(),
                timestamp: now.wall,
            },
            |(key, entry)| Candidate {
                key: *key,
                listeners: entry.to_dial().to_vec(),
                timestamp: entry.time(),
            },
        )
    }

    fn take(&mut self, now: Now, news: News<'_>, out: &mut Vec<Effect>) -> Option<Added> {
        match self.peers.add(now, &self.timing, news) {
            Ok(added) => {
                self.probes.look_again();
                Some(added)
            }
            Err(refusal) => {
                out.push(Effect::Counted(refusal));
                None
            }
        }
    }

    /// A peer of the file that is older than the expiry lives one announcement more, so that a
    /// node that was off for an hour still finds the others.
    fn bootstrap_time(&self, now: UnixSeconds, timestamp: UnixSeconds) -> UnixSeconds {
        let interval_s = self.timing.interval_ms.div_ceil(1000).max(1);
        let oldest = now
            .saturating_sub(self.timing.expiry_s)
            .saturating_add(interval_s.min(self.timing.expiry_s));
        if timestamp == 0 {
            now
        } else {
            timestamp.max(oldest)
        }
    }

    fn peer_news(
        &mut self,
        now: Now,
        parameters: [Vec<u8>; 3],
        source: Source,
        out: &mut Vec<Effect>,
    ) {
        let [key, listeners, time] = &parameters;
        let Some(timestamp) = timestamp(time) else {
            return out.push(Effect::Counted(Refusal::InvalidTimestamp));
        };
        let news = News {
            key,
            listeners,
            timestamp,
            source,
            trust: Trust::Heard,
        };
        if self.take(now, news, out).is_some() && self.may_relay(listeners) {
            out.push(Effect::Relay {
                command: "peer",
                parameters: parameters.into(),
            });
        }
    }

    fn rpc_news(
        &mut self,
        now: Now,
        parameters: [Vec<u8>; 3],
        source: Source,
        out: &mut Vec<Effect>,
    ) {
        let [fingerprint, addresses, time] = &parameters;
        let added = timestamp(time)
            .ok_or(Refusal::InvalidTimestamp)
            .and_then(|timestamp| {
                let timing = &self.timing;
                self.rpcs
                    .add(now.wall, timing, fingerprint, addresses, timestamp, source)
            });
        out.push(match added {
            Ok(_) => Effect::Relay {
                command: "rpc",
                parameters: parameters.into(),
            },
            Err(refusal) => Effect::Counted(refusal),
        });
    }

    /// An IPv6-only peer kills a node of the reference that is set to IPv4: it is passed on by
    /// nodes that are IPv6-only themselves alone.
    fn may_relay(&self, listeners: &[u8]) -> bool {
        let own = FirstOfEach::of(&self.setup.listeners);
        FirstOfEach::of(listeners).v4.is_some() || (own.v6.is_some() && own.v4.is_none())
    }

    fn on_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        for key in self.probes.take_late(now.mono) {
            self.peers.failed(now, &self.timing, &key, None);
            self.probes.look_again();
        }
        if now.mono >= self.next_announcement {
            self.next_announcement = now.mono.saturating_add(self.timing.interval_ms.max(1));
            self.announce(now, out);
        }
        let next = self.probes.next(
            now.mono,
            &self.timing,
            &self.peers,
            self.setup.prefer_ipv6,
            &mut self.rng,
        );
        if let Some((key, listeners)) = next {
            out.push(Effect::Probe { key, listeners });
        }
    }

    fn announce(&mut self, now: Now, out: &mut Vec<Effect>) {
        let time = now.wall.to_be_bytes().to_vec();
        if let Some(rpc) = &self.setup.rpc {
            self.rpcs.set_own(rpc.fingerprint, &rpc.addresses, now.wall);
            if !rpc.addresses.is_empty() {
                out.push(Effect::Broadcast {
                    command: "rpc",
                    parameters: vec![
                        rpc.fingerprint.to_vec(),
                        rpc.addresses.clone(),
                        time.clone(),
                    ],
                });
            }
        }
        if !self.setup.listeners.is_empty() {
            out.push(Effect::Broadcast {
                command: "peer",
                parameters: vec![self.setup.key.to_vec(), self.setup.listeners.clone(), time],
            });
        }
        self.rpcs.expire(now.wall, &self.timing);
        self.peers.expire(now.wall, &self.timing);
        if self.peers.take_changed() {
            self.choose(out);
        }
    }

    fn choose(&self, out: &mut Vec<Effect>) {
        let ring = self.peers.ring(self.setup.prefer_ipv6);
        let kept = self.peers.kept(KEPT_PLACES, self.setup.prefer_ipv6);
        let is_kept = |key: &Key| kept.iter().any(|(other, _)| other == key);
        let mut ordered = BTreeSet::new();
        for (label, steps) in neighbours::orders(ring.len().saturating_add(1)) {
            let Some((key, entry)) = steps.checked_sub(1).and_then(|at| ring.get(at)) else {
                continue;
            };
            ordered.insert(*key);
            out.push(Effect::Connect(Order {
                label,
                key: *key,
                listeners: entry.to_dial().to_vec(),
                kept: is_kept(key),
            }));
        }
        for (key, entry) in &kept {
            if !ordered.contains(key) {
                out.push(Effect::Connect(Order {
                    label: Label::Kept,
                    key: *key,
                    listeners: entry.to_dial().to_vec(),
                    kept: true,
                }));
            }
        }
    }
}

/// The first eight bytes of a time frame; more are allowed, fewer kill the reference.
fn timestamp(frame: &[u8]) -> Option<UnixSeconds> {
    let (first, _) = frame.split_first_chunk::<8>()?;
    (frame.len() <= TIMESTAMP_LIMIT).then(|| UnixSeconds::from_be_bytes(*first))
}

#[cfg(test)]
mod tests;
