//! Clients of the simulation: they register assets, issue, prove, transfer and pay, at any node that
//! is up and Normal, and remember what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use bitmarkd::core::id::{AssetId, TxId};
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::overlay::mempool::{BundleKey, Kind, key_of};
use bitmarkd::core::reservoir::Status;
use rand::Rng as _;
use serde_json::{Value, json};

use crate::records;
use crate::world::{Frames, World};

/// Keys of clients.
const KEYS: u64 = 40;

/// What a reply is for.
#[derive(Debug, Clone)]
enum Pending {
    Asset(AssetId),
    Issue { id: TxId, packed: Vec<u8> },
    Proof(TxId),
    Transfer { id: TxId },
    Payment { id: TxId },
}

/// A record that clients made.
#[derive(Debug, Clone, Copy)]
pub enum Made {
    Asset(AssetId),
    Issue(TxId),
    Proof(TxId),
    Transfer(TxId),
}

/// What clients want done; the world does it when they have finished.
#[derive(Debug)]
pub enum Wish {
    /// A request to a node: tag, key, frames.
    Ask(usize, u64, PeerPublicKey, Frames),
    /// An operator's question: tag, question.
    Tell(usize, u64, Value),
}

/// Whose a bitmark is, as far as clients know.
#[derive(Debug, Clone)]
struct Bitmark {
    issue: TxId,
    /// The newest transaction.
    newest: TxId,
    owner: u64,
}

#[derive(Debug, Default)]
pub struct Clients {
    next: u64,
    waiting: BTreeMap<u64, (usize, Pending)>,
    pub wishes: Vec<Wish>,
    assets: Vec<AssetId>,
    bitmarks: Vec<Bitmark>,
    /// Transaction to the issue that it goes back to.
    pub origin: BTreeMap<TxId, TxId>,
    /// Transactions of which another one follows the same link: not all of them can stay.
    pub contested: BTreeSet<TxId>,
    /// Transactions that a node acknowledged with their proof or payment: each ends up in a block.
    pub verified: BTreeSet<TxId>,
    pub acknowledged: u64,
    /// Every record that was made, and the one that it cannot do without.
    pub made: BTreeMap<BundleKey, (Made, Option<BundleKey>)>,
    assets_made: BTreeMap<AssetId, BundleKey>,
    issues_made: BTreeMap<TxId, BundleKey>,
    asset_of: BTreeMap<TxId, AssetId>,
    /// Whether contested transfers are made.
    pub are_honest: bool,
}

impl Clients {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn send(
        &mut self,
        world: &mut World,
        node: usize,
        command: &str,
        data: Vec<u8>,
        what: Pending,
    ) {
        self.note_made(&data, &what);
        let tag = self.number();
        self.waiting.insert(tag, (node, what));
        let frames = vec![
            world.chain.name.as_bytes().to_vec(),
            command.as_bytes().to_vec(),
            data,
        ];
        // Clients come with a key of their own each time.
        let mut key = [0xc1; 32];
        key[..8].copy_from_slice(&(tag % 8 + 1).to_be_bytes());
        self.wishes
            .push(Wish::Ask(node, tag, PeerPublicKey(key), frames));
    }

    fn note_made(&mut self, data: &[u8], what: &Pending) {
        let (key, made, need) = match what {
            Pending::Asset(id) => {
                let key = key_of(Kind::Assets, data);
                self.assets_made.insert(*id, key);
                (key, Made::Asset(*id), None)
            }
            Pending::Issue { id, .. } => {
                let need = self.asset_of.get(id);
                let need = need.and_then(|asset| self.assets_made.get(asset)).copied();
                self.issues_made.insert(*id, key_of(Kind::Issues, data));
                (key_of(Kind::Issues, data), Made::Issue(*id), need)
            }
            Pending::Proof(id) => {
                let need = self.issues_made.get(id).copied();
                (key_of(Kind::Proof, data), Made::Proof(*id), need)
            }
            Pending::Transfer { id } => (key_of(Kind::Transfer, data), Made::Transfer(*id), None),
            Pending::Payment { .. } => return,
        };
        self.made.insert(key, (made, need));
    }

    /// A crash: no reply comes any more.
    pub fn forget_waiting(&mut self, node: usize) {
        self.waiting.retain(|_, (at, _)| *at != node);
    }

    /// One record.
    pub fn act(&mut self, world: &mut World) {
        let normal: Vec<usize> = (0..world.nodes.len())
            .filter(|n| world.nodes[*n].is_normal())
            .collect();
        if normal.is_empty() {
            return;
        }
        let node = normal[world.random.gen_range(0..normal.len())];
        match world.random.gen_range(0..10) {
            0 | 1 => self.register(world, node),
            2 | 3 => self.transfer(world, node, &normal),
            _ => self.issue(world, node),
        }
    }

    fn register(&mut self, world: &mut World, node: usize) {
        let number = self.number();
        let key = records::client(world.random.gen_range(0..KEYS));
        let packed = records::asset(&key, number);
        let id = AssetId::of(&records::fingerprint(number));
        self.send(world, node, "assets", packed, Pending::Asset(id));
    }

    fn issue(&mut self, world: &mut World, node: usize) {
        if self.assets.is_empty() {
            return self.register(world, node);
        }
        let recent = self.assets.len().saturating_sub(50);
        let asset = self.assets[world.random.gen_range(recent..self.assets.len())];
        let owner = world.random.gen_range(0..KEYS);
        let nonce = self.number();
        let packed = records::issue(&records::client(owner), &asset, nonce);
        let id = TxId::of(&packed);
        self.bitmarks.push(Bitmark {
            issue: id,
            newest: id,
            owner,
        });
        self.origin.insert(id, id);
        self.asset_of.insert(id, asset);
        let what = Pending::Issue {
            id,
            packed: packed.clone(),
        };
        self.send(world, node, "issues", packed, what);
    }

    fn transfer(&mut self, world: &mut World, node: usize, normal: &[usize]) {
        if self.bitmarks.is_empty() {
            return self.issue(world, node);
        }
        let index = world.random.gen_range(0..self.bitmarks.len());
        let bitmark = self.bitmarks[index].clone();
        if world.nodes[node].status(&bitmark.newest) != Status::Confirmed {
            return self.issue(world, node);
        }
        let from = records::client(bitmark.owner);
        let to = (bitmark.owner + 1 + world.random.gen_range(0..KEYS - 1)) % KEYS;
        let packed = records::transfer(&from, &records::client(to), bitmark.newest);
        let id = TxId::of(&packed);
        self.origin.insert(id, bitmark.issue);
        if !self.are_honest && world.random.gen_ratio(1, 4) && normal.len() > 1 {
            // The same link again, to another owner, at another node.
            let rival = records::transfer(&from, &records::client((to + 1) % KEYS), bitmark.newest);
            let rival_id = TxId::of(&rival);
            self.origin.insert(rival_id, bitmark.issue);
            self.contested.extend([id, rival_id]);
            let other = normal[world.random.gen_range(0..normal.len())];
            let what = Pending::Transfer { id: rival_id };
            self.send(world, other, "transfer", rival, what);
            // Whoever wins: clients leave this bitmark alone.
            self.bitmarks.swap_remove(index);
        } else {
            self.bitmarks[index].newest = id;
            self.bitmarks[index].owner = to;
        }
        self.send(world, node, "transfer", packed, Pending::Transfer { id });
    }

    /// A node answers.
    pub fn replied(&mut self, world: &mut World, node: usize, tag: u64, frames: &Frames) {
        assert_eq!(
            frames.get(1).map(Vec::as_slice),
            Some(&b"A"[..]),
            "news are acknowledged whatever becomes of them"
        );
        self.done(world, node, tag);
    }

    /// What was asked for under a tag is done.
    pub fn done(&mut self, world: &mut World, node: usize, tag: u64) {
        let Some((_, what)) = self.waiting.remove(&tag) else {
            return;
        };
        match what {
            Pending::Asset(id) => {
                if world.nodes[node].engine().reservoir().has_cached_asset(&id) {
                    self.assets.push(id);
                }
            }
            Pending::Issue { id, packed } => {
                if self.promised(world, node, id) {
                    let proof = records::proof(&world.nodes[node], &packed);
                    self.send(world, node, "proof", proof, Pending::Proof(id));
                }
            }
            Pending::Proof(id) => {
                self.note_verified(world, node, id);
            }
            Pending::Transfer { id } => {
                if self.promised(world, node, id) {
                    self.pay(world, id);
                }
            }
            Pending::Payment { id } => self.note_verified(world, node, id),
        }
    }

    /// Takes note of an acknowledgement that means something: the record is there.
    fn promised(&mut self, world: &mut World, node: usize, id: TxId) -> bool {
        let is_there = world.nodes[node].status(&id) != Status::Unknown;
        if is_there {
            self.acknowledged += 1;
            world.nodes[node].promised.insert(id);
        }
        is_there
    }

    fn note_verified(&mut self, world: &mut World, node: usize, id: TxId) {
        let status = world.nodes[node].status(&id);
        let is_verified = matches!(status, Status::Verified | Status::Confirmed);
        if is_verified && !self.contested.contains(&id) {
            world.note(|| format!("node {node} has verified {id}"));
            self.verified.insert(id);
        }
    }

    /// A payment is seen by every node that has the record.
    fn pay(&mut self, world: &World, id: TxId) {
        for (node, target) in world.nodes.iter().enumerate() {
            if !target.is_up() || target.status(&id) != Status::Pending {
                continue;
            }
            if let Some(pay_id) = target.engine().reservoir().pay_id_of(&id) {
                let tag = self.number();
                self.waiting.insert(tag, (node, Pending::Payment { id }));
                let seen = json!({"command": "payment-seen", "payId": pay_id});
                self.wishes.push(Wish::Tell(node, tag, seen));
            }
        }
    }
}
