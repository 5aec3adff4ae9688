//! Records as a chain has them: assets, issues and transfers of both kinds, of a thousand owners.
//! One of them is given a tenth of all issues, and one bitmark changes hands in every block. Their
//! signatures are right; nobody has checked them.

use bitmarkd::core::id::{AssetId, TxId};
use bitmarkd::core::keys::{Account, PrivateKey};
use bitmarkd::core::record::{
    AssetData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified, Record,
    sign_first, sign_second,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Owners.
const OWNERS: usize = 1_000;
/// The owner of a tenth of all issues.
const CROWDED: usize = 0;
/// Steps of the bitmark that changes hands in every block, its asset and its issue among them.
pub const TRAIL: usize = 1_000;

/// A bitmark that may be transferred: its newest transaction and the number of its owner.
type Bitmark = (TxId, usize);

/// What a mix has made so far: enough to go on with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// Assets and issues were made with numbers below this one.
    number: u64,
    /// The newest asset.
    asset: Option<AssetId>,
    /// Bitmarks in stored blocks.
    pub ready: Vec<Bitmark>,
    /// The bitmark with a long provenance.
    trail: Option<Bitmark>,
    /// Its steps.
    pub steps: usize,
    /// Some assets, and some transactions.
    pub assets: Vec<AssetId>,
    /// See above.
    pub transactions: Vec<TxId>,
}

impl Made {
    /// For one more way to go on from the same blocks: what is made on this one is made on no other,
    /// and leaves the bitmarks alone that were made before.
    #[must_use]
    pub fn apart(self, way: u64) -> Self {
        Self {
            number: self.number.saturating_add((way + 1) << 32),
            asset: None,
            ready: Vec::new(),
            trail: None,
            steps: 0,
            ..self
        }
    }
}

/// Makes records, block after block.
pub struct Mix {
    keys: Vec<PrivateKey>,
    accounts: Vec<Account>,
    chance: ChaCha8Rng,
    /// See [`Made`].
    pub made: Made,
}

/// Every so many records one is remembered.
const REMEMBERED: u64 = 97;
/// At most so many of a kind.
const REMEMBERED_MAX: usize = 2_000;

impl Mix {
    /// From the beginning.
    pub fn new() -> Self {
        Self::from(Made {
            number: 0,
            asset: None,
            ready: Vec::new(),
            trail: None,
            steps: 0,
            assets: Vec::new(),
            transactions: Vec::new(),
        })
    }

    /// Goes on behind what was made.
    pub fn from(made: Made) -> Self {
        let keys: Vec<PrivateKey> = (0..OWNERS)
            .map(|number| {
                let mut seed = [7; 32];
                seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
                PrivateKey::from_ed25519_seed(&seed, true)
            })
            .collect();
        let account = |key: &PrivateKey| key.account().expect("an account");
        Self {
            accounts: keys.iter().map(account).collect(),
            chance: ChaCha8Rng::seed_from_u64(made.number),
            keys,
            made,
        }
    }

    /// The owner of a tenth of all issues.
    pub fn crowded(&self) -> &Account {
        &self.accounts[CROWDED]
    }

    /// The newest transaction of the bitmark that changes hands in every block.
    pub fn trail(&self) -> TxId {
        self.made.trail.expect("there is a block").0
    }

    /// The records of the next block, so many. Of ten there are one asset, five issues, three
    /// transfers and one more with a countersignature; while there is nothing to transfer, issues.
    pub fn block(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut fresh = Vec::new();
        let mut packed = Vec::with_capacity(count);
        // Nothing follows a record of its own block.
        let mut trail = self.made.trail.filter(|_| self.made.steps < TRAIL);
        for place in 0..count {
            let kind = if self.made.asset.is_none() {
                0
            } else {
                place % 10
            };
            let on_trail = kind == 6 && trail.is_some();
            let (record, owner) = match kind {
                0 => (self.asset(), None),
                1 => self.issue(CROWDED),
                2..6 => {
                    let owner = self.chance.gen_range(1..OWNERS);
                    self.issue(owner)
                }
                _ => match trail.take_if(|_| on_trail).or_else(|| self.any()) {
                    Some(bitmark) => {
                        let to = self.chance.gen_range(1..OWNERS);
                        self.transfer(bitmark, to, kind == 9)
                    }
                    None => self.issue(kind),
                },
            };
            let bytes = record.pack_unchecked();
            let id = TxId::of(&bytes);
            match owner {
                Some(owner) if on_trail => {
                    self.made.trail = Some((id, owner));
                    self.made.steps += 1;
                }
                Some(owner) if self.made.trail.is_none() => {
                    self.made.trail = Some((id, owner));
                    self.made.steps = 2;
                }
                Some(owner) if owner != CROWDED => fresh.push((id, owner)),
                _ => {}
            }
            self.made.number += 1;
            let is_remembered = self.made.number.is_multiple_of(REMEMBERED) && kind != 0;
            if is_remembered && self.made.transactions.len() < REMEMBERED_MAX {
                self.made.transactions.push(id);
            }
            packed.push(bytes);
        }
        self.made.ready.extend(fresh);
        packed
    }

    /// Any bitmark of a stored block.
    fn any(&mut self) -> Option<Bitmark> {
        if self.made.ready.is_empty() {
            return None;
        }
        let any = self.chance.gen_range(0..self.made.ready.len());
        Some(self.made.ready.swap_remove(any))
    }

    fn asset(&mut self) -> Record {
        let print = format!("01{:0126}", self.made.number);
        let id = AssetId::of(print.as_bytes());
        self.made.asset = Some(id);
        if self.made.assets.len() < REMEMBERED_MAX {
            self.made.assets.push(id);
        }
        let owner = self.chance.gen_range(1..OWNERS);
        let mut record = Record::AssetData(AssetData {
            name: format!("thing {}", self.made.number).into_bytes(),
            fingerprint: print.into_bytes(),
            metadata: b"owner\0somebody\0kind\0a thing".to_vec(),
            registrant: self.accounts[owner],
            signature: Vec::new(),
        });
        sign_first(&mut record, &self.keys[owner]);
        record
    }

    fn issue(&mut self, owner: usize) -> (Record, Option<usize>) {
        let mut record = Record::BitmarkIssue(BitmarkIssue {
            asset_id: self.made.asset.expect("an asset comes first"),
            owner: self.accounts[owner],
            nonce: self.made.number,
            signature: Vec::new(),
        });
        sign_first(&mut record, &self.keys[owner]);
        (record, Some(owner))
    }

    fn transfer(&self, bitmark: Bitmark, to: usize, agreed: bool) -> (Record, Option<usize>) {
        let (link, from) = bitmark;
        let owner = self.accounts[to];
        let mut record = if agreed {
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
        sign_first(&mut record, &self.keys[from]);
        if agreed {
            sign_second(&mut record, &self.keys[to]);
        }
        (record, Some(to))
    }
}
