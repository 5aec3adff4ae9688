//! Outgoing peers: places, orders to connect, probes, subscriptions, and passing news on
//! (`proto/peer.md`, sections 3.2, 4, 5 and 7).

use super::{Effect, Engine, Importance, SocketId, Step, Subscription};
use crate::core::announce::{self, Order};
use crate::core::block::HEADER_BYTES;
use crate::core::connector::{self, Local, Peer};
use crate::core::id::BlockDigest;
use crate::core::keys::PeerPublicKey;
use crate::core::ledger::Ledger;
use crate::core::mining::machine as mining;
use crate::core::state::View;
use crate::core::time::Millis;
use crate::core::upstream::{self, Upstream};
use crate::core::wire::connection::FirstOfEach;

/// Probes at a time.
const PROBES_MAX: usize = 8;

/// A place for an outgoing peer.
#[derive(Debug)]
pub(super) struct Place {
    pub upstream: Upstream,
    pub socket: Option<SocketId>,
    /// Of the configuration, or of the operator.
    pub is_static: bool,
    /// For a peer that places are kept for: not given up for another order while it is there.
    pub is_kept: bool,
    /// Since when the peer has been on trial: dialled or lost, and not registered again.
    pub since: Millis,
    /// Who is registered here, as the shared mempool was told.
    pub registered: Option<PeerPublicKey>,
    /// What the shared mempool waits for: from whom, and in which generation.
    pub sharing: Option<(PeerPublicKey, u64)>,
}

impl Place {
    /// Whether it is not given up for another order. Who is not there keeps no place for long.
    fn is_held(&self, now: Millis, patience: Millis) -> bool {
        let is_new = now < self.since.saturating_add(patience);
        self.is_kept && (self.upstream.is_registered() || is_new)
    }
}

/// Whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Place(usize),
    Probe([u8; 32]),
}

/// What the connector sees.
struct Seen<'a> {
    ledger: &'a Ledger,
    view: &'a dyn View,
    places: &'a [Place],
}

impl Local for Seen<'_> {
    fn height(&self) -> u64 {
        self.ledger.height()
    }

    fn digest(&self, number: u64) -> Option<BlockDigest> {
        self.ledger.digest_of(self.view, number).ok()
    }

    fn peers(&self) -> Vec<Peer> {
        self.places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.upstream.is_registered())
            .filter_map(|(slot, place)| {
                let (key, _) = place.upstream.target()?;
                Some(Peer {
                    slot,
                    key,
                    height: place.upstream.height(),
                })
            })
            .collect()
    }
}

impl Engine {
    fn new_upstream(&self) -> Upstream {
        Upstream::new(
            self.settings.chain,
            self.settings.own.clone(),
            self.settings.timing.upstream,
        )
    }

    pub(super) fn make_places(&mut self) {
        let fixed = self.settings.connect.len();
        let dynamic = if self.settings.dynamic_connections {
            self.settings.timing.dynamic_upstreams
        } else {
            0
        };
        for index in 0..fixed + dynamic {
            let upstream = self.new_upstream();
            self.upstreams.push(Place {
                upstream,
                socket: None,
                is_static: index < fixed,
                is_kept: false,
                since: 0,
                registered: None,
                sharing: None,
            });
            if index >= fixed {
                self.dynamic.push_back(index);
            }
        }
    }

    pub(super) fn dial_static(&mut self, step: &mut Step<'_>) {
        for (index, peer) in self.settings.connect.clone().into_iter().enumerate() {
            self.upstream(step, index, upstream::Input::Dial(peer.key, peer.address));
        }
    }

    pub(super) fn subscribe_all(&mut self, step: &mut Step<'_>) {
        for peer in self.settings.subscribe.clone() {
            let socket = self.take_socket();
            if !self.bans.has(&peer.key, step.now.wall) {
                let subscribe = Effect::Subscribe(socket, peer.key, peer.address);
                step.out.push(subscribe);
            }
            self.subscriptions.push(Subscription {
                key: peer.key,
                address: peer.address,
                socket,
                heard: step.now.mono,
                messages: 0,
                counted_from: step.now.mono,
                items: 0,
                bytes: 0,
                dropped: 0,
            });
        }
    }

    fn take_socket(&mut self) -> SocketId {
        let socket = self.next_socket;
        self.next_socket += 1;
        socket
    }

    pub(super) fn heard(&mut self, step: &Step<'_>, socket: SocketId) {
        if let Some(subscription) = self.subscriptions.iter_mut().find(|s| s.socket == socket) {
            subscription.heard = step.now.mono;
            subscription.messages += 1;
        }
    }

    pub(super) fn wake_peers(&mut self, step: &mut Step<'_>) {
        let now = step.now.mono;
        for index in 0..self.upstreams.len() {
            let due = self
                .upstreams
                .get(index)
                .and_then(|p| p.upstream.next_wakeup());
            if due.is_some_and(|at| at <= now) {
                self.upstream(step, index, upstream::Input::Wake);
            }
        }
        let due: Vec<[u8; 32]> = self
            .probes
            .iter()
            .filter(|(_, (probe, _))| probe.next_wakeup().is_some_and(|at| at <= now))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.probe(step, key, upstream::Input::Wake);
        }
        let silence = self.settings.timing.subscription_silence_ms;
        for index in 0..self.subscriptions.len() {
            let fresh = self.next_socket;
            let Some(subscription) = self.subscriptions.get_mut(index) else {
                continue;
            };
            if subscription.heard.saturating_add(silence) > now {
                continue;
            }
            step.out.push(Effect::Close(subscription.socket));
            subscription.socket = fresh;
            subscription.heard = now;
            let (key, address) = (subscription.key, subscription.address);
            self.next_socket += 1;
            if self.bans.has(&key, step.now.wall) {
                continue;
            }
            step.out.push(Effect::Subscribe(fresh, key, address));
            step.log(
                Importance::Information,
                format!("publisher {key} is silent: connecting anew"),
            );
        }
    }

    pub(super) fn reply(&mut self, step: &mut Step<'_>, socket: SocketId, frames: Vec<Vec<u8>>) {
        match self.sockets.get(&socket).copied() {
            Some(Owner::Place(index)) => {
                self.upstream(step, index, upstream::Input::Reply(frames));
            }
            Some(Owner::Probe(key)) => self.probe(step, key, upstream::Input::Reply(frames)),
            // Of a socket that was closed meanwhile.
            None => {}
        }
    }

    pub(super) fn broken(&mut self, step: &mut Step<'_>, socket: SocketId, why: String) {
        match self.sockets.get(&socket).copied() {
            Some(Owner::Place(index)) => self.upstream(step, index, upstream::Input::Broken(why)),
            Some(Owner::Probe(key)) => self.probe(step, key, upstream::Input::Broken(why)),
            None => {}
        }
    }

    fn close(&mut self, step: &mut Step<'_>, socket: Option<SocketId>) {
        if let Some(socket) = socket {
            self.sockets.remove(&socket);
            step.out.push(Effect::Close(socket));
        }
    }

    pub(super) fn upstream(&mut self, step: &mut Step<'_>, index: usize, input: upstream::Input) {
        let mut effects = Vec::new();
        let Some(place) = self.upstreams.get_mut(index) else {
            return;
        };
        place.upstream.step(step.now, input, &mut effects);
        let mut changed = false;
        let mut answered = None;
        for effect in effects {
            match effect {
                upstream::Effect::Open(key, address) => {
                    let old = self.upstreams.get_mut(index).and_then(|p| p.socket.take());
                    self.close(step, old);
                    // Tried again with the next cycle: a ban may end.
                    if self.bans.has(&key, step.now.wall) {
                        continue;
                    }
                    let socket = self.take_socket();
                    self.sockets.insert(socket, Owner::Place(index));
                    if let Some(place) = self.upstreams.get_mut(index) {
                        place.socket = Some(socket);
                    }
                    step.out.push(Effect::Dial(socket, key, address));
                }
                upstream::Effect::Close => {
                    let old = self.upstreams.get_mut(index).and_then(|p| p.socket.take());
                    self.close(step, old);
                    changed = true;
                }
                upstream::Effect::Send(frames) => {
                    if let Some(socket) = self.upstreams.get(index).and_then(|p| p.socket) {
                        step.out.push(Effect::Request(socket, frames));
                    }
                }
                upstream::Effect::Lost => {
                    changed = true;
                    if let Some(place) = self.upstreams.get_mut(index) {
                        place.since = step.now.mono;
                    }
                    step.log(
                        Importance::Information,
                        format!("peer in place {index} is lost"),
                    );
                }
                upstream::Effect::Height(_) => changed = true,
                upstream::Effect::Shared(frames) => answered = Some(frames),
                upstream::Effect::Answered(question, answer) => {
                    let input = connector::Input::Answered(index, question, answer);
                    self.connect_on_time(step, input);
                }
                other => self.peer_shown(step, other),
            }
        }
        // Only now: what follows may come back to this place.
        if let Some(frames) = answered {
            self.answered_shared(step, index, frames);
        }
        self.tell_registered(step, index);
        if changed {
            self.connect_on_time(step, connector::Input::Changed);
        }
    }

    /// What an upstream or a probe shows about a peer.
    fn peer_shown(&mut self, step: &mut Step<'_>, effect: upstream::Effect) {
        let input = match effect {
            upstream::Effect::Proven(key, address) => announce::Input::Proven {
                key: key.0,
                address,
            },
            upstream::Effect::DialFailed(key, address) => announce::Input::DialFailed {
                key: key.0,
                address,
            },
            upstream::Effect::Learned(key, listeners, timestamp) => announce::Input::Learned {
                key,
                listeners,
                timestamp,
                source: 0,
            },
            _ => return,
        };
        self.announce(step, input);
    }

    fn probe(&mut self, step: &mut Step<'_>, key: [u8; 32], input: upstream::Input) {
        let Some((probe, _)) = self.probes.get_mut(&key) else {
            return;
        };
        let mut effects = Vec::new();
        probe.step(step.now, input, &mut effects);
        let mut is_over = false;
        for effect in effects {
            match effect {
                upstream::Effect::Open(peer, address) if !is_over => {
                    let socket = self.take_socket();
                    let old = self
                        .probes
                        .get_mut(&key)
                        .and_then(|(_, place)| place.replace(socket));
                    self.close(step, old);
                    self.sockets.insert(socket, Owner::Probe(key));
                    step.out.push(Effect::Dial(socket, peer, address));
                }
                upstream::Effect::Send(frames) if !is_over => {
                    let socket = self.probes.get(&key).and_then(|(_, socket)| *socket);
                    if let Some(socket) = socket {
                        step.out.push(Effect::Request(socket, frames));
                    }
                }
                upstream::Effect::Proven(..) | upstream::Effect::DialFailed(..) => {
                    is_over = true;
                    self.peer_shown(step, effect);
                }
                other => self.peer_shown(step, other),
            }
        }
        if is_over && let Some((_, socket)) = self.probes.remove(&key) {
            self.close(step, socket);
        }
    }

    pub(super) fn announce(&mut self, step: &mut Step<'_>, input: announce::Input) {
        let mut effects = Vec::new();
        self.announce.step(step.now, input, &mut effects);
        self.announced(step, effects);
    }

    pub(super) fn announced(&mut self, step: &mut Step<'_>, effects: Vec<announce::Effect>) {
        for effect in effects {
            match effect {
                announce::Effect::Relay {
                    command,
                    parameters,
                }
                | announce::Effect::Broadcast {
                    command,
                    parameters,
                } => {
                    let mut frames = vec![command.as_bytes().to_vec()];
                    frames.extend(parameters);
                    self.relay(step, frames);
                }
                announce::Effect::Connect(order) => self.order(step, &order),
                announce::Effect::Probe { key, listeners } => {
                    self.start_probe(step, key, &listeners);
                }
                announce::Effect::Counted(refusal) => self.stats.refuse(&refusal.to_string()),
                announce::Effect::Answer(_) => {}
            }
        }
    }

    fn start_probe(&mut self, step: &mut Step<'_>, key: [u8; 32], listeners: &[u8]) {
        let prefer = self.settings.announce.prefer_ipv6;
        let Some(address) = FirstOfEach::of(listeners).to_dial(prefer) else {
            return;
        };
        let is_kept_out = self.bans.has(&PeerPublicKey(key), step.now.wall);
        if is_kept_out || self.probes.len() >= PROBES_MAX || self.probes.contains_key(&key) {
            return;
        }
        let probe = self.new_upstream();
        self.probes.insert(key, (probe, None));
        let dial = upstream::Input::Dial(PeerPublicKey(key), address);
        self.probe(step, key, dial);
    }

    /// Marks anew which places belong to peers that places are kept for: a proof may be withdrawn,
    /// and others may have been there for longer.
    fn mark_kept(&mut self) {
        let kept = self.announce.kept();
        for index in &self.dynamic {
            if let Some(place) = self.upstreams.get_mut(*index) {
                let target = place.upstream.target();
                place.is_kept = target.is_some_and(|(key, _)| kept.contains(&key.0));
            }
        }
    }

    /// Connects a peer that announce chose (`proto/peer.md`, section 7, order handling).
    fn order(&mut self, step: &mut Step<'_>, order: &Order) {
        let prefer = self.settings.announce.prefer_ipv6;
        let Some(address) = FirstOfEach::of(&order.listeners).to_dial(prefer) else {
            return;
        };
        let key = PeerPublicKey(order.key);
        if key == self.settings.own.key || self.bans.has(&key, step.now.wall) {
            return;
        }
        self.mark_kept();
        let has = |place: &Place| place.upstream.target().is_some_and(|(k, _)| k == key);
        if let Some(index) = self.upstreams.iter().position(has) {
            if let Some(at) = self.dynamic.iter().position(|i| *i == index) {
                self.dynamic.remove(at);
                self.dynamic.push_back(index);
            }
            return;
        }
        // An empty place, else one that leads nowhere, else the one that was chosen longest ago.
        let timing = self.settings.timing.upstream;
        let patience = timing.timeout_ms.saturating_add(timing.cycle_ms);
        let state = |index: &usize| self.upstreams.get(*index);
        let free = |index: &&usize| state(index).is_some_and(|p| p.upstream.target().is_none());
        let old = |index: &&usize| {
            state(index).is_some_and(|place| !place.is_held(step.now.mono, patience))
        };
        let idle = |index: &&usize| {
            old(index) && state(index).is_some_and(|place| !place.upstream.is_registered())
        };
        let mut places = self.dynamic.iter();
        let chosen = places
            .clone()
            .find(free)
            .or_else(|| places.clone().find(idle))
            .or_else(|| places.find(old))
            .copied();
        let Some(index) = chosen else { return };
        if let Some(at) = self.dynamic.iter().position(|i| *i == index) {
            self.dynamic.remove(at);
            self.dynamic.push_back(index);
        }
        if let Some(place) = self.upstreams.get_mut(index) {
            place.is_kept = order.kept;
            place.since = step.now.mono;
        }
        step.log(Importance::Detail, format!("connecting {key} at {address}"));
        self.upstream(step, index, upstream::Input::Dial(key, address));
    }

    /// Connects a peer that the operator named.
    pub(super) fn connect_now(
        &mut self,
        step: &mut Step<'_>,
        key: PeerPublicKey,
        address: crate::core::wire::connection::Connection,
    ) {
        let has = |place: &Place| place.upstream.target().is_some_and(|(k, _)| k == key);
        let empty = |place: &Place| place.is_static && place.upstream.target().is_none();
        let index = self
            .upstreams
            .iter()
            .position(has)
            .or_else(|| self.upstreams.iter().position(empty));
        let index = index.unwrap_or_else(|| {
            let upstream = self.new_upstream();
            self.upstreams.push(Place {
                upstream,
                socket: None,
                is_static: true,
                is_kept: true,
                since: step.now.mono,
                registered: None,
                sharing: None,
            });
            self.upstreams.len() - 1
        });
        self.upstream(step, index, upstream::Input::Dial(key, address));
    }

    /// Disconnects a peer; tells whether it was connected.
    pub(super) fn disconnect(&mut self, step: &mut Step<'_>, key: &PeerPublicKey) -> bool {
        let has = |place: &Place| place.upstream.target().is_some_and(|(k, _)| k == *key);
        let Some(index) = self.upstreams.iter().position(has) else {
            return false;
        };
        self.upstream(step, index, upstream::Input::Close);
        true
    }

    /// Ends all that goes out to a key that is kept out from now on; tells whether there was any.
    /// What the configuration names is tried again when the ban is over.
    pub(super) fn shut_out(&mut self, step: &mut Step<'_>, key: &PeerPublicKey) -> bool {
        let mut was = false;
        for index in 0..self.upstreams.len() {
            let Some(place) = self.upstreams.get(index) else {
                continue;
            };
            if place.upstream.target().is_none_or(|(k, _)| k != *key) {
                continue;
            }
            was = true;
            let input = if index < self.settings.connect.len() {
                upstream::Input::Broken("banned".to_owned())
            } else {
                upstream::Input::Close
            };
            self.upstream(step, index, input);
        }
        if let Some((_, socket)) = self.probes.remove(&key.0) {
            self.close(step, socket);
        }
        for subscription in &mut self.subscriptions {
            if subscription.key == *key {
                was = true;
                step.out.push(Effect::Close(subscription.socket));
                // Nothing comes from this number any more.
                subscription.socket = self.next_socket;
                subscription.heard = step.now.mono;
                self.next_socket += 1;
            }
        }
        was
    }

    /// Tells all registered peers and subscribers.
    pub(super) fn relay(&mut self, step: &mut Step<'_>, frames: Vec<Vec<u8>>) {
        for index in 0..self.upstreams.len() {
            let is_registered = self
                .upstreams
                .get(index)
                .is_some_and(|place| place.upstream.is_registered());
            if is_registered {
                self.upstream(step, index, upstream::Input::News(frames.clone()));
            }
        }
        self.publish(step, frames);
    }

    pub(super) fn publish(&mut self, step: &mut Step<'_>, frames: Vec<Vec<u8>>) {
        let heartbeat = self.settings.timing.heartbeat_ms.max(1);
        self.next_heart = step.now.mono.saturating_add(heartbeat);
        let mut message = vec![self.settings.chain.name.as_bytes().to_vec()];
        message.extend(frames);
        step.out.push(Effect::Publish(message));
    }

    pub(super) fn connect_on_time(&mut self, step: &mut Step<'_>, input: connector::Input) {
        // Nothing is measured by a height that falls: it begins again when the fall is over.
        if self.check.is_dropping() {
            return;
        }
        let mut effects = Vec::new();
        let seen = Seen {
            ledger: &self.ledger,
            view: &step.state,
            places: &self.upstreams,
        };
        self.connector.step(step.now, input, &seen, &mut effects);
        for effect in effects {
            match effect {
                connector::Effect::Mode(mode) => {
                    let normal = mode == connector::Mode::Normal;
                    let height = self.ledger.height();
                    let text = if normal {
                        format!("mode Normal at height {height}")
                    } else {
                        format!("synchronising from height {height}")
                    };
                    step.log(Importance::Information, text);
                    self.mine(step, mining::Input::Normal(normal));
                }
                connector::Effect::Reconnect => self.announce(step, announce::Input::Reconnect),
                connector::Effect::Ask(slot, question) => {
                    self.upstream(step, slot, upstream::Input::Ask(question));
                }
                connector::Effect::Prepare(header) => self.prepare(step, header),
                connector::Effect::Put(packed) => self.fetched(step, packed),
                connector::Effect::Switch(common, blocks) => self.switch(step, common, blocks),
                connector::Effect::Report(text) => step.log(Importance::Warning, text),
            }
        }
    }
}

/// The header bytes in front of a block.
pub(super) fn header_bytes(packed: &[u8]) -> Option<[u8; HEADER_BYTES]> {
    packed.first_chunk::<HEADER_BYTES>().copied()
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
