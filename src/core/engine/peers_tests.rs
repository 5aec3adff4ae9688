//! Places for outgoing peers, against peers that come and go.

use std::collections::BTreeSet;

use super::*;
use crate::core::engine::{Input, Settings, tests};
use crate::core::state::MemoryStore;
use crate::core::time::Now;
use crate::core::wire::connection::Connection;

const DYNAMIC: usize = 4;

/// A node that connects the peers it hears of.
fn settings() -> Settings {
    let mut settings = Settings {
        dynamic_connections: true,
        subscribe: Vec::new(),
        ..tests::settings()
    };
    settings.timing.dynamic_upstreams = DYNAMIC;
    settings.timing.connector.minimum_upstreams = 3;
    settings.timing.upstream.question_ms = 60_000;
    settings
}

/// A node among peers, of which some are there and the others are silent.
struct Net {
    store: MemoryStore,
    engine: Engine,
    now: Now,
    there: BTreeSet<u8>,
}

impl Net {
    fn new() -> Self {
        let store = MemoryStore::new();
        let now = Now {
            mono: 0,
            wall: 1_800_000_000,
        };
        let (mut engine, _) = Engine::new(now, settings(), &store).unwrap();
        engine.start(now, &store, &mut Vec::new());
        Self {
            store,
            engine,
            now,
            there: BTreeSet::new(),
        }
    }

    /// These are there, and nobody else.
    fn only(&mut self, keys: std::ops::Range<u8>) {
        self.there = keys.clone().collect();
        for key in keys {
            let address = Connection::from_ip_bytes(&[10, 0, 0, key], 2136).unwrap();
            self.step(Input::Bootstrap([key; 32], address.pack(), 0));
        }
    }

    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.engine.step(self.now, input, &self.store, &mut out);
            for effect in out {
                if let Effect::Request(socket, frames) = effect
                    && let Some(reply) = self.answer(socket, &frames)
                {
                    inputs.push(Input::Reply(socket, reply));
                }
            }
        }
    }

    fn answer(&self, socket: SocketId, frames: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let key = match self.engine.sockets.get(&socket)? {
            Owner::Probe(key) => PeerPublicKey(*key),
            Owner::Place(index) => self.engine.upstreams.get(*index)?.upstream.target()?.0,
        };
        if !self.there.contains(&key.0[0]) {
            return None;
        }
        let command = frames.get(1)?.clone();
        Some(match command.as_slice() {
            b"R" => vec![
                command,
                b"local".to_vec(),
                vec![1; 32],
                Vec::new(),
                vec![0; 8],
            ],
            b"N" => vec![command, 1_u64.to_be_bytes().to_vec()],
            _ => vec![command, b"A".to_vec()],
        })
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now.mono + seconds * 1000;
        while self.now.mono < end {
            let next = self.engine.next_wakeup().clamp(self.now.mono + 1, end);
            self.now = self.now.plus_ms(next - self.now.mono);
            self.step(Input::Wake);
        }
    }

    /// The keys of the registered peers.
    fn registered(&self) -> BTreeSet<u8> {
        let places = self.engine.upstreams.iter();
        places
            .filter(|place| place.upstream.is_registered())
            .filter_map(|place| Some(place.upstream.target()?.0.0[0]))
            .collect()
    }
}

#[test]
fn kept_places_do_not_stay_with_peers_that_are_gone() {
    let mut net = Net::new();
    for generation in [10..14, 20..24, 30..34, 40..44] {
        net.only(generation.clone());
        net.run(1200);
        let registered = net.registered();
        assert!(registered.len() >= 3, "{generation:?}: {registered:?}");
    }
}
