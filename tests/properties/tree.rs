//! Makes chains that fork: every block is valid on its parent and proven by a real digest.

use bitmarkd::core::block::{Compact, DigestMemory, HEADER_BYTES, Header, digest, foundation_id};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::record::{
    AssetData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified,
    BlockFoundation, BlockOwnerTransfer, Record, merkle, sign, sign_by_both,
};
use bitmarkd::core::time::UnixSeconds;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::records::{key, payments};

/// Owners of bitmarks and blocks: few, so that their lists are long and mixed.
const KEYS: u8 = 3;
/// Names of assets: few, so that branches and blocks repeat each other's records.
const ASSETS: u8 = 4;

/// A time at which every block made here may be.
pub const WALL: UnixSeconds = DEVNET.genesis_timestamp + 1_000_000;

/// A block with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub packed: Vec<u8>,
    pub digest: BlockDigest,
}

/// What can be transferred next, and who has it.
#[derive(Debug, Clone, Copy)]
struct Owned {
    link: TxId,
    owner: u8,
    is_block: bool,
}

/// A chain from genesis to some tip, with what the records of its next block may do.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Block 2 and up.
    pub blocks: Vec<Block>,
    version: u16,
    owned: Vec<Owned>,
    assets: Vec<u8>,
    issues: Vec<TxId>,
}

impl Branch {
    pub const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            version: 1,
            owned: Vec::new(),
            assets: Vec::new(),
            issues: Vec::new(),
        }
    }

    pub fn height(&self) -> u64 {
        1 + self.blocks.len() as u64
    }

    pub fn tip(&self) -> BlockDigest {
        self.blocks
            .last()
            .map_or(DEVNET.genesis_digest, |block| block.digest)
    }

    /// The block of this number.
    pub fn block(&self, number: u64) -> Option<&Block> {
        let at = number.checked_sub(2)?;
        self.blocks.get(usize::try_from(at).ok()?)
    }

    /// The digest of the block of this number.
    pub fn digest(&self, number: u64) -> Option<BlockDigest> {
        if number <= 1 {
            return Some(DEVNET.genesis_digest);
        }
        self.block(number).map(|block| block.digest)
    }

    /// Mines so many blocks.
    pub fn grow(&mut self, blocks: u64, rng: &mut ChaCha8Rng, memory: &mut DigestMemory) {
        for _ in 0..blocks {
            self.mine(rng, memory);
        }
    }

    fn mine(&mut self, rng: &mut ChaCha8Rng, memory: &mut DigestMemory) {
        if self.version == 1 && rng.gen_bool(0.3) {
            self.version = 2;
        }
        let miner = rng.gen_range(1..=KEYS);
        let mut records = vec![foundation(miner)];
        let mut gained = Vec::new();
        let wanted = rng.gen_range(2..7);
        while records.len() < wanted {
            let record = self.record(rng, &mut gained);
            // The same twice would be the same id twice, which the tree of ids does not mind
            // but the rules do.
            if let Some(record) = record.filter(|record| !records.contains(record)) {
                records.push(record);
            }
        }
        let ids: Vec<TxId> = records.iter().map(|packed| TxId::of(packed)).collect();
        let number = self.height() + 1;
        let header = Header {
            version: self.version,
            transaction_count: u16::try_from(records.len()).expect("few records"),
            number,
            previous_block: self.tip(),
            merkle_root: merkle::root(&ids),
            timestamp: DEVNET.genesis_timestamp + number * 60 + rng.gen_range(0..60),
            difficulty: Compact::ONE,
            nonce: rng.r#gen(),
        };
        let (header, digest) = proven(header, memory);
        self.blocks.push(Block {
            packed: [header.as_slice(), &records.concat()].concat(),
            digest,
        });
        gained.push(Owned {
            link: foundation_id(&digest, number),
            owner: miner,
            is_block: true,
        });
        self.owned.extend(gained);
    }

    /// A record that is valid on the tip; what it gives somebody goes to `gained`, since it can
    /// only be transferred in a later block.
    fn record(&mut self, rng: &mut ChaCha8Rng, gained: &mut Vec<Owned>) -> Option<Vec<u8>> {
        let may_repeat = self.version == 1;
        let name = rng.gen_range(0..ASSETS);
        match rng.gen_range(0..4) {
            0 => {
                let is_new = !self.assets.contains(&name);
                if is_new {
                    self.assets.push(name);
                }
                (is_new || may_repeat).then(|| asset(name))
            }
            1 => {
                let owner = rng.gen_range(1..=KEYS);
                let packed = issue(name, owner, rng.gen_range(0..20));
                let link = TxId::of(&packed);
                let is_new = !self.issues.contains(&link);
                if is_new {
                    self.issues.push(link);
                    gained.push(Owned {
                        link,
                        owner,
                        is_block: false,
                    });
                }
                (is_new || may_repeat).then_some(packed)
            }
            _ => {
                let at = (!self.owned.is_empty()).then(|| rng.gen_range(0..self.owned.len()))?;
                let old = self.owned.swap_remove(at);
                let to = rng.gen_range(1..=KEYS);
                let packed = transfer(old, to, rng.gen_bool(0.5));
                gained.push(Owned {
                    link: TxId::of(&packed),
                    owner: to,
                    ..old
                });
                Some(packed)
            }
        }
    }
}

fn proven(mut header: Header, memory: &mut DigestMemory) -> ([u8; HEADER_BYTES], BlockDigest) {
    loop {
        let packed = header.pack();
        let digest = digest(&DEVNET.digest, &packed, memory);
        if header.proves(&digest) {
            return (packed, digest);
        }
        header.nonce = header.nonce.wrapping_add(1);
    }
}

fn foundation(miner: u8) -> Vec<u8> {
    let mut record = Record::BlockFoundation(BlockFoundation {
        version: DEVNET.rules.foundation_version,
        payments: payments(miner),
        owner: key(miner).account().expect("a key has an account"),
        nonce: DEVNET.rules.foundation_nonce,
        signature: Vec::new(),
    });
    sign(&mut record, &key(miner)).expect("a valid foundation")
}

fn fingerprint(name: u8) -> Vec<u8> {
    format!("fingerprint of {name}").into_bytes()
}

fn asset(name: u8) -> Vec<u8> {
    let mut record = Record::AssetData(AssetData {
        name: format!("asset {name}").into_bytes(),
        fingerprint: fingerprint(name),
        metadata: b"a\0b".to_vec(),
        registrant: key(1).account().expect("a key has an account"),
        signature: Vec::new(),
    });
    sign(&mut record, &key(1)).expect("a valid asset")
}

fn issue(name: u8, owner: u8, nonce: u64) -> Vec<u8> {
    let mut record = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(&fingerprint(name)),
        owner: key(owner).account().expect("a key has an account"),
        nonce,
        signature: Vec::new(),
    });
    sign(&mut record, &key(owner)).expect("a valid issue")
}

fn transfer(old: Owned, to: u8, countersigned: bool) -> Vec<u8> {
    let link = old.link;
    let owner = key(to).account().expect("a key has an account");
    let mut record = if old.is_block {
        Record::BlockOwnerTransfer(BlockOwnerTransfer {
            link,
            escrow: None,
            version: DEVNET.rules.foundation_version,
            payments: payments(to + 10),
            owner,
            signature: Vec::new(),
            countersignature: Vec::new(),
        })
    } else if countersigned {
        Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
            link,
            escrow: None,
            owner,
            signature: Vec::new(),
            countersignature: Vec::new(),
        })
    } else {
        Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
            link,
            escrow: None,
            owner,
            signature: Vec::new(),
        })
    };
    let packed = if record.countersignature().is_some() {
        sign_by_both(&mut record, &key(old.owner), &key(to))
    } else {
        sign(&mut record, &key(old.owner))
    };
    packed.expect("a valid transfer")
}

/// Branches that share a beginning; exactly one is the longest, and it is the first.
pub fn forest(rng: &mut ChaCha8Rng, memory: &mut DigestMemory) -> Vec<Branch> {
    let mut seen = vec![Branch::new()];
    let mut branches = Vec::new();
    for _ in 0..rng.gen_range(3..6) {
        // From anywhere.
        let mut branch = seen.choose(rng).expect("there is one").clone();
        for _ in 0..rng.gen_range(1..6) {
            branch.grow(1, rng, memory);
            seen.push(branch.clone());
        }
        branches.push(branch);
    }
    branches.sort_by_key(|branch| std::cmp::Reverse(branch.height()));
    let second = branches.get(1).map_or(0, Branch::height);
    if let Some(first) = branches.first_mut() {
        let more = second.saturating_sub(first.height()) + rng.gen_range(1..3);
        first.grow(more, rng, memory);
    }
    branches
}
