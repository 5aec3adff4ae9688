//! Parties that do not keep to the rules. Each answers requests and acts in turns, as its script
//! says; none knows more than the network shows.

use std::collections::BTreeSet;

use bitmarkd::core::chain::Chain;
use bitmarkd::core::id::AssetId;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::overlay::mempool::wire::{Batch, BatchAck, Hello, Item, Message};
use bitmarkd::core::overlay::mempool::{Bundle, Kind};
use bitmarkd::core::time::Millis;
use bitmarkd::core::wire::connection::pack_list;
use rand::{Rng as _, RngCore as _};
use rand_chacha::ChaCha8Rng;
use sha3::{Digest as _, Sha3_256};

use crate::node::{NO_WORK, WALL, address_of, key_of};
use crate::records;
use crate::world::Frames;

/// What a script does in its turn.
#[derive(Debug)]
pub enum Act {
    /// Sends a request to a node, with this key.
    Ask(usize, PeerPublicKey, Frames),
    /// Publishes.
    Publish(Frames),
}

#[derive(Debug)]
pub enum What {
    /// Claims a height and serves nothing.
    Boaster,
    /// Announces key after key, each of which answers like a peer, to be everybody's only peer.
    Swarm {
        keys: BTreeSet<PeerPublicKey>,
        most: usize,
    },
    /// Sends anything at all.
    Babbler,
    /// Takes blocks of others, spoils them and sends them on.
    Forger { seen: Vec<Vec<u8>> },
    /// Speaks the language of the shared mempool, and never truly.
    Liar {
        turn: u64,
        /// The epoch and the newest id of its log.
        last: (u64, u64),
    },
}

#[derive(Debug)]
pub struct Script {
    party: usize,
    victims: usize,
    what: What,
}

impl Script {
    /// A script against the first so many parties.
    pub const fn new(party: usize, victims: usize, what: What) -> Self {
        Self {
            party,
            victims,
            what,
        }
    }

    pub const fn every(&self) -> Millis {
        match self.what {
            What::Swarm { .. } => 100,
            What::Liar { .. } => 700,
            _ => 1_000,
        }
    }

    /// Whether it has the private part of this key.
    pub fn has(&self, key: &PeerPublicKey) -> bool {
        match &self.what {
            What::Swarm { keys, .. } => keys.contains(key),
            _ => *key == key_of(self.party),
        }
    }

    /// Its answer to a request.
    pub fn answer(
        &mut self,
        chain: &Chain,
        _client: &PeerPublicKey,
        frames: &Frames,
        random: &mut ChaCha8Rng,
    ) -> Option<Frames> {
        let command = frames.get(1)?.as_slice();
        let height: u64 = match self.what {
            What::Boaster => 1_000_000,
            What::Babbler => random.next_u64(),
            What::Swarm { .. } | What::Forger { .. } | What::Liar { .. } => 1,
        };
        if let (What::Liar { last, .. }, b"OVL1", Some(payload)) =
            (&self.what, command, frames.get(2))
        {
            let reply = lie(payload, *last, random)?;
            return Some(vec![b"OVL1".to_vec(), reply.encode()]);
        }
        if let (What::Forger { seen }, b"block", Some(packed)) =
            (&mut self.what, command, frames.get(2))
        {
            seen.push(packed.clone());
            if seen.len() > 20 {
                seen.remove(0);
            }
        }
        if matches!(self.what, What::Babbler) && random.gen_ratio(1, 2) {
            return random.gen_ratio(1, 2).then(|| noise(random));
        }
        Some(match command {
            b"R" => vec![
                b"R".to_vec(),
                chain.name.as_bytes().to_vec(),
                frames.get(3)?.clone(),
                Vec::new(),
                WALL.to_be_bytes().to_vec(),
            ],
            b"N" => vec![b"N".to_vec(), height.to_be_bytes().to_vec()],
            b"H" => vec![b"H".to_vec(), {
                let mut digest = vec![0; 32];
                random.fill_bytes(&mut digest[2..30]);
                digest
            }],
            b"B" => vec![b"E".to_vec(), b"block not found".to_vec()],
            other => vec![other.to_vec(), b"A".to_vec()],
        })
    }

    /// What it does now.
    pub fn act(&mut self, chain: &Chain, at: Millis, random: &mut ChaCha8Rng) -> Vec<Act> {
        let name = chain.name.as_bytes().to_vec();
        let own = key_of(self.party);
        let listeners = pack_list([&address_of(self.party)]);
        let victims = self.victims;
        match &mut self.what {
            What::Boaster => (0..victims)
                .map(|victim| {
                    let time = (WALL + at / 1000).to_be_bytes().to_vec();
                    let key = own.0.to_vec();
                    let frames = vec![name.clone(), b"peer".to_vec(), key, listeners.clone(), time];
                    Act::Ask(victim, own, frames)
                })
                .collect(),
            What::Swarm { keys, most } => {
                let mut acts = Vec::new();
                for _ in 0..20 {
                    let fresh = keys.len() < *most;
                    let number = if fresh {
                        keys.len()
                    } else {
                        random.gen_range(0..*most)
                    };
                    let key = PeerPublicKey(Sha3_256::digest(format!("swarm {number}")).into());
                    keys.insert(key);
                    let time = (WALL + at / 1000).to_be_bytes().to_vec();
                    let victim = random.gen_range(0..victims);
                    let body = [key.0.to_vec(), listeners.clone(), time];
                    let mut frames = vec![name.clone()];
                    if random.gen_ratio(1, 2) {
                        frames.extend([b"R".to_vec(), name.clone()]);
                    } else {
                        frames.push(b"peer".to_vec());
                    }
                    frames.extend(body);
                    acts.push(Act::Ask(victim, key, frames));
                }
                acts
            }
            What::Babbler => {
                let mut acts = vec![Act::Publish(noise(random))];
                for _ in 0..5 {
                    let victim = random.gen_range(0..victims);
                    let mut frames = vec![name.clone()];
                    frames.extend(noise(random));
                    acts.push(Act::Ask(victim, own, frames));
                }
                acts
            }
            What::Liar { turn, last } => {
                *turn += 1;
                // A new epoch now and then, and twice as often towards the end of ten turns.
                if *turn % 10 > 7 {
                    *last = (random.gen_range(1..=u64::MAX), 0);
                }
                let victim = random.gen_range(0..victims);
                let mut messages = vec![Message::Hello(hello(*last, random))];
                for _ in 0..random.gen_range(1..8) {
                    messages.push(Message::Batch(false_batch(*last, 0, random)));
                }
                messages
                    .into_iter()
                    .map(|message| {
                        let frames = vec![name.clone(), b"OVL1".to_vec(), message.encode()];
                        Act::Ask(victim, own, frames)
                    })
                    .collect()
            }
            What::Forger { seen } => {
                let Some(mut packed) = seen.pop() else {
                    return Vec::new();
                };
                match random.gen_range(0..3) {
                    // Another nonce, without work.
                    0 if packed.len() > 100 => {
                        random.fill_bytes(&mut packed[92..99]);
                        packed[99] = NO_WORK;
                    }
                    // Anything turned somewhere.
                    1 if !packed.is_empty() => {
                        let spot = random.gen_range(0..packed.len());
                        packed[spot] ^= 1 << random.gen_range(0..8);
                    }
                    _ => packed.truncate(random.gen_range(0..=packed.len())),
                }
                (0..victims)
                    .map(|victim| {
                        let frames = vec![name.clone(), b"block".to_vec(), packed.clone()];
                        Act::Ask(victim, own, frames)
                    })
                    .collect()
            }
        }
    }
}

fn hello((epoch, head): (u64, u64), random: &mut ChaCha8Rng) -> Hello {
    Hello {
        epoch,
        head,
        max_bytes: random.next_u32(),
        max_items: random.gen_range(0..200),
        flags: random.gen_range(0..4),
    }
}

/// Bundles that no node takes: noise, tiny ones, issues of nothing and proofs of nothing.
fn false_batch((epoch, _): (u64, u64), after: u64, random: &mut ChaCha8Rng) -> Batch {
    let count = random.gen_range(1..40);
    let size = if random.gen_ratio(1, 2) { 1 } else { 56 };
    let items: Vec<Item> = (1..=count)
        .map(|at| {
            let kind = Kind::ALL[random.gen_range(0..4)];
            let mut payload = vec![0; size];
            random.fill_bytes(&mut payload);
            if random.gen_ratio(1, 2) {
                let key = records::client(random.gen_range(0..40));
                payload = records::issue(&key, &AssetId([7; 64]), random.gen_range(1..9));
                if random.gen_ratio(1, 2) {
                    // Somebody else's signature.
                    let last = payload.len() - 1;
                    payload[last] ^= 1;
                }
            }
            let bundle = Bundle { kind, payload };
            let id = after + at;
            Item { id, bundle }
        })
        .collect();
    let upto = after + count + random.gen_range(0..2);
    Batch {
        epoch,
        after,
        upto,
        items,
    }
}

/// An answer to a message of the overlay.
fn lie(payload: &[u8], last: (u64, u64), random: &mut ChaCha8Rng) -> Option<Message> {
    Some(match Message::decode(payload).ok()? {
        Message::Hello(_) => Message::HelloAck(hello(last, random), random.gen_range(0..100)),
        Message::Batch(batch) => {
            let beyond = random.gen_ratio(1, 3);
            let of_another = random.gen_ratio(1, 3);
            Message::BatchAck(BatchAck {
                epoch: batch.epoch ^ u64::from(of_another),
                upto: batch.upto + if beyond { 1_000 } else { 0 },
                credit: random.gen_range(0..3),
                ..BatchAck::default()
            })
        }
        Message::Pull(pull) => Message::Batch(false_batch(last, pull.after, random)),
        _ => return None,
    })
}

/// Frames of any content; some begin like commands.
fn noise(random: &mut ChaCha8Rng) -> Frames {
    const WORDS: [&[u8]; 12] = [
        b"I",
        b"N",
        b"B",
        b"H",
        b"R",
        b"block",
        b"assets",
        b"issues",
        b"transfer",
        b"proof",
        b"peer",
        b"OVL1",
    ];
    let count = random.gen_range(0..6);
    let mut frames: Frames = (0..count)
        .map(|_| {
            let mut bytes = vec![0; random.gen_range(0..200)];
            random.fill_bytes(&mut bytes);
            bytes
        })
        .collect();
    let word = WORDS[random.gen_range(0..WORDS.len())];
    frames.insert(0, word.to_vec());
    frames
}
