//! Parties that do not keep to the rules. Each answers requests and acts in turns, as its script
//! says; none knows more than the network shows.

use std::collections::BTreeSet;

use bitmarkd::core::chain::Chain;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::time::Millis;
use bitmarkd::core::wire::connection::pack_list;
use rand::{Rng as _, RngCore as _};
use rand_chacha::ChaCha8Rng;
use sha3::{Digest as _, Sha3_256};

use crate::node::{NO_WORK, WALL, address_of, key_of};
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
            What::Swarm { .. } | What::Forger { .. } => 1,
        };
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
